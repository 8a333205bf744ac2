//! [`Index`]: from label values to what is recorded for them, without a lock where they are known.
//!
//! A *table* is an open-addressing hash table whose entries are set once. When it is three quarters
//! full, or when series are removed, a new one takes its place under the index's lock. Each thread
//! keeps the table it used last and compares its stamp with that of the index before it looks; so a
//! hit costs no atomic read-modify-write, allocates nothing, and no table is freed under a reader.
//!
//! Invariants:
//!
//! 1. Stamps are unique in the process, and the index's stamp is that of its present table.
//! 2. Entries are only added under the lock, and never change.
//! 3. Once a table has its overflow series, no entry is added to it. A reader that saw the overflow
//!    series before it looked has therefore looked at all entries.
//! 4. Two label sets are the same only if all their values are equal; the hash only finds them.

use std::cell::{Ref, RefCell};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use foldhash::fast::RandomState;

use crate::family::key::Key;
use crate::family::rows::Rows;
use crate::instrument::metric::Metric;
use crate::recording::local;
use crate::recording::numbers::Numbers;
use crate::recording::tree::Tree;

/// What all labels of the series for everything beyond the cap read.
pub(crate) const OVERFLOW: &str = "overflow";

/// The longest value that has a series of its own, in bytes.
const MAX_VALUE: usize = 1_024;

/// The entries of the first table.
const FIRST_LEN: usize = 8;

/// One combination of label values and what is recorded for it.
pub(crate) struct Series {
    hash: u64,
    pub(crate) key: Key,
    pub(crate) metric: Metric,
}

/// Makes what is recorded for label values.
pub(crate) trait MakeSeries {
    type Error;

    /// Whether these values may have a series of their own.
    fn takes(&self, values: &[&str]) -> bool {
        values.iter().all(|value| value.len() <= MAX_VALUE)
    }

    fn make(&self, values: &[&str]) -> Result<Metric, Self::Error>;
}

/// Series by label values, at most so many and one for all the rest.
pub(crate) struct Index {
    number: usize,
    max: usize,
    hasher: RandomState,
    stamp: AtomicU64,
    /// Lookups that went to the overflow series.
    dropped: AtomicU64,
    state: Mutex<State>,
}

struct State {
    table: Arc<Table>,
    series: Vec<Arc<Series>>,
    /// The one among them for what is beyond the cap. It does not count against the cap.
    overflow: Option<Arc<Series>>,
    /// The series as they are read, once somebody has asked for it.
    rows: Option<Arc<Rows>>,
}

struct Table {
    stamp: u64,
    entries: Box<[Entry]>,
    /// Set once the index is at its cap.
    overflow: OnceLock<Arc<Series>>,
}

struct Entry {
    /// A part of the hash that is never zero; zero while the entry is free. It may be seen before
    /// the series is, which then counts as a miss.
    tag: AtomicU32,
    series: OnceLock<Arc<Series>>,
}

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers::new());
static STAMPS: AtomicU64 = AtomicU64::new(1);

/// The number of an index that has no place in the tables of threads.
const NOWHERE: usize = usize::MAX;

impl Index {
    pub(crate) fn new(max: usize) -> Self {
        let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
        Self::numbered(numbers.take(), max)
    }

    /// For what is looked up when it is registered and then never again: it takes no place from
    /// those that are looked up all the time.
    pub(crate) fn seldom_asked(max: usize) -> Self {
        Self::numbered(NOWHERE, max)
    }

    fn numbered(number: usize, max: usize) -> Self {
        let table = Arc::new(Table::new(FIRST_LEN));
        Self {
            number,
            max,
            hasher: RandomState::default(),
            stamp: AtomicU64::new(table.stamp),
            dropped: AtomicU64::new(0),
            state: Mutex::new(State {
                table,
                series: Vec::new(),
                overflow: None,
                rows: None,
            }),
        }
    }

    /// Calls `act` with what is recorded for these values, made on first sight.
    ///
    /// `act` runs under no lock; it may look up in this very index.
    #[inline]
    pub(crate) fn with<R, M: MakeSeries>(
        &self,
        values: &[&str],
        maker: &M,
        act: impl FnOnce(&Metric) -> R,
    ) -> Result<R, M::Error> {
        let mut act = Some(act);
        let hit = local::tables(|tables| {
            let table = tables.present(self)?;
            let overflow = table.overflow.get();
            let found = match table.find(self.hash(values), values) {
                Some(found) => found,
                None => {
                    let overflow = overflow?;
                    self.dropped.fetch_add(1, Relaxed);
                    overflow
                }
            };
            act.take().map(|act| act(&found.metric))
        });
        match (hit, act) {
            (Some(result), _) => Ok(result),
            (None, Some(act)) => Ok(act(&self.look_again(values, maker)?.metric)),
            (None, None) => unreachable!("whoever takes the action returns its result"),
        }
    }

    /// Forgets a series. Handles to it go on recording, unseen.
    ///
    /// `farewell` is called with it first, under the lock: no other takes its place before.
    pub(crate) fn remove(&self, values: &[&str], farewell: impl FnOnce(&Metric)) -> bool {
        let mut state = self.lock();
        let hash = self.hash(values);
        let Some(found) = state.table.find(hash, values).cloned() else {
            return false;
        };
        farewell(&found.metric);
        state.series.retain(|series| !Arc::ptr_eq(series, &found));
        state.overflow.take_if(|it| Arc::ptr_eq(it, &found));
        let table = Table::holding(&state.series, state.table.entries.len());
        self.publish(&mut state, table);
        true
    }

    /// All series in rows, made by `arrange` when they are not the ones of the last call.
    pub(crate) fn rows(&self, arrange: impl FnOnce(Vec<Arc<Series>>) -> Rows) -> Arc<Rows> {
        let mut state = self.lock();
        if let Some(rows) = &state.rows {
            return Arc::clone(rows);
        }
        let rows = Arc::new(arrange(state.series.clone()));
        state.rows = Some(Arc::clone(&rows));
        rows
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().series.len()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    #[cold]
    fn look_again<M: MakeSeries>(
        &self,
        values: &[&str],
        maker: &M,
    ) -> Result<Arc<Series>, M::Error> {
        let hash = self.hash(values);
        let mut state = self.lock();
        let found = match state.table.find(hash, values) {
            Some(found) => Arc::clone(found),
            None => self.add(&mut state, hash, values, maker)?,
        };
        let table = Arc::clone(&state.table);
        drop(state);
        local::tables(|tables| {
            tables.keep(self.number, table);
            Some(())
        });
        Ok(found)
    }

    fn add<M: MakeSeries>(
        &self,
        state: &mut State,
        hash: u64,
        values: &[&str],
        maker: &M,
    ) -> Result<Arc<Series>, M::Error> {
        if let Some(overflow) = state.table.overflow.get() {
            self.dropped.fetch_add(1, Relaxed);
            return Ok(Arc::clone(overflow));
        }
        let own = state.series.len() - usize::from(state.overflow.is_some());
        let is_full = own >= self.max;
        if (!is_full && maker.takes(values)) || is_overflow(values) {
            return self.insert(state, hash, values, maker);
        }
        let series = match &state.overflow {
            Some(series) => Arc::clone(series),
            None => {
                let values = vec![OVERFLOW; values.len()];
                self.insert(state, self.hash(&values), &values, maker)?
            }
        };
        self.dropped.fetch_add(1, Relaxed);
        if is_full {
            state.table.overflow.get_or_init(|| Arc::clone(&series));
        }
        Ok(series)
    }

    fn insert<M: MakeSeries>(
        &self,
        state: &mut State,
        hash: u64,
        values: &[&str],
        maker: &M,
    ) -> Result<Arc<Series>, M::Error> {
        let metric = maker.make(values)?;
        let series = Arc::new(Series {
            hash,
            key: Key::new(values),
            metric,
        });
        state.series.push(Arc::clone(&series));
        if is_overflow(values) {
            state.overflow = Some(Arc::clone(&series));
        }
        state.rows = None;
        let len = state.table.entries.len();
        if state.series.len() * 4 > len * 3 {
            let table = Table::holding(&state.series, len * 2);
            self.publish(state, table);
        } else {
            state.table.set(Arc::clone(&series));
        }
        Ok(series)
    }

    fn publish(&self, state: &mut State, table: Table) {
        let stamp = table.stamp;
        state.table = Arc::new(table);
        state.rows = None;
        // Threads that see the stamp fetch the table under the lock.
        self.stamp.store(stamp, Release);
    }

    fn hash(&self, values: &[&str]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for value in values {
            // Each length is mixed in, so `ab`, `c` and `a`, `bc` seldom meet; nothing but time is
            // lost where they do.
            hasher.write(value.as_bytes());
        }
        hasher.finish()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        if self.number == NOWHERE {
            return;
        }
        local::tables(|tables| {
            tables.forget(self.number);
            Some(())
        });
        let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.give_back(self.number);
    }
}

impl Table {
    fn new(len: usize) -> Self {
        let entry = || Entry {
            tag: AtomicU32::new(0),
            series: OnceLock::new(),
        };
        Self {
            stamp: STAMPS.fetch_add(1, Relaxed),
            entries: (0..len).map(|_| entry()).collect(),
            overflow: OnceLock::new(),
        }
    }

    /// A table of `len` entries, a power of two and more than there are series.
    fn holding(series: &[Arc<Series>], len: usize) -> Self {
        let table = Self::new(len);
        for series in series {
            table.set(Arc::clone(series));
        }
        table
    }

    fn set(&self, series: Arc<Series>) {
        let free = self.probe(series.hash).find(|entry| {
            // Relaxed: entries change under the index's lock only.
            entry.tag.load(Relaxed) == 0
        });
        if let Some(entry) = free {
            let tag = tag(series.hash);
            let is_free = entry.series.set(series).is_ok();
            debug_assert!(is_free, "an entry without a tag has no series");
            entry.tag.store(tag, Relaxed);
        }
    }

    #[inline]
    fn find(&self, hash: u64, values: &[&str]) -> Option<&Arc<Series>> {
        for entry in self.probe(hash) {
            let seen = entry.tag.load(Relaxed);
            if seen == 0 {
                return None;
            }
            if seen == tag(hash)
                && let Some(series) = entry.series.get()
                && series.key.is(values)
            {
                return Some(series);
            }
        }
        None
    }

    fn probe(&self, hash: u64) -> impl Iterator<Item = &Entry> {
        let mask = self.entries.len() - 1;
        (0..self.entries.len())
            .map(move |step| &self.entries[(hash as usize).wrapping_add(step) & mask])
    }
}

fn is_overflow(values: &[&str]) -> bool {
    !values.is_empty() && values.iter().all(|value| *value == OVERFLOW)
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

/// The tables that one thread used last.
pub(crate) struct LocalTables {
    tables: Tree<RefCell<Option<Arc<Table>>>>,
}

impl LocalTables {
    pub(crate) const fn new() -> Self {
        Self {
            tables: Tree::new(),
        }
    }

    /// The table of an index, if this thread has it and it is still the present one.
    #[inline]
    fn present(&self, index: &Index) -> Option<Ref<'_, Table>> {
        let kept = self.tables.get(index.number)?.try_borrow().ok()?;
        // Pairs with the release store in `Index::publish`.
        let stamp = index.stamp.load(Acquire);
        Ref::filter_map(kept, |table| {
            table.as_deref().filter(|table| table.stamp == stamp)
        })
        .ok()
    }

    /// Keeps a table, unless one is being read further up the stack.
    fn keep(&self, number: usize, table: Arc<Table>) {
        if number < Tree::<RefCell<Option<Arc<Table>>>>::LEN {
            let kept = self.tables.get_or_init(number, RefCell::default);
            let old = kept.try_borrow_mut().ok().map(|mut it| it.replace(table));
            // What the old table holds is dropped when it is no longer borrowed.
            drop(old);
        }
    }

    fn forget(&self, number: usize) {
        let kept = self.tables.get(number);
        let old = kept.and_then(|kept| kept.try_borrow_mut().ok()?.take());
        drop(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_without_labels_take_no_place_from_families() {
        let all = Tree::<RefCell<Option<Arc<Table>>>>::LEN;
        let many: Vec<_> = (0..all).map(|_| Index::seldom_asked(1)).collect();
        assert!(Index::new(8).number < all);
        drop(many);
        assert!(Index::new(8).number < all);
    }
}
