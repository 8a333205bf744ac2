//! [`Ledger`]: what a sink was given and where each item is, and the bounded buffer by age.
//!
//! Knows no clock and no lock and drops no item: what leaves the buffer is handed out, for its
//! destructor is foreign code.
//!
//! Invariant, after every method:
//! `given = stored + buffered + in_flight + dropped + taken`.

use std::collections::BTreeMap;
use std::ops::Range;

/// Says how old an item is: the less, the older. An item keeps its number when it comes back.
pub(super) type Number = u64;

pub(super) struct Ledger<T> {
    capacity: usize,
    next_number: Number,
    /// The least number is the oldest item.
    buffer: BTreeMap<Number, T>,
    given: u64,
    stored: u64,
    in_flight: u64,
    dropped: u64,
    taken: u64,
    calls: u64,
}

/// Where the items of a [`BulkSink`](crate::BulkSink) are, counted at one moment:
/// `given = stored + buffered + in_flight + dropped + taken`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct SinkStats {
    /// Items that were given to `insert`.
    pub given: u64,
    /// Items that the store has confirmed.
    pub stored: u64,
    /// Items in the buffer.
    pub buffered: u64,
    /// Items of inserts and flushes that are under way.
    pub in_flight: u64,
    /// Items that left the full buffer for younger ones, and are lost.
    pub dropped: u64,
    /// Items that `take_buffered` handed out.
    pub taken: u64,
    /// Calls of the store, further attempts included.
    pub calls: u64,
}

impl<T> Ledger<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            next_number: 0,
            buffer: BTreeMap::new(),
            given: 0,
            stored: 0,
            in_flight: 0,
            dropped: 0,
            taken: 0,
            calls: 0,
        }
    }

    /// Counts items that were given and are under way from now on.
    pub(super) fn accept(&mut self, items: usize) {
        self.given += items as u64;
        self.in_flight += items as u64;
    }

    /// Numbers for so many items, younger than all before; returns the first.
    pub(super) fn number(&mut self, items: usize) -> Number {
        let first = self.next_number;
        self.next_number += items as u64;
        first
    }

    /// Counts a call of the store.
    pub(super) fn count_call(&mut self) {
        self.calls += 1;
    }

    /// Counts items under way that the store has confirmed.
    pub(super) fn confirm(&mut self, items: usize) {
        self.in_flight -= items as u64;
        self.stored += items as u64;
    }

    /// Puts items that were under way, given in order of age, into the buffer, each at the place of
    /// its number. Returns those that the buffer has no room for.
    ///
    /// The time is that of `capacity` insertions at most, however many items come back.
    pub(super) fn put_back(&mut self, mut items: Vec<(Number, T)>) -> Vec<(Number, T)> {
        self.in_flight -= items.len() as u64;
        // Of so many, only the youngest can stay.
        let youngest = items.split_off(items.len().saturating_sub(self.capacity));
        let mut lost = items;
        self.buffer.extend(youngest);
        while self.buffer.len() > self.capacity {
            lost.extend(self.buffer.pop_first());
        }
        self.dropped += lost.len() as u64;
        lost
    }

    /// Takes up to `most` of the oldest items with numbers in this range. They are under way from
    /// now on.
    pub(super) fn take(&mut self, range: Range<Number>, most: usize) -> Vec<(Number, T)> {
        if range.is_empty() {
            return Vec::new(); // a map panics about ranges that run backwards
        }
        let numbers: Vec<Number> = self
            .buffer
            .range(range)
            .map(|(&number, _)| number)
            .take(most)
            .collect();
        let items: Vec<_> = numbers
            .into_iter()
            .filter_map(|number| self.buffer.remove_entry(&number))
            .collect();
        self.in_flight += items.len() as u64;
        items
    }

    /// Whether there is an item with a number in this range.
    pub(super) fn has(&self, range: Range<Number>) -> bool {
        !range.is_empty() && self.buffer.range(range).next().is_some()
    }

    /// Hands out the whole buffer.
    pub(super) fn take_all(&mut self) -> BTreeMap<Number, T> {
        let all = std::mem::take(&mut self.buffer);
        self.taken += all.len() as u64;
        all
    }

    /// A number beyond all that were given out.
    pub(super) fn end(&self) -> Number {
        self.next_number
    }

    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn stats(&self) -> SinkStats {
        SinkStats {
            given: self.given,
            stored: self.stored,
            buffered: self.buffer.len() as u64,
            in_flight: self.in_flight,
            dropped: self.dropped,
            taken: self.taken,
            calls: self.calls,
        }
    }
}
