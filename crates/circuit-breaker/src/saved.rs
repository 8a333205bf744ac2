//! [`SavedState`]: the state of a breaker as data, to be taken to another process.

use std::time::Duration;

use thiserror::Error;

use crate::state::State;
use crate::window::{Counts, Sample, Window};

/// The state of a breaker as data: what it has learned, without its settings and totals.
///
/// Times are told as what is left of them, so the clocks of the two processes need not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct SavedState {
    /// The state. A half-open breaker is imported as an open one whose time is over, since its
    /// probes stay where they are.
    pub state: State,
    /// Open: what is left of the open time; `None` for no end.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::duration::option"))]
    pub open_for: Option<Duration>,
    /// How many times it has opened since it was last closed.
    #[cfg_attr(feature = "serde", serde(default))]
    pub openings_in_a_row: u32,
    /// The calls in its window.
    pub window: SavedWindow,
}

/// The calls in a window, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum SavedWindow {
    /// None, as of a breaker that is not closed. Every breaker takes this.
    Empty,
    /// For a breaker of consecutive failures.
    Consecutive {
        /// Failures in a row.
        failures: u32,
    },
    /// For a window by count.
    Calls {
        /// A letter for each call, the oldest first: `.` a success, `x` a failure, `s` a slow
        /// success, `S` a slow failure.
        calls: String,
    },
    /// For a window by time.
    Slices {
        /// How long a slice is; `None` for as long as those of whoever imports it.
        #[cfg_attr(feature = "serde", serde(default, with = "crate::duration::option"))]
        width: Option<Duration>,
        /// What its slices hold; those without calls are left out.
        slices: Vec<SavedSlice>,
    },
}

/// A slice of a window by time, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct SavedSlice {
    /// How many slices ago, zero for the current one.
    pub age: u32,
    /// Its calls.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that were slow.
    pub slow_calls: u32,
}

/// A saved state that a breaker cannot take. The breaker is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It was saved by a breaker with another kind of window.
    #[error("the saved window is of {saved}, the breaker's is of {ours}")]
    OtherWindow {
        /// What was saved.
        saved: &'static str,
        /// What the breaker has.
        ours: &'static str,
    },
    /// A call is told by a letter that is none of `.`, `x`, `s` and `S`.
    #[error("call {at} is {letter:?}, allowed is '.', 'x', 's' or 'S'")]
    UnknownCall {
        /// Its place, from 0.
        at: usize,
        /// The letter.
        letter: char,
    },
    /// A slice has more failures or slow calls than calls.
    #[error("the slice of age {age} has {part} {what} of {calls} calls")]
    SliceDoesNotAddUp {
        /// The slice.
        age: u32,
        /// The number that is too high.
        part: u32,
        /// What it counts.
        what: &'static str,
        /// The calls of the slice.
        calls: u32,
    },
}

impl SavedSlice {
    pub(crate) fn new(age: u32, counts: Counts) -> Self {
        Self {
            age,
            calls: counts.calls,
            failures: counts.failures,
            slow_calls: counts.slow,
        }
    }

    /// Its age in slices of `ours` nanoseconds, where it was saved in those of `theirs`, and what it
    /// holds. What is too old for any window is as old as can be.
    pub(crate) fn counts_in(&self, ours: u64, theirs: u64) -> (u32, Counts) {
        let age = u128::from(self.age) * u128::from(theirs) / u128::from(ours.max(1));
        let age = u32::try_from(age).unwrap_or(u32::MAX);
        let counts = Counts {
            calls: self.calls,
            failures: self.failures,
            slow: self.slow_calls,
        };
        (age, counts)
    }
}

impl SavedWindow {
    pub(crate) fn calls(samples: impl Iterator<Item = Sample>) -> Self {
        let letter = |sample: Sample| match (sample.failed, sample.slow) {
            (false, false) => '.',
            (true, false) => 'x',
            (false, true) => 's',
            (true, true) => 'S',
        };
        Self::Calls {
            calls: samples.map(letter).collect(),
        }
    }

    /// Whether a breaker with this window can take it; the calls that are to be pushed one by one.
    pub(crate) fn check(&self, ours: &Window) -> Result<Vec<Sample>, ImportError> {
        match (self, ours) {
            (Self::Empty, _) => Ok(Vec::new()),
            (Self::Consecutive { .. }, Window::Consecutive) => Ok(Vec::new()),
            (Self::Calls { calls }, Window::Word { .. } | Window::Ring(_)) => {
                let sample = |(at, letter)| match letter {
                    '.' | 'x' | 's' | 'S' => Ok(Sample {
                        failed: matches!(letter, 'x' | 'S'),
                        slow: matches!(letter, 's' | 'S'),
                    }),
                    letter => Err(ImportError::UnknownCall { at, letter }),
                };
                calls.chars().enumerate().map(sample).collect()
            }
            (Self::Slices { slices, .. }, Window::Buckets(_)) => {
                for slice in slices {
                    let parts = [
                        (slice.failures, "failures"),
                        (slice.slow_calls, "slow calls"),
                    ];
                    for (part, what) in parts {
                        if part > slice.calls {
                            return Err(ImportError::SliceDoesNotAddUp {
                                age: slice.age,
                                part,
                                what,
                                calls: slice.calls,
                            });
                        }
                    }
                }
                Ok(Vec::new())
            }
            _ => Err(ImportError::OtherWindow {
                saved: match self {
                    Self::Empty => "nothing",
                    Self::Consecutive { .. } => "consecutive failures",
                    Self::Calls { .. } => "the last calls",
                    Self::Slices { .. } => "a time",
                },
                ours: match ours {
                    Window::Consecutive => "consecutive failures",
                    Window::Word { .. } | Window::Ring(_) => "the last calls",
                    Window::Buckets(_) => "a time",
                },
            }),
        }
    }
}
