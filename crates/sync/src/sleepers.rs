//! The pure state of a timer: who sleeps until when, as a binary heap that can be cancelled from.
//!
//! It knows no lock, no thread and no clock. Invariants:
//!
//! 1. `heap[slot.position]` is the slot's index, for every slot that is taken.
//! 2. No sleeper comes before its parent in the heap, by deadline and then by number, so sleepers
//!    of one deadline leave in the order of their arrival.
//! 3. A number is given once, so a key never means a later sleeper in the same slot.

use std::task::Waker;
use std::time::Duration;

/// A sleeper's claim on its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    slot: usize,
    number: u64,
}

/// What came of [`Sleepers::arm`].
pub(crate) enum Armed {
    /// The waker is in place.
    Yes,
    /// It is, and this one is no longer needed; to be dropped outside the lock.
    Replaced(Waker),
    /// A clone of the waker must be given.
    NeedsWaker,
}

#[derive(Default)]
pub(crate) struct Sleepers {
    slots: Vec<Option<Sleeper>>,
    free: Vec<usize>,
    heap: Vec<usize>,
    next_number: u64,
}

struct Sleeper {
    deadline: Duration,
    number: u64,
    position: usize,
    waker: Waker,
}

impl Sleepers {
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let &first = self.heap.first()?;
        Some(self.sleeper(first).deadline)
    }

    /// Makes sure that `waker` is woken at `deadline`. `fresh` is a clone of it that was made
    /// outside the lock, if there is one by now.
    pub(crate) fn arm(
        &mut self,
        key: &mut Option<Key>,
        deadline: Duration,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Armed {
        let slot = key.filter(|&key| self.holds(key)).map(|key| key.slot);
        if let Some(slot) = slot
            && self.sleeper(slot).waker.will_wake(waker)
        {
            return Armed::Yes;
        }
        let Some(fresh) = fresh.take() else {
            return Armed::NeedsWaker;
        };
        match slot {
            Some(slot) => {
                Armed::Replaced(std::mem::replace(&mut self.sleeper_mut(slot).waker, fresh))
            }
            None => {
                *key = Some(self.insert(deadline, fresh));
                Armed::Yes
            }
        }
    }

    /// Removes a sleeper that has not left yet; its waker is to be dropped outside the lock.
    #[must_use = "a waker is dropped after the lock is released"]
    pub(crate) fn cancel(&mut self, key: Key) -> Option<Waker> {
        self.holds(key).then(|| self.remove(key.slot))
    }

    /// Removes the earliest sleeper if it is due; its waker is to be woken outside the lock.
    #[must_use = "the waker must be woken after the lock is released"]
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<Waker> {
        let &first = self.heap.first()?;
        (self.sleeper(first).deadline <= now).then(|| self.remove(first))
    }

    fn holds(&self, key: Key) -> bool {
        matches!(&self.slots[key.slot], Some(sleeper) if sleeper.number == key.number)
    }

    fn insert(&mut self, deadline: Duration, waker: Waker) -> Key {
        let number = self.next_number;
        self.next_number += 1;
        let sleeper = Sleeper {
            deadline,
            number,
            position: self.heap.len(),
            waker,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = Some(sleeper);
                slot
            }
            None => {
                self.slots.push(Some(sleeper));
                self.slots.len() - 1
            }
        };
        self.heap.push(slot);
        self.rise(self.heap.len() - 1);
        Key { slot, number }
    }

    fn remove(&mut self, slot: usize) -> Waker {
        let sleeper = self.slots[slot]
            .take()
            .expect("only taken slots are removed");
        self.free.push(slot);
        let position = sleeper.position;
        self.heap.swap_remove(position);
        if let Some(&moved) = self.heap.get(position) {
            self.sleeper_mut(moved).position = position;
            self.sink(position);
            self.rise(position);
        }
        sleeper.waker
    }

    fn rise(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if !self.precedes(position, parent) {
                return;
            }
            self.swap(position, parent);
            position = parent;
        }
    }

    fn sink(&mut self, mut position: usize) {
        loop {
            let mut first = position;
            for child in [2 * position + 1, 2 * position + 2] {
                if child < self.heap.len() && self.precedes(child, first) {
                    first = child;
                }
            }
            if first == position {
                return;
            }
            self.swap(position, first);
            position = first;
        }
    }

    fn precedes(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.sleeper(self.heap[a]), self.sleeper(self.heap[b]));
        (a.deadline, a.number) < (b.deadline, b.number)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        for position in [a, b] {
            let slot = self.heap[position];
            self.sleeper_mut(slot).position = position;
        }
    }

    fn sleeper(&self, slot: usize) -> &Sleeper {
        self.slots[slot]
            .as_ref()
            .expect("the heap names taken slots only")
    }

    fn sleeper_mut(&mut self, slot: usize) -> &mut Sleeper {
        self.slots[slot]
            .as_mut()
            .expect("the heap names taken slots only")
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::{Key, Sleepers};

    fn insert(sleepers: &mut Sleepers, nanos: u64) -> Key {
        let mut key = None;
        let mut fresh = Some(Waker::noop().clone());
        sleepers.arm(
            &mut key,
            Duration::from_nanos(nanos),
            Waker::noop(),
            &mut fresh,
        );
        key.expect("a fresh waker was given")
    }

    #[test]
    fn a_million_cancelled_sleepers_need_the_room_of_those_who_sleep_together() {
        let mut sleepers = Sleepers::default();
        let mut held = Vec::new();
        for number in 0..1_000_000 {
            held.push(insert(&mut sleepers, number * 7_919 % 1_000));
            if held.len() == 100 {
                for key in held.drain(..) {
                    assert!(sleepers.cancel(key).is_some());
                    assert!(sleepers.cancel(key).is_none(), "a key is good for once");
                }
            }
        }
        assert_eq!((sleepers.len(), sleepers.slots.len()), (0, 100));
        assert!(sleepers.heap.capacity() < 1_000 && sleepers.free.capacity() < 1_000);
    }

    #[test]
    fn who_is_left_leaves_in_order_whoever_was_cancelled() {
        for factor in 1..1_000 {
            let mut sleepers = Sleepers::default();
            // Multiples modulo a prime: each deadline once, in an order of their own.
            let deadlines: Vec<u64> = (1..=40).map(|n| n * factor % 1_009).collect();
            let mut left = Vec::new();
            let keys: Vec<_> = deadlines
                .iter()
                .map(|nanos| insert(&mut sleepers, *nanos))
                .collect();
            for (key, nanos) in keys.into_iter().zip(deadlines) {
                match nanos % 2 {
                    0 => assert!(sleepers.cancel(key).is_some()),
                    _ => left.push(nanos),
                }
            }
            left.sort_unstable();
            for nanos in left {
                let next = sleepers.next_deadline();
                assert_eq!(next, Some(Duration::from_nanos(nanos)));
                assert!(sleepers.pop_due(Duration::from_nanos(nanos)).is_some());
            }
        }
    }

    #[test]
    fn a_key_never_means_a_later_sleeper_in_the_same_slot() {
        let mut sleepers = Sleepers::default();
        let first = insert(&mut sleepers, 1);
        assert!(sleepers.pop_due(Duration::from_nanos(1)).is_some());
        let second = insert(&mut sleepers, 2);
        assert_eq!(first.slot, second.slot);
        assert!(sleepers.cancel(first).is_none());
        assert_eq!(sleepers.len(), 1);
    }
}
