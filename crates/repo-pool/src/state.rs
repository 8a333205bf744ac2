//! The state machine of a slot, as data: which state may follow which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a slot is doing.
///
/// ```text
/// creating -> available -> preparing -> leased -> cleaning -> available
///
/// preparing, leased, cleaning -> dirty      its lease ended, or whoever worked on it gave up
/// preparing, leased, cleaning -> cleaning   its owner died: whoever found it makes sure that nothing of it runs
/// preparing, cleaning         -> error      it could not be made fit
/// dirty -> preparing, cleaning; error -> cleaning
/// ```
///
/// A slot is handed out in state `leased` only, and comes there through `preparing` only: no other
/// path leads to a tenant, so none leads around the check that the slot is clean and at its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlotState {
    /// Its working copy is being made.
    Creating,
    /// Clean and sealed: it can be given out.
    Available,
    /// Given to a tenant and being brought to the commit that the tenant asked for.
    Preparing,
    /// In a tenant's hands.
    Leased,
    /// Being made fit for the next tenant.
    Cleaning,
    /// Not clean, in nobody's hands: it is cleaned before it is given out.
    Dirty,
    /// It could not be made fit; it is given out again only after a recovery.
    Error,
}

impl SlotState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Creating,
        Self::Available,
        Self::Preparing,
        Self::Leased,
        Self::Cleaning,
        Self::Dirty,
        Self::Error,
    ];

    /// Whether a slot may go from this state to `next`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use SlotState::{Available, Cleaning, Creating, Dirty, Error, Leased, Preparing};
        match self {
            Creating => matches!(next, Available | Error),
            Available => matches!(next, Preparing),
            Preparing => matches!(next, Leased | Cleaning | Dirty | Error),
            Leased => matches!(next, Cleaning | Dirty),
            Cleaning => matches!(next, Available | Cleaning | Dirty | Error),
            Dirty => matches!(next, Preparing | Cleaning),
            Error => matches!(next, Cleaning),
        }
    }

    /// The states from which a slot may come to this one.
    pub(crate) fn predecessors(self) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |state| state.may_become(self))
    }

    /// Whether somebody works on a slot in this state, and so owns it.
    pub(crate) fn has_owner(self) -> bool {
        matches!(
            self,
            Self::Creating | Self::Preparing | Self::Leased | Self::Cleaning
        )
    }

    /// The state's name, as it is stored and printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Available => "available",
            Self::Preparing => "preparing",
            Self::Leased => "leased",
            Self::Cleaning => "cleaning",
            Self::Dirty => "dirty",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SlotState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// A text that names no state.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} names no slot state")]
pub struct UnknownState(String);

#[cfg(test)]
mod tests {
    use super::SlotState;

    #[test]
    fn a_tenant_gets_a_slot_only_after_it_was_prepared() {
        let into_leased: Vec<_> = SlotState::Leased.predecessors().collect();
        assert_eq!(into_leased, [SlotState::Preparing]);
    }

    #[test]
    fn a_slot_becomes_available_only_after_it_was_made_or_cleaned() {
        let before: Vec<_> = SlotState::Available.predecessors().collect();
        assert_eq!(before, [SlotState::Creating, SlotState::Cleaning]);
    }

    #[test]
    fn every_state_leads_back_to_a_tenant() {
        for start in SlotState::ALL.into_iter() {
            let mut reached = vec![start];
            let mut next = 0;
            while let Some(&state) = reached.get(next) {
                next += 1;
                for to in SlotState::ALL {
                    if state.may_become(to) && !reached.contains(&to) {
                        reached.push(to);
                    }
                }
            }
            assert!(
                reached.contains(&SlotState::Leased),
                "{start} never leads to leased"
            );
        }
    }

    #[test]
    fn names_read_back() {
        for state in SlotState::ALL {
            assert_eq!(state.as_str().parse::<SlotState>().expect("a name"), state);
        }
        assert!("allocated".parse::<SlotState>().is_err());
    }
}
