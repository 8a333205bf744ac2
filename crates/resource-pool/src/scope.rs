//! [`ResourceScope`]: what was opened and done since the last commit, and how to undo it.

mod builder;
mod ending;
mod error;
mod kept;
mod list;

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::block_on;

use crate::error::AcquireError;
use crate::guard::OwnedGuard;
use crate::managed::{Close, Managed};
use crate::manager::Manager;
use crate::panics::discard;
use crate::pool::Pool;
use list::{Patience, end_all};

pub use builder::ResourceScopeBuilder;
pub use ending::Cleanup;
pub use error::{
    CleanupCause, CleanupError, CleanupErrors, ManageError, ManageRefused, ScopeError,
};
pub use kept::Kept;
pub use list::ScopeEntry;

pub(crate) use ending::{Closing, close};
pub(crate) use list::{Home, Known};

/// Resources of any types, and what undoes them: committed together, or undone in the reverse order
/// of their coming.
///
/// Two kinds of things are on its list:
///
/// - What is *kept* ([`keep`](Self::keep), [`acquire`](Self::acquire),
///   [`on_rollback`](Self::on_rollback)) is undone by a roll-back, and forgotten by a commit.
/// - What is *managed* ([`manage`](Self::manage)) is closed when its handle is dropped, whatever
///   becomes of the scope. It is listed as long as it is open, so that a scope that lives for long
///   tells what is open and closes what was left.
///
/// Every cleanup runs, whatever the others do; what fails is in [`CleanupErrors`]. A scope that is
/// dropped rolls back: what never waits is undone at once, and what has to wait goes on in the
/// spawner, in the same order. It may be used from several threads, and goes on after a commit or a
/// roll-back with an empty list.
///
/// An entry costs a handful of allocations, and adding or ending it O(log n) under a short lock. No
/// lock is held while a cleanup runs. The list is as long as its user makes it.
///
/// ```
/// use brolly_resource_pool::{Kept, ResourceScope};
/// use std::sync::{Arc, atomic::{AtomicI64, Ordering::SeqCst}};
///
/// # brolly_sync::block_on(async {
/// let balance = Arc::new(AtomicI64::new(100));
/// let scope = ResourceScope::new();
/// let moved = scope.run(async |scope| {
///     let mut account = scope.keep("account", Arc::clone(&balance));
///     account.fetch_sub(30, SeqCst);
///     Kept::on_rollback(&mut account, async |it| { it.fetch_add(30, SeqCst); });
///     Err::<(), _>("no such receiver")
/// });
/// assert_eq!(moved.await.unwrap_err().error, "no such receiver");
/// assert_eq!(balance.load(SeqCst), 100);
/// # });
/// ```
#[doc(alias = "transaction")]
#[doc(alias = "ExitStack")]
#[doc(alias = "tracker")]
#[doc(alias = "BatchResourceManager")]
#[must_use = "a scope that is dropped rolls back"]
pub struct ResourceScope {
    home: Arc<Home>,
}

impl ResourceScope {
    /// An empty scope with the default settings.
    #[expect(
        clippy::new_without_default,
        reason = "a scope that somebody forgets in a default rolls back what nobody expects"
    )]
    pub fn new() -> Self {
        Self::builder().finish()
    }

    /// Settings to begin with.
    pub fn builder() -> ResourceScopeBuilder {
        ResourceScopeBuilder::new()
    }

    fn of(home: Arc<Home>) -> Self {
        Self { home }
    }

    /// Keeps a resource until the scope commits or rolls back. Its id in errors and lists is
    /// `name_n`.
    #[doc(alias = "add_resource")]
    #[track_caller]
    pub fn keep<R: Send + 'static>(&self, name: &str, resource: R) -> Kept<R> {
        self.keep_at(name, resource, Location::caller())
    }

    /// Acquires a resource from a pool and keeps it. A roll-back gives it back in its turn.
    ///
    /// Several of one pool that are wanted at once come from
    /// [`acquire_many`](Pool::acquire_many), each made owned and kept.
    ///
    /// # Errors
    ///
    /// As [`Pool::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Pool::acquire`]; the scope is as it was.
    #[track_caller]
    pub fn acquire<M: Manager>(
        &self,
        pool: &Pool<M>,
    ) -> impl Future<Output = Result<Kept<OwnedGuard<M>>, AcquireError<M::Error>>> + Send {
        let site = Location::caller();
        let acquired = pool.acquire_owned();
        async move {
            let guard = acquired.await?;
            Ok(self.keep_at(pool.name(), guard, site))
        }
    }

    /// Something to be done when the scope rolls back, for what was done and has no resource.
    #[doc(alias = "defer")]
    #[doc(alias = "push")]
    #[track_caller]
    pub fn on_rollback<F, Fut>(&self, name: &str, undo: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output: Cleanup> + Send + 'static,
    {
        let mut kept = self.keep_at(name, (), Location::caller());
        Kept::on_rollback(&mut kept, |()| undo());
    }

    /// Lists a resource as long as it is open, and closes it when its handle is dropped.
    ///
    /// # Errors
    ///
    /// [`ManageError`] with the resource: there is something of that id, or there are as many as
    /// there may be.
    #[doc(alias = "register")]
    #[track_caller]
    pub fn manage<R: Close>(
        &self,
        id: impl Into<Arc<str>>,
        resource: R,
    ) -> Result<Managed<R>, ManageError<R>> {
        match self.home.manage::<R>(id.into(), Location::caller()) {
            Ok(what) => Ok(Managed::new(resource, what, Arc::clone(&self.home))),
            Err(reason) => Err(ManageError::new(resource, reason)),
        }
    }

    /// Forgets how to undo what is kept: it stays done. Resources whose handles were dropped are
    /// dropped now, the newest first; the handles that are there are all that is left of the others.
    ///
    /// What a roll-back has begun to undo, or has found in use, is undone all the same.
    pub fn commit(&self) {
        self.home.commit();
    }

    /// Undoes and closes everything that the scope has, one after the other, the newest first.
    ///
    /// What somebody has a handle of is reported as in use, and undone when the handle is dropped.
    /// What somebody else is undoing at the moment is left to them.
    /// What fails to close stays on the list, to be tried again by another call. What fails to be
    /// undone is gone, since its undoing has taken it.
    ///
    /// # Errors
    ///
    /// [`CleanupErrors`]: everything that failed. All others were undone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future keeps what is not undone on the list. An undoing that has begun goes on
    /// where it was when something rolls back again; a closing begins again. What has failed by then
    /// is told to the scope's listener.
    #[doc(alias = "cleanup_all")]
    #[doc(alias = "close_all")]
    pub async fn roll_back(&self) -> Result<(), CleanupErrors> {
        let mut untold = Untold {
            home: &self.home,
            errors: Vec::new(),
        };
        let Untold { home, errors } = &mut untold;
        end_all(home, Patience::Endless, |error| errors.push(error)).await;
        let errors = std::mem::take(errors);
        match errors.is_empty() {
            true => Ok(()),
            false => Err(CleanupErrors { errors }),
        }
    }

    /// The same, putting the thread to sleep while a cleanup waits.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    ///
    /// # Errors
    ///
    /// As [`roll_back`](Self::roll_back).
    pub fn roll_back_blocking(&self) -> Result<(), CleanupErrors> {
        block_on(self.roll_back())
    }

    /// Runs steps that are done together or not at all: commits if they succeed, and rolls back if
    /// one fails. Handles that the steps make are dropped when they end, or are part of what they
    /// return.
    ///
    /// Either is about everything that the scope has: what was kept before shares the fate of the
    /// steps, and what is to be undone apart from them needs a scope of its own.
    ///
    /// # Errors
    ///
    /// [`ScopeError`]: what the steps returned, with what could not be undone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the steps. What they did is undone when the scope is dropped.
    pub async fn run<T, E>(
        &self,
        steps: impl AsyncFnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, ScopeError<E>> {
        match steps(self).await {
            Ok(output) => {
                self.commit();
                Ok(output)
            }
            Err(error) => {
                let cleanup = self.roll_back().await.err();
                Err(ScopeError::new(error, cleanup))
            }
        }
    }

    /// Takes something off the list without ending it. What the scope has of it is dropped. A handle
    /// lives on: what is kept is no more undone, what is managed is still closed by it. Returns how
    /// long it was listed; `None` if there is nothing of that id.
    #[doc(alias = "unregister")]
    pub fn forget(&self, id: &str) -> Option<Duration> {
        let now = self.home.clock.now();
        let seat = self.home.seat(id)?;
        let (since, rest) = self.home.remove(seat)?;
        discard(rest);
        Some(now.saturating_sub(since))
    }

    /// What is on the list, the oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<ScopeEntry> {
        self.home.entries()
    }

    /// How many are on the list.
    #[doc(alias = "count")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.home.len()
    }

    /// Whether nothing is to be undone or closed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn keep_at<R: Send + 'static>(
        &self,
        name: &str,
        resource: R,
        site: &'static Location<'static>,
    ) -> Kept<R> {
        let seat = self.home.keep::<R>(name, site);
        Kept::new(resource, seat, Arc::clone(&self.home))
    }
}

/// Failures that are about to be returned. Dropped with them, it tells the listener: nobody else
/// would know.
struct Untold<'a> {
    home: &'a Arc<Home>,
    errors: Vec<CleanupError>,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        self.errors.iter().for_each(|it| self.home.report(it));
    }
}

impl Drop for ResourceScope {
    fn drop(&mut self) {
        self.home.end_all_now();
    }
}

impl fmt::Debug for ResourceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceScope")
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}
