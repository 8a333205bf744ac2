//! [`LazyBuilder`]: how a lazy value is to be, checked once when it is built.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Backoff, Clock, Spawn, Timer};

use crate::config::{Retry, Rules};
use crate::error::ConfigError;
use crate::lazy::Lazy;
use crate::loader::{Infallibly, Loader};
use crate::recursion::Identity;
use crate::shared::Shared;

/// How a [`Lazy`] is to be. Made by [`Lazy::builder`]; without further words, a value is loaded once
/// and never expires.
///
/// The names of the rules are those of `brolly-ttl-cache`, and mean the same.
///
/// ```
/// use brolly_lazy::Lazy;
/// use std::time::Duration;
///
/// let lazy = Lazy::builder()
///     .time_to_live(Duration::from_secs(300))
///     .refresh_after(Duration::from_secs(240))
///     .stale_if_error(Duration::from_secs(3600))
///     .build_sync(|| 7)?;
/// assert_eq!(*lazy.get_blocking(), 7);
///
/// let error = Lazy::builder().time_to_live(Duration::ZERO).build_sync(|| 7).unwrap_err();
/// assert_eq!(error.to_string(), "time_to_live is 0ns, allowed is more than zero");
/// # Ok::<(), brolly_lazy::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "nothing is built yet"]
pub struct LazyBuilder {
    rules: Rules,
}

impl LazyBuilder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// How long a value is good, from the end of its load: more than zero. `Duration::MAX` is for
    /// ever, as is not to say anything.
    #[doc(alias = "ttl")]
    #[doc(alias = "expire_after")]
    pub fn time_to_live(mut self, duration: Duration) -> Self {
        self.rules.spans.time_to_live = Some(duration);
        self
    }

    /// From this age on, a value is loaded anew while it is served: more than zero, and less than
    /// the time to live.
    ///
    /// With a [`spawner`](Self::spawner) nobody waits for that. Without one, the caller who comes
    /// first does; all others are served.
    #[doc(alias = "refresh_ahead")]
    pub fn refresh_after(mut self, age: Duration) -> Self {
        self.rules.spans.refresh_after = Some(age);
        self
    }

    /// For so long past its time to live, a value is served while it is loaded anew: more than
    /// zero, beside a time to live. Who waits is as for [`refresh_after`](Self::refresh_after).
    ///
    /// An attempt that fails is not repeated at once: for a second, or an eighth of this time if
    /// that is less, the older value is served without another one.
    pub fn stale_while_revalidate(mut self, duration: Duration) -> Self {
        self.rules.spans.stale_while_revalidate = Some(duration);
        self
    }

    /// For so long past its time to live, a value is served in the place of an error: more than
    /// zero, beside a time to live. Everybody waits for the load that fails.
    pub fn stale_if_error(mut self, duration: Duration) -> Self {
        self.rules.spans.stale_if_error = Some(duration);
        self
    }

    /// For so long the error of a loader is given to whoever comes, instead of asking the loader
    /// again: more than zero. Not said, the next call asks again. Panics and timeouts are not kept.
    #[doc(alias = "negative_ttl")]
    pub fn cache_errors_for(mut self, duration: Duration) -> Self {
        self.rules.cache_errors_for = Some(duration);
        self
    }

    /// Calls a loader that fails again, up to so many `attempts` in all: 1 or more. Between them it
    /// waits as `backoff` says, from its start for every load. Panics are not tried again.
    pub fn retry(mut self, attempts: u32, backoff: Backoff) -> Self {
        self.rules.retry = Some(Retry { attempts, backoff });
        self
    }

    /// How long a load may take, with all its attempts: more than zero. A loader that is a future
    /// is dropped then. One that runs on a thread cannot be ended: a blocking one runs on and what
    /// it brings is dropped; a synchronous one is looked at when it returns.
    pub fn load_timeout(mut self, duration: Duration) -> Self {
        self.rules.load_timeout = Some(duration);
        self
    }

    /// The clock that ages are taken from. By default the system's monotonic clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.rules.clock = Some(Arc::new(clock));
        self
    }

    /// What retries and timeouts wait with. By default a thread that starts when it is needed.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.rules.timer = Some(Arc::new(timer));
        self
    }

    /// What goes on with loads that nobody waits for: the handle of a tokio runtime (feature
    /// `tokio`), or a closure. Without one, such loads are dropped.
    ///
    /// It also polls the loads that only blocked threads wait for, so that a loader that needs its
    /// runtime finds it.
    pub fn spawner(mut self, spawner: impl Spawn + 'static) -> Self {
        self.rules.spawner = Some(Arc::new(spawner));
        self
    }

    pub(crate) fn check(self) -> Result<Arc<Rules>, ConfigError> {
        self.rules.check().map(Arc::new)
    }

    fn with<T, E>(self, loader: Loader<T, E>) -> Result<Lazy<T, E>, ConfigError> {
        Ok(Lazy::of(Shared::new(
            loader,
            self.check()?,
            Identity::new(),
        )))
    }
}

/// The end of building. What is refused is told by [`ConfigError`]: the setting, its value, and what
/// is allowed.
impl LazyBuilder {
    /// A value that an async loader makes; see [`Lazy::new`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build<T: 'static, Fut>(
        self,
        loader: impl Fn() -> Fut + Send + Sync + 'static,
    ) -> Result<Lazy<T>, ConfigError>
    where
        Fut: Future<Output = T> + Send + 'static,
    {
        self.build_fallible(move || Infallibly::new(loader()))
    }

    /// A value that a function makes; see [`Lazy::new_sync`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_sync<T>(
        self,
        loader: impl Fn() -> T + Send + Sync + 'static,
    ) -> Result<Lazy<T>, ConfigError> {
        self.with(Loader::sync(move || Ok(loader())))
    }

    /// A value that a function makes that blocks; see [`Lazy::new_blocking`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_blocking<T>(
        self,
        loader: impl Fn() -> T + Send + Sync + 'static,
    ) -> Result<Lazy<T>, ConfigError> {
        self.with(Loader::blocking(move || Ok(loader())))
    }

    /// A value that an async loader makes that may fail; see [`Lazy::fallible`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_fallible<T, E, Fut>(
        self,
        loader: impl Fn() -> Fut + Send + Sync + 'static,
    ) -> Result<Lazy<T, E>, ConfigError>
    where
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.with(Loader::future(loader))
    }

    /// A value that a function makes that may fail; see [`Lazy::fallible_sync`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_fallible_sync<T, E>(
        self,
        loader: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Lazy<T, E>, ConfigError> {
        self.with(Loader::sync(loader))
    }

    /// A value that a function makes that blocks and may fail; see [`Lazy::fallible_blocking`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_fallible_blocking<T, E>(
        self,
        loader: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Lazy<T, E>, ConfigError> {
        self.with(Loader::blocking(loader))
    }
}

impl fmt::Debug for LazyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyBuilder")
            .field("rules", &self.rules)
            .finish()
    }
}
