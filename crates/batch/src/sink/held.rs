//! [`Held`] and [`Batch`]: items under way, which go to the buffer unless the store confirms them.
//!
//! Whatever ends an insert early (a dropped future, a panic) runs these destructors, so no way out
//! loses an item. No item is dropped under the lock of the ledger.

use std::mem;
use std::ops::{AddAssign, Range};
use std::sync::Arc;
use std::vec;

use crate::primitive::{Mutex, lock};
use crate::sink::contained::discard;
use crate::sink::ledger::{Ledger, Number};

/// The items of one insert that are not in a batch yet.
pub(super) struct Held<T> {
    ledger: Arc<Mutex<Ledger<T>>>,
    items: vec::IntoIter<T>,
    /// The numbers of all items of the insert; none before it has its turn.
    numbers: Option<Range<Number>>,
}

/// Items that a full buffer let go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overflow {
    /// Items of the same insert.
    pub(super) own: usize,
    /// Items that were there before.
    pub(super) older: usize,
}

impl AddAssign for Overflow {
    fn add_assign(&mut self, other: Self) {
        self.own += other.own;
        self.older += other.older;
    }
}

impl<T> Held<T> {
    pub(super) fn new(ledger: &Arc<Mutex<Ledger<T>>>, items: Vec<T>) -> Self {
        lock(ledger).accept(items.len());
        Self {
            ledger: Arc::clone(ledger),
            items: items.into_iter(),
            numbers: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Gives the items their age, unless they have one, and returns the numbers of all of them.
    pub(super) fn number(&mut self) -> Range<Number> {
        if let Some(numbers) = &self.numbers {
            return numbers.clone();
        }
        let first = lock(&self.ledger).number(self.items.len());
        let numbers = first..first + self.items.len() as u64;
        self.numbers = Some(numbers.clone());
        numbers
    }

    /// Splits off the first items, up to `size`; none if there are none.
    pub(super) fn next_batch(&mut self, size: usize) -> Option<Batch<T>> {
        let own = self.number();
        let first = self.first_left(&own);
        let items: Vec<T> = self.items.by_ref().take(size).collect();
        (!items.is_empty()).then(|| Batch {
            ledger: Arc::clone(&self.ledger),
            marks: (first..).zip(0..items.len()).collect(),
            items,
            own,
        })
    }

    /// Puts what is left into the buffer.
    pub(super) fn put_back(&mut self) -> Overflow {
        if self.items.len() == 0 {
            return Overflow::default();
        }
        let own = self.number();
        let first = self.first_left(&own);
        let items = mem::take(&mut self.items);
        put_back(&self.ledger, &own, (first..).zip(items))
    }

    fn first_left(&self, own: &Range<Number>) -> Number {
        own.end - self.items.len() as u64
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// The items of one batch that the store has not confirmed.
pub(super) struct Batch<T> {
    ledger: Arc<Mutex<Ledger<T>>>,
    items: Vec<T>,
    /// The number of each item, and its position in the batch as it was made.
    marks: Vec<(Number, usize)>,
    /// The numbers of all items of the insert; empty for items of the buffer.
    own: Range<Number>,
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
    /// The oldest items of the buffer with numbers from `first` to before `end`, up to `size`;
    /// none if there are none.
    pub(super) fn of_buffer(
        ledger: &Arc<Mutex<Ledger<T>>>,
        first: Number,
        end: Number,
        size: usize,
    ) -> Option<Self> {
        let taken = lock(ledger).take(first, end, size);
        if taken.is_empty() {
            return None;
        }
        let (numbers, items): (Vec<Number>, Vec<T>) = taken.into_iter().unzip();
        Some(Self {
            ledger: Arc::clone(ledger),
            marks: numbers.into_iter().zip(0..).collect(),
            items,
            own: 0..0,
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
        lock(&self.ledger).count_call();
    }

    /// Counts all items as stored.
    pub(super) fn confirm(&mut self) {
        self.marks.clear();
        let stored = mem::take(&mut self.items);
        lock(&self.ledger).confirm(stored.len());
        stored.into_iter().for_each(discard);
    }

    /// Sorts out the items after a call, one verdict each.
    pub(super) fn settle(&mut self, verdicts: &[Verdict]) -> Overflow {
        debug_assert_eq!(verdicts.len(), self.items.len());
        let marks = mem::take(&mut self.marks);
        let items = mem::take(&mut self.items);
        let (mut stored, mut given_up) = (Vec::new(), Vec::new());
        for ((item, mark), verdict) in items.into_iter().zip(marks).zip(verdicts) {
            match verdict {
                Verdict::Stored => stored.push(item),
                Verdict::GivenUp => given_up.push((mark.0, item)),
                Verdict::Again => {
                    self.items.push(item);
                    self.marks.push(mark);
                }
            }
        }
        lock(&self.ledger).confirm(stored.len());
        let overflow = put_back(&self.ledger, &self.own, given_up);
        stored.into_iter().for_each(discard);
        overflow
    }

    /// Puts what is left into the buffer.
    pub(super) fn put_back(&mut self) -> Overflow {
        let items = mem::take(&mut self.items);
        let marks = mem::take(&mut self.marks);
        let numbers = marks.into_iter().map(|(number, _)| number);
        put_back(&self.ledger, &self.own, numbers.zip(items))
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// Puts items into the buffer, and says what left it, of the numbers `own` and of others.
fn put_back<T>(
    ledger: &Mutex<Ledger<T>>,
    own: &Range<Number>,
    items: impl IntoIterator<Item = (Number, T)>,
) -> Overflow {
    let dropped = lock(ledger).put_back(items);
    let all = dropped.len();
    let own = dropped
        .iter()
        .filter(|(number, _)| own.contains(number))
        .count();
    dropped.into_iter().for_each(discard);
    Overflow {
        own,
        older: all - own,
    }
}
