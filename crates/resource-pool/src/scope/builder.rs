//! [`ResourceScopeBuilder`]: how a scope is to be.

use std::fmt;
use std::sync::Arc;

use brolly_sync::{Clock, Spawn, SystemClock};

use crate::error::ConfigError;
use crate::scope::ResourceScope;
use crate::scope::error::CleanupError;
use crate::scope::list::Home;

/// How a [`ResourceScope`] is to be. Made by [`ResourceScope::builder`].
#[must_use = "nothing is built yet"]
pub struct ResourceScopeBuilder {
    home: Home,
}

impl ResourceScopeBuilder {
    pub(crate) fn new() -> Self {
        Self {
            home: Home::new(Arc::new(SystemClock::new())),
        }
    }

    /// How many resources may be managed at once: 1 or more. By default without limit.
    #[doc(alias = "max_resources")]
    pub fn max_managed(mut self, max: usize) -> Self {
        self.home.max_managed = max;
        self
    }

    /// What goes on with cleanups that have to wait when nobody waits for them: after the drop of
    /// the scope, or of a managed resource. Without one they are left, and reported. With feature
    /// `tokio`, a scope that is built inside of a runtime uses that runtime, also for the look that
    /// the thread of a drop takes; with one that is set here, that look finds what the thread has.
    pub fn spawner(mut self, spawner: impl Spawn + 'static) -> Self {
        self.home.spawner = Some(Arc::new(spawner));
        self
    }

    /// Told of each cleanup that failed, or was left, while nobody waited for it. It runs outside
    /// of every lock, and must not wait.
    #[doc(alias = "on_unclosed")]
    #[doc(alias = "warn")]
    pub fn on_leftover(mut self, listener: impl Fn(&CleanupError) + Send + Sync + 'static) -> Self {
        self.home.on_leftover = Some(Box::new(listener));
        self
    }

    /// The clock that ages are taken from. By default the system's monotonic clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.home.clock = Arc::new(clock);
        self
    }

    /// An empty scope with these settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build(self) -> Result<ResourceScope, ConfigError> {
        match self.home.max_managed {
            0 => Err(ConfigError::new("max_managed", 0, "1 or more")),
            _ => Ok(self.finish()),
        }
    }

    pub(crate) fn finish(mut self) -> ResourceScope {
        self.inherit_runtime();
        ResourceScope::of(Arc::new(self.home))
    }

    #[cfg(feature = "tokio")]
    fn inherit_runtime(&mut self) {
        if self.home.spawner.is_none()
            && let Ok(handle) = tokio::runtime::Handle::try_current()
        {
            self.home.spawner = Some(Arc::new(handle.clone()));
            self.home.runtime = Some(handle);
        }
    }

    #[cfg(not(feature = "tokio"))]
    fn inherit_runtime(&mut self) {}
}

impl fmt::Debug for ResourceScopeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceScopeBuilder")
            .field("max_managed", &self.home.max_managed)
            .field("has_spawner", &self.home.spawner.is_some())
            .field("has_listener", &self.home.on_leftover.is_some())
            .field("clock", &self.home.clock)
            .finish()
    }
}
