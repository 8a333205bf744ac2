//! [`Timer`]: how long things took and how they ended.

use std::fmt;
use std::future::Future;
use std::mem;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;

use crate::family::core::FamilyCore;
use crate::instrument::histogram::Histogram;
use crate::instrument::ticks::Ticks;
use crate::snapshot::buckets::Buckets;
use crate::unit::Unit;

/// How something that was timed ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did what it was to do.
    Success,
    /// It said that it failed.
    Error,
    /// It panicked.
    Panic,
    /// It was given up before its end: a future that was dropped, a guard without a verdict.
    Cancelled,
}

impl Outcome {
    /// The label that tells outcomes apart.
    pub const LABEL: &'static str = "outcome";

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Success, Self::Error, Self::Panic, Self::Cancelled];

    /// The value of the label [`LABEL`](Self::LABEL).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How long things took and how they ended: a histogram of seconds for each [`Outcome`].
///
/// A series comes into being with its first sample. Clones record together.
#[derive(Clone)]
pub struct Timer {
    core: Arc<Core>,
}

struct Core {
    ticks: Ticks,
    by_outcome: [OnceLock<Histogram>; Outcome::ALL.len()],
    /// Where the histograms come from; gone when the registry is.
    family: Weak<FamilyCore>,
    values: Box<[Box<str>]>,
}

impl Timer {
    pub(crate) fn new(family: Weak<FamilyCore>, values: &[&str], ticks: Ticks) -> Self {
        Self {
            core: Arc::new(Core {
                ticks,
                by_outcome: [const { OnceLock::new() }; Outcome::ALL.len()],
                family,
                values: values.iter().map(|value| Box::from(*value)).collect(),
            }),
        }
    }

    /// Starts to measure. The guard wants a verdict; dropped without one it records
    /// [`Cancelled`](Outcome::Cancelled), or [`Panic`](Outcome::Panic) if a panic drops it.
    #[inline]
    pub fn start(&self) -> TimerGuard<'_> {
        TimerGuard {
            was_panicking: thread::panicking(),
            timer: self,
            start: self.core.ticks.now(),
        }
    }

    /// Measures a call. It counts as [`Success`](Outcome::Success) unless it panics.
    pub fn time<R>(&self, call: impl FnOnce() -> R) -> R {
        let guard = self.start();
        let result = call();
        guard.success();
        result
    }

    /// Measures a call that may fail.
    ///
    /// # Errors
    ///
    /// That of the call.
    pub fn time_result<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let guard = self.start();
        let result = call();
        guard.finish(Outcome::of(&result));
        result
    }

    /// Measures a future from its first poll. It counts as [`Success`](Outcome::Success) when it
    /// is ready.
    ///
    /// # Cancel safety
    ///
    /// That of the future. One that is dropped before it is ready records
    /// [`Cancelled`](Outcome::Cancelled), one that is dropped before its first poll nothing.
    pub fn future<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let timer = self.clone();
        async move {
            let guard = timer.start();
            let result = future.await;
            guard.success();
            result
        }
    }

    /// As [`future`](Self::future), of a future that may fail.
    pub fn future_result<F, T, E>(
        &self,
        future: F,
    ) -> impl Future<Output = F::Output> + use<F, T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let timer = self.clone();
        async move {
            let guard = timer.start();
            let result = future.await;
            guard.finish(Outcome::of(&result));
            result
        }
    }

    /// Records the time from a reading of the ticks until now.
    #[inline]
    fn record_since(&self, start: u64, outcome: Outcome) {
        let ticks = &self.core.ticks;
        let nanos = ticks.nanos_between(start, ticks.now());
        self.histogram(outcome).record_raw(nanos);
    }

    /// Makes no series from here on: what is not there yet is recorded unseen.
    pub(crate) fn detach(&self) {
        for histogram in &self.core.by_outcome {
            histogram.get_or_init(unseen);
        }
    }

    /// The histogram of an outcome.
    #[inline]
    fn histogram(&self, outcome: Outcome) -> &Histogram {
        let core = &*self.core;
        core.by_outcome[outcome as usize].get_or_init(|| match core.family.upgrade() {
            Some(family) => family.histogram_of_outcome(&core.values, outcome),
            // Nobody can see it, but whoever holds a timer may go on measuring.
            None => unseen(),
        })
    }
}

/// A histogram that no registry shows.
fn unseen() -> Histogram {
    Histogram::new(Unit::Seconds, Buckets::default())
}

impl Outcome {
    fn of<T, E>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(_) => Self::Error,
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("ticks", &self.core.ticks)
            .finish_non_exhaustive()
    }
}

/// A measurement that is under way: what [`Timer::start`] gives.
#[must_use = "dropping it ends the measurement at once"]
pub struct TimerGuard<'a> {
    timer: &'a Timer,
    start: u64,
    was_panicking: bool,
}

impl TimerGuard<'_> {
    /// Records a success.
    #[inline]
    pub fn success(self) {
        self.finish(Outcome::Success);
    }

    /// Records an error.
    #[inline]
    pub fn error(self) {
        self.finish(Outcome::Error);
    }

    /// Records this outcome.
    #[inline]
    pub fn finish(self, outcome: Outcome) {
        self.timer.record_since(self.start, outcome);
        // It holds nothing to be given back, and a guard that is never dropped stays in registers.
        mem::forget(self);
    }
}

impl Drop for TimerGuard<'_> {
    fn drop(&mut self) {
        let has_panicked = !self.was_panicking && thread::panicking();
        let outcome = if has_panicked {
            Outcome::Panic
        } else {
            Outcome::Cancelled
        };
        self.timer.record_since(self.start, outcome);
    }
}

impl fmt::Debug for TimerGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerGuard").finish_non_exhaustive()
    }
}
