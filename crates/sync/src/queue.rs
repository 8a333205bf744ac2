//! The pure state of a wait list: idle values, and a FIFO queue of tickets in a slab.
//!
//! It knows no lock and no thread. Invariants:
//!
//! 1. Idle values and waiting tickets never coexist: a value that arrives goes to the oldest
//!    waiting ticket, and a ticket is only issued when there is no idle value.
//! 2. A ticket's slot is freed by its owner only, through [`Queue::redeem`] or [`Queue::cancel`],
//!    so an index can never mean somebody else's ticket.
//! 3. Only waiting tickets are linked; a granted one has left the queue and holds its value.

use std::task::Waker;

/// No neighbour.
const NIL: usize = usize::MAX;

/// What a ticket's owner finds when it looks.
pub(crate) enum Redeemed<T> {
    /// The value; the ticket is gone.
    Granted(T),
    /// Nothing yet; the registered waker is still the right one.
    Waiting,
    /// Nothing yet, and the registered waker would wake somebody else.
    StaleWaker,
}

pub(crate) struct Queue<T> {
    idle: Vec<T>,
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
    oldest: usize,
    newest: usize,
    waiting: usize,
}

enum Slot<T> {
    Free,
    Waiting {
        waker: Waker,
        older: usize,
        newer: usize,
    },
    Granted(T),
}

impl<T> Queue<T> {
    pub(crate) fn new(idle: Vec<T>) -> Self {
        Self {
            idle,
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NIL,
            newest: NIL,
            waiting: 0,
        }
    }

    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes an idle value. By invariant 1 this overtakes nobody.
    pub(crate) fn take_idle(&mut self) -> Option<T> {
        self.idle.pop()
    }

    /// Gives a value to the oldest waiting ticket and returns the waker to call once the lock is
    /// released, or keeps it idle.
    #[must_use = "the waker must be woken after the lock is released"]
    pub(crate) fn put(&mut self, value: T) -> Option<Waker> {
        let ticket = self.oldest;
        if ticket == NIL {
            self.idle.push(value);
            return None;
        }
        self.unlink(ticket);
        match std::mem::replace(&mut self.slots[ticket], Slot::Granted(value)) {
            Slot::Waiting { waker, .. } => Some(waker),
            Slot::Free | Slot::Granted(_) => unreachable!("only waiting tickets are linked"),
        }
    }

    /// Joins the back of the queue.
    pub(crate) fn join(&mut self, waker: Waker) -> usize {
        let slot = Slot::Waiting {
            waker,
            older: self.newest,
            newer: NIL,
        };
        let ticket = match self.free.pop() {
            Some(ticket) => {
                self.slots[ticket] = slot;
                ticket
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        match self.newest {
            NIL => self.oldest = ticket,
            newest => self.set_newer(newest, ticket),
        }
        self.newest = ticket;
        self.waiting += 1;
        ticket
    }

    /// Looks whether a ticket was granted; if so the ticket is spent.
    pub(crate) fn redeem(&mut self, ticket: usize, waker: &Waker) -> Redeemed<T> {
        match &self.slots[ticket] {
            Slot::Waiting { waker: own, .. } if own.will_wake(waker) => Redeemed::Waiting,
            Slot::Waiting { .. } => Redeemed::StaleWaker,
            Slot::Granted(_) => match self.release(ticket) {
                Slot::Granted(value) => Redeemed::Granted(value),
                Slot::Free | Slot::Waiting { .. } => unreachable!("matched as granted above"),
            },
            Slot::Free => unreachable!("a ticket is freed by its owner only"),
        }
    }

    /// Replaces the waker of a ticket that still waits; returns what is no longer needed.
    #[must_use = "a waker is dropped after the lock is released"]
    pub(crate) fn replace_waker(&mut self, ticket: usize, new: Waker) -> Waker {
        match &mut self.slots[ticket] {
            Slot::Waiting { waker, .. } => std::mem::replace(waker, new),
            Slot::Free | Slot::Granted(_) => new,
        }
    }

    /// Gives a ticket back. A value that was already granted passes on to the next in line, whose
    /// waker comes first; the second is the ticket's own, to be dropped outside the lock.
    #[must_use = "wakers are woken and dropped after the lock is released"]
    pub(crate) fn cancel(&mut self, ticket: usize) -> (Option<Waker>, Option<Waker>) {
        if matches!(self.slots[ticket], Slot::Waiting { .. }) {
            self.unlink(ticket);
        }
        match self.release(ticket) {
            Slot::Granted(value) => (self.put(value), None),
            Slot::Waiting { waker, .. } => (None, Some(waker)),
            Slot::Free => unreachable!("a ticket is freed by its owner only"),
        }
    }

    fn release(&mut self, ticket: usize) -> Slot<T> {
        self.free.push(ticket);
        std::mem::replace(&mut self.slots[ticket], Slot::Free)
    }

    fn unlink(&mut self, ticket: usize) {
        let Slot::Waiting { older, newer, .. } = self.slots[ticket] else {
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
        self.waiting -= 1;
    }

    fn set_newer(&mut self, ticket: usize, to: usize) {
        if let Slot::Waiting { newer, .. } = &mut self.slots[ticket] {
            *newer = to;
        }
    }

    fn set_older(&mut self, ticket: usize, to: usize) {
        if let Slot::Waiting { older, .. } = &mut self.slots[ticket] {
            *older = to;
        }
    }
}
