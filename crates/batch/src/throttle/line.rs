//! [`Line`]: who waits for a throttle to open, in order of arrival.
//!
//! The first in line reads the sources for all. Who stands first without knowing it is woken: that
//! is the duty of [`Line::leave`].

use std::collections::BTreeMap;
use std::task::Waker;

#[derive(Default)]
pub(super) struct Line {
    /// By ticket, so the first is the oldest. A waker that is gone was taken by somebody who wakes
    /// it; its owner brings another one when it is polled.
    waiting: BTreeMap<u64, Option<Waker>>,
    tickets: u64,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Joins the line or stays in it, with this waker. Returns the waker that it replaces, to be
    /// dropped outside the lock, and whether the ticket is the first.
    pub(super) fn join(&mut self, ticket: &mut Option<u64>, waker: Waker) -> (Option<Waker>, bool) {
        let ticket = *ticket.get_or_insert_with(|| {
            self.tickets += 1;
            self.tickets
        });
        let stale = self.waiting.insert(ticket, Some(waker)).flatten();
        (stale, self.first() == Some(ticket))
    }

    /// Leaves the line. Returns the waker of the one that is first now, to be woken, and the own
    /// one, to be dropped, both outside the lock.
    pub(super) fn leave(&mut self, ticket: u64) -> (Option<Waker>, Option<Waker>) {
        let was_first = self.first() == Some(ticket);
        let own = self.waiting.remove(&ticket).flatten();
        let next = match self.waiting.values_mut().next() {
            Some(waker) if was_first => waker.take(),
            _ => None,
        };
        (next, own)
    }

    /// Takes the wakers of all, to be woken outside the lock. They stay in line until they leave.
    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        let wakers = self.waiting.values_mut();
        wakers.filter_map(Option::take).collect()
    }

    fn first(&self) -> Option<u64> {
        self.waiting.keys().next().copied()
    }
}
