//! [`Ring`]: the last calls by count, a bit each for failed and for slow.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

use super::{Counts, Sample};
use crate::primitive::{AtomicU32, AtomicU64};
use crate::totals::{Deferred, Totals};

const BITS: u32 = u64::BITS;

/// A ring of bits with running totals, so that taking in a call costs the same for every size.
///
/// Invariants: the totals are those of the bits; places that no call has reached yet hold zeros;
/// the oldest call is at `head` once the ring is full.
pub(crate) struct Ring {
    size: u32,
    head: AtomicU32,
    filled: AtomicU32,
    failures: AtomicU32,
    slow: AtomicU32,
    /// How many of the successes that threads put off were taken in, in this epoch. It wraps.
    gathered: AtomicU32,
    deferred: OnceLock<Deferred>,
    /// The failed ones, and behind them, where they are watched, the slow ones.
    words: Box<[AtomicU64]>,
}

impl Ring {
    pub(crate) fn new(size: u32, watches_slow: bool) -> Self {
        let words = size.div_ceil(BITS) * if watches_slow { 2 } else { 1 };
        Self {
            size,
            head: AtomicU32::new(0),
            filled: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            slow: AtomicU32::new(0),
            gathered: AtomicU32::new(0),
            deferred: OnceLock::new(),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    #[inline]
    pub(crate) fn push(&self, sample: Sample) -> Counts {
        let head = self.head.load(Relaxed);
        self.set(0, head, sample.failed, &self.failures);
        let planes = self.size.div_ceil(BITS) as usize;
        if self.words.len() > planes {
            self.set(planes, head, sample.slow, &self.slow);
        }
        let next = if head + 1 == self.size { 0 } else { head + 1 };
        self.head.store(next, Relaxed);
        let filled = self.filled.load(Relaxed);
        if filled < self.size {
            self.filled.store(filled + 1, Relaxed);
        }
        self.counts()
    }

    /// Whether threads may have put off successes: once they did, one may be late to do so when the
    /// word no longer allows it.
    #[inline]
    pub(crate) fn has_gathered(&self) -> bool {
        self.deferred.get().is_some()
    }

    /// Takes in the successes that threads have put off in this epoch. Slow calls are not watched.
    pub(crate) fn gather(&self, totals: &Totals, tag: u32) {
        let deferred = match self.deferred.get() {
            Some(deferred) => deferred,
            None => match totals.deferred() {
                Some(deferred) => self.deferred.get_or_init(|| deferred),
                None => return,
            },
        };
        let count = deferred.count(tag);
        let new = count.wrapping_sub(self.gathered.load(Relaxed));
        self.gathered.store(count, Relaxed);
        self.push_successes(new);
    }

    /// Takes in so many successes, a word at a time.
    fn push_successes(&self, count: u32) {
        let mut head = self.head.load(Relaxed);
        let mut failures = self.failures.load(Relaxed);
        let mut left = count.min(self.size);
        while left > 0 {
            let bit = head % BITS;
            let run = left.min(BITS - bit).min(self.size - head);
            let mask = (u64::MAX >> (BITS - run)) << bit;
            let word = &self.words[(head / BITS) as usize];
            let bits = word.load(Relaxed);
            failures -= (bits & mask).count_ones();
            word.store(bits & !mask, Relaxed);
            head = if head + run == self.size {
                0
            } else {
                head + run
            };
            left -= run;
        }
        self.failures.store(failures, Relaxed);
        self.head.store(head, Relaxed);
        let filled = self
            .filled
            .load(Relaxed)
            .saturating_add(count)
            .min(self.size);
        self.filled.store(filled, Relaxed);
    }

    /// Writes a bit of the plane that begins at `plane`, and corrects its total.
    #[inline]
    fn set(&self, plane: usize, at: u32, bit: bool, total: &AtomicU32) {
        let word = &self.words[plane + (at / BITS) as usize];
        let (bits, mask) = (word.load(Relaxed), 1 << (at % BITS));
        if (bits & mask != 0) == bit {
            return;
        }
        word.store(bits ^ mask, Relaxed);
        let count = total.load(Relaxed);
        total.store(if bit { count + 1 } else { count - 1 }, Relaxed);
    }

    #[inline]
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            calls: self.filled.load(Relaxed),
            failures: self.failures.load(Relaxed),
            slow: self.slow.load(Relaxed),
        }
    }

    /// The calls, the oldest first.
    pub(crate) fn samples(&self) -> impl Iterator<Item = Sample> {
        let filled = self.filled.load(Relaxed);
        let first = if filled < self.size {
            0
        } else {
            self.head.load(Relaxed)
        };
        let planes = self.size.div_ceil(BITS) as usize;
        let bit = move |plane: usize, at: u32| {
            let word = self.words.get(plane + (at / BITS) as usize);
            word.is_some_and(|word| word.load(Relaxed) >> (at % BITS) & 1 == 1)
        };
        (0..filled).map(move |age| {
            let at = (first + age) % self.size;
            Sample {
                failed: bit(0, at),
                slow: bit(planes, at),
            }
        })
    }

    pub(crate) fn clear(&self) {
        for word in &self.words {
            word.store(0, Relaxed);
        }
        for cell in [
            &self.head,
            &self.filled,
            &self.failures,
            &self.slow,
            &self.gathered,
        ] {
            cell.store(0, Relaxed);
        }
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn successes_taken_in_together_are_as_those_taken_in_one_by_one() {
        const OK: Sample = Sample {
            failed: false,
            slow: false,
        };
        for size in [1, 63, 64, 65, 100, 128, 129] {
            let (together, apart) = (Ring::new(size, false), Ring::new(size, false));
            for step in 0..2_000_u32 {
                let failed = Sample {
                    failed: step % 3 != 0,
                    slow: false,
                };
                together.push(failed);
                apart.push(failed);
                let count = step * 7 % 140;
                together.push_successes(count);
                for _ in 0..count {
                    apart.push(OK);
                }
                assert_eq!(
                    together.counts(),
                    apart.counts(),
                    "size {size}, step {step}"
                );
                assert!(together.samples().eq(apart.samples()));
            }
        }
    }

    #[test]
    fn a_million_calls_agree_with_a_queue_at_sizes_around_whole_words() {
        for size in [1, 2, 63, 64, 65, 100, 127, 128, 129] {
            let ring = Ring::new(size, true);
            let mut queue = VecDeque::new();
            let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(size);
            let mut naive = Counts::default();
            for step in 0..1_000_000_u32 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                // Long runs of one outcome, and mixtures.
                let share = [0, 8, 128, 256][(step / 777 % 4) as usize];
                let sample = Sample {
                    failed: random & 0xff < share,
                    slow: random >> 8 & 0xff < share / 2,
                };
                queue.push_back(sample);
                naive.add(sample);
                if queue.len() > size as usize {
                    let old: Sample = queue.pop_front().expect("it is not empty");
                    naive.calls -= 1;
                    naive.failures -= u32::from(old.failed);
                    naive.slow -= u32::from(old.slow);
                }
                assert_eq!(ring.push(sample), naive, "size {size}, step {step}");
            }
            assert!(ring.samples().eq(queue));
            ring.clear();
            assert_eq!(ring.counts(), Counts::default());
            assert_eq!(ring.samples().count(), 0);
        }
    }
}
