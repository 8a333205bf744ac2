//! [`State`], and the packed word that holds it.

use std::fmt;

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum State {
    /// Calls run, and their outcomes decide whether it opens.
    Closed,
    /// Calls are rejected until the open time is over.
    Open,
    /// A few calls run as probes; the others are rejected.
    HalfOpen,
    /// Calls are rejected until somebody says otherwise.
    #[doc(alias = "isolated")]
    ForcedOpen,
    /// Calls run and nothing is watched; only the totals go on.
    Disabled,
    /// Calls run and are watched as when closed, and it never opens.
    MetricsOnly,
}

impl State {
    /// The state in the words of metrics and logs, such as `half_open`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }

    /// Whether calls run without being counted as probes.
    #[must_use]
    pub fn admits_all(self) -> bool {
        matches!(self, Self::Closed | Self::Disabled | Self::MetricsOnly)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced open",
            Self::MetricsOnly => "metrics only",
            plain => plain.as_str(),
        })
    }
}

/// The word that decides what happens to a call.
///
/// | bits | meaning | who changes them |
/// |---|---|---|
/// | 61 to 63 | the state, those that admit all first | the holder of `BUSY` |
/// | 3 to 60 | the generation: how many times the state was set | the holder of `BUSY` |
/// | 2 `FULL` | half-open: no probe is left to hand out | the holder of `BUSY` |
/// | 1 `QUIET` | all are admitted: a success would change nothing | the holder of `BUSY` |
/// | 0 `BUSY` | somebody works on what the word guards | who finds it clear and sets it |
///
/// State and generation together are the *epoch*. 58 bits of generation last for nine years of one
/// change each nanosecond, so an epoch never comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

const BUSY: u64 = 1;
const QUIET: u64 = 1 << 1;
const FULL: u64 = 1 << 2;
const GENERATION: u32 = 3;
const KIND: u32 = 61;

/// The states by their number in the word.
const KINDS: [State; 6] = [
    State::Closed,
    State::MetricsOnly,
    State::Disabled,
    State::HalfOpen,
    State::Open,
    State::ForcedOpen,
];

/// Words below this one belong to states that admit all.
const NOT_ALL: u64 = 3 << KIND;

impl Word {
    pub(crate) fn new(state: State, generation: u64) -> Self {
        let kind = match state {
            State::Closed => 0,
            State::MetricsOnly => 1,
            State::Disabled => 2,
            State::HalfOpen => 3,
            State::Open => 4,
            State::ForcedOpen => 5,
        };
        let generation = generation & (u64::MAX >> (64 - KIND + GENERATION));
        Self(kind << KIND | generation << GENERATION)
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn admits_all(self) -> bool {
        self.0 < NOT_ALL
    }

    pub(crate) fn state(self) -> State {
        // Six and seven are never written.
        KINDS[((self.0 >> KIND) as usize).min(KINDS.len() - 1)]
    }

    pub(crate) fn generation(self) -> u64 {
        (self.0 << (64 - KIND)) >> (64 - KIND + GENERATION)
    }

    /// Whether both are of one state and generation.
    #[inline]
    pub(crate) fn is_same_epoch(self, other: Self) -> bool {
        (self.0 ^ other.0) >> GENERATION == 0
    }

    /// Whether the epoch is that of `earlier`, all are admitted, and a success changes nothing.
    /// Who holds `BUSY` does not matter: until it lets go, the success can count as before it.
    #[inline]
    pub(crate) fn is_quiet_since(self, earlier: Self) -> bool {
        self.0 | BUSY | FULL == earlier.0 | QUIET | BUSY | FULL
    }

    #[inline]
    pub(crate) fn is_busy(self) -> bool {
        self.0 & BUSY != 0
    }

    pub(crate) fn busy(self) -> Self {
        Self(self.0 | BUSY)
    }

    pub(crate) fn is_full(self) -> bool {
        self.0 & FULL != 0
    }

    pub(crate) fn with_full(self, is_full: bool) -> Self {
        Self(self.0 & !FULL | if is_full { FULL } else { 0 })
    }

    #[inline]
    pub(crate) fn with_quiet(self, is_quiet: bool) -> Self {
        Self(self.0 & !QUIET | if is_quiet { QUIET } else { 0 })
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.state(), self.generation())?;
        for (bit, name) in [(BUSY, "busy"), (QUIET, "quiet"), (FULL, "full")] {
            if self.0 & bit != 0 {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_state_generation_and_flags_apart() {
        let most = (1 << 58) - 1;
        for state in KINDS {
            for generation in [0, 1, 7, 1 << 32, most] {
                let word = Word::new(state, generation);
                assert_eq!((word.state(), word.generation()), (state, generation));
                assert_eq!(word.admits_all(), state.admits_all());
                let flagged = word.busy().with_full(true).with_quiet(true);
                assert!(flagged.is_same_epoch(word) && flagged.is_busy() && flagged.is_full());
                assert_eq!((flagged.state(), flagged.generation()), (state, generation));
                assert_eq!(flagged.with_full(false).with_quiet(false), word.busy());
                assert!(!word.is_same_epoch(Word::new(state, generation.wrapping_add(1))));
            }
        }
    }

    #[test]
    fn quiet_is_quiet_in_the_same_epoch_only() {
        let admitted = Word::new(State::Closed, 4);
        let quiet = admitted.with_quiet(true);
        assert!(quiet.is_quiet_since(admitted) && quiet.busy().is_quiet_since(admitted));
        assert!(!admitted.is_quiet_since(quiet));
        assert!(
            !Word::new(State::Closed, 5)
                .with_quiet(true)
                .is_quiet_since(admitted)
        );
        let probe = Word::new(State::HalfOpen, 4);
        assert!(!probe.with_full(true).is_quiet_since(probe));
    }
}
