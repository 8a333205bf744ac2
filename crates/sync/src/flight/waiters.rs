//! The wakers of those who wait for a flight, in a slab: one seat each for as long as they wait.

use std::task::Waker;

/// What came of [`Waiters::arm`].
pub(super) enum Armed {
    /// The waker is in place.
    Yes,
    /// It is, and this one is no longer needed; to be dropped outside the lock.
    Replaced(Waker),
    /// A clone of the waker must be given.
    NeedsWaker,
}

/// A seat belongs to its waiter until the waiter leaves. Its waker is taken out to be woken, and a
/// seat without one means that the waiter was woken since it last looked.
#[derive(Default)]
pub(super) struct Waiters {
    seats: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Waiters {
    /// Whether nobody has waited so far: then there are no wakers to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Takes a seat with a waker that is to be woken next time.
    pub(super) fn sit(&mut self, waker: Waker) -> usize {
        let seat = self.seat(&mut None);
        self.seats[seat] = Some(waker);
        seat
    }

    /// Makes sure that `waker` is woken next time. `fresh` is a clone of it that was made outside
    /// the lock, if there is one by now.
    pub(super) fn arm(
        &mut self,
        seat: &mut Option<usize>,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Armed {
        if let Some(seat) = *seat
            && let Some(own) = &self.seats[seat]
            && own.will_wake(waker)
        {
            return Armed::Yes;
        }
        let Some(fresh) = fresh.take() else {
            return Armed::NeedsWaker;
        };
        let seat = self.seat(seat);
        match self.seats[seat].replace(fresh) {
            Some(old) => Armed::Replaced(old),
            None => Armed::Yes,
        }
    }

    /// Gives a seat back; its waker is to be dropped outside the lock.
    #[must_use = "a waker is dropped after the lock is released"]
    pub(super) fn leave(&mut self, seat: usize) -> Option<Waker> {
        self.free.push(seat);
        self.seats[seat].take()
    }

    /// Takes wakers out of the seats from `*from` on, as many as there is room for, and moves
    /// `*from` behind the last seat that was looked at. Returns whether seats are left.
    pub(super) fn take(&mut self, from: &mut usize, room: &mut [Option<Waker>]) -> bool {
        let mut room = room.iter_mut();
        let mut place = room.next();
        while *from < self.seats.len() {
            if self.seats[*from].is_some() {
                let Some(free) = place else { return true };
                *free = self.seats[*from].take();
                place = room.next();
            }
            *from += 1;
        }
        false
    }

    fn seat(&mut self, own: &mut Option<usize>) -> usize {
        *own.get_or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.seats.push(None);
                self.seats.len() - 1
            })
        })
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use std::task::Waker;

    use super::Waiters;

    fn sit(waiters: &mut Waiters) -> usize {
        let mut seat = None;
        waiters.arm(&mut seat, Waker::noop(), &mut Some(Waker::noop().clone()));
        seat.expect("a fresh waker was given")
    }

    #[test]
    fn seats_are_as_many_as_waited_together() {
        let mut waiters = Waiters::default();
        let stays = sit(&mut waiters);
        for _ in 0..1_000_000 {
            let seat = sit(&mut waiters);
            assert!(waiters.leave(seat).is_some());
        }
        assert_eq!((stays, waiters.seats.len()), (0, 2));
    }

    #[test]
    fn wakers_are_taken_in_batches_and_each_once() {
        for sitting in 0..12 {
            let mut waiters = Waiters::default();
            let seats: Vec<_> = (0..sitting + 2).map(|_| sit(&mut waiters)).collect();
            // Holes at both ends.
            let _ = (waiters.leave(seats[0]), waiters.leave(seats[sitting + 1]));
            let (mut from, mut taken, mut more) = (0, 0, true);
            while more {
                let mut room = [const { None }; 4];
                more = waiters.take(&mut from, &mut room);
                let batch = room.into_iter().flatten().count();
                assert!(!more || batch == 4, "a batch is full unless it is the last");
                taken += batch;
            }
            assert_eq!(taken, sitting);
        }
    }
}
