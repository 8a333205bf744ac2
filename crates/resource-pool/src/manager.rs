//! [`Manager`]: what a pool asks of those who know the resource; [`Blocking`] for managers that are
//! not async.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

/// Makes, judges and ends the resources of a pool.
///
/// No lock of the pool is held while one of these runs, and each is bounded by a time limit of the
/// pool. A panic in one counts as its failure: the resource it was about is gone, its place in the
/// pool is not.
///
/// With a spawner these futures run in tasks of the pool, and a caller that leaves ends none of
/// them. Without one they are polled by whoever waits, task or thread.
///
/// Only [`create`](Self::create) has to be written:
///
/// ```
/// use std::convert::Infallible;
///
/// use brolly_resource_pool::{Manager, Pool};
///
/// struct Buffers;
///
/// impl Manager for Buffers {
///     type Resource = Vec<u8>;
///     type Error = Infallible;
///
///     async fn create(&self) -> Result<Vec<u8>, Infallible> {
///         Ok(Vec::with_capacity(4096))
///     }
/// }
///
/// let pool = Pool::builder(Buffers).max_size(2).build()?;
/// assert_eq!(pool.acquire_blocking().unwrap().capacity(), 4096);
/// # Ok::<(), brolly_resource_pool::ConfigError>(())
/// ```
#[doc(alias = "ManageConnection")]
pub trait Manager: Send + Sync + 'static {
    /// What is pooled.
    type Resource: Send + 'static;

    /// Why a resource cannot be made, or is not good any more.
    type Error: Error + Send + Sync + 'static;

    /// Makes a resource.
    #[doc(alias = "connect")]
    fn create(&self) -> impl Future<Output = Result<Self::Resource, Self::Error>> + Send;

    /// Says whether an idle resource is still good, and makes it ready for its next holder.
    ///
    /// Called at checkout as [`Check`](crate::Check) says, and for idle resources once per health
    /// interval. An error, a panic, or no answer within the check's time limit: the resource is
    /// closed.
    #[doc(alias = "check")]
    #[doc(alias = "is_valid")]
    #[doc(alias = "ping")]
    fn recycle(
        &self,
        resource: &mut Self::Resource,
        usage: &Usage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = (resource, usage);
        async { Ok(()) }
    }

    /// Whether a resource that comes back is known to be of no more use. Called on the holder's
    /// thread in the destructor of its guard, so it must not wait.
    #[doc(alias = "has_broken")]
    fn is_broken(&self, resource: &mut Self::Resource) -> bool {
        let _ = resource;
        false
    }

    /// Whether an error that came up while a resource was used means that it is broken. Asked by
    /// [`Pool::run`](crate::Pool::run).
    fn is_fatal(&self, error: &Self::Error) -> bool {
        let _ = error;
        true
    }

    /// Whether another attempt to create may succeed. If not, callers are told at once even where
    /// [`OnCreateError`](crate::OnCreateError) says to go on trying.
    fn is_transient(&self, error: &Self::Error) -> bool {
        let _ = error;
        true
    }

    /// Ends a resource; by default it is dropped. The place of a resource is free when this is done,
    /// or when the pool's time limit for it is over.
    ///
    /// Without a spawner the future is polled once, and dropped if it has to wait.
    #[doc(alias = "destroy")]
    fn close(
        &self,
        resource: Self::Resource,
        reason: CloseReason,
    ) -> impl Future<Output = ()> + Send {
        let _ = reason;
        async move { drop(resource) }
    }
}

/// What a resource has been through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Since it was created or added.
    pub age: Duration,
    /// Since it came back last, or was created.
    pub idle_for: Duration,
    /// How often it was handed out.
    pub uses: u64,
}

impl Usage {
    /// Of what was just made.
    pub(crate) fn none() -> Self {
        Self::new(Duration::ZERO, Duration::ZERO, 0)
    }

    pub(crate) fn new(age: Duration, idle_for: Duration, uses: u64) -> Self {
        Self {
            age,
            idle_for,
            uses,
        }
    }
}

/// Why a resource is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CloseReason {
    /// The manager said so when it came back.
    Broken,
    /// Its holder discarded it.
    Discarded,
    /// Its holder panicked.
    Panicked,
    /// It failed a check, or a hook refused it.
    Unhealthy,
    /// It was idle for too long.
    Idle,
    /// Its lifetime was over.
    Expired,
    /// It was handed out as often as it may be.
    WornOut,
    /// It is of a generation before the last reset.
    Reset,
    /// The pool has become smaller.
    Surplus,
    /// It came back after its lease was over and its place was given away.
    Late,
    /// The pool is closed.
    Closed,
}

impl CloseReason {
    pub(crate) const COUNT: usize = 11;

    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Broken,
        Self::Discarded,
        Self::Panicked,
        Self::Unhealthy,
        Self::Idle,
        Self::Expired,
        Self::WornOut,
        Self::Reset,
        Self::Surplus,
        Self::Late,
        Self::Closed,
    ];
}

/// A [`Manager`] whose work is done by functions that return when they are done. [`Blocking`] makes
/// a manager of it.
pub trait BlockingManager: Send + Sync + 'static {
    /// What is pooled.
    type Resource: Send + 'static;

    /// Why a resource cannot be made, or is not good any more.
    type Error: Error + Send + Sync + 'static;

    /// Makes a resource; see [`Manager::create`].
    ///
    /// # Errors
    ///
    /// When there is none to be had.
    fn create(&self) -> Result<Self::Resource, Self::Error>;

    /// Says whether a resource is still good; see [`Manager::recycle`].
    ///
    /// # Errors
    ///
    /// When it is not.
    fn recycle(&self, resource: &mut Self::Resource, usage: &Usage) -> Result<(), Self::Error> {
        let _ = (resource, usage);
        Ok(())
    }

    /// Whether a resource that comes back is broken; see [`Manager::is_broken`].
    fn is_broken(&self, resource: &mut Self::Resource) -> bool {
        let _ = resource;
        false
    }

    /// Whether an error means that the resource is broken; see [`Manager::is_fatal`].
    fn is_fatal(&self, error: &Self::Error) -> bool {
        let _ = error;
        true
    }

    /// Whether another attempt may succeed; see [`Manager::is_transient`].
    fn is_transient(&self, error: &Self::Error) -> bool {
        let _ = error;
        true
    }

    /// Ends a resource; see [`Manager::close`].
    fn close(&self, resource: Self::Resource, reason: CloseReason) {
        let _ = reason;
        drop(resource);
    }
}

/// Makes a [`Manager`] of a [`BlockingManager`].
///
/// Its functions run where its futures are polled: on the thread that waits, or in the spawner's
/// task. The pool's time limits cannot end a function that runs. Where a worker of a runtime must not
/// be held up, [`Blocking::on`] has them run on other threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blocking<M>(pub M);

impl<M: BlockingManager> Manager for Blocking<M> {
    type Resource = M::Resource;
    type Error = M::Error;

    async fn create(&self) -> Result<Self::Resource, Self::Error> {
        self.0.create()
    }

    async fn recycle(
        &self,
        resource: &mut Self::Resource,
        usage: &Usage,
    ) -> Result<(), Self::Error> {
        self.0.recycle(resource, usage)
    }

    fn is_broken(&self, resource: &mut Self::Resource) -> bool {
        self.0.is_broken(resource)
    }

    fn is_fatal(&self, error: &Self::Error) -> bool {
        self.0.is_fatal(error)
    }

    fn is_transient(&self, error: &Self::Error) -> bool {
        self.0.is_transient(error)
    }

    async fn close(&self, resource: Self::Resource, reason: CloseReason) {
        self.0.close(resource, reason);
    }
}
