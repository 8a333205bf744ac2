//! [`Settings`]: what a builder was told, checked and ready to be used.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use brolly_sync::BackoffBuilder;

use crate::event::Reason;
use crate::window::Counts;

/// The most calls that a window by count can hold.
pub(crate) const LARGEST_COUNT_WINDOW: u32 = 65_536;

/// Which calls decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Policy {
    Consecutive,
    Count {
        size: u32,
    },
    /// Slices of `width` nanoseconds.
    Time {
        width: u64,
        buckets: u32,
    },
}

/// Settings that were checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) policy: Policy,
    /// So many failures in the window open it; `u32::MAX` where only rates do.
    pub(crate) failures: u32,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow: Option<Slow>,
    /// Rates are looked at from so many calls in the window on.
    pub(crate) minimum_calls: u32,
    pub(crate) open_for: OpenFor,
    pub(crate) permitted_probes: u16,
    pub(crate) probe_rule: ProbeRule,
    /// Nanoseconds; `u64::MAX` for no limit.
    pub(crate) max_half_open_wait: u64,
    pub(crate) cancel_is_failure: bool,
    pub(crate) panic_is_failure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slow {
    /// Nanoseconds.
    pub(crate) longer_than: u64,
    pub(crate) rate: f64,
}

/// When a half-open breaker closes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ProbeRule {
    /// After so many successes, and opens again at the first failure.
    Successes(u16),
    /// When this share of so many probes succeeded.
    Rate { probes: u16, rate: f64 },
}

impl ProbeRule {
    /// What so many results mean: closed, open again, or nothing yet. A rule is decided as soon as
    /// the probes that are missing could not change it.
    pub(crate) fn decide(self, successes: u16, failures: u16) -> Option<bool> {
        match self {
            Self::Successes(_) if failures > 0 => Some(false),
            Self::Successes(needed) => (successes >= needed).then_some(true),
            Self::Rate { probes, rate } => {
                let share = |successes: u16| f64::from(successes) / f64::from(probes);
                if share(successes) >= rate {
                    Some(true)
                } else if share(probes.saturating_sub(failures)) < rate {
                    Some(false)
                } else {
                    None
                }
            }
        }
    }
}

impl Settings {
    /// Why a closed breaker with these calls in its window opens, if it does.
    #[inline]
    pub(crate) fn trips(&self, counts: Counts) -> Option<Reason> {
        if counts.failures == 0 && counts.slow == 0 {
            return None;
        }
        if counts.failures >= self.failures {
            return Some(Reason::Failures);
        }
        if counts.calls < self.minimum_calls {
            return None;
        }
        // The quotient of two whole numbers is rounded as the rate was when it was written, so
        // 3 of 10 reach a rate of 0.3.
        let share = |part: u32| f64::from(part) / f64::from(counts.calls);
        if self
            .failure_rate
            .is_some_and(|rate| share(counts.failures) >= rate)
        {
            return Some(Reason::FailureRate);
        }
        let slow = self
            .slow
            .is_some_and(|slow| share(counts.slow) >= slow.rate);
        slow.then_some(Reason::SlowCallRate)
    }
}

/// How long a breaker stays open.
#[derive(Clone, Debug)]
pub(crate) struct OpenFor {
    /// Known to build.
    backoff: BackoffBuilder,
    first: Duration,
    salt: Salt,
}

#[derive(Clone, Copy, Debug)]
enum Salt {
    /// The same breaker waits the same times in every run.
    Given(u64),
    /// Breakers and processes differ.
    Random(u64),
}

/// Delays are drawn from the start each time, which takes as many steps as the breaker has opened in
/// a row; from here on they no longer grow.
const LAST_STEP: u16 = 100;

impl OpenFor {
    pub(crate) fn new(backoff: BackoffBuilder, first: Duration, seed: Option<u64>) -> Self {
        Self {
            backoff,
            first,
            salt: seed.map_or_else(
                || Salt::Random(RandomState::new().hash_one(0_u8)),
                Salt::Given,
            ),
        }
    }

    /// The open time before jitter, the first time.
    pub(crate) fn first(&self) -> Duration {
        self.first
    }

    /// How long to stay open after the breaker has opened `before` times since it was last closed.
    ///
    /// `name` tells breakers apart where the times must be the same in every run, `address` where
    /// they must not.
    pub(crate) fn draw(
        &self,
        before: u16,
        generation: u64,
        name: &str,
        address: usize,
    ) -> Duration {
        let (salt, identity) = match self.salt {
            Salt::Given(salt) => (
                salt,
                name.bytes().fold(0, |hash, byte| mix(hash, byte.into())),
            ),
            Salt::Random(salt) => (salt, address as u64),
        };
        let seed = mix(mix(salt, generation), identity);
        let Ok(mut backoff) = self.backoff.seed(seed).build() else {
            return self.first;
        };
        let mut delay = backoff.next_delay();
        for _ in 0..before.min(LAST_STEP) {
            delay = backoff.next_delay();
        }
        delay
    }
}

/// One step of a hash: not for secrets, and not for tables that others fill.
fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A duration in nanoseconds, at most 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(duration.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_probes_is_decided_as_soon_as_it_is_certain() {
        let rule = ProbeRule::Rate {
            probes: 4,
            rate: 0.5,
        };
        assert_eq!(rule.decide(1, 2), None);
        assert_eq!(rule.decide(2, 0), Some(true));
        assert_eq!(rule.decide(1, 3), Some(false));
        let all = ProbeRule::Rate {
            probes: 3,
            rate: 1.0,
        };
        assert_eq!(all.decide(2, 0), None);
        assert_eq!(all.decide(0, 1), Some(false));
        assert_eq!(all.decide(3, 0), Some(true));
        assert_eq!(ProbeRule::Successes(2).decide(1, 0), None);
        assert_eq!(ProbeRule::Successes(2).decide(1, 1), Some(false));
    }

    #[test]
    fn every_rate_is_reached_by_exactly_its_share() {
        // A rate that was written with two digits is reached by that many of a hundred calls, and
        // not by one less.
        for percent in 1..=100_u32 {
            let rate = f64::from(percent) / 100.0;
            assert!(f64::from(percent) / 100.0 >= rate);
            assert!(f64::from(percent - 1) / 100.0 < rate);
        }
    }

    #[test]
    fn nanoseconds_end_where_the_number_does() {
        assert_eq!(nanos(Duration::MAX), u64::MAX);
        assert_eq!(nanos(Duration::new(1, 5)), 1_000_000_005);
    }
}
