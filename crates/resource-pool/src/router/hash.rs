//! Hashes of ids and keys that are the same in every process, and who wins a key by them.
//!
//! Rendezvous hashing: Thaler and Ravishankar, "Using name-based mappings to increase hit rates"
//! (1998); with weights as in Schindelhauer and Schomaker, "Weighted distributed hash tables" (2005).
//! Whoever has the highest score for a key wins it; when a target goes, only the keys it had move.

use std::hash::{Hash, Hasher};

/// FNV-1a of 64 bits, mixed at the end. No key: ids are the program's own.
struct Stable(u64);

impl Hasher for Stable {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        mix(self.0)
    }
}

/// The hash of an id or a key.
pub(super) fn hash_of<H: Hash + ?Sized>(value: &H) -> u64 {
    let mut hasher = Stable(0xcbf2_9ce4_8422_2325);
    value.hash(&mut hasher);
    hasher.finish()
}

/// The finalizer of splitmix64 (Steele, Lea and Flood, 2014): every bit of the result depends on
/// every bit of the number.
#[inline]
pub(super) fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// What a target has to say about a key. The greatest wins.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Score(f64, u64);

/// The score of a target for a key. Targets of weight one need no logarithm as long as all are.
#[inline]
pub(super) fn score(key: u64, target: u64, weight: u32, all_are_equal: bool) -> Score {
    let hash = mix(key ^ target.rotate_left(32));
    if all_are_equal {
        return Score(0.0, hash);
    }
    // A number above 0, up to 1; its logarithm is negative, and nearer to zero the greater it is.
    let share = ((hash >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    Score(share.ln() / f64::from(weight), hash)
}

/// A sequence of random numbers, splitmix64.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(start: u64) -> Self {
        Self(start)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, which is more than zero; by multiplication (Lemire, 2019), the bias of
    /// which is less than one in 2^32 here.
    #[inline]
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_in_every_process_and_version() {
        assert_eq!(hash_of("eu"), 0x45e5_b091_fa10_6d11);
        assert_eq!(mix(1), 0x5692_161d_100b_05e5);
        assert_ne!(hash_of("eu"), hash_of("us"));
    }

    #[test]
    fn equal_weights_elect_the_same_with_and_without_logarithms() {
        let targets: Vec<u64> = (0..50).map(|it| hash_of(&it)).collect();
        for key in 0..500_u64 {
            let key = hash_of(&key);
            let best = |equal| {
                let scores = targets.iter().map(|it| (score(key, *it, 1, equal), *it));
                scores.reduce(|best, it| if it.0 > best.0 { it } else { best })
            };
            assert_eq!(best(true).map(|it| it.1), best(false).map(|it| it.1));
        }
    }
}
