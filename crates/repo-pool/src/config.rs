//! What a pool, an allocation and the handle itself can be told, as plain data with defaults.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::Clock;
use serde::{Deserialize, Serialize};

use crate::clock::BootClock;
use crate::error::Error;
use crate::git::{DEFAULT_GIT_TIMEOUT, redacted};
use crate::name;
use crate::pool::RepoPool;
use crate::process::Cancel;

/// How to open a [`RepoPool`].
///
/// ```no_run
/// use std::time::Duration;
/// use brolly_repo_pool::Options;
///
/// let pools = Options::new("/var/lib/brolly").git_timeout(Duration::from_secs(60)).open()?;
/// # Ok::<(), brolly_repo_pool::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) root: PathBuf,
    pub(crate) lock_timeout: Duration,
    pub(crate) git_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Options {
    /// Defaults for the pools under `root`: 30 s for a lock, 300 s for one git command.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            lock_timeout: Duration::from_secs(30),
            git_timeout: DEFAULT_GIT_TIMEOUT,
            clock: Arc::new(BootClock),
        }
    }

    /// How long to wait for a lock that another process holds.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// How long one git command may run.
    #[must_use]
    pub fn git_timeout(mut self, timeout: Duration) -> Self {
        self.git_timeout = timeout;
        self
    }

    /// The clock by which leases expire. It must be the same for every process that uses the root
    /// and must not restart while the machine is up; tests put a manual one here.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Opens the root and makes it if it does not exist. A root that others may enter is closed to
    /// them (mode 0700): working copies may hold what only their owner may read.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSetting`] for a timeout of zero, [`Error::Database`] for a database that is
    /// damaged, newer than this version or another program's, [`Error::ForeignRoot`] for a root that
    /// is another user's, [`Error::Io`] for one that cannot be used.
    pub fn open(self) -> Result<RepoPool, Error> {
        let zero = [
            ("lock_timeout", self.lock_timeout),
            ("git_timeout", self.git_timeout),
        ];
        if let Some((field, value)) = zero.into_iter().find(|(_, value)| value.is_zero()) {
            return Err(Error::InvalidSetting {
                field,
                value: format!("{value:?}"),
                expected: "more than zero",
            });
        }
        RepoPool::with_options(self)
    }
}

/// A pool to create. What `{:?}` prints of it holds no credentials; what serde writes does.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    pub(crate) name: String,
    pub(crate) url: String,
    #[serde(default = "default_slots")]
    pub(crate) slots: u32,
    #[serde(default)]
    pub(crate) branch: Option<String>,
}

impl fmt::Debug for PoolConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolConfig")
            .field("name", &self.name)
            .field("url", &redacted(&self.url))
            .field("slots", &self.slots)
            .field("branch", &self.branch)
            .finish()
    }
}

fn default_slots() -> u32 {
    2
}

impl PoolConfig {
    /// A pool of 2 slots for the repository at `url`, which may be a path.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            slots: default_slots(),
            branch: None,
        }
    }

    /// The number of slots, from 1 to [`MAX_SLOTS`](crate::MAX_SLOTS).
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// The branch that slots are prepared at when a request names none; the remote's own default unless set.
    #[must_use]
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        name::check_pool(&self.name)?;
        name::check_url(&self.url)?;
        name::check_slots(self.slots)?;
        self.branch.as_deref().map_or(Ok(()), name::check_revision)
    }
}

/// What an allocation asks for.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) pool: String,
    pub(crate) revision: Option<String>,
    pub(crate) holder: String,
    pub(crate) wait: Duration,
    pub(crate) freshness: Freshness,
    pub(crate) policy: SlotPolicy,
    pub(crate) ttl: Option<Duration>,
    pub(crate) cancel: Option<Cancel>,
}

impl Request {
    /// A slot of `pool` at its default branch as it is on the remote now, or an error if none is free.
    pub fn new(pool: impl Into<String>) -> Self {
        Self {
            pool: pool.into(),
            revision: None,
            holder: String::new(),
            wait: Duration::ZERO,
            freshness: Freshness::default(),
            policy: SlotPolicy::default(),
            ttl: None,
            cancel: None,
        }
    }

    /// The branch, tag or commit to prepare the slot at. A branch means the remote's branch.
    #[must_use]
    pub fn at(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// A label for whoever asks who holds the slot.
    #[must_use]
    pub fn holder(mut self, label: impl Into<String>) -> Self {
        self.holder = label.into();
        self
    }

    /// How long to wait for a slot; zero, the default, fails at once.
    #[must_use]
    pub fn wait(mut self, timeout: Duration) -> Self {
        self.wait = timeout;
        self
    }

    /// When to ask the remote first.
    #[must_use]
    pub fn freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// Which of the free slots to take.
    #[must_use]
    pub fn policy(mut self, policy: SlotPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Makes the lease outlive this process and end by itself after `ttl` without a renewal. Without
    /// this a lease belongs to the process and ends with it.
    #[must_use]
    pub fn durable(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Gives up, with [`Error::Cancelled`], when `cancel` is cancelled, whether it waits, fetches or prepares a slot.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(Cancel::is_cancelled)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        name::check_pool(&self.pool)?;
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            return Err(Error::InvalidSetting {
                field: "ttl",
                value: "0s".into(),
                expected: "more than zero",
            });
        }
        if self.holder.len() > 1000 {
            let value = format!("of {} bytes", self.holder.len());
            return Err(Error::InvalidSetting {
                field: "holder",
                value,
                expected: "at most 1000 bytes",
            });
        }
        self.revision
            .as_deref()
            .map_or(Ok(()), name::check_revision)
    }
}

/// When an allocation asks the remote for news. A fetch serves everybody who began to wait before it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// Always, except for a full commit id that is here: what a branch means is what it means on the remote now.
    #[default]
    Current,
    /// Only if the last fetch began longer ago than this.
    Within(Duration),
    /// Only if the ref is not known here.
    Cached,
}

/// Which of the free slots an allocation takes. A slot already at the wanted commit always comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlotPolicy {
    /// Otherwise the one that was idle longest, so that slots stay warm for the commits they are at.
    #[default]
    #[doc(alias = "lru")]
    WarmFirst,
    /// Otherwise the one that was used last: its files are most likely in the page cache.
    #[doc(alias = "mru")]
    MostRecentlyUsed,
    /// Otherwise the one with the lowest number.
    LowestIndex,
}
