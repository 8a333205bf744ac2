//! [`Published`]: what a reader without a lock goes by.
//!
//! A sequence lock (Boehm, "Can seqlocks get along with programming language memory models?",
//! 2012): the writer makes the sequence odd, writes, and makes it even again; a reader that saw the
//! same even number before and after has read what no writer touched meanwhile. All that is read in
//! between is atomic words; nothing is made of them before the second look at the sequence, except
//! addresses, which a first extra look has made sure of.

use std::borrow::Borrow;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::index::{First, Group, Index, first_look, home_of, look, prefetch};
use super::slab::{Copied, Node, Slab};
use crate::primitive::{AtomicPtr, AtomicU64, AtomicUsize, fence};

/// Odd while somebody writes.
#[derive(Debug)]
pub(crate) struct Sequence(AtomicU64);

/// The addresses of a shard's index and chunks. These change seldom, so they have a cache line of
/// their own: each processor has it at hand.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Published<K, V> {
    groups: AtomicPtr<Group>,
    group_count: AtomicUsize,
    table: AtomicPtr<AtomicPtr<Node<K, V>>>,
    table_len: AtomicUsize,
}

impl Sequence {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Must be called by the holder of the write lock, once, before it changes anything.
    #[inline(always)]
    pub(crate) fn begin_write(&self) {
        let sequence = self.0.load(Relaxed);
        self.0.store(sequence | 1, Relaxed);
        // Pairs with the fence of a reader: who sees a write sees the odd sequence as well.
        fence(Release);
    }

    /// Ends what `begin_write` began.
    #[inline(always)]
    pub(crate) fn end_write(&self) {
        let sequence = self.0.load(Relaxed);
        // Pairs with the acquiring load of a reader.
        self.0.store((sequence | 1).wrapping_add(1), Release);
    }

    /// `None` while somebody writes.
    #[inline(always)]
    fn begin_read(&self) -> Option<u64> {
        let before = self.0.load(Acquire);
        (before & 1 == 0).then_some(before)
    }

    #[inline(always)]
    fn is_still(&self, before: u64) -> bool {
        // Pairs with the fence of the writer: what was read so far was not written after the
        // sequence became odd, or the odd sequence is seen here.
        fence(Acquire);
        self.0.load(Relaxed) == before
    }
}

/// Addresses and lengths, which may not belong together.
struct Loaded<K, V> {
    groups: *const Group,
    group_count: usize,
    table: *const AtomicPtr<Node<K, V>>,
    table_len: usize,
}

impl<K, V> Published<K, V> {
    #[inline(always)]
    fn load(&self) -> Loaded<K, V> {
        Loaded {
            groups: self.groups.load(Relaxed),
            group_count: self.group_count.load(Relaxed),
            table: self.table.load(Relaxed),
            table_len: self.table_len.load(Relaxed),
        }
    }
}

type Memory<'a, K, V> = (&'a [Group], &'a [AtomicPtr<Node<K, V>>]);

impl<K, V> Loaded<K, V> {
    /// # Safety
    ///
    /// Nobody published while the addresses were loaded, and what was published is not freed while
    /// this is in use.
    #[inline(always)]
    unsafe fn memory<'a>(self) -> Memory<'a, K, V> {
        // SAFETY: by contract, address and length belong together, and the memory is there.
        unsafe {
            (
                std::slice::from_raw_parts(self.groups, self.group_count),
                std::slice::from_raw_parts(self.table, self.table_len),
            )
        }
    }
}

/// What a look without a lock came to.
pub(crate) enum Glance<'a, V> {
    /// The entry, its deadline and the mark of its slot.
    Hit(V, u64, &'a AtomicU64),
    Miss,
    /// The look was too short to tell, or somebody writes all the time.
    Unclear,
}

/// How often a reader looks again before it takes the lock.
const PATIENCE: usize = 16;

impl<K, V> Published<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            groups: AtomicPtr::new(std::ptr::null_mut()),
            group_count: AtomicUsize::new(0),
            table: AtomicPtr::new(std::ptr::null_mut()),
            table_len: AtomicUsize::new(0),
        }
    }

    /// Tells readers where index and chunks are now. Only between `begin_write` and `end_write`.
    pub(crate) fn publish(&self, index: &Index, slab: &Slab<K, V>) {
        let groups = index.groups();
        self.groups.store(groups.as_ptr().cast_mut(), Relaxed);
        self.group_count.store(groups.len(), Relaxed);
        let table = slab.table();
        self.table.store(table.as_ptr().cast_mut(), Relaxed);
        self.table_len.store(table.len(), Relaxed);
    }

    /// Has the processor fetch where a look for a hash begins.
    #[inline(always)]
    pub(crate) fn prefetch(&self, hash: u32) {
        // An address that fits no length any more is as good a guess as any: it is never read.
        let home = home_of(hash, self.group_count.load(Relaxed));
        prefetch(self.groups.load(Relaxed).wrapping_add(home));
    }

    /// Takes a short look for a key without a lock: nearly always enough.
    ///
    /// # Safety
    ///
    /// `sequence` is the one that was written to whenever anything was published here. `K` and `V` are
    /// [`Plain`](super::Plain) and the slab knows it. Whatever index, table or
    /// chunk was published is not freed before the returned mark is forgotten.
    #[inline(always)]
    pub(crate) unsafe fn find<Q>(&self, sequence: &Sequence, hash: u32, key: &Q) -> Glance<'_, V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let Some(before) = sequence.begin_read() else {
            return Glance::Unclear;
        };
        let found = self.load();
        if !sequence.is_still(before) {
            return Glance::Unclear;
        }
        // SAFETY: the sequence has not moved while they were read, and by contract.
        let (groups, table) = unsafe { found.memory() };
        match first_look(groups, hash) {
            First::Perhaps(slot) => {
                // SAFETY: a table of this slab, plain, and alive by contract.
                let copied = unsafe { Slab::copy(table, slot) };
                if let Some(copied) = copied
                    && sequence.is_still(before)
                    // SAFETY: the sequence has not moved since before the index was read.
                    && let Some(hit) = unsafe { Self::compare(copied, key) }
                {
                    return hit;
                }
            }
            First::Nothing if sequence.is_still(before) => return Glance::Miss,
            _ => {}
        }
        Glance::Unclear
    }

    /// The same, going on in other groups, and looking again if somebody writes.
    ///
    /// # Safety
    ///
    /// As for `find`.
    pub(crate) unsafe fn find_patiently<Q>(
        &self,
        sequence: &Sequence,
        hash: u32,
        key: &Q,
    ) -> Glance<'_, V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        for _ in 0..PATIENCE {
            let Some(before) = sequence.begin_read() else {
                std::hint::spin_loop();
                continue;
            };
            let found = self.load();
            if !sequence.is_still(before) {
                continue;
            }
            // SAFETY: the sequence has not moved while they were read, and by contract.
            let (groups, table) = unsafe { found.memory() };
            let found = look(groups, hash, |slot| {
                // SAFETY: a table of this slab, plain, and alive by contract.
                let copied = unsafe { Slab::copy(table, slot) };
                if !sequence.is_still(before) {
                    return Some(Glance::Unclear);
                }
                // SAFETY: the sequence has not moved since before the index was read.
                unsafe { Self::compare(copied?, key) }
            });
            match found {
                Some(Glance::Unclear) => {}
                Some(hit) => return hit,
                None if sequence.is_still(before) => return Glance::Miss,
                None => {}
            }
        }
        Glance::Unclear
    }

    /// Makes a hit of a copy if its key is the one.
    ///
    /// # Safety
    ///
    /// Nobody wrote between the moment before the index was read and one after the copy was made.
    /// The chunk is not freed before the mark is forgotten.
    #[inline(always)]
    unsafe fn compare<'a, Q>(copied: Copied<K, V>, key: &Q) -> Option<Glance<'a, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let deadline = copied.deadline();
        debug_assert_ne!(deadline, 0, "slots in the index have entries");
        // SAFETY: whole by contract, and an entry: the index has no other slots.
        unsafe {
            if copied.key().borrow() != key {
                return None;
            }
            let (value, mark) = copied.into_value();
            Some(Glance::Hit(value, deadline, mark))
        }
    }
}
