//! The handle on a root of pools: create, allocate, release, status.

mod allocate;
mod create;
mod describe;
mod operation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::bell::Bell;
use crate::clock::boot_id;
use crate::config::{Options, PoolConfig, Request};
use crate::error::Error;
use crate::lease::{Lease, Token};
use crate::lock::FileLock;
use crate::mirror::{Mirror, Remote};
use crate::name;
use crate::owner::{Owner, kill_processes_in};
use crate::presence::{Presence, wait_for_last_child};
use crate::process::Cancel;
use crate::slot::Slot;
use crate::state::SlotState;
use crate::status::PoolStatus;
use crate::store::{LeaseRow, PoolRow, Store};
use crate::trash::empty_trash;
use operation::Operation;

/// Pools of git working copies under one root directory.
///
/// A handle is cheap to clone and can be used from any thread; any number of processes may use one
/// root at the same time. All methods block: they run git and touch the disk.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let url = dir.path().join("upstream");
/// # for args in [
/// #     vec!["init", "-q", "-b", "main", url.to_str().unwrap()],
/// #     vec!["-C", url.to_str().unwrap(), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "first"],
/// # ] {
/// #     assert!(std::process::Command::new("git").args(args).status()?.success());
/// # }
/// # let (root, url) = (dir.path().join("pools"), url.to_str().unwrap().to_owned());
/// use brolly_repo_pool::{PoolConfig, RepoPool, Request};
///
/// let pools = RepoPool::open(root)?;
/// pools.create_pool(&PoolConfig::new("app", url).slots(2))?;
///
/// let lease = pools.allocate(&Request::new("app").at("main"))?;
/// std::fs::write(lease.path().join("note"), "mine")?;
/// lease.release()?;
///
/// let next = pools.allocate(&Request::new("app").at("main"))?;
/// assert!(next.is_warm());
/// assert!(!next.path().join("note").exists());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RepoPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    store: Store,
    owner: Owner,
    _presence: Presence,
    /// Slots that could not be let go of yet, because the database could not be written.
    unfinished: Mutex<Vec<operation::Unfinished>>,
}

impl RepoPool {
    /// Opens the root with default [`Options`] and makes it if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`Options::open`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        Options::new(root).open()
    }

    pub(crate) fn with_options(mut options: Options) -> Result<Self, Error> {
        let root = &options.root;
        create_private(root)?;
        // git's files name absolute paths, and a later change of directory must not move them.
        options.root = root.canonicalize().map_err(Error::io("resolve", root))?;
        let store = Store::open(&options.root, options.lock_timeout)?;
        let presence = Presence::announce(&options.root)?;
        let owner = Owner::this_process(presence.name());
        let unfinished = Mutex::default();
        let pools = Self {
            inner: Arc::new(Inner {
                options,
                store,
                owner,
                _presence: presence,
                unfinished,
            }),
        };
        for path in [pools.trash(), pools.root().join("pools")] {
            create_private(&path)?;
        }
        // What a creator that died left was never anybody's pool.
        let discard = |name: &str| pools.discard(&pools.folder(name));
        pools
            .store()
            .remove_unfinished_pools(&pools.inner.owner, discard)?;
        empty_trash(&pools.trash());
        Ok(pools)
    }

    /// The root directory, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.options.root
    }

    /// Makes a pool: one mirror of the repository and the slots, each checked out at the default branch.
    ///
    /// All or nothing: whatever fails, and wherever the process ends, the same call works again.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`], [`Error::InvalidUrl`], [`Error::InvalidSlots`] or [`Error::InvalidRef`]
    /// before anything is touched; [`Error::PoolExists`]; [`Error::Git`] when the repository cannot
    /// be reached; [`Error::EmptyRepository`]; [`Error::UnknownRef`] for a branch that it does not have.
    pub fn create_pool(&self, config: &PoolConfig) -> Result<PoolStatus, Error> {
        config.check()?;
        let url = create::absolute(&config.url)?;
        if self.store().pool(&config.name).is_ok() {
            return Err(Error::PoolExists {
                name: config.name.clone(),
            });
        }
        let remote = Remote::inspect(&url, self.inner.options.git_timeout)?;
        let branch = config
            .branch
            .clone()
            .unwrap_or_else(|| remote.default_branch.clone());
        let pool = self.store().insert_pool(
            &config.name,
            &url,
            &branch,
            config.slots,
            &self.inner.owner,
        )?;
        let made = self.make_pool(&pool, &remote, config.slots);
        if made.is_err() {
            // The error that is reported is the first one; what these leave is replaced by the next attempt.
            let _ = self.discard(&self.folder(&pool.name));
            let _ = self.store().delete_pool(pool.id);
        }
        empty_trash(&self.trash());
        made?;
        self.status(&config.name)
    }

    /// Every pool, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub fn pools(&self) -> Result<Vec<PoolStatus>, Error> {
        self.store()
            .pools()?
            .into_iter()
            .map(|pool| self.describe(pool))
            .collect()
    }

    /// One pool with its slots.
    ///
    /// # Errors
    ///
    /// [`Error::PoolNotFound`].
    pub fn status(&self, pool: &str) -> Result<PoolStatus, Error> {
        self.describe(self.store().pool(pool)?)
    }

    /// Brings the pool's mirror to where the remote is now. One fetch serves all slots and everybody
    /// who asked before it began.
    ///
    /// # Errors
    ///
    /// [`Error::Git`] when the remote cannot be reached, [`Error::LockTimeout`].
    pub fn fetch(&self, pool: &str) -> Result<(), Error> {
        self.fetch_since(self.store().pool(pool)?, self.now(), None)
            .map(drop)
    }

    /// The full commit id that a branch of the remote, a tag or a commit id names, as of the last fetch.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRef`], [`Error::UnknownRef`].
    pub fn resolve(&self, pool: &str, revision: &str) -> Result<String, Error> {
        name::check_revision(revision)?;
        let pool = self.store().pool(pool)?;
        self.mirror(&pool)
            .resolve(revision, &pool.branch)?
            .ok_or_else(|| unknown_ref(&pool, revision))
    }

    /// The remote's branches as of the last fetch with their commits, by name.
    ///
    /// # Errors
    ///
    /// [`Error::PoolNotFound`], [`Error::Git`].
    pub fn branches(&self, pool: &str) -> Result<Vec<(String, String)>, Error> {
        Ok(self
            .mirror(&self.store().pool(pool)?)
            .git()
            .remote_branches("origin")?)
    }

    /// git for the pool's bare mirror, for reading history. The remote's branches are
    /// `refs/remotes/origin/*`. What is written there is lost at the next fetch or seen by nobody.
    ///
    /// # Errors
    ///
    /// [`Error::PoolNotFound`].
    pub fn git(&self, pool: &str) -> Result<crate::git::Git, Error> {
        Ok(self.mirror(&self.store().pool(pool)?).git())
    }

    /// Leases a slot: a clean working copy at the commit that was asked for.
    ///
    /// A slot at that commit already is handed out after a look at every file of it. Any other is
    /// brought there first. A slot that cannot be prepared goes to state `error` and the next one is tried.
    ///
    /// # Errors
    ///
    /// [`Error::PoolNotFound`], [`Error::UnknownRef`], [`Error::NoAvailableSlot`] when the request's
    /// time is up, [`Error::Git`] when the remote had to be asked and could not be; when every slot
    /// failed, what the last one failed of.
    pub fn allocate(&self, request: &Request) -> Result<Lease, Error> {
        request.check()?;
        let started = Instant::now();
        let pool = self.store().pool(&request.pool)?;
        let allocated = self.allocate_from(pool.clone(), request, started);
        if allocated.is_err() {
            self.store().allocation_failed(pool.id)?;
        }
        match allocated {
            Err(_) if request.is_cancelled() => Err(Error::Cancelled),
            allocated => allocated,
        }
    }

    /// Ends the lease with this token and makes its slot fit for the next tenant.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyReleased`], [`Error::StaleLease`] or [`Error::UnknownLease`], in which case
    /// nothing was changed; [`Error::Cleanup`] if the slot could not be cleaned and is in state `error`.
    pub fn release(&self, token: Token) -> Result<(), Error> {
        let lease = self.begin_release(token, SlotState::Cleaning)?;
        let operation = Operation::new(self, &lease.pool, lease.slot, token);
        let slot = self.slot(&lease.pool, lease.slot);
        let cleaned = slot.clean(&lease.head);
        self.finish_cleaning(operation, &lease.pool, &slot, token, cleaned)
    }

    /// Takes over a live lease by its token, such as one that another process kept.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyReleased`], [`Error::StaleLease`], [`Error::UnknownLease`].
    pub fn attach(&self, token: Token) -> Result<Lease, Error> {
        let LeaseRow {
            pool, slot, head, ..
        } = self.store().lease(token)?;
        let slot = self.slot(&pool, slot);
        Ok(Lease::new(self.clone(), token, slot, head, false))
    }

    /// Moves the end of a durable lease to `ttl` from now.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSetting`] for a `ttl` of zero; otherwise as [`RepoPool::attach`].
    pub fn renew(&self, token: Token, ttl: Duration) -> Result<(), Error> {
        if ttl.is_zero() {
            return Err(Error::InvalidSetting {
                field: "ttl",
                value: "0s".into(),
                expected: "more than zero",
            });
        }
        self.store().renew(token, self.now().saturating_add(ttl))
    }

    /// Makes a slot in state `error` or `dirty` anew from the mirror.
    ///
    /// # Errors
    ///
    /// [`Error::SlotNotFound`], [`Error::InvalidState`] for a slot in any other state,
    /// [`Error::Cleanup`] if it cannot be made; it is in state `error` then.
    pub fn recover(&self, pool: &str, slot: u32) -> Result<(), Error> {
        let pool = self.store().pool(pool)?;
        let row = self
            .store()
            .begin_cleaning(pool.id, slot, &self.inner.owner)?;
        let operation = Operation::new(self, &pool, slot, row.token);
        let slot = self.slot(&pool, slot);
        // The branch may be gone from the remote; then the commit that the slot was at last is as good as any.
        let known = self.mirror(&pool).resolve(&pool.branch, &pool.branch);
        let last = Some(row.head).filter(|head| !head.is_empty());
        let built = known.and_then(|commit| {
            let commit = commit
                .or(last)
                .ok_or_else(|| unknown_ref(&pool, &pool.branch))?;
            slot.build(&commit)?;
            Ok(commit)
        });
        self.finish_cleaning(operation, &pool, &slot, row.token, built)
    }

    /// Takes back the slots of processes that died and of leases that expired; returns how many.
    /// Allocations do this by themselves before they refuse.
    ///
    /// # Errors
    ///
    /// [`Error::PoolNotFound`], [`Error::Database`].
    pub fn reclaim(&self, pool: &str) -> Result<usize, Error> {
        self.reclaim_from(&self.store().pool(pool)?)
    }

    pub(crate) fn begin_release(&self, token: Token, to: SlotState) -> Result<LeaseRow, Error> {
        let lease = self.store().begin_release(token, to, &self.inner.owner)?;
        if to == SlotState::Dirty {
            self.ring(&lease.pool)?;
        }
        Ok(lease)
    }

    fn finish_cleaning(
        &self,
        operation: Operation<'_>,
        pool: &PoolRow,
        slot: &Slot,
        token: Token,
        cleaned: Result<String, Error>,
    ) -> Result<(), Error> {
        let note = cleaned
            .as_ref()
            .map(String::as_str)
            .map_err(|error| chain(error));
        self.store().cleaned(
            pool.id,
            slot.number,
            token,
            note.as_ref().map(|head| *head).map_err(String::as_str),
        )?;
        operation.done();
        match cleaned {
            Ok(_) => {
                self.ring(pool)?;
                empty_trash(&self.trash());
                Ok(())
            }
            Err(error) => Err(Error::Cleanup {
                slot: slot.number,
                source: Box::new(error),
            }),
        }
    }

    /// Makes sure that a fetch has begun after `since`, by waiting for somebody else's or by an own one.
    fn fetch_since(
        &self,
        pool: PoolRow,
        since: Duration,
        cancel: Option<&Cancel>,
    ) -> Result<PoolRow, Error> {
        let boot = boot_id();
        let is_fresh = |pool: &PoolRow| pool.fetched_boot == boot && pool.fetched_at > since;
        if is_fresh(&pool) {
            return Ok(pool);
        }
        let path = self.folder(&pool.name).join("mirror.lock");
        let holder = self.inner.owner.to_string();
        // Whoever holds it fetches, and may take as long for it as we might.
        let timeout = self
            .inner
            .options
            .lock_timeout
            .max(self.inner.options.git_timeout);
        let _lock = FileLock::acquire_as(&path, timeout, &holder, cancel)?;
        let reread = |pool: PoolRow| self.store().pool_by_id(pool.id);
        let pool = reread(pool)?;
        if is_fresh(&pool) {
            return Ok(pool);
        }
        let started = self.now();
        self.mirror(&pool).fetch(cancel)?;
        self.store().fetched(pool.id, &boot, started)?;
        reread(pool)
    }

    fn reclaim_from(&self, pool: &PoolRow) -> Result<usize, Error> {
        let let_go = self.let_go_of_unfinished();
        let (expired, orphans) = self
            .store()
            .reclaim(pool.id, &self.inner.owner, self.now())?;
        for orphan in &orphans {
            // Nobody else can get the slot until the operation ends, and with it makes the slot dirty.
            let _operation = Operation::new(self, pool, orphan.slot, orphan.token);
            wait_for_last_child(self.root(), &orphan.presence);
            kill_processes_in(&self.slot(pool, orphan.slot).tree);
        }
        let reclaimed = let_go + expired + orphans.len();
        if reclaimed > 0 {
            self.ring(pool)?;
        }
        Ok(reclaimed)
    }

    fn ring(&self, pool: &PoolRow) -> Result<(), Error> {
        self.bell(pool)
            .ring()
            .map_err(Error::io("ring the bell of", self.folder(&pool.name)))
    }

    fn discard(&self, path: &Path) -> Result<(), Error> {
        crate::trash::discard(&self.trash(), path)
    }

    fn bell(&self, pool: &PoolRow) -> Bell {
        Bell::new(self.folder(&pool.name).join("bell"))
    }

    fn mirror(&self, pool: &PoolRow) -> Mirror {
        Mirror::new(&self.folder(&pool.name), self.inner.options.git_timeout)
    }

    fn slot(&self, pool: &PoolRow, number: u32) -> Slot {
        Slot::new(
            &self.folder(&pool.name),
            number,
            &pool.url,
            &self.trash(),
            self.inner.options.git_timeout,
        )
    }

    fn folder(&self, pool: &str) -> PathBuf {
        self.root().join("pools").join(pool)
    }

    fn trash(&self) -> PathBuf {
        self.root().join("trash")
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn now(&self) -> Duration {
        self.inner.options.clock.now()
    }
}

/// Working copies may hold what only their owner may read.
fn create_private(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(Error::io("create", path))
}

fn unknown_ref(pool: &PoolRow, name: &str) -> Error {
    Error::UnknownRef {
        pool: pool.name.clone(),
        name: name.to_owned(),
    }
}

/// The error with all its causes, for a note that outlives it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
