//! A small random generator for delays; not for secrets.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// SplitMix64: Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA
/// 2014; constants as in Vigna's public-domain `splitmix64.c`.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Without a seed, one that differs from value to value and from process to process: the
    /// standard library's hash keys are random.
    pub(super) fn new(seed: Option<u64>) -> Self {
        Self(seed.unwrap_or_else(|| RandomState::new().hash_one(0_u8)))
    }

    /// Uniform over the nanoseconds from `low` to `high`, both included. Spans beyond 584 years are
    /// drawn in steps of about four seconds.
    pub(super) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let random = u128::from(self.next());
        let span = high.saturating_sub(low).as_nanos();
        // Multiply and shift instead of a remainder: its bias is 2^-64 of the span.
        let offset = if span < u128::from(u64::MAX) {
            ((span + 1) * random) >> 64
        } else {
            ((span >> 32) * random) >> 32
        };
        low.saturating_add(from_nanos(offset)).min(high)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn from_nanos(nanos: u128) -> Duration {
    const PER_SECOND: u128 = 1_000_000_000;
    match u64::try_from(nanos / PER_SECOND) {
        Ok(secs) => Duration::new(secs, (nanos % PER_SECOND) as u32),
        Err(_) => Duration::MAX,
    }
}
