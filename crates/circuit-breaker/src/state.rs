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
/// | 63 `TIMED` | calls are timed, so admitting one takes more than a look at the word | nobody |
/// | 60 to 62 | the state, those that admit all first | the holder of `BUSY` |
/// | 4 to 59 | the generation: how many times the state was set | the holder of `BUSY` |
/// | 3 `DEFER` | all are admitted: a success can wait to be taken in until a failure is | the holder of `BUSY` |
/// | 2 `FULL` | half-open: no probe is left to hand out | the holder of `BUSY` |
/// | 1 `QUIET` | all are admitted: a success would change nothing | the holder of `BUSY` |
/// | 0 `BUSY` | somebody works on what the word guards | who finds it clear and sets it |
///
/// State and generation together are the *epoch*. 56 bits of generation last for two years of one
/// change each nanosecond, so an epoch never comes back. A timed breaker is neither `QUIET` nor
/// `DEFER`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

const BUSY: u64 = 1;
const QUIET: u64 = 1 << 1;
const FULL: u64 = 1 << 2;
const DEFER: u64 = 1 << 3;
const GENERATION: u32 = 4;
const FLAGS: u64 = (1 << GENERATION) - 1;
const KIND: u32 = 60;
const KIND_BITS: u64 = 7 << KIND;
const TIMED: u64 = 1 << 63;

/// The states by their number in the word.
const KINDS: [State; 6] = [
    State::Closed,
    State::MetricsOnly,
    State::Disabled,
    State::HalfOpen,
    State::Open,
    State::ForcedOpen,
];

/// Words below this one admit all at once.
const NOT_ALL: u64 = 3 << KIND;

impl Word {
    pub(crate) fn new(state: State, is_timed: bool) -> Self {
        let timed = if is_timed { TIMED } else { 0 };
        Self(timed | Self::kind(state))
    }

    /// The next epoch, in this state, without flags.
    pub(crate) fn next(self, state: State) -> Self {
        let generation = (self.generation() + 1) << GENERATION;
        Self(self.0 & TIMED | Self::kind(state) | generation & ((1 << KIND) - 1))
    }

    fn kind(state: State) -> u64 {
        let kind = match state {
            State::Closed => 0,
            State::MetricsOnly => 1,
            State::Disabled => 2,
            State::HalfOpen => 3,
            State::Open => 4,
            State::ForcedOpen => 5,
        };
        kind << KIND
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Whether all are admitted, and there is nothing else to be done for a call that begins.
    #[inline]
    pub(crate) fn admits_at_once(self) -> bool {
        self.0 < NOT_ALL
    }

    #[inline]
    pub(crate) fn is_open_and_idle(self) -> bool {
        self.0 & KIND_BITS == 4 << KIND && !self.is_busy()
    }

    pub(crate) fn state(self) -> State {
        // Six and seven are never written.
        KINDS[(((self.0 & KIND_BITS) >> KIND) as usize).min(KINDS.len() - 1)]
    }

    pub(crate) fn generation(self) -> u64 {
        (self.0 << (64 - KIND)) >> (64 - KIND + GENERATION)
    }

    #[inline]
    pub(crate) fn is_closed(self) -> bool {
        self.0 & KIND_BITS == 0
    }

    /// Whether results go into the window.
    #[inline]
    pub(crate) fn is_watched(self) -> bool {
        self.0 & KIND_BITS <= 1 << KIND
    }

    #[inline]
    pub(crate) fn is_half_open(self) -> bool {
        self.0 & KIND_BITS == 3 << KIND
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
        self.0 | FLAGS ^ QUIET == earlier.0 | FLAGS
    }

    /// Whether the epoch is that of `earlier`, and a success can wait to be taken in.
    #[inline]
    pub(crate) fn defers_since(self, earlier: Self) -> bool {
        self.0 | FLAGS ^ DEFER == earlier.0 | FLAGS
    }

    pub(crate) fn defers(self) -> bool {
        self.0 & DEFER != 0
    }

    pub(crate) fn with_defer(self, defers: bool) -> Self {
        let defers = defers && self.0 & TIMED == 0;
        Self(self.0 & !DEFER | if defers { DEFER } else { 0 })
    }

    #[inline]
    pub(crate) fn is_busy(self) -> bool {
        self.0 & BUSY != 0
    }

    #[inline]
    pub(crate) fn busy(self) -> Self {
        Self(self.0 | BUSY)
    }

    /// Without `BUSY`.
    #[inline]
    pub(crate) fn idle(self) -> Self {
        Self(self.0 & !BUSY)
    }

    pub(crate) fn is_full(self) -> bool {
        self.0 & FULL != 0
    }

    pub(crate) fn with_full(self, is_full: bool) -> Self {
        Self(self.0 & !FULL | if is_full { FULL } else { 0 })
    }

    #[inline]
    pub(crate) fn with_quiet(self, is_quiet: bool) -> Self {
        let is_quiet = is_quiet && self.0 & TIMED == 0;
        Self(self.0 & !QUIET | if is_quiet { QUIET } else { 0 })
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.state(), self.generation())?;
        for (bit, name) in [
            (BUSY, "busy"),
            (QUIET, "quiet"),
            (FULL, "full"),
            (DEFER, "defer"),
        ] {
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

    fn word(state: State, is_timed: bool, generation: u64) -> Word {
        let before = Word(
            Word::new(state, is_timed).0
                | generation.wrapping_sub(1) << GENERATION & ((1 << KIND) - 1),
        );
        before.next(state)
    }

    #[test]
    fn a_word_keeps_state_generation_and_flags_apart() {
        let most = (1 << 56) - 1;
        for state in KINDS {
            for (generation, is_timed) in [
                (0, true),
                (1, false),
                (7, true),
                (1 << 32, false),
                (most, true),
            ] {
                let word = word(state, is_timed, generation);
                assert_eq!((word.state(), word.generation()), (state, generation));
                assert_eq!(word.admits_at_once(), state.admits_all() && !is_timed);
                assert_eq!(word.is_open_and_idle(), state == State::Open);
                assert_eq!(word.is_closed(), state == State::Closed);
                assert_eq!(word.is_half_open(), state == State::HalfOpen);
                let is_watched = [State::Closed, State::MetricsOnly].contains(&state);
                assert_eq!(word.is_watched(), is_watched);
                assert!(!word.busy().is_open_and_idle());
                let flagged = word
                    .busy()
                    .with_full(true)
                    .with_quiet(true)
                    .with_defer(true);
                assert!(flagged.defers_since(word) != is_timed && !word.defers_since(flagged));
                assert!(flagged.is_same_epoch(word) && flagged.is_busy() && flagged.is_full());
                assert_eq!((flagged.state(), flagged.generation()), (state, generation));
                assert_eq!(
                    flagged.with_full(false).with_quiet(false).with_defer(false),
                    word.busy()
                );
                assert!(!word.is_same_epoch(word.next(state)));
            }
        }
    }

    #[test]
    fn quiet_is_quiet_in_the_same_epoch_only_and_never_if_timed() {
        let admitted = word(State::Closed, false, 4);
        let quiet = admitted.with_quiet(true);
        assert!(quiet.is_quiet_since(admitted) && quiet.busy().is_quiet_since(admitted));
        assert!(quiet.is_quiet_since(admitted.busy()));
        assert!(!admitted.is_quiet_since(quiet));
        let later = admitted.next(State::Closed).with_quiet(true);
        assert!(!later.is_quiet_since(admitted));
        let probe = word(State::HalfOpen, false, 4);
        assert!(!probe.with_full(true).is_quiet_since(probe));
        let timed = word(State::Closed, true, 4);
        assert!(!timed.with_quiet(true).is_quiet_since(timed));
    }
}
