//! [`Search`]: the two algorithms, from one window to the next limit. No clock, no lock, no pool.

use std::time::Duration;

use super::algorithm::{Aimd, Gradient, LimitAlgorithm};
use super::stats::LimitReason;
use super::window::Seen;

/// The most that one window above the tolerated latency takes off: a fifth of what its gradient
/// says, which is never less than a half. One slow window is weak evidence.
const SMOOTHING: f64 = 0.2;
const LEAST_GRADIENT: f64 = 0.5;
/// Where the limit has settled, latency is what is tolerated, give or take some noise: one that is
/// found there must not be taken for a queue that was never noticed.
const CLEARLY_LESS: f64 = 0.85;
/// What is left after a sign of overload, where no setting says it.
const OVERLOAD_DECREASE: f64 = 0.9;

#[derive(Debug)]
pub(super) struct Search {
    algorithm: LimitAlgorithm,
    min: f64,
    max: f64,
    limit: f64,
    gradient: GradientState,
}

#[derive(Debug)]
struct GradientState {
    /// The first window is over, in which queues were filling and connections were opened.
    warm: bool,
    /// The mean latency of a window that was not, or least, loaded.
    baseline: Option<Duration>,
    probe: Option<Probe>,
    /// The limit when the baseline was measured.
    measured_at: f64,
    windows_since: usize,
    interval: usize,
}

/// A window at half of the limit, under way.
#[derive(Debug)]
struct Probe {
    from: f64,
    mean: Duration,
}

/// What follows from a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) reason: LimitReason,
    /// Whether items that started before this say nothing about the limit from now on.
    pub(super) new_epoch: bool,
}

impl Search {
    pub(super) fn new(algorithm: LimitAlgorithm, min: usize, max: usize, initial: usize) -> Self {
        let limit = as_limit(initial);
        Self {
            algorithm,
            min: as_limit(min),
            max: as_limit(max),
            limit,
            gradient: GradientState {
                warm: false,
                baseline: None,
                probe: None,
                measured_at: limit,
                windows_since: 0,
                interval: 1,
            },
        }
    }

    pub(super) fn limit(&self) -> f64 {
        self.limit
    }

    /// The limit in whole items, never outside of its bounds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between bounds that came from a usize; the cast saturates"
    )]
    pub(super) fn whole_limit(&self) -> usize {
        self.limit as usize
    }

    pub(super) fn baseline(&self) -> Option<Duration> {
        self.gradient.baseline
    }

    pub(super) fn step(&mut self, seen: &Seen) -> Step {
        let before = self.limit;
        let reason = match self.algorithm {
            LimitAlgorithm::Aimd(aimd) => self.aimd(&aimd, seen),
            LimitAlgorithm::Gradient(gradient) => self.by_gradient(&gradient, seen),
        };
        Step {
            reason,
            // Growing changes little for those that run already; all else must be judged by items
            // that started afterwards.
            new_epoch: self.limit < before
                || matches!(
                    reason,
                    LimitReason::Start
                        | LimitReason::Probe
                        | LimitReason::Probed
                        | LimitReason::ProbeKept
                ),
        }
    }

    fn aimd(&mut self, aimd: &Aimd, seen: &Seen) -> LimitReason {
        let slow = match (seen.mean, aimd.latency) {
            (Some(mean), Some(latency)) => mean > latency,
            _ => false,
        };
        if seen.overloaded || slow {
            self.set(self.limit * as_limit(aimd.decrease_percent) / 100.0);
            return match seen.overloaded {
                true => LimitReason::Overload,
                false => LimitReason::Latency,
            };
        }
        if self.is_idle(seen) {
            return LimitReason::Idle;
        }
        self.set(self.limit + as_limit(aimd.increase));
        LimitReason::Grow
    }

    fn by_gradient(&mut self, settings: &Gradient, seen: &Seen) -> LimitReason {
        let probe = self.gradient.probe.take();
        if seen.overloaded {
            self.set(self.limit * OVERLOAD_DECREASE);
            return LimitReason::Overload;
        }
        let Some(mean) = seen.mean else {
            return LimitReason::Idle; // a window without overload has successes
        };
        if !self.gradient.warm {
            self.gradient.warm = true;
            return LimitReason::Start;
        }
        let tolerance = as_limit(settings.tolerance_percent) / 100.0;
        if let Some(probe) = probe {
            return self.end_probe(settings, tolerance, &probe, mean);
        }
        if self.is_idle(seen) {
            // Few in flight: this is what the service takes when it is not loaded by us.
            self.measured(mean);
            return LimitReason::Idle;
        }
        let baseline = self.gradient.baseline.map_or(mean, |least| least.min(mean));
        self.gradient.baseline = Some(baseline);
        self.gradient.windows_since = self.gradient.windows_since.saturating_add(1);
        let due = self.gradient.windows_since >= self.gradient.interval
            || self.limit < self.gradient.measured_at * 0.5;
        if due && self.limit > self.min {
            self.gradient.probe = Some(Probe {
                from: self.limit,
                mean,
            });
            self.set(self.limit * 0.5);
            return LimitReason::Probe;
        }
        let baseline = match due {
            false => baseline,
            true => {
                // There is no less to probe with: what the service takes at the least limit is the
                // baseline, even if it took less once.
                self.measured(mean);
                self.lengthen_interval(settings);
                mean
            }
        };
        let gradient = tolerance * ratio(baseline, mean);
        if gradient >= 1.0 {
            let room = (gradient - 1.0) / (tolerance - 1.0);
            self.set(self.limit + room.min(1.0) * self.limit.sqrt());
            return LimitReason::Grow;
        }
        let target = self.limit * gradient.max(LEAST_GRADIENT);
        self.set(self.limit + SMOOTHING * (target - self.limit));
        LimitReason::Latency
    }

    /// Half of the limit took `mean`, which is the baseline from now on. If the whole limit took
    /// clearly more than what is tolerated of that, most of it was a queue, and some of the half
    /// may still be: so the half stays, and the next probe is due.
    fn end_probe(
        &mut self,
        settings: &Gradient,
        tolerance: f64,
        probe: &Probe,
        mean: Duration,
    ) -> LimitReason {
        if tolerance * ratio(mean, probe.mean) < CLEARLY_LESS {
            self.measured(mean);
            self.gradient.interval = 1;
            return LimitReason::ProbeKept;
        }
        self.set(probe.from);
        self.measured(mean);
        self.lengthen_interval(settings);
        LimitReason::Probed
    }

    fn lengthen_interval(&mut self, settings: &Gradient) {
        let interval = self.gradient.interval.saturating_mul(2);
        self.gradient.interval = interval.min(settings.probe_interval);
    }

    fn measured(&mut self, baseline: Duration) {
        self.gradient.baseline = Some(baseline);
        self.gradient.measured_at = self.limit;
        self.gradient.windows_since = 0;
    }

    /// Less than half of the limit was used: whether more would be fine was not seen.
    fn is_idle(&self, seen: &Seen) -> bool {
        as_limit(seen.most_in_flight) * 2.0 < self.limit
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(self.min, self.max);
    }
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 1.0; // nothing takes no time; so neither grows by the other
    }
    part.as_secs_f64() / whole.as_secs_f64()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "limits are at most 2^20, and counts beside them need no more"
)]
fn as_limit(count: usize) -> f64 {
    count as f64
}
