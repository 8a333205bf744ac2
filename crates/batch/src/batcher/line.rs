//! [`Line`]: those who wait, in order of arrival.
//!
//! It knows no lock. A ticket that is not in the line any more was served: its owner is the only
//! other one who takes it out.

use std::collections::VecDeque;
use std::task::Waker;

/// Leaving from the middle moves the shorter side of the line; all else is O(1), and looking up a
/// ticket O(log n).
#[derive(Debug, Default)]
pub(super) struct Line {
    queue: VecDeque<(u64, Waker)>,
    next: u64,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn join(&mut self, waker: Waker) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.queue.push_back((ticket, waker));
        ticket
    }

    /// Takes the first out of the line.
    #[must_use = "the waker must be woken after the lock is released"]
    pub(super) fn serve(&mut self) -> Option<Waker> {
        self.queue.pop_front().map(|(_, waker)| waker)
    }

    /// The waker of a ticket that still waits; `None` if it was served.
    pub(super) fn waiting(&mut self, ticket: u64) -> Option<&mut Waker> {
        let place = self.find(ticket)?;
        Some(&mut self.queue[place].1)
    }

    /// Takes a ticket out; `None` if it was served.
    #[must_use = "a waker is dropped after the lock is released"]
    pub(super) fn leave(&mut self, ticket: u64) -> Option<Waker> {
        let place = self.find(ticket)?;
        self.queue.remove(place).map(|(_, waker)| waker)
    }

    fn find(&self, ticket: u64) -> Option<usize> {
        self.queue
            .binary_search_by_key(&ticket, |(other, _)| *other)
            .ok()
    }
}
