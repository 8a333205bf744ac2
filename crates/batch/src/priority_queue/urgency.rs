//! [`Urgency`]: how urgent an item is.

use std::time::Duration;

/// How urgent an item is: its class, and the deadline it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Urgency {
    pub(super) class: u8,
    pub(super) within: Option<Duration>,
}

impl Urgency {
    /// A class without a deadline; 0, the default, is the most urgent.
    #[must_use]
    pub fn class(class: u8) -> Self {
        Self {
            class,
            within: None,
        }
    }

    /// A deadline, counted from the push.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self {
            within: Some(within),
            ..self
        }
    }
}

impl From<u8> for Urgency {
    fn from(class: u8) -> Self {
        Self::class(class)
    }
}
