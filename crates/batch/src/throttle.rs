//! [`Throttle`]: admission by the pressure on the machine.

mod builder;
mod error;
mod event;
mod level;
mod line;
#[cfg(all(test, brolly_loom))]
mod models;
mod pressure;
#[cfg(feature = "memory")]
mod process;
mod run;
mod sampler;
mod stats;
mod wait;

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, TimerExt};

pub use builder::ThrottleBuilder;
pub use error::Throttled;
pub use event::{ThrottleChange, ThrottleEvent};
pub use pressure::{Pressure, Reading};
#[cfg(feature = "memory")]
pub use process::{LoadAverage, ProcessMemory, Stalls};
pub(crate) use run::ThrottledRun;
use sampler::Sampler;
pub use stats::ThrottleStats;
use wait::{Ended, Waiting};

/// Lets work in while the pressure on the machine is low, and holds it back while it is high.
///
/// Each source of [`Pressure`] says how much of something is used, in per cent. The throttle closes
/// when one of them reaches its threshold, and opens when all have come down to their resume level;
/// the gap between the two keeps it from flapping. What a source cannot tell is not held against
/// anybody: a source without a reading counts as low.
///
/// - [`admit`](Self::admit) waits for an open throttle, for [`max_wait`](ThrottleBuilder::max_wait)
///   at most. It never waits for ever.
/// - A run that obeys a throttle goes on at its own pace while the throttle is open. When it
///   closes, what runs ends normally and nothing new starts for up to `max_wait`; from then on one
///   item at a time runs until the throttle opens. So a run always ends.
///
/// **Sampling.** The sources are read when somebody asks, once per
/// [`sample_interval`](ThrottleBuilder::sample_interval) at most, by one thread at a time; all
/// others answer from the last reading, for the price of a look at the clock. Memory and load make
/// no event that could be waited for, so while somebody waits, the one that has waited longest
/// reads the sources again each interval, and wakes the others when the throttle opens.
///
/// Clones are handles to the same throttle.
///
/// ```
/// use brolly_batch::{Reading, Throttle};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
///
/// let queued = Arc::new(AtomicU64::new(0));
/// let source = Arc::clone(&queued);
/// let throttle = Throttle::builder()
///     .source(move || Some(Reading::new(source.load(Ordering::Relaxed), 1_000)))
///     .max_wait(Duration::ZERO)
///     .sample_interval(Duration::from_millis(10))
///     .build()?;
/// assert!(throttle.admit_blocking().is_ok());
///
/// queued.store(850, Ordering::Relaxed);
/// std::thread::sleep(Duration::from_millis(20));
/// let refused = throttle.admit_blocking().unwrap_err();
/// assert_eq!((refused.used, refused.limit, refused.percent), (850, 1_000, 85.0));
/// # Ok::<(), brolly_batch::ConfigError>(())
/// ```
#[doc(alias = "backpressure")]
#[doc(alias = "load shedding")]
#[derive(Clone)]
pub struct Throttle {
    sampler: Arc<Sampler>,
}

impl Throttle {
    /// Starts from the defaults: no sources, 80 per cent, 30 seconds, ten readings a second.
    pub fn builder() -> ThrottleBuilder {
        ThrottleBuilder::new()
    }

    /// Waits until the pressure is low, for [`max_wait`](ThrottleBuilder::max_wait) at most.
    ///
    /// Ready at its first poll if the throttle is open or switched off. When it opens, all who wait
    /// are let in together; how many of them run at once is for a limit to say.
    ///
    /// # Errors
    ///
    /// [`Throttled`] with what was read, when the time is over and the throttle still closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line; if it was the one that read the sources for the others,
    /// the next in line takes that over.
    pub fn admit(&self) -> impl Future<Output = Result<(), Throttled>> + Send + use<> {
        let sampler = Arc::clone(&self.sampler);
        async move {
            if sampler.is_open() {
                sampler.count_admitted();
                return Ok(());
            }
            let since = sampler.timer().now();
            let until = since.saturating_add(sampler.max_wait());
            let mut waiting = Waiting::new(Arc::clone(&sampler));
            match poll_fn(|cx| waiting.poll(until, cx)).await {
                Ended::Open => {
                    sampler.count_admitted();
                    Ok(())
                }
                Ended::Overdue => {
                    let waited = sampler.timer().now().saturating_sub(since);
                    Err(sampler.refuse(waited))
                }
            }
        }
    }

    /// Waits like [`admit`](Self::admit), putting the thread to sleep.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub fn admit_blocking(&self) -> Result<(), Throttled> {
        match self
            .sampler
            .timer()
            .timeout_blocking(Duration::MAX, self.admit())
        {
            Ok(admitted) => admitted,
            Err(_) => Err(self.sampler.refuse(Duration::MAX)), // 584 years later
        }
    }

    /// Asks without waiting.
    ///
    /// # Errors
    ///
    /// [`Throttled`] with what was read, if the throttle is closed.
    pub fn try_admit(&self) -> Result<(), Throttled> {
        if self.sampler.is_open() {
            self.sampler.count_admitted();
            return Ok(());
        }
        Err(self.sampler.refuse(Duration::ZERO))
    }

    /// Whether the throttle is closed. Reads the sources if the last reading is older than the
    /// interval.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        !self.sampler.is_open()
    }

    /// The last reading and what happened so far. Reads no source.
    #[must_use]
    pub fn stats(&self) -> ThrottleStats {
        self.sampler.stats()
    }

    /// The events after the one with this number that are still kept, the oldest first; 0 for all
    /// of them. The throttle keeps the latest 64.
    #[must_use]
    pub fn events_since(&self, sequence: u64) -> Vec<ThrottleEvent> {
        self.sampler.events_since(sequence)
    }

    /// A run's own view of this throttle.
    pub(crate) fn run(&self) -> ThrottledRun {
        ThrottledRun::new(Arc::clone(&self.sampler))
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
