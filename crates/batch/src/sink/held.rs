//! [`Held`] and [`Batch`]: items under way, which go to the buffer unless the store confirms them.
//!
//! Whatever ends a call early (a dropped future, a token, a panic) runs these destructors, so no
//! way out loses an item. No item is dropped under the lock of the ledger.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::{mem, vec};

use crate::panic::contained;
use crate::primitive::{AtomicU64, Mutex, Ordering, lock};
use crate::sink::ledger::{Ledger, Number};

/// One call of the sink, as all its items see it.
pub(super) struct Origin<T> {
    ledger: Arc<Mutex<Ledger<T>>>,
    /// The numbers of its own items, from when they have some.
    own: OnceLock<Range<Number>>,
    /// How many of its own items a full buffer let go, and how many others; because of this call.
    dropped: AtomicU64,
    displaced: AtomicU64,
    /// Items that were confirmed before their batch was ended early: its last words.
    confirmed: Mutex<Vec<Number>>,
}

impl<T> Origin<T> {
    pub(super) fn new(ledger: &Arc<Mutex<Ledger<T>>>) -> Arc<Self> {
        Arc::new(Self {
            ledger: Arc::clone(ledger),
            own: OnceLock::new(),
            dropped: AtomicU64::new(0),
            displaced: AtomicU64::new(0),
            confirmed: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn ledger(&self) -> &Mutex<Ledger<T>> {
        &self.ledger
    }

    /// How many of its own items are lost by its own doing.
    pub(super) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed) as usize
    }

    /// How many others.
    pub(super) fn displaced(&self) -> usize {
        self.displaced.load(Ordering::Relaxed) as usize
    }

    /// Which items of a batch were confirmed before it was dropped, ascending. To be asked right
    /// after that, or the next batch's are among them.
    pub(super) fn take_confirmed(&self) -> Vec<Number> {
        let mut confirmed = mem::take(&mut *lock(&self.confirmed));
        confirmed.sort_unstable();
        confirmed
    }

    /// The items are in order of age.
    fn put_back(&self, items: Vec<(Number, T)>) {
        let lost = lock(&self.ledger).put_back(items);
        let is_own = |number| self.own.get().is_some_and(|own| own.contains(number));
        let own = lost.iter().filter(|(number, _)| is_own(number)).count();
        let others = lost.len() - own;
        // Relaxed: only the call itself reads them, after it has seen its items go.
        self.dropped.fetch_add(own as u64, Ordering::Relaxed);
        self.displaced.fetch_add(others as u64, Ordering::Relaxed);
        lost.into_iter().for_each(discard);
    }
}

/// Drops an item; if its destructor panics, that ends here.
fn discard<T>(item: T) {
    contained(|| drop(item));
}

/// The items of one insert that are not in a batch yet.
pub(super) struct Held<T> {
    origin: Arc<Origin<T>>,
    items: vec::IntoIter<T>,
}

impl<T> Held<T> {
    pub(super) fn new(ledger: &Arc<Mutex<Ledger<T>>>, items: Vec<T>) -> Self {
        lock(ledger).accept(items.len());
        Self {
            origin: Origin::new(ledger),
            items: items.into_iter(),
        }
    }

    pub(super) fn origin(&self) -> &Arc<Origin<T>> {
        &self.origin
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Gives the items their age, unless they have one, and returns the numbers of all of them,
    /// those included that have left.
    pub(super) fn number(&self) -> Range<Number> {
        let numbers = self.origin.own.get_or_init(|| {
            let first = lock(&self.origin.ledger).number(self.len());
            first..first + self.len() as u64
        });
        numbers.clone()
    }

    /// Splits off the first items, up to `size`; none if there are none.
    pub(super) fn next_batch(&mut self, size: usize) -> Option<Batch<T>> {
        let first = self.first_number();
        let items: Vec<T> = self.items.by_ref().take(size).collect();
        (!items.is_empty()).then(|| Batch {
            origin: Arc::clone(&self.origin),
            marks: (first..).zip(0..items.len()).collect(),
            items,
            confirmed: Vec::new(),
        })
    }

    /// Puts what is left into the buffer.
    pub(super) fn put_back(&mut self) {
        if self.len() > 0 {
            let first = self.first_number();
            let items = mem::take(&mut self.items);
            self.origin.put_back((first..).zip(items).collect());
        }
    }

    fn first_number(&self) -> Number {
        self.number().end - self.len() as u64
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// The items of one batch that the store has not confirmed.
pub(super) struct Batch<T> {
    origin: Arc<Origin<T>>,
    items: Vec<T>,
    /// The number of each item, and its position in the batch as it was made.
    marks: Vec<(Number, usize)>,
    /// Those that have left it as stored while others stayed for the next attempt.
    confirmed: Vec<Number>,
}

/// What becomes of one item after a call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The store has it.
    Stored,
    /// It is part of the next attempt.
    Again,
    /// It goes to the buffer.
    GivenUp,
}

impl<T> Batch<T> {
    /// The oldest items of the buffer with numbers in this range, up to `size`; none if there are
    /// none.
    pub(super) fn of_buffer(
        origin: &Arc<Origin<T>>,
        numbers: Range<Number>,
        size: usize,
    ) -> Option<Self> {
        let taken = lock(&origin.ledger).take(numbers, size);
        if taken.is_empty() {
            return None;
        }
        let (numbers, items): (Vec<Number>, Vec<T>) = taken.into_iter().unzip();
        Some(Self {
            origin: Arc::clone(origin),
            marks: numbers.into_iter().zip(0..).collect(),
            items,
            confirmed: Vec::new(),
        })
    }

    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The age of its youngest item.
    pub(super) fn last_number(&self) -> Number {
        self.marks.last().map_or(0, |&(number, _)| number)
    }

    /// The positions of its items in the batch as it was made.
    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        self.marks.iter().map(|&(_, position)| position)
    }

    /// Counts a call of the store.
    pub(super) fn count_call(&self) {
        lock(&self.origin.ledger).count_call();
    }

    /// Counts all items as stored.
    pub(super) fn confirm(&mut self) {
        self.marks.clear();
        let stored = mem::take(&mut self.items);
        lock(&self.origin.ledger).confirm(stored.len());
        stored.into_iter().for_each(discard);
    }

    /// Sorts out the items after a call, one verdict each.
    pub(super) fn settle(&mut self, verdicts: &[Verdict]) {
        debug_assert_eq!(verdicts.len(), self.items.len());
        let marks = mem::take(&mut self.marks);
        let items = mem::take(&mut self.items);
        let (mut stored, mut confirmed, mut given_up) = (Vec::new(), Vec::new(), Vec::new());
        for ((item, mark), verdict) in items.into_iter().zip(marks).zip(verdicts) {
            match verdict {
                Verdict::Stored => {
                    stored.push(item);
                    confirmed.push(mark.0);
                }
                Verdict::GivenUp => given_up.push((mark.0, item)),
                Verdict::Again => {
                    self.items.push(item);
                    self.marks.push(mark);
                }
            }
        }
        if !self.items.is_empty() {
            self.confirmed.append(&mut confirmed);
        }
        lock(&self.origin.ledger).confirm(stored.len());
        self.origin.put_back(given_up);
        stored.into_iter().for_each(discard);
    }

    /// Puts what is left into the buffer. What became of all its items is known.
    pub(super) fn end(mut self) {
        self.confirmed.clear();
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        if !self.confirmed.is_empty() {
            lock(&self.origin.confirmed).append(&mut self.confirmed);
        }
        let items = mem::take(&mut self.items);
        let marks = mem::take(&mut self.marks);
        let numbers = marks.into_iter().map(|(number, _)| number);
        self.origin.put_back(numbers.zip(items).collect());
    }
}
