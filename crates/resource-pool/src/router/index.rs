//! [`Index`]: the targets that may be picked now, in as much order as the strategy needs.

use crate::router::config::Strategy;
use crate::router::heap::{Entry, Heap, share};
use crate::router::levels::{Levels, TooFarApart};

const NIL: u32 = u32::MAX;

pub(super) enum Index {
    /// Weights are equal and counts lie near each other: O(1).
    Levels(Levels),
    /// Anything else: O(log n).
    Heap(Heap),
    /// No order.
    Flat(Flat),
}

impl Index {
    pub(super) fn new(strategy: Strategy) -> Self {
        match strategy {
            Strategy::LeastLoaded | Strategy::RoundRobin => Self::Levels(Levels::new()),
            Strategy::TwoChoices | Strategy::Random => Self::Flat(Flat::default()),
        }
    }

    /// Whether the order has to be rebuilt as a heap before a target of this weight is listed.
    pub(super) fn needs_a_heap(&self, weight: u32) -> bool {
        weight != 1 && matches!(self, Self::Levels(_))
    }

    /// Lists a target. It is not listed if its count is too far from the others for levels.
    pub(super) fn insert(&mut self, entry: Entry, count: u64) -> Result<(), TooFarApart> {
        match self {
            Self::Levels(levels) => return levels.insert(entry.slot, count),
            Self::Heap(heap) => heap.insert(entry),
            Self::Flat(flat) => flat.insert(entry.slot),
        }
        Ok(())
    }

    /// Takes a target off the list.
    pub(super) fn remove(&mut self, slot: u32) {
        match self {
            Self::Levels(levels) => levels.remove(slot),
            Self::Heap(heap) => heap.remove(slot),
            Self::Flat(flat) => flat.remove(slot),
        }
    }

    /// Gives a target another count, if it is listed. It stays where it was if that is too far from
    /// the others for levels.
    #[inline]
    pub(super) fn change(
        &mut self,
        slot: u32,
        count: u64,
        weight: u32,
        stamp: u64,
    ) -> Result<(), TooFarApart> {
        match self {
            Self::Levels(levels) if levels.is_listed(slot) => return levels.change(slot, count),
            Self::Heap(heap) if heap.is_listed(slot) => heap.change(Entry {
                share: share(count, weight),
                stamp,
                slot,
            }),
            Self::Levels(_) | Self::Heap(_) | Self::Flat(_) => {}
        }
        Ok(())
    }

    /// How many are listed.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Levels(levels) => levels.len(),
            Self::Heap(heap) => heap.entries().len(),
            Self::Flat(flat) => flat.listed.len(),
        }
    }

    /// Calls a function with each that is listed, in no order.
    pub(super) fn for_each(&self, mut with: impl FnMut(u32)) {
        match self {
            Self::Levels(levels) => levels.in_order().for_each(with),
            Self::Heap(heap) => heap.entries().iter().for_each(|it| with(it.slot)),
            Self::Flat(flat) => flat.listed.iter().for_each(|it| with(*it)),
        }
    }
}

/// Targets to draw from.
#[derive(Default)]
pub(super) struct Flat {
    listed: Vec<u32>,
    places: Vec<u32>,
}

impl Flat {
    #[inline]
    pub(super) fn listed(&self) -> &[u32] {
        &self.listed
    }

    fn insert(&mut self, slot: u32) {
        let needed = slot as usize + 1;
        if self.places.len() < needed {
            self.places.resize(needed, NIL);
        }
        self.places[slot as usize] = self.listed.len() as u32;
        self.listed.push(slot);
    }

    fn remove(&mut self, slot: u32) {
        let place = std::mem::replace(&mut self.places[slot as usize], NIL);
        self.listed.swap_remove(place as usize);
        if let Some(moved) = self.listed.get(place as usize) {
            self.places[*moved as usize] = place;
        }
    }
}
