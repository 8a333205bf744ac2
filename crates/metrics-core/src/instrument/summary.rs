//! [`Summary`]: the last samples of a name.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::instrument::ticks::Ticks;
use crate::snapshot::SummarySnapshot;

/// The last samples of a name, and what they say: least, most, mean, percentiles.
///
/// The percentiles are exact, of samples that were really recorded, but they cannot be merged with
/// those of another process and recording takes a lock; for what is hot or merged, use a
/// [`Histogram`](crate::Histogram). Memory is bounded by the window. Clones record together.
#[derive(Clone)]
pub struct Summary {
    core: Arc<Core>,
}

struct Core {
    window: Window,
    state: Mutex<State>,
}

/// Which samples a summary keeps.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) len: usize,
    /// With the source of the time that tells a sample's age.
    pub(crate) max_age: Option<(Duration, Ticks)>,
}

#[derive(Default)]
struct State {
    /// Samples, each with the reading of its time where age matters. Readings and not nanoseconds:
    /// the scale between the two may be measured again, and would stretch all the time since boot.
    samples: VecDeque<(f64, u64)>,
    count: u64,
    rejected: u64,
    latest: Option<f64>,
}

impl Summary {
    /// Samples kept when nothing else is asked for.
    pub const DEFAULT_WINDOW: usize = 1_000;

    pub(crate) fn new(window: Window) -> Self {
        Self {
            core: Arc::new(Core {
                window,
                state: Mutex::default(),
            }),
        }
    }

    /// Records a sample. What is not a finite number is refused and counted as rejected.
    pub fn observe(&self, sample: f64) {
        let core = &*self.core;
        let now = core.window.now();
        let mut state = core.lock();
        if !sample.is_finite() {
            state.rejected += 1;
            return;
        }
        if state.samples.len() >= core.window.len {
            state.samples.pop_front();
        }
        state.samples.push_back((sample, now));
        state.count += 1;
        state.latest = Some(sample);
    }

    /// What the samples say now.
    #[must_use]
    pub fn snapshot(&self) -> SummarySnapshot {
        let core = &*self.core;
        let now = core.window.now();
        let (mut snapshot, mut samples) = {
            let mut state = core.lock();
            core.window.expire(&mut state.samples, now);
            let snapshot = SummarySnapshot {
                count: state.count,
                rejected: state.rejected,
                latest: state.latest,
                window_count: state.samples.len() as u64,
                ..SummarySnapshot::default()
            };
            let samples = state.samples.iter().map(|(sample, _)| *sample);
            (snapshot, samples.collect::<Vec<_>>())
        };
        samples.sort_unstable_by(f64::total_cmp);
        snapshot.min = samples.first().copied();
        snapshot.max = samples.last().copied();
        snapshot.avg = mean(&samples);
        let percentile = |hundredths: usize| {
            let rank = (samples.len() * hundredths).div_ceil(100);
            samples.get(rank.saturating_sub(1)).copied()
        };
        (snapshot.p50, snapshot.p95, snapshot.p99) =
            (percentile(50), percentile(95), percentile(99));
        snapshot
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        *self.core.lock() = State::default();
    }
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Summary").field(&self.snapshot()).finish()
    }
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// A reading of the time, where age matters.
    fn now(&self) -> u64 {
        let ticks = self.max_age.as_ref();
        ticks.map_or(0, |(_, ticks)| ticks.now())
    }

    fn expire(&self, samples: &mut VecDeque<(f64, u64)>, now: u64) {
        let Some((max_age, ticks)) = &self.max_age else {
            return;
        };
        while let Some((_, at)) = samples.front() {
            if u128::from(ticks.nanos_between(*at, now)) <= max_age.as_nanos() {
                break;
            }
            samples.pop_front();
        }
    }
}

/// The mean of samples in order, taken so that no sum can overflow.
fn mean(samples: &[f64]) -> Option<f64> {
    let mut mean = 0.0;
    for (before, sample) in samples.iter().enumerate() {
        // Both halves are finite, where the difference of two huge samples may not be.
        let share = 1.0 / (before + 1) as f64;
        mean = mean * (1.0 - share) + sample * share;
    }
    // Rounding may carry it past the extremes, if only by the last bit.
    let (min, max) = (samples.first()?, samples.last()?);
    Some(mean.max(*min).min(*max))
}

#[cfg(all(test, feature = "tsc"))]
mod tests {
    use super::*;

    #[test]
    fn a_better_scale_does_not_age_samples() {
        let ticks = Ticks::fastest();
        let age = Duration::from_secs(1);
        let summary = Summary::new(Window {
            len: 9,
            max_age: Some((age, ticks.clone())),
        });
        summary.observe(1.0);
        // A first guess is off by some thousandths of the time since boot.
        ticks.scale_by(1.25);
        assert_eq!(summary.snapshot().window_count, 1);
    }
}
