//! [`PoolBuilder`]: how a pool is to be, checked once when it is built.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Backoff, Clock, Spawn, ThreadTimer, Timer};

use crate::config::{Check, OnCreateError, Order, Rules};
use crate::controller::{Controller, Steering};
use crate::error::ConfigError;
use crate::event::{Event, Hooks};
use crate::gate::{Gate, Gatekeeper};
use crate::manager::{Manager, Usage};
use crate::panics::contain;
use crate::pool::Pool;
use crate::shared::Shared;
use crate::upkeep::janitor;

/// How a [`Pool`] is to be. Made by [`Pool::builder`].
///
/// Durations are more than zero; `Duration::MAX` is for ever, and `None` switches a rule off.
#[must_use = "nothing is built yet"]
pub struct PoolBuilder<M: Manager> {
    manager: M,
    rules: Rules,
    hooks: Hooks<M::Resource>,
    gate: Gatekeeper,
    controller: Option<Controller>,
    min_was_set: bool,
}

impl<M: Manager> PoolBuilder<M> {
    pub(crate) fn new(manager: M) -> Self {
        Self {
            manager,
            rules: Rules::default(),
            hooks: Hooks::default(),
            gate: Gatekeeper::default(),
            controller: None,
            min_was_set: false,
        }
    }

    /// What the pool is called in reports. By default `pool`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.rules.name = name.into();
        self
    }

    /// How many resources there may be, from 1 to 65536: handed out, idle, and being created,
    /// checked or closed. By default 20.
    #[doc(alias = "max_open")]
    #[doc(alias = "max_connections")]
    pub fn max_size(mut self, max: usize) -> Self {
        self.rules.max_size = max;
        self
    }

    /// How many resources are kept although nobody uses them: up to the maximum. By default 5, or
    /// the maximum if that is less.
    ///
    /// A pool begins empty. [`Pool::warm_up`] creates so many, and from then on a pool with a spawner
    /// replaces what it loses.
    #[doc(alias = "min_connections")]
    pub fn min_size(mut self, min: usize) -> Self {
        self.rules.min_size = min;
        self.min_was_set = true;
        self
    }

    /// How many resources are kept idle beside those in use, as far as the maximum allows, so that who
    /// comes next finds one: by default 0.
    ///
    /// Kept as [`min_size`](Self::min_size) is, by a pool that is warm and has a spawner. A checkout
    /// that leaves too few is noticed within a second, or as soon as anybody has to wait.
    #[doc(alias = "min_idle_connections")]
    pub fn min_idle(mut self, idle: usize) -> Self {
        self.rules.min_idle = idle;
        self
    }

    /// How long an acquire may take, with everything it waits for: by default 30 s. What the
    /// resource is used for afterwards has no limit.
    #[doc(alias = "connection_timeout")]
    pub fn acquire_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.rules.acquire_timeout = limit.into();
        self
    }

    /// How long one creation may take, whoever waits for it or not: by default 30 s.
    #[doc(alias = "connect_timeout")]
    pub fn create_timeout(mut self, limit: Duration) -> Self {
        self.rules.create_timeout = limit;
        self
    }

    /// How long one check may take: by default 5 s.
    #[doc(alias = "validation_timeout")]
    #[doc(alias = "recycle_timeout")]
    pub fn check_timeout(mut self, limit: Duration) -> Self {
        self.rules.check_timeout = limit;
        self
    }

    /// How long closing one resource may take before its place is free anyway: by default 5 s.
    pub fn close_timeout(mut self, limit: Duration) -> Self {
        self.rules.close_timeout = limit;
        self
    }

    /// When idle resources are checked before they are handed out: by default when they have been
    /// idle for 500 ms. What was created or checked less than 500 ms ago is not checked again.
    #[doc(alias = "test_on_check_out")]
    #[doc(alias = "test_before_acquire")]
    pub fn check(mut self, check: Check) -> Self {
        self.rules.check = check;
        self
    }

    /// How often idle resources are checked, one after another: by default once a minute. Those that
    /// were used within half of that time are left out.
    #[doc(alias = "keepalive")]
    pub fn health_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.rules.health_interval = interval.into();
        self
    }

    /// How long a resource may be idle, above the minimum: by default 300 s.
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.rules.idle_timeout = limit.into();
        self
    }

    /// How many idle resources one tick of the maintenance closes because they were idle or lived for
    /// too long: 1 or more, by default a tenth of those that exist. A second later it goes on, so
    /// that what was made together does not go together.
    pub fn evictions_per_tick(mut self, evictions: impl Into<Option<usize>>) -> Self {
        self.rules.evictions_per_tick = evictions.into();
        self
    }

    /// How long a resource may live: by default 1800 s, spread as
    /// [`lifetime_jitter`](Self::lifetime_jitter) says. It ends when it is idle or comes back, never
    /// while it is held. With a spawner a successor is made before, if there is room.
    pub fn max_lifetime(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.rules.max_lifetime = limit.into();
        self
    }

    /// By which share of it a lifetime may be longer or shorter, from 0 to 0.5: by default 0.1.
    pub fn lifetime_jitter(mut self, share: f64) -> Self {
        self.rules.lifetime_jitter = share;
        self
    }

    /// How often a resource may be handed out: 1 or more. By default without limit.
    pub fn max_uses(mut self, uses: impl Into<Option<u64>>) -> Self {
        self.rules.max_uses = uses.into();
        self
    }

    /// How many creations may run at once: 1 or more. By default 8. While attempts fail, there is
    /// one at a time.
    pub fn create_concurrency(mut self, creations: usize) -> Self {
        self.rules.create_concurrency = creations;
        self
    }

    /// How long attempts to create pause after one that failed: by default 50 ms, doubled each time
    /// up to 5 s, of which a random part is cut off, half of it at most.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules.backoff = Some(backoff);
        self
    }

    /// Who is told when a creation fails.
    pub fn on_create_error(mut self, policy: OnCreateError) -> Self {
        self.rules.on_create_error = policy;
        self
    }

    /// Who is asked before each creation begins, such as a circuit breaker. While it refuses, a caller
    /// that would need a new resource is told at once, with
    /// [`CreateError::Refused`](crate::CreateError::Refused); with
    /// [`OnCreateError::RetryUntilDeadline`] it waits as long as something is in use that may come
    /// back. The gate is asked again when it said, and once a second.
    #[doc(alias = "circuit_breaker")]
    pub fn gate(mut self, gate: impl Gate + 'static) -> Self {
        self.gate = Gatekeeper::new(gate);
        self
    }

    /// What sets the maximum by what the pool is asked for: by default nothing. Ticked by the task
    /// that maintains the pool, or by [`Pool::maintain`]. The maximum to begin with has to be within
    /// its bounds.
    #[doc(alias = "auto_tune")]
    pub fn controller(mut self, controller: Controller) -> Self {
        self.controller = Some(controller);
        self
    }

    /// For how long a resource may be held before that is reported, once for each checkout: by
    /// default 3600 s.
    #[doc(alias = "leak_detection_threshold")]
    pub fn leak_after(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.rules.leak_after = limit.into();
        self
    }

    /// For how long a resource may be held before its place is given to another one. By default for
    /// ever. What comes back later is closed; until then there is one more than the maximum.
    ///
    /// Giving back costs one atomic step more with this.
    pub fn lease_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.rules.lease_timeout = limit.into();
        self
    }

    /// Whether a resource stays whose holder panicked while holding it. By default it is closed.
    pub fn keep_after_panic(mut self, keep: bool) -> Self {
        self.rules.keep_after_panic = keep;
        self
    }

    /// Which of several idle resources is handed out.
    pub fn order(mut self, order: Order) -> Self {
        self.rules.order = order;
        self
    }

    /// Over how many words the idle resources are spread, from 1 to 32, so that threads do not write
    /// the same one: by default one for each four processors, as long as each has eight resources.
    pub fn shards(mut self, shards: usize) -> Self {
        self.rules.shards = Some(shards);
        self
    }

    /// Runs on each new resource. A panic counts as a failed creation.
    #[doc(alias = "post_create")]
    #[doc(alias = "after_connect")]
    pub fn after_create(mut self, hook: impl Fn(&mut M::Resource) + Send + Sync + 'static) -> Self {
        self.hooks.after_create = Some(Box::new(hook));
        self
    }

    /// Runs before a resource is handed out, on the caller's thread. If it says false, or panics, the
    /// resource is closed and the caller stands in line again with the time that it has left. Who
    /// does not wait is refused after as many as there can be.
    ///
    /// No pause follows: a hook that refuses new resources too makes the pool create and close one
    /// after another for as long as somebody waits.
    #[doc(alias = "pre_recycle")]
    pub fn before_acquire(
        mut self,
        hook: impl Fn(&mut M::Resource, &Usage) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.before_acquire = Some(Box::new(hook));
        self
    }

    /// Runs when a resource comes back, on the thread of its holder. If it says false, or panics, the
    /// resource is closed.
    #[doc(alias = "post_recycle")]
    pub fn after_release(
        mut self,
        hook: impl Fn(&mut M::Resource, &Usage) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.after_release = Some(Box::new(hook));
        self
    }

    /// Told what happens in the pool, outside of every lock. It must not wait.
    #[doc(alias = "error_sink")]
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.hooks.on_event = Some(Box::new(listener));
        self
    }

    /// The clock that ages are taken from. By default the system's monotonic clock, read coarsely.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.rules.clock = Some(Arc::new(clock));
        self
    }

    /// What timeouts and pauses wait with. By default a thread that starts when somebody waits, which
    /// costs no allocation for each wait. `brolly_sync::TokioTimer` waits by tokio's clock, which
    /// tests can pause, and allocates once for each.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.rules.timer = Some(Arc::new(timer));
        self
    }

    /// What creates, checks, closes and maintains in the background: the handle of a runtime, or a
    /// closure. Without one, with feature `tokio` and inside of a runtime, that runtime; else those
    /// who wait do it.
    pub fn spawner(mut self, spawner: impl Spawn + 'static) -> Self {
        self.rules.spawner = Some(Arc::new(spawner));
        self
    }

    /// An empty pool with these settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build(self) -> Result<Pool<M>, ConfigError> {
        let mut rules = self.rules.check(self.min_was_set)?;
        let controller = Steering::new(self.controller, &rules)?;
        inherit_runtime(&mut rules);
        let timer = match &rules.timer {
            Some(timer) => Arc::clone(timer),
            None => Arc::new(ThreadTimer::new()),
        };
        let shared = Shared::new(
            self.manager,
            self.hooks,
            self.gate,
            controller,
            rules,
            timer,
        );
        if let Some(spawner) = &shared.spawner {
            let (bell, timer) = (Arc::clone(&shared.bell), Arc::clone(&shared.timer));
            let task = janitor::run(Arc::downgrade(&shared), bell, timer);
            let _ = contain(|| spawner.spawn(Box::pin(task)));
        }
        Ok(Pool::of(shared))
    }
}

/// Inside of a runtime, a spawner that was not set is the runtime's.
#[cfg(feature = "tokio")]
fn inherit_runtime(rules: &mut Rules) {
    if rules.spawner.is_none()
        && let Ok(handle) = tokio::runtime::Handle::try_current()
    {
        rules.spawner = Some(Arc::new(handle));
    }
}

#[cfg(not(feature = "tokio"))]
fn inherit_runtime(_: &mut Rules) {}

impl<M: Manager> fmt::Debug for PoolBuilder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("rules", &self.rules)
            .field("hooks", &self.hooks)
            .field("gate", &self.gate.is_set())
            .finish_non_exhaustive()
    }
}
