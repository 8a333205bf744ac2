//! [`Early`]: whether a value is loaded anew before its end, by chance.
//!
//! If nobody loads a value before it ends, everybody who asks then waits for its load. So each hit
//! decides by itself whether to load ahead: the nearer the end, and the longer loads take, the more
//! likely. That is "optimal probabilistic cache stampede prevention" (Vattani, Chierichetti and
//! Lowenstein, VLDB 2015), with how long the loads of this cache take in the place of how long the
//! last load of the key did, so that entries need not keep it.

use std::sync::atomic::Ordering::Relaxed;

use crate::primitive::AtomicU64;

/// How much of the mean one load makes up: a part of two to this power.
const WEIGHT: u32 = 3;

#[derive(Debug)]
pub(crate) struct Early {
    /// How eager: the paper's beta.
    beta: f64,
    /// How long loads take, in nanoseconds: a moving mean. Zero before the first.
    typical: AtomicU64,
}

impl Early {
    pub(crate) fn new(beta: f64) -> Self {
        Self {
            beta,
            typical: AtomicU64::new(0),
        }
    }

    /// A load took so long. Of two that end at the same time, one may not count.
    pub(crate) fn took(&self, nanos: u64) {
        let nanos = nanos.max(1);
        let mean = match self.typical.load(Relaxed) {
            0 => nanos,
            mean => mean - (mean >> WEIGHT) + (nanos >> WEIGHT),
        };
        self.typical.store(mean.max(1), Relaxed);
    }

    /// Whether to load a value that ends in so many nanoseconds, given 64 bits of chance.
    pub(crate) fn is_due(&self, left: u64, chance: u64) -> bool {
        // From 2^-53 to 1, so the logarithm is finite.
        let share = ((chance >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let gap = self.typical.load(Relaxed) as f64 * self.beta * -share.ln();
        (left as f64) <= gap
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::Early;

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn chances() -> impl Iterator<Item = u64> {
        let step = 0x9E37_79B9_7F4A_7C15_u64;
        (1..).map(move |number: u64| {
            let state = number.wrapping_mul(step);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        })
    }

    #[test]
    fn the_share_of_lookups_that_load_ahead_falls_off_exponentially() {
        for beta in [0.5, 1.0, 4.0] {
            let early = Early::new(beta);
            early.took(1_000_000);
            for loads_ahead in [0.1, 1.0, 2.0, 4.0] {
                let left = (loads_ahead * 1e6) as u64;
                let draws = 100_000;
                let due = chances().take(draws).filter(|it| early.is_due(left, *it));
                let (share, expected) = (
                    due.count() as f64 / draws as f64,
                    (-loads_ahead / beta).exp(),
                );
                assert!((share - expected).abs() < 0.01, "{share} of {expected}");
            }
        }
    }

    #[test]
    fn before_the_first_load_nothing_is_known_and_nothing_is_due() {
        let early = Early::new(1.0);
        assert!(!chances().take(1_000).any(|chance| early.is_due(1, chance)));
    }

    #[test]
    fn no_time_and_no_chance_is_out_of_range() {
        let early = Early::new(f64::MAX);
        for took in [0, 1, u64::MAX, u64::MAX] {
            early.took(took);
            for chance in [0, u64::MAX] {
                let _ = (early.is_due(0, chance), early.is_due(u64::MAX, chance));
            }
        }
    }
}
