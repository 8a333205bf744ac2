//! [`Line`]: those who wait for permits, in order of arrival, in a slab of tickets.
//!
//! It knows no lock, no counter and no thread. Invariants:
//!
//! 1. Only waiting tickets are linked. One that was granted or refused has left the line and holds
//!    its answer.
//! 2. A ticket's place is freed by its owner only, through [`Line::redeem`] or [`Line::leave`], so
//!    an index can never mean somebody else's ticket.
//! 3. No waker is cloned, woken or dropped here: each is handed out, for after the lock.

use std::task::Waker;

/// No neighbour.
const NIL: usize = usize::MAX;

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// How many permits must be free.
    pub(super) needs: u32,
    /// How many of them are taken: all, or none by those who only want to know.
    pub(super) takes: u32,
}

/// What a ticket's owner finds when it looks.
#[derive(Debug)]
pub(super) enum Redeemed {
    /// Its wish came true; the ticket is gone.
    Granted,
    /// Its wish can no longer come true, because this is all there is; the ticket is gone.
    Refused { max: u32 },
    /// Nothing yet; the registered waker is still the right one.
    Waiting,
    /// Nothing yet, and the registered waker would wake somebody else.
    StaleWaker,
}

#[derive(Debug)]
pub(super) struct Line {
    places: Vec<Place>,
    free: Vec<usize>,
    oldest: usize,
    newest: usize,
    length: usize,
    /// How many in line need more than one permit: without any, nobody need be looked for when the
    /// number of permits shrinks.
    heavy: usize,
}

#[derive(Debug)]
enum Place {
    Free,
    Waiting {
        wish: Wish,
        waker: Waker,
        older: usize,
        newer: usize,
    },
    Granted {
        takes: u32,
    },
    Refused {
        max: u32,
    },
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            oldest: NIL,
            newest: NIL,
            length: 0,
            heavy: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What the one who has waited longest wants.
    pub(super) fn first(&self) -> Option<Wish> {
        match self.places.get(self.oldest)? {
            Place::Waiting { wish, .. } => Some(*wish),
            Place::Free | Place::Granted { .. } | Place::Refused { .. } => None,
        }
    }

    /// Joins the end of the line.
    pub(super) fn join(&mut self, wish: Wish, waker: Waker) -> usize {
        let place = Place::Waiting {
            wish,
            waker,
            older: self.newest,
            newer: NIL,
        };
        let ticket = match self.free.pop() {
            Some(ticket) => {
                self.places[ticket] = place;
                ticket
            }
            None => {
                self.places.push(place);
                self.places.len() - 1
            }
        };
        match self.newest {
            NIL => self.oldest = ticket,
            newest => self.set_newer(newest, ticket),
        }
        self.newest = ticket;
        self.length += 1;
        self.heavy += usize::from(wish.needs > 1);
        ticket
    }

    /// Grants the wish of the first in line; whoever keeps the count has taken what it takes.
    #[must_use = "the waker must be woken after the lock is released"]
    pub(super) fn grant_first(&mut self) -> Option<Waker> {
        let takes = self.first()?.takes;
        Some(self.answer(self.oldest, Place::Granted { takes }))
    }

    /// Refuses all whose wish is more than `max`, the number of permits.
    #[must_use = "the wakers must be woken after the lock is released"]
    pub(super) fn refuse_above(&mut self, max: u32) -> Vec<Waker> {
        let mut refused = Vec::new();
        if self.heavy == 0 && max > 0 {
            return refused;
        }
        let mut next = self.oldest;
        while let Some(Place::Waiting { wish, newer, .. }) = self.places.get(next) {
            let (ticket, too_much) = (next, wish.needs > max);
            next = *newer;
            if too_much {
                refused.push(self.answer(ticket, Place::Refused { max }));
            }
        }
        refused
    }

    /// Looks for the answer to a ticket; if there is one the ticket is spent.
    pub(super) fn redeem(&mut self, ticket: usize, waker: &Waker) -> Redeemed {
        let found = match &self.places[ticket] {
            Place::Waiting { waker: own, .. } if own.will_wake(waker) => return Redeemed::Waiting,
            Place::Waiting { .. } => return Redeemed::StaleWaker,
            Place::Granted { .. } => Redeemed::Granted,
            Place::Refused { max } => Redeemed::Refused { max: *max },
            Place::Free => unreachable!("a ticket is freed by its owner only"),
        };
        self.release(ticket);
        found
    }

    /// Replaces the waker of a ticket that still waits; returns the one no longer needed.
    #[must_use = "a waker is dropped after the lock is released"]
    pub(super) fn replace_waker(&mut self, ticket: usize, new: Waker) -> Waker {
        match &mut self.places[ticket] {
            Place::Waiting { waker, .. } => std::mem::replace(waker, new),
            Place::Free | Place::Granted { .. } | Place::Refused { .. } => new,
        }
    }

    /// Gives a ticket back. Returns the permits it was already granted, and its waker if it still
    /// waited.
    #[must_use = "permits pass on, and a waker is dropped after the lock is released"]
    pub(super) fn leave(&mut self, ticket: usize) -> (u32, Option<Waker>) {
        if matches!(self.places[ticket], Place::Waiting { .. }) {
            self.unlink(ticket);
        }
        match self.release(ticket) {
            Place::Waiting { waker, .. } => (0, Some(waker)),
            Place::Granted { takes } => (takes, None),
            Place::Refused { .. } => (0, None),
            Place::Free => unreachable!("a ticket is freed by its owner only"),
        }
    }

    fn answer(&mut self, ticket: usize, answer: Place) -> Waker {
        self.unlink(ticket);
        match std::mem::replace(&mut self.places[ticket], answer) {
            Place::Waiting { waker, .. } => waker,
            Place::Free | Place::Granted { .. } | Place::Refused { .. } => {
                unreachable!("only waiting tickets are linked")
            }
        }
    }

    fn release(&mut self, ticket: usize) -> Place {
        self.free.push(ticket);
        std::mem::replace(&mut self.places[ticket], Place::Free)
    }

    fn unlink(&mut self, ticket: usize) {
        let Place::Waiting {
            wish, older, newer, ..
        } = self.places[ticket]
        else {
            unreachable!("only waiting tickets are linked");
        };
        match older {
            NIL => self.oldest = newer,
            older => self.set_newer(older, newer),
        }
        match newer {
            NIL => self.newest = older,
            newer => self.set_older(newer, older),
        }
        self.length -= 1;
        self.heavy -= usize::from(wish.needs > 1);
    }

    fn set_newer(&mut self, ticket: usize, to: usize) {
        if let Place::Waiting { newer, .. } = &mut self.places[ticket] {
            *newer = to;
        }
    }

    fn set_older(&mut self, ticket: usize, to: usize) {
        if let Place::Waiting { older, .. } = &mut self.places[ticket] {
            *older = to;
        }
    }
}
