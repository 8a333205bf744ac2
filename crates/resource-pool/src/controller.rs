//! [`Controller`]: sets a pool's maximum by what it is asked for, within bounds.
//!
//! Little's law (J. D. C. Little, "A Proof for the Queuing Formula L = λW", 1961) says how many are
//! in use on average: arrivals times hold. How many more are needed so that few have to wait grows
//! with the square root of that (the square-root staffing rule; S. Halfin and W. Whitt, "Heavy-Traffic
//! Limits for Queues with Many Exponential Servers", 1981): `needed = L + headroom · √L`.
//!
//! Kept at every step: the maximum is within the bounds; it changes by `step` at most; between two
//! changes lies the cool-down. It shrinks only if the most that was needed within the last one to two
//! cool-downs is less by more than the hysteresis, and keeps half of that as a margin. So a demand that swings faster
//! than the cool-down moves nothing down, and one that stays the same moves nothing once it is met.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::config::{MOST, Rules};
use crate::error::ConfigError;
use crate::event::Event;
use crate::manager::Manager;
use crate::panics::contain;
use crate::pool::Pool;
use crate::primitive::{AtomicU64, Mutex, lock};
use crate::reports::demand::Demand;
use crate::reports::stats::Stats;
use crate::shared::Shared;
use crate::time::{NEVER, nanos_or_never};

type Forecast = Box<dyn Fn(&Demand) -> f64 + Send + Sync>;

/// Sets a pool's maximum by what it is asked for. Off unless somebody asks for it: call
/// [`tick`](Self::tick) now and then, or give it to
/// [`PoolBuilder::controller`](crate::PoolBuilder::controller).
///
/// ```
/// # use std::convert::Infallible;
/// use std::time::Duration;
///
/// # use brolly_resource_pool::{Manager, Pool};
/// use brolly_resource_pool::Controller;
/// # struct Buffers;
/// # impl Manager for Buffers {
/// #     type Resource = Vec<u8>;
/// #     type Error = Infallible;
/// #     async fn create(&self) -> Result<Vec<u8>, Infallible> { Ok(Vec::new()) }
/// # }
///
/// let mut controller = Controller::builder()
///     .min_size(4)
///     .max_size(64)
///     .cool_down(Duration::from_secs(30))
///     .build()?;
/// let pool = Pool::builder(Buffers).max_size(20).build()?;
/// assert!(controller.tick(&pool).is_none()); // the first look only notes the time
/// # Ok::<(), brolly_resource_pool::ConfigError>(())
/// ```
pub struct Controller {
    settings: Settings,
    forecast: Option<Forecast>,
    /// The figures at the last tick.
    before: Option<Stats>,
    /// The first decision, and the last that changed something.
    began_at: Option<Duration>,
    changed_at: Option<Duration>,
    /// The most that was needed in the cool-down before this one, and in this one.
    most_needed: [usize; 2],
    window_at: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    min_size: usize,
    max_size: usize,
    headroom: f64,
    step: usize,
    hysteresis: f64,
    cool_down: Duration,
    interval: Duration,
}

/// A change that a [`Controller`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Resized {
    /// The maximum before.
    pub from: usize,
    /// The maximum from now on.
    pub to: usize,
}

impl Controller {
    /// Settings to begin with.
    pub fn builder() -> ControllerBuilder {
        ControllerBuilder::default()
    }

    /// Looks at what the pool was asked for since the last tick, and changes its maximum if that is
    /// due. The pool's minimum stays as it is, and the maximum above it.
    pub fn tick<M: Manager>(&mut self, pool: &Pool<M>) -> Option<Resized> {
        self.steer(pool.shared())
    }

    /// What a pool's maximum should be, by what it was asked for: the decision without the pool.
    /// `at` is the time of it, by any clock that goes on; what is returned counts as done.
    pub fn decide(&mut self, demand: &Demand, at: Duration) -> Option<usize> {
        let Settings {
            min_size, max_size, ..
        } = self.settings;
        let least = min_size.max(demand.min).min(max_size);
        let current = demand.max;
        let needed = self.needed(demand).clamp(least, max_size);
        let most_needed = self.remember(needed, at);
        let target = if (least..=max_size).contains(&current) {
            self.target(current, needed, most_needed, at)
        } else {
            // Somebody else has set it: back within the bounds at once.
            current.clamp(least, max_size)
        };
        if target == current {
            return None;
        }
        self.changed_at = Some(at);
        Some(target)
    }

    fn target(&self, current: usize, needed: usize, most_needed: usize, at: Duration) -> usize {
        let Settings {
            step,
            hysteresis,
            cool_down,
            ..
        } = self.settings;
        let is_recent = |moment: Option<Duration>| {
            moment.is_some_and(|moment| at.saturating_sub(moment) < cool_down)
        };
        let floor = current as f64 * (1.0 - hysteresis);
        if is_recent(self.changed_at) {
            current
        } else if needed > current {
            needed.min(current.saturating_add(step))
        } else if (most_needed as f64) < floor && !is_recent(self.began_at) {
            // Half of what the hysteresis allows stays, so that what is needed may vary both ways.
            let enough = (most_needed as f64 / (1.0 - hysteresis / 2.0)).ceil() as usize;
            enough.max(current.saturating_sub(step)).min(current)
        } else {
            current
        }
    }

    /// The most that was needed within the last one to two cool-downs, this included.
    fn remember(&mut self, needed: usize, at: Duration) -> usize {
        self.began_at.get_or_insert(at);
        let [earlier, recent] = &mut self.most_needed;
        if at.saturating_sub(self.window_at) >= self.settings.cool_down {
            (*earlier, *recent) = (*recent, 0);
            self.window_at = at;
        }
        *recent = needed.max(*recent);
        *earlier.max(recent)
    }

    fn needed(&self, demand: &Demand) -> usize {
        let mut load = demand.offered_load();
        if let Some(forecast) = &self.forecast
            && let Ok(arrivals) = contain(|| forecast(demand))
            && arrivals.is_finite()
            && let Some(hold) = demand.hold_seconds
        {
            load = load.max(arrivals * hold);
        }
        let needed = load + self.settings.headroom * load.max(0.0).sqrt();
        // What does not fit saturates, and what is not a number is zero.
        needed.ceil() as usize
    }

    pub(crate) fn steer<M: Manager>(&mut self, shared: &Shared<M>) -> Option<Resized> {
        let after = shared.stats();
        // The first look only notes the figures.
        let before = self.before.replace(after.clone())?;
        if after.is_closed || after.age <= before.age {
            return None;
        }
        let demand = Demand::between(Some(&before), &after);
        let to = self.decide(&demand, after.age)?;
        let from = shared.resize_max(to)?;
        Some(Resized { from, to })
    }
}

/// The controller of a pool, if it has one.
pub(crate) struct Steering {
    /// Out while it looks.
    controller: Mutex<Option<Controller>>,
    interval: u64,
    next: AtomicU64,
}

impl Steering {
    pub(crate) fn new(controller: Option<Controller>, rules: &Rules) -> Result<Self, ConfigError> {
        if let Some(Controller { settings, .. }) = &controller {
            let Settings {
                min_size, max_size, ..
            } = *settings;
            if !(min_size..=max_size).contains(&rules.max_size) {
                const ALLOWED: &str = "within the bounds of the controller";
                return Err(ConfigError::new("max_size", rules.max_size, ALLOWED));
            }
        }
        let interval = controller.as_ref().map(|it| it.settings.interval);
        Ok(Self {
            controller: Mutex::new(controller),
            interval: nanos_or_never(interval),
            next: AtomicU64::new(0),
        })
    }

    /// In how many nanoseconds it looks again.
    pub(crate) fn due_in(&self, now: u64) -> u64 {
        match self.interval {
            NEVER => NEVER,
            _ => self.next.load(Relaxed).saturating_sub(now),
        }
    }
}

impl<M: Manager> Shared<M> {
    /// Lets the controller look, if it is time.
    pub(crate) fn steer(&self, now: u64) {
        let steering = &self.controller;
        if steering.due_in(now) > 0 {
            return;
        }
        // A forecast is foreign code, so no lock is held while it runs.
        let Some(mut controller) = lock(&steering.controller).take() else {
            return;
        };
        let next = now.saturating_add(steering.interval);
        steering.next.store(next, Relaxed);
        let resized = controller.steer(self);
        *lock(&steering.controller) = Some(controller);
        if let Some(resized) = resized {
            self.hooks.tell(&Event::Resized(resized));
        }
    }
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller")
            .field("settings", &self.settings)
            .field("forecast", &self.forecast.is_some())
            .finish_non_exhaustive()
    }
}

/// How a [`Controller`] is to be. Made by [`Controller::builder`].
#[must_use = "nothing is built yet"]
pub struct ControllerBuilder {
    settings: Settings,
    forecast: Option<Forecast>,
}

impl Default for ControllerBuilder {
    fn default() -> Self {
        Self {
            settings: Settings {
                min_size: 1,
                max_size: 100,
                headroom: 2.0,
                step: 4,
                hysteresis: 0.2,
                cool_down: Duration::from_secs(30),
                interval: Duration::from_secs(10),
            },
            forecast: None,
        }
    }
}

impl ControllerBuilder {
    /// The least that the pool's maximum may become: by default 1.
    pub fn min_size(mut self, least: usize) -> Self {
        self.settings.min_size = least;
        self
    }

    /// The most that the pool's maximum may become: by default 100.
    pub fn max_size(mut self, most: usize) -> Self {
        self.settings.max_size = most;
        self
    }

    /// How many more than the mean number in use, in square roots of that: from 0 to 100, by default
    /// 2, with which about one in twenty has to wait.
    pub fn headroom(mut self, roots: f64) -> Self {
        self.settings.headroom = roots;
        self
    }

    /// By how much the maximum may change at once: 1 or more, by default 4.
    pub fn step(mut self, places: usize) -> Self {
        self.settings.step = places;
        self
    }

    /// By which share less has to be needed before the maximum shrinks: from 0 to 0.9, by default
    /// 0.2. Half of it stays as a margin, so that a demand that varies by less never makes it turn.
    pub fn hysteresis(mut self, share: f64) -> Self {
        self.settings.hysteresis = share;
        self
    }

    /// How long nothing changes after a change: by default 30 s.
    pub fn cool_down(mut self, pause: Duration) -> Self {
        self.settings.cool_down = pause;
        self
    }

    /// How often a pool that has it ticks it: by default every 10 s. That is also the time over which
    /// it looks.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval;
        self
    }

    /// How many arrivals in a second are to be expected. Less than what was measured, something that
    /// is not a number, or a panic: the measured number counts.
    pub fn forecast(mut self, forecast: impl Fn(&Demand) -> f64 + Send + Sync + 'static) -> Self {
        self.forecast = Some(Box::new(forecast));
        self
    }

    /// A controller with these settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build(self) -> Result<Controller, ConfigError> {
        let Self { settings, forecast } = self;
        let Settings {
            min_size,
            max_size,
            headroom,
            step,
            hysteresis,
            cool_down,
            interval,
        } = settings;
        if !(1..=MOST).contains(&max_size) {
            return Err(ConfigError::new("max_size", max_size, "1 to 65536"));
        }
        if !(1..=max_size).contains(&min_size) {
            return Err(ConfigError::new("min_size", min_size, "1 to max_size"));
        }
        if !(0.0..=100.0).contains(&headroom) {
            return Err(ConfigError::new("headroom", headroom, "0 to 100"));
        }
        if step == 0 {
            return Err(ConfigError::new("step", step, "1 or more"));
        }
        if !(0.0..=0.9).contains(&hysteresis) {
            return Err(ConfigError::new("hysteresis", hysteresis, "0 to 0.9"));
        }
        for (field, value) in [("cool_down", cool_down), ("interval", interval)] {
            if value.is_zero() {
                return Err(ConfigError::new(field, value, "more than zero"));
            }
        }
        Ok(Controller {
            settings,
            forecast,
            before: None,
            began_at: None,
            changed_at: None,
            most_needed: [0; 2],
            window_at: Duration::ZERO,
        })
    }
}

impl fmt::Debug for ControllerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerBuilder")
            .field("settings", &self.settings)
            .field("forecast", &self.forecast.is_some())
            .finish_non_exhaustive()
    }
}
