//! [`Held`]: all that one item holds while it runs.

use super::loan::Lent;
use crate::worker_pool::Permit;

/// Given back on drop, what is wanted most urgently first: the inner counts before the outer ones.
pub(super) enum Held {
    Root(Permit),
    Lent(Lent),
    Counted(#[expect(dead_code, reason = "held for what its drop gives back")] Box<Counted>),
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

    /// The same without loans of items that have ended: what such an item had held is held
    /// directly. Else a line of successors would hold one within the other, without end.
    pub(super) fn without_ended(mut self) -> Self {
        loop {
            match self {
                Self::Lent(lent) => match lent.take_over() {
                    Ok(held) => self = held,
                    Err(lent) => return Self::Lent(lent),
                },
                Self::Root(_) | Self::Counted(_) => return self,
            }
        }
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
