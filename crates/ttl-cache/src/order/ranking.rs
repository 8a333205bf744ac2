//! [`Ranking`]: slots by keys that may change in any direction, smallest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::SlotVec;

/// A heap that forgets lazily: a slot's last entry in it is the one that counts, and outdated ones
/// are skipped when they come up. They are never more than the others by much.
#[derive(Debug)]
pub(crate) struct Ranking {
    heap: BinaryHeap<Reverse<Rank>>,
    /// The number of a slot's entry that counts; zero for none.
    numbers: SlotVec<u64>,
    slots: usize,
    next: u64,
    /// Numbers for slots that are put back, growing downwards.
    before: u64,
}

/// Equal keys come up in the order in which they were put in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    key: u64,
    number: u64,
    slot: u32,
}

const MIDDLE: u64 = 1 << 63;

impl Ranking {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            numbers: SlotVec::new(0),
            slots: 0,
            next: MIDDLE + 1,
            before: MIDDLE,
        }
    }

    /// Puts a slot in, or gives it another key.
    pub(crate) fn set(&mut self, slot: u32, key: u64) {
        let number = self.next;
        self.next += 1;
        self.set_numbered(slot, key, number);
    }

    /// Takes a slot back that `pop` gave out: it comes up before all others with its key.
    pub(crate) fn put_back(&mut self, slot: u32, key: u64) {
        let number = self.before;
        self.before -= 1;
        self.set_numbered(slot, key, number);
    }

    fn set_numbered(&mut self, slot: u32, key: u64, number: u64) {
        if self.numbers.get(slot) == 0 {
            self.slots += 1;
        }
        self.numbers.set(slot, number);
        self.heap.push(Reverse(Rank { key, number, slot }));
        if self.heap.len() > 2 * self.slots + 64 {
            let numbers = &self.numbers;
            self.heap
                .retain(|Reverse(it)| numbers.get(it.slot) == it.number);
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        if self.numbers.get(slot) != 0 {
            self.numbers.set(slot, 0);
            self.slots -= 1;
        }
    }

    /// Takes the slot with the smallest key. `key_of` tells keys that have grown meanwhile.
    pub(crate) fn pop(&mut self, key_of: impl Fn(u32) -> u64) -> Option<(u32, u64)> {
        while let Some(Reverse(rank)) = self.heap.pop() {
            if self.numbers.get(rank.slot) != rank.number {
                continue;
            }
            let key = key_of(rank.slot);
            if key > rank.key {
                self.heap.push(Reverse(Rank { key, ..rank }));
                continue;
            }
            self.remove(rank.slot);
            return Some((rank.slot, rank.key));
        }
        None
    }

    /// Forgets the slots from `slots` on, of which none is in.
    pub(crate) fn shrink(&mut self, slots: u32) {
        let numbers = &self.numbers;
        self.heap
            .retain(|Reverse(it)| it.slot < slots && numbers.get(it.slot) == it.number);
        self.heap.shrink_to(2 * self.slots);
        self.numbers.shrink(slots);
    }
}
