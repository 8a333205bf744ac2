//! [`Ranking`]: slots by keys that may change in any direction, smallest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{NONE, SlotVec};

/// A heap that forgets lazily: a slot's last entry in it is the one that counts, and outdated ones
/// are skipped when they come up. They are never more than the others by much.
#[derive(Debug)]
pub(crate) struct Ranking {
    heap: BinaryHeap<Reverse<Rank>>,
    /// The number of a slot's entry that counts; zero for none.
    numbers: SlotVec<u64>,
    slots: usize,
    next: u64,
    /// The two slots that were popped last, the last one first, with their numbers.
    popped: [(u32, u64); 2],
}

/// Equal keys come up in the order in which they were put in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    key: u64,
    number: u64,
    slot: u32,
}

impl Ranking {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            numbers: SlotVec::new(0),
            slots: 0,
            next: 1,
            popped: [(NONE, 0); 2],
        }
    }

    /// Puts a slot in, or gives it another key.
    pub(crate) fn set(&mut self, slot: u32, key: u64) {
        let number = self.next;
        self.next += 1;
        self.set_numbered(slot, key, number);
    }

    /// Takes a slot back that one of the last two calls of `pop` gave out, to its old place.
    pub(crate) fn put_back(&mut self, slot: u32, key: u64) {
        match self.popped.iter().find(|(popped, _)| *popped == slot) {
            Some((_, number)) => self.set_numbered(slot, key, *number),
            None => self.set(slot, key),
        }
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
            self.popped = [(rank.slot, rank.number), self.popped[0]];
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
