//! [`Window`]: the calls that decide whether a closed breaker opens.
//!
//! What is here may be touched by whoever holds the breaker's `BUSY` bit, and by nobody else: the
//! atomics are relaxed and stand in for cells, because the holder changes from thread to thread.
//! Letting go of the bit is a release, taking it an acquire, so each holder sees what the one
//! before it wrote.

mod buckets;
mod ring;

use std::sync::atomic::Ordering::Relaxed;

use crate::primitive::{AtomicU8, AtomicU64};
use crate::settings::{Policy, Settings};
use crate::state::Word;
use crate::totals::Totals;

pub(crate) use buckets::Buckets;
pub(crate) use ring::Ring;

/// One call, as a window sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u32,
    pub(crate) failures: u32,
    pub(crate) slow: u32,
}

#[cfg(test)]
impl Counts {
    pub(crate) fn add(&mut self, sample: Sample) {
        self.calls = self.calls.saturating_add(1);
        self.failures = self.failures.saturating_add(sample.failed.into());
        self.slow = self.slow.saturating_add(sample.slow.into());
    }
}

/// What the calls of a window are kept in. The small ones live in two cells of the breaker itself
/// and need nothing here.
pub(crate) enum Window {
    /// A count of failures in a row.
    Consecutive,
    /// The last 64 calls or fewer, one bit each, the latest lowest.
    Word { size: u8 },
    /// The last calls, more than 64 or with a bit for slow ones.
    Ring(Ring),
    /// The calls of a time.
    Buckets(Buckets),
}

/// The cells of a breaker that hold the small windows.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    /// Failures in a row, or the bits of the last calls.
    pub(crate) word: &'a AtomicU64,
    /// How many of the bits are calls.
    pub(crate) filled: &'a AtomicU8,
}

impl Window {
    pub(crate) fn new(settings: &Settings) -> Self {
        let watches_slow = settings.slow.is_some();
        match settings.policy {
            Policy::Consecutive => Self::Consecutive,
            Policy::Count { size: size @ ..=64 } if !watches_slow => {
                Self::Word { size: size as u8 }
            }
            Policy::Count { size } => Self::Ring(Ring::new(size, watches_slow)),
            Policy::Time { width, buckets } => Self::Buckets(Buckets::new(width, buckets)),
        }
    }

    /// Whether breakers with the same settings can share this value.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Consecutive | Self::Word { .. })
    }

    /// Whether it asks for the time of each call.
    pub(crate) fn needs_time(&self) -> bool {
        matches!(self, Self::Buckets(_))
    }

    /// Takes in a call, and says what the window holds then. `now` is looked at by those that need
    /// the time.
    #[inline]
    pub(crate) fn push(&self, cells: Cells<'_>, sample: Sample, now: u64) -> Counts {
        match self {
            Self::Consecutive => {
                let failures = match sample.failed {
                    true => cells.word.load(Relaxed).saturating_add(1),
                    false => 0,
                };
                cells.word.store(failures, Relaxed);
            }
            Self::Word { size } => {
                let bits = cells.word.load(Relaxed) << 1 | u64::from(sample.failed);
                cells.word.store(bits & (u64::MAX >> (64 - size)), Relaxed);
                let filled = cells.filled.load(Relaxed);
                if filled < *size {
                    cells.filled.store(filled + 1, Relaxed);
                }
            }
            Self::Ring(ring) => return ring.push(sample),
            Self::Buckets(buckets) => return buckets.push(sample, now),
        }
        self.counts(cells)
    }

    /// Takes in what threads have put off in the epoch of this word, before something else is taken
    /// in.
    #[inline]
    pub(crate) fn gather(&self, totals: &Totals, word: Word) {
        if let Self::Ring(ring) = self
            && (word.defers() || ring.has_gathered())
        {
            ring.gather(totals, word.generation() as u32);
        }
    }

    /// Whether successes may be put off until something else is taken in: where they can only lower
    /// the rates, and threads have cells to keep them in.
    ///
    /// In a window by count that holds the minimum of calls, a success takes the place of a call
    /// that was no better. When it is taken in does not matter, as long as it is before the next
    /// failure.
    #[inline]
    pub(crate) fn defers(&self, counts: Counts, minimum_calls: u32, totals: &Totals) -> bool {
        let is_large = matches!(self, Self::Ring(_));
        is_large && counts.calls >= minimum_calls && totals.are_kept()
    }

    /// What the window held after the last call.
    pub(crate) fn counts(&self, cells: Cells<'_>) -> Counts {
        match self {
            Self::Consecutive => {
                let failures = u32::try_from(cells.word.load(Relaxed)).unwrap_or(u32::MAX);
                Counts {
                    calls: failures,
                    failures,
                    slow: 0,
                }
            }
            Self::Word { .. } => Counts {
                calls: cells.filled.load(Relaxed).into(),
                failures: cells.word.load(Relaxed).count_ones(),
                slow: 0,
            },
            Self::Ring(ring) => ring.counts(),
            Self::Buckets(buckets) => buckets.counts(),
        }
    }

    /// What the window holds at this time: calls that are too old leave it.
    pub(crate) fn counts_at(&self, cells: Cells<'_>, now: u64) -> Counts {
        if let Self::Buckets(buckets) = self {
            buckets.advance(now);
        }
        self.counts(cells)
    }

    /// Whether a call that neither failed nor was slow would change nothing. Asked after a push,
    /// which had these counts.
    #[inline]
    pub(crate) fn is_quiet(&self, counts: Counts) -> bool {
        let full = match self {
            Self::Consecutive => 0,
            Self::Word { size } => u32::from(*size),
            Self::Ring(ring) => ring.size(),
            Self::Buckets(_) => return false,
        };
        counts.failures == 0 && counts.slow == 0 && counts.calls >= full
    }

    /// Whether this call, after whose push the window had these counts, can have opened the breaker.
    ///
    /// In a window by count a success only lowers the rates, so it matters where it is the one that
    /// completes the minimum. In a window by time, calls have left it, too.
    #[inline]
    pub(crate) fn may_trip(&self, sample: Sample, counts: Counts, minimum_calls: u32) -> bool {
        let is_timed = matches!(self, Self::Buckets(_));
        sample.failed || sample.slow || is_timed || counts.calls == minimum_calls
    }

    /// Forgets all calls.
    pub(crate) fn clear(&self, cells: Cells<'_>) {
        cells.word.store(0, Relaxed);
        cells.filled.store(0, Relaxed);
        match self {
            Self::Consecutive | Self::Word { .. } => {}
            Self::Ring(ring) => ring.clear(),
            Self::Buckets(buckets) => buckets.clear(),
        }
    }
}
