//! [`Held`]: all that one item holds while it runs.

use super::loan::Lent;
use crate::worker_pool::Permit;

/// Given back on drop, what is wanted most urgently first: the inner counts before the outer ones.
#[expect(dead_code, reason = "held for what their drop gives back")]
pub(super) enum Held {
    Root(Permit),
    Lent(Lent),
    Counted(Box<Counted>),
}

/// Fields drop in the order of their declaration.
#[expect(dead_code, reason = "held for what their drop gives back")]
pub(super) struct Counted {
    running: Vec<Permit>,
    outer: Held,
    gate: Option<Permit>,
}

impl Held {
    pub(super) fn narrowed(running: Permit, outer: Self, gate: Permit) -> Self {
        Self::Counted(Box::new(Counted {
            running: vec![running],
            outer,
            gate: Some(gate),
        }))
    }

    pub(super) fn lent(also: Vec<Permit>, lent: Lent) -> Self {
        if also.is_empty() {
            return Self::Lent(lent);
        }
        Self::Counted(Box::new(Counted {
            running: also,
            outer: Self::Lent(lent),
            gate: None,
        }))
    }
}
