//! [`CircuitBreakerBuilder`]: what a breaker is told before it is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Backoff, BackoffError, Clock, Jitter, SystemClock};

use crate::breaker::CircuitBreaker;
use crate::error::ConfigError;
use crate::error_class::ByErrorClass;
use crate::event::{Event, EventLog, Listener};
use crate::gate::Shared;
use crate::name::Name;
use crate::outcome::{AnyError, ErrorsBy, Outcome};
use crate::registry::Registry;
use crate::settings::{LARGEST_COUNT_WINDOW, OpenFor, Policy, ProbeRule, Settings, Slow, nanos};
use crate::template::Template;

/// Settings of a breaker, checked by [`build`](Self::build).
///
/// What is not set: it opens after 5 failures in a row, stays open for 60 s, and closes after one
/// successful probe, of which one runs at a time.
#[must_use = "nothing is built yet"]
pub struct CircuitBreakerBuilder<C = AnyError> {
    name: Option<String>,
    window: WindowKind,
    failures: Option<u32>,
    failure_rate: Option<f64>,
    slow: Option<(Duration, f64)>,
    minimum_calls: Option<u32>,
    open_for: Duration,
    backoff: Option<(f64, Duration)>,
    jitter: Jitter,
    seed: Option<u64>,
    permitted_probes: u32,
    probe_rule: Rule,
    max_half_open_wait: Option<Duration>,
    cancel_is_failure: bool,
    panic_is_failure: bool,
    keeps_totals: bool,
    event_capacity: usize,
    listeners: Vec<Listener>,
    clock: Option<Arc<dyn Clock>>,
    classifier: C,
}

#[derive(Clone, Copy, Debug)]
enum WindowKind {
    /// So many failures.
    Consecutive(u32),
    Count(u32),
    Time {
        span: Duration,
        buckets: u32,
    },
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    Successes(u32),
    Rate { probes: u32, rate: f64 },
}

/// How a time window is cut where nothing else is said.
const BUCKETS: u32 = 10;

/// The most slices that a time window may be cut into.
const MOST_BUCKETS: u32 = 1_024;

/// Rates are looked at from so many calls on where nothing else is said.
const MINIMUM_CALLS: u32 = 10;

impl CircuitBreakerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            name: None,
            window: WindowKind::Consecutive(5),
            failures: None,
            failure_rate: None,
            slow: None,
            minimum_calls: None,
            open_for: Duration::from_secs(60),
            backoff: None,
            jitter: Jitter::None,
            seed: None,
            permitted_probes: 1,
            probe_rule: Rule::Successes(1),
            max_half_open_wait: Some(Duration::from_secs(60)),
            cancel_is_failure: false,
            panic_is_failure: true,
            keeps_totals: true,
            event_capacity: 64,
            listeners: Vec::new(),
            clock: None,
            classifier: AnyError,
        }
    }
}

impl<C> CircuitBreakerBuilder<C> {
    /// A name for rejections, events and snapshots: 1 to 256 bytes without control characters.
    /// None by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Opens after so many failures in a row: at least 1. This is the default, with 5. A success in
    /// between starts the count again.
    #[doc(alias = "failure_threshold")]
    pub fn consecutive_failures(mut self, failures: u32) -> Self {
        self.window = WindowKind::Consecutive(failures);
        self
    }

    /// Looks at the last `calls` calls: 1 to 65,536. It opens by [`failure_rate`](Self::failure_rate),
    /// [`failures`](Self::failures) or [`slow_call_rate`](Self::slow_call_rate); if none of them is
    /// set, at half of the calls.
    ///
    /// Up to 64 calls, without slow ones, lie in the breaker itself; beyond that a bit for each call
    /// is allocated.
    #[doc(alias = "sliding_window")]
    #[doc(alias = "ring_buffer_size")]
    pub fn count_window(mut self, calls: u32) -> Self {
        self.window = WindowKind::Count(calls);
        self
    }

    /// Looks at the calls of the last `span`: more than zero, at most 584 years. It opens as a
    /// [`count_window`](Self::count_window) does.
    ///
    /// The span is cut into ten slices, which leave the window as a whole: a call counts for nine to
    /// ten tenths of the span. Each call reads the coarse clock.
    #[doc(alias = "rolling_window")]
    #[doc(alias = "sampling_duration")]
    pub fn time_window(self, span: Duration) -> Self {
        self.time_window_in(span, BUCKETS)
    }

    /// The same with another number of slices: 1 to 1,024, each at least a nanosecond. 12 bytes are
    /// allocated for each.
    pub fn time_window_in(mut self, span: Duration, buckets: u32) -> Self {
        self.window = WindowKind::Time { span, buckets };
        self
    }

    /// Opens at so many failures in the window: at least 1, at most as many as a count window has
    /// calls. A count or time window is needed.
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = Some(failures);
        self
    }

    /// Opens when this share of the calls in the window failed: more than 0, at most 1. A count or
    /// time window is needed.
    #[doc(alias = "failure_ratio")]
    #[doc(alias = "error_rate")]
    pub fn failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate = Some(rate);
        self
    }

    /// Opens when this share of the calls in the window took longer than `longer_than`: a share of
    /// more than 0, at most 1, and more than no time. A count or time window is needed.
    ///
    /// A slow call counts whether or not it failed. Half-open, a slow probe is a failed one. Each
    /// call reads the clock twice.
    #[doc(alias = "slow_call_duration_threshold")]
    pub fn slow_call_rate(mut self, longer_than: Duration, rate: f64) -> Self {
        self.slow = Some((longer_than, rate));
        self
    }

    /// Rates are looked at when the window has so many calls: at least 1, at most as many as a count
    /// window has. 10 by default, or the size of a count window that is smaller.
    #[doc(alias = "minimum_throughput")]
    #[doc(alias = "min_calls")]
    #[doc(alias = "request_volume_threshold")]
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.minimum_calls = Some(calls);
        self
    }

    /// How long it stays open before a probe is let through: more than zero, 60 s by default.
    /// With `Duration::MAX` it stays open until somebody resets it.
    #[doc(alias = "reset_timeout")]
    #[doc(alias = "break_duration")]
    #[doc(alias = "wait_duration_in_open_state")]
    #[doc(alias = "cooldown")]
    pub fn open_for(mut self, open_for: Duration) -> Self {
        self.open_for = open_for;
        self
    }

    /// Each time that it opens again without having closed, it stays open `factor` times as long,
    /// up to `max`: a factor of at least 1, and a limit not shorter than the first time. Without
    /// this, it always stays open for the same time. After a hundred openings in a row it no longer
    /// grows, which matters for factors close to 1.
    pub fn backoff(mut self, factor: f64, max: Duration) -> Self {
        self.backoff = Some((factor, max));
        self
    }

    /// Spreads open times at random, so that breakers that opened together do not probe together.
    /// None by default.
    ///
    /// [`Jitter::Above`] only makes them longer, by a share between 0 and 1; the others make them
    /// shorter than was asked for.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Fixes the random numbers of the jitter: breakers of one name then open for the same times in
    /// every run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Half-open, so many probes run at a time: 1 to 65,535, by default 1.
    #[doc(alias = "half_open_max_calls")]
    #[doc(alias = "half_open_max")]
    #[doc(alias = "permitted_calls_in_half_open")]
    #[doc(alias = "max_requests")]
    pub fn permitted_probes(mut self, probes: u32) -> Self {
        self.permitted_probes = probes;
        self
    }

    /// Closes after so many successful probes, and opens again at the first that fails: 1 to 65,535,
    /// by default 1.
    pub fn success_threshold(mut self, successes: u32) -> Self {
        self.probe_rule = Rule::Successes(successes);
        self
    }

    /// Closes when at least this share of `probes` probes succeeded, and opens again when that can no
    /// longer be: 1 to 65,535 probes, and a share of more than 0, at most 1.
    pub fn success_rate(mut self, probes: u32, rate: f64) -> Self {
        self.probe_rule = Rule::Rate { probes, rate };
        self
    }

    /// How long it stays half-open without a decision before it opens again: more than zero, 60 s by
    /// default; `None` for no limit.
    ///
    /// A probe that never ends, or whose permit was leaked, would otherwise keep its place for ever.
    /// A probe that may take longer than a minute needs a longer limit here, or its result comes
    /// too late.
    #[doc(alias = "max_wait_duration_in_half_open")]
    #[doc(alias = "probe_timeout")]
    pub fn max_half_open_wait(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.max_half_open_wait = wait.into();
        self
    }

    /// Whether a call that is dropped before it ends counts as a failure. By default it says nothing
    /// about the service.
    pub fn count_cancel_as_failure(mut self, is_failure: bool) -> Self {
        self.cancel_is_failure = is_failure;
        self
    }

    /// Whether a call that panics counts as a failure, which is the default; otherwise it counts as
    /// one that was cancelled.
    pub fn count_panic_as_failure(mut self, is_failure: bool) -> Self {
        self.panic_is_failure = is_failure;
        self
    }

    /// Whether calls are counted for [`Snapshot::totals`](crate::Snapshot::totals), which is the
    /// default. Each thread that calls keeps 64 bytes for each breaker, in pages of sixteen; counting
    /// costs about a nanosecond.
    pub fn totals(mut self, are_kept: bool) -> Self {
        self.keeps_totals = are_kept;
        self
    }

    /// How many of the latest events are kept: 1 to 65,536, by default 64.
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.event_capacity = events;
        self
    }

    /// Tells `listener` of each change of state, after it has happened. May be called more than
    /// once.
    ///
    /// Listeners run on the thread that changed the state, or on one that is telling of an earlier
    /// change; one at a time, each event once, in order, with nothing locked. They may call the
    /// breaker. One that blocks delays that thread's call. A panic of theirs is contained and
    /// counted; see [`CircuitBreaker::lost_events`].
    #[doc(alias = "on_state_change")]
    #[doc(alias = "on_open")]
    pub fn on_transition(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// The clock, [`SystemClock`] by default. One that runs backwards makes nothing worse than a
    /// time that is too long.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Decides what results mean, for [`call`](CircuitBreaker::call) and its kin. A closure names its
    /// type:
    ///
    /// ```
    /// use brolly_circuit_breaker::{CircuitBreaker, Outcome};
    ///
    /// let breaker = CircuitBreaker::builder()
    ///     .classify(|result: &Result<u16, std::io::Error>| match result {
    ///         Ok(500..) | Err(_) => Outcome::Failure,
    ///         Ok(400..) => Outcome::Ignored,
    ///         Ok(_) => Outcome::Success,
    ///     })
    ///     .build()?;
    /// assert_eq!(breaker.call_sync(|| Ok(503)).unwrap(), 503);
    /// assert_eq!(breaker.snapshot().totals.failures, 1);
    /// # Ok::<(), brolly_circuit_breaker::ConfigError>(())
    /// ```
    pub fn classify<D>(self, classifier: D) -> CircuitBreakerBuilder<D> {
        CircuitBreakerBuilder {
            name: self.name,
            window: self.window,
            failures: self.failures,
            failure_rate: self.failure_rate,
            slow: self.slow,
            minimum_calls: self.minimum_calls,
            open_for: self.open_for,
            backoff: self.backoff,
            jitter: self.jitter,
            seed: self.seed,
            permitted_probes: self.permitted_probes,
            probe_rule: self.probe_rule,
            max_half_open_wait: self.max_half_open_wait,
            cancel_is_failure: self.cancel_is_failure,
            panic_is_failure: self.panic_is_failure,
            keeps_totals: self.keeps_totals,
            event_capacity: self.event_capacity,
            listeners: self.listeners,
            clock: self.clock,
            classifier,
        }
    }

    /// Decides what errors mean; whatever is no error is a success.
    #[doc(alias = "should_handle")]
    #[doc(alias = "ignore_exceptions")]
    #[doc(alias = "is_failure")]
    pub fn classify_errors<E, F>(self, classifier: F) -> CircuitBreakerBuilder<ErrorsBy<F>>
    where
        F: Fn(&E) -> Outcome,
    {
        self.classify(ErrorsBy(classifier))
    }

    /// Decides by the errors' own [`Classify`](crate::Classify): permanent ones, such as a request that was wrong, are
    /// ignored; all others are failures.
    pub fn classify_by_error_class(self) -> CircuitBreakerBuilder<ByErrorClass> {
        self.classify(ByErrorClass)
    }

    /// A breaker.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming a setting that is out of its range.
    pub fn build(mut self) -> Result<CircuitBreaker<C>, ConfigError> {
        let name = self.name.take();
        let template = self.template()?;
        match name {
            Some(name) => template.into_named(&name),
            None => Ok(template.into_unnamed()),
        }
    }

    /// A template that any number of breakers can be made from. They share the settings, the clock
    /// and the log of events; a name that was set is not used.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn template(self) -> Result<Template<C>, ConfigError> {
        let settings = self.settings()?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let shared = Shared {
            settings,
            coarse_lag: nanos(clock.coarse_lag()),
            clock,
            log: EventLog::new(self.event_capacity, self.listeners),
        };
        Ok(Template::new(shared, self.keeps_totals, self.classifier))
    }

    /// A registry of breakers by name, of which there may be `max_breakers`: at least 1.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn registry(self, max_breakers: usize) -> Result<Registry<C>, ConfigError> {
        Registry::new(self.template()?, max_breakers)
    }

    fn settings(&self) -> Result<Settings, ConfigError> {
        if let Some(name) = &self.name {
            Name::new(name)?;
        }
        let policy = self.policy()?;
        let count = match policy {
            Policy::Count { size } => Some(size),
            _ => None,
        };
        let is_consecutive = policy == Policy::Consecutive;
        let conflict = |field| ConfigError::Conflict {
            field,
            other: "consecutive_failures",
            needs: "count_window or time_window",
        };
        match self.failures {
            Some(_) if is_consecutive => return Err(conflict("failures")),
            Some(0) => return refuse("failures", 0, "at least 1"),
            Some(failures) if count.is_some_and(|size| failures > size) => {
                return refuse("failures", failures, "1 to the calls of the window");
            }
            _ => {}
        }
        let mut failure_rate = self.failure_rate;
        if let Some(rate) = failure_rate {
            check_rate("failure_rate", rate)?;
            if is_consecutive {
                return Err(conflict("failure_rate"));
            }
        }
        let slow = match self.slow {
            None => None,
            Some(_) if is_consecutive => return Err(conflict("slow_call_rate")),
            Some((longer_than, rate)) => {
                check_rate("slow_call_rate", rate)?;
                if longer_than.is_zero() {
                    return refuse(
                        "slow_call_rate",
                        "longer than 0ns",
                        "longer than 1ns or more",
                    );
                }
                let longer_than = nanos(longer_than);
                Some(Slow { longer_than, rate })
            }
        };
        let failures = match (self.window, self.failures) {
            (WindowKind::Consecutive(0), _) => {
                return refuse("consecutive_failures", 0, "at least 1");
            }
            (WindowKind::Consecutive(failures), _) | (_, Some(failures)) => failures,
            (_, None) => {
                if failure_rate.is_none() && slow.is_none() {
                    failure_rate = Some(0.5);
                }
                u32::MAX
            }
        };
        let most_calls = count.unwrap_or(u32::MAX);
        let minimum_calls = match self.minimum_calls {
            Some(_) if is_consecutive => return Err(conflict("minimum_calls")),
            Some(0) => return refuse("minimum_calls", 0, "at least 1"),
            Some(calls) if calls > most_calls => {
                return refuse("minimum_calls", calls, "1 to the calls of the window");
            }
            Some(calls) => calls,
            None => MINIMUM_CALLS.min(most_calls),
        };
        let probes = |field, value: u32| match u16::try_from(value) {
            Ok(value @ 1..) => Ok(value),
            _ => refuse(field, value, "1 to 65535"),
        };
        let probe_rule = match self.probe_rule {
            Rule::Successes(successes) => {
                ProbeRule::Successes(probes("success_threshold", successes)?)
            }
            Rule::Rate { probes: of, rate } => {
                check_rate("success_rate", rate)?;
                ProbeRule::Rate {
                    probes: probes("success_rate", of)?,
                    rate,
                }
            }
        };
        if self.max_half_open_wait.is_some_and(|wait| wait.is_zero()) {
            return refuse("max_half_open_wait", "0ns", "1ns or more, or none");
        }
        if !(1..=65_536).contains(&self.event_capacity) {
            return refuse("event_capacity", self.event_capacity, "1 to 65536");
        }
        Ok(Settings {
            policy,
            failures,
            failure_rate,
            slow,
            minimum_calls,
            open_for: self.checked_open_for()?,
            permitted_probes: probes("permitted_probes", self.permitted_probes)?,
            probe_rule,
            max_half_open_wait: self.max_half_open_wait.map_or(u64::MAX, nanos),
            cancel_is_failure: self.cancel_is_failure,
            panic_is_failure: self.panic_is_failure,
        })
    }

    fn policy(&self) -> Result<Policy, ConfigError> {
        match self.window {
            WindowKind::Consecutive(_) => Ok(Policy::Consecutive),
            WindowKind::Count(size @ 1..=LARGEST_COUNT_WINDOW) => Ok(Policy::Count { size }),
            WindowKind::Count(size) => refuse("count_window", size, "1 to 65536"),
            WindowKind::Time { span, buckets } => {
                if !(1..=MOST_BUCKETS).contains(&buckets) {
                    return refuse("time_window_in", buckets, "1 to 1024 slices");
                }
                match nanos(span) / u64::from(buckets) {
                    0 => refuse(
                        "time_window",
                        format_args!("{span:?}"),
                        "1ns or more for each slice",
                    ),
                    width => Ok(Policy::Time { width, buckets }),
                }
            }
        }
    }

    fn checked_open_for(&self) -> Result<OpenFor, ConfigError> {
        let first = self.open_for;
        if first.is_zero() {
            return refuse("open_for", "0ns", "1ns or more");
        }
        let (factor, max) = self.backoff.unwrap_or((1.0, first));
        let backoff = Backoff::builder()
            .initial(first)
            .max(max)
            .factor(factor)
            .jitter(self.jitter);
        match backoff.build() {
            Ok(_) => Ok(OpenFor::new(backoff, first, self.seed)),
            Err(BackoffError::Factor { value }) => {
                refuse("backoff", value, "a finite factor of at least 1")
            }
            Err(BackoffError::Jitter { value }) => refuse("jitter", value, "0 to 1"),
            Err(_) => refuse(
                "backoff",
                format_args!("{max:?}"),
                "a limit of open_for or more",
            ),
        }
    }
}

pub(crate) fn check_rate(field: &'static str, rate: f64) -> Result<(), ConfigError> {
    // Written so that NaN is refused, too.
    match rate > 0.0 && rate <= 1.0 {
        true => Ok(()),
        false => refuse(field, rate, "more than 0, at most 1"),
    }
}

fn refuse<T>(
    field: &'static str,
    value: impl fmt::Display,
    allowed: &'static str,
) -> Result<T, ConfigError> {
    Err(ConfigError::out_of_range(field, value, allowed))
}

impl<C> fmt::Debug for CircuitBreakerBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerBuilder")
            .field("name", &self.name)
            .field("window", &self.window)
            .field("open_for", &self.open_for)
            .field("permitted_probes", &self.permitted_probes)
            .finish_non_exhaustive()
    }
}
