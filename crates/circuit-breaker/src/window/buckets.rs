//! [`Buckets`]: the calls of a time, in slices of it.

use std::sync::atomic::Ordering::Relaxed;

use super::{Counts, Sample};
use crate::primitive::{AtomicU32, AtomicU64};

/// A ring of slices of time with running totals: taking in a call costs the same however many
/// calls the window holds, and a slice leaves as a whole.
///
/// The window is the current slice and the `len - 1` before it, so a call leaves it when between
/// `len - 1` and `len` slices have passed. Slices begin at whole multiples of their width on the
/// clock. A reading that is older than the current slice counts in the current one: clocks of
/// several threads disagree by a tick, and a call is not lost for that.
///
/// Invariants: the totals are the sums over the slices; `end` is the end of the slice at `head`, a
/// multiple of `width` or zero before the first call.
pub(crate) struct Buckets {
    /// Nanoseconds of a slice, at least one.
    width: u64,
    end: AtomicU64,
    head: AtomicU32,
    total: Slice,
    slices: Box<[Slice]>,
}

struct Slice {
    calls: AtomicU32,
    failures: AtomicU32,
    slow: AtomicU32,
}

impl Slice {
    fn new() -> Self {
        Self {
            calls: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            slow: AtomicU32::new(0),
        }
    }

    #[inline]
    fn get(&self) -> Counts {
        Counts {
            calls: self.calls.load(Relaxed),
            failures: self.failures.load(Relaxed),
            slow: self.slow.load(Relaxed),
        }
    }

    fn set(&self, counts: Counts) {
        self.calls.store(counts.calls, Relaxed);
        self.failures.store(counts.failures, Relaxed);
        self.slow.store(counts.slow, Relaxed);
    }

    #[inline]
    fn add(&self, sample: Sample) {
        let count = |cell: &AtomicU32| cell.store(cell.load(Relaxed) + 1, Relaxed);
        count(&self.calls);
        if sample.failed {
            count(&self.failures);
        }
        if sample.slow {
            count(&self.slow);
        }
    }
}

impl Buckets {
    pub(crate) fn new(width: u64, len: u32) -> Self {
        Self {
            width,
            end: AtomicU64::new(0),
            head: AtomicU32::new(0),
            total: Slice::new(),
            slices: (0..len).map(|_| Slice::new()).collect(),
        }
    }

    #[inline]
    pub(crate) fn push(&self, sample: Sample, now: u64) -> Counts {
        if now >= self.end.load(Relaxed) {
            self.advance(now);
        }
        // All calls of a window fit its total, or the call is not taken in: a total that saturates
        // would no longer be the sum of the slices.
        if self.total.calls.load(Relaxed) < u32::MAX {
            self.slices[self.head.load(Relaxed) as usize].add(sample);
            self.total.add(sample);
        }
        self.total.get()
    }

    /// Lets the slices go that are too old at this time.
    pub(crate) fn advance(&self, now: u64) {
        let end = self.end.load(Relaxed);
        if now < end {
            return;
        }
        let len = self.slices.len() as u64;
        let steps = ((now - end) / self.width).saturating_add(1);
        if steps >= len {
            self.clear();
        } else {
            let mut total = self.total.get();
            let mut head = self.head.load(Relaxed) as usize;
            for _ in 0..steps {
                head = if head + 1 == self.slices.len() {
                    0
                } else {
                    head + 1
                };
                let old = self.slices[head].get();
                self.slices[head].set(Counts::default());
                total.calls -= old.calls;
                total.failures -= old.failures;
                total.slow -= old.slow;
            }
            self.total.set(total);
            self.head.store(head as u32, Relaxed);
        }
        let next = (now / self.width)
            .saturating_add(1)
            .saturating_mul(self.width);
        self.end.store(next, Relaxed);
    }

    #[inline]
    pub(crate) fn counts(&self) -> Counts {
        self.total.get()
    }

    /// The slices that hold calls, the oldest first: how many slices ago, and what they hold.
    pub(crate) fn slices(&self) -> impl Iterator<Item = (u32, Counts)> {
        let len = self.slices.len() as u32;
        let head = self.head.load(Relaxed);
        let slices = (0..len).rev().map(move |age| {
            let at = (head + len - age) % len;
            (age, self.slices[at as usize].get())
        });
        slices.filter(|(_, counts)| counts.calls > 0)
    }

    /// Nanoseconds of a slice.
    pub(crate) fn width(&self) -> u64 {
        self.width
    }

    /// Puts back what [`slices`](Self::slices) told, at this time. Too old ones are left out, those
    /// of one age are added up.
    pub(crate) fn restore(&self, now: u64, slices: impl IntoIterator<Item = (u32, Counts)>) {
        self.clear();
        self.advance(now);
        let len = self.slices.len() as u32;
        let head = self.head.load(Relaxed);
        let mut total = Counts::default();
        for (age, counts) in slices.into_iter().filter(|(age, _)| *age < len) {
            let slice = &self.slices[((head + len - age) % len) as usize];
            let left = u32::MAX - total.calls;
            if counts.calls <= left {
                let held = slice.get();
                slice.set(Counts {
                    calls: held.calls + counts.calls,
                    failures: held.failures + counts.failures,
                    slow: held.slow + counts.slow,
                });
                total.calls += counts.calls;
                total.failures += counts.failures;
                total.slow += counts.slow;
            }
        }
        self.total.set(total);
    }

    pub(crate) fn clear(&self) {
        for slice in &self.slices {
            slice.set(Counts::default());
        }
        self.total.set(Counts::default());
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Calls with the number of their slice, forgotten by their age.
    #[test]
    fn a_million_calls_agree_with_a_queue_however_the_clock_jumps() {
        for (width, len) in [(1, 1), (10, 2), (1_000, 10), (7, 64), (3, 65)] {
            let buckets = Buckets::new(width, len);
            let mut queue: VecDeque<(u64, Sample)> = VecDeque::new();
            let (mut now, mut latest) = (0_u64, 0_u64);
            let mut random = 0x2545_f491_4f6c_dd1d_u64 ^ width;
            let mut naive = Counts::default();
            for step in 0..1_000_000_u32 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                now = match random % 1_000 {
                    0 => now.saturating_add(width * u64::from(len) * (random >> 32 & 3)),
                    1..100 => now.saturating_add(random >> 32 & (width * 2)),
                    // Another thread's reading may be a little older.
                    100..110 => now.saturating_sub(width),
                    _ => now.saturating_add(u64::from(random >> 40 & 7 == 0)),
                };
                let sample = Sample {
                    failed: random >> 20 & 3 == 0,
                    slow: random >> 22 & 7 == 0,
                };
                latest = latest.max(now / width);
                queue.push_back((latest, sample));
                naive.add(sample);
                while let Some((slice, old)) = queue.front().copied() {
                    if slice + u64::from(len) > latest {
                        break;
                    }
                    queue.pop_front();
                    naive.calls -= 1;
                    naive.failures -= u32::from(old.failed);
                    naive.slow -= u32::from(old.slow);
                }
                assert_eq!(
                    buckets.push(sample, now),
                    naive,
                    "{width}x{len}, step {step}"
                );
            }
        }
    }

    #[test]
    fn the_ends_of_time_do_not_wrap() {
        let ok = Sample {
            failed: false,
            slow: false,
        };
        for width in [1, u64::MAX / 10, u64::MAX] {
            let buckets = Buckets::new(width, 10);
            for now in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX, 0, u64::MAX] {
                assert!(buckets.push(ok, now).calls >= 1);
            }
        }
    }

    #[test]
    fn what_was_told_can_be_put_back() {
        let sample = |failed| Sample {
            failed,
            slow: !failed,
        };
        let buckets = Buckets::new(10, 4);
        for now in [0, 5, 12, 31] {
            buckets.push(sample(now == 12), now);
        }
        let told: Vec<_> = buckets.slices().collect();
        let other = Buckets::new(10, 4);
        other.restore(1_000, told.clone());
        assert_eq!(other.counts(), buckets.counts());
        assert!(other.slices().eq(told));
    }
}
