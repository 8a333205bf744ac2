//! [`Slab`]: the entries of a shard in chunks, at addresses that stay.
//!
//! # Invariants
//!
//! 1. `key` and `value` of a node are initialised while its `deadline` is not zero, and the slot's
//!    bit in its chunk is set. Only the holder of the shard's write lock changes either.
//! 2. A chunk is never moved. It is freed by the holder of the write lock only once no reader
//!    without a lock can still look at it; [`Slab`] hands chunks out to be freed, and the shard
//!    decides when.
//! 3. If `plain` was promised, all writes to keys and values are done by words that
//!    [`Slab::copy`] can read at the same time.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::plain;
use crate::primitive::{AtomicPtr, AtomicU64};

/// One entry. Zeroed memory is a vacant node.
pub(crate) struct Node<K, V> {
    key: UnsafeCell<MaybeUninit<K>>,
    value: UnsafeCell<MaybeUninit<V>>,
    /// When the entry must not be seen any more, in nanoseconds of the cache's clock. Zero: vacant.
    deadline: AtomicU64,
    /// What readers leave for the policy.
    mark: AtomicU64,
}

/// Memory for `len` nodes.
pub(crate) struct Chunk<K, V> {
    nodes: NonNull<Node<K, V>>,
    len: usize,
}

impl<K, V> Chunk<K, V> {
    fn layout(len: usize) -> Layout {
        // Nodes whose size divides a cache line, or that a line divides, never lie across two.
        Layout::array::<Node<K, V>>(len)
            .and_then(|layout| layout.align_to(LINE))
            .expect("a chunk is a few hundred nodes")
    }

    fn new(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: a node has two words at least, so the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(nodes) = NonNull::new(memory.cast()) else {
            handle_alloc_error(layout)
        };
        Self { nodes, len }
    }
}

impl<K, V> Drop for Chunk<K, V> {
    /// Frees the memory and drops no entry: those were taken out before.
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.nodes.as_ptr().cast(), Self::layout(self.len)) }
    }
}

// SAFETY: a chunk owns its nodes, which hold keys and values.
unsafe impl<K: Send, V: Send> Send for Chunk<K, V> {}
// SAFETY: a shared chunk gives access to nothing.
unsafe impl<K: Sync, V: Sync> Sync for Chunk<K, V> {}

/// The size of a cache line, on most machines.
const LINE: usize = 64;

/// Slots of a chunk.
const CHUNK: usize = 1 << BITS;
const BITS: u32 = 9;

/// Which slots of a chunk are taken. Those that its memory does not have count as taken.
#[derive(Debug)]
struct Taken {
    bits: [u64; CHUNK / 64],
    count: usize,
    /// Slots that there is memory for.
    len: usize,
}

/// The chunks' addresses, for readers. Chunks that are not there are null.
pub(crate) type Table<K, V> = Box<[AtomicPtr<Node<K, V>>]>;

/// A copy of an entry that counts only once it is known that nobody wrote meanwhile.
pub(crate) struct Copied<K, V> {
    key: MaybeUninit<K>,
    value: MaybeUninit<V>,
    deadline: u64,
    mark: NonNull<AtomicU64>,
}

/// An entry, under a lock.
pub(crate) struct Entry<'a, K, V> {
    pub(crate) slot: u32,
    pub(crate) key: &'a K,
    pub(crate) value: &'a V,
    pub(crate) deadline: u64,
    pub(crate) mark: &'a AtomicU64,
}

/// The entries of a shard. First what every access needs.
#[repr(C)]
pub(crate) struct Slab<K, V> {
    table: Table<K, V>,
    /// From this slot on there is no memory in the first chunk.
    short: u32,
    plain: bool,
    /// The slot that was freed last, `NONE` if it was filled again. It still counts as taken, so
    /// that a full slab whose every insertion follows an eviction keeps no books.
    at_hand: u32,
    entries: usize,
    taken: Vec<Option<Taken>>,
    /// Chunks with a free slot, one bit each.
    open: Vec<u64>,
    /// Slots of the first chunk: fewer than of the others in a small cache.
    first: usize,
}

const NONE: u32 = u32::MAX;

// SAFETY: the nodes are owned, and hold keys and values; see the invariants for who may touch them.
unsafe impl<K: Send, V: Send> Send for Slab<K, V> {}
// SAFETY: shared access gives out `&K` and `&V` only.
unsafe impl<K: Sync, V: Sync> Sync for Slab<K, V> {}

impl<K, V> Slab<K, V> {
    /// An empty slab. Its first chunk has `first` slots, if that is less than the others have.
    ///
    /// # Safety
    ///
    /// If `plain` is set, `K` and `V` are [`super::Plain`].
    pub(crate) unsafe fn new(first: usize, plain: bool) -> Self {
        Self {
            table: Box::new([]),
            taken: Vec::new(),
            open: Vec::new(),
            first: first.clamp(1, CHUNK),
            short: CHUNK as u32,
            plain,
            entries: 0,
            at_hand: NONE,
        }
    }

    /// How many slots there are, free ones included.
    pub(crate) fn slots(&self) -> u32 {
        (self.taken.len() << BITS) as u32
    }

    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    pub(crate) fn table(&self) -> &[AtomicPtr<Node<K, V>>] {
        &self.table
    }

    #[inline(always)]
    fn node(&self, slot: u32) -> &Node<K, V> {
        let chunk = self.table[(slot >> BITS) as usize].load(Relaxed);
        assert!(
            !chunk.is_null() && self.has_memory(slot),
            "the slot is there"
        );
        // SAFETY: its chunk is in the table, so it is not freed while the slab is borrowed
        // (invariant 2), and has memory for it.
        unsafe { &*chunk.add(slot as usize & (CHUNK - 1)) }
    }

    /// Whether the chunk of a slot, if it is there, is long enough.
    #[inline(always)]
    fn has_memory(&self, slot: u32) -> bool {
        slot < self.short || slot >= CHUNK as u32
    }

    /// When the entry in a slot ends. Zero if there is none, whatever slot it is.
    #[inline(always)]
    pub(crate) fn deadline(&self, slot: u32) -> u64 {
        let chunk = self.table.get((slot >> BITS) as usize);
        if chunk.is_none_or(|chunk| chunk.load(Relaxed).is_null()) || !self.has_memory(slot) {
            return 0;
        }
        self.node(slot).deadline.load(Relaxed)
    }

    pub(crate) fn set_deadline(&self, slot: u32, deadline: u64) {
        self.node(slot).deadline.store(deadline.max(1), Relaxed);
    }

    #[inline(always)]
    pub(crate) fn mark(&self, slot: u32) -> &AtomicU64 {
        &self.node(slot).mark
    }

    /// The entry in a slot, with its deadline.
    pub(crate) fn get(&self, slot: u32) -> Option<(&K, &V, u64)> {
        self.entry(slot)
            .map(|entry| (entry.key, entry.value, entry.deadline))
    }

    /// The entry in a slot, with what readers and policies write.
    #[inline(always)]
    pub(crate) fn entry(&self, slot: u32) -> Option<Entry<'_, K, V>> {
        let node = self.node(slot);
        let deadline = node.deadline.load(Relaxed);
        if deadline == 0 {
            return None;
        }
        // SAFETY: initialised, since the deadline is not zero (invariant 1). Written only by the
        // holder of the write lock, which needs `&mut self`; readers without a lock only read.
        let (key, value) = unsafe {
            (
                (*node.key.get()).assume_init_ref(),
                (*node.value.get()).assume_init_ref(),
            )
        };
        Some(Entry {
            slot,
            key,
            value,
            deadline,
            mark: &node.mark,
        })
    }

    /// Has the processor fetch a node.
    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: u32) {
        if let Some(chunk) = self.table.get((slot >> BITS) as usize) {
            let at = slot as usize & (CHUNK - 1);
            super::index::prefetch(chunk.load(Relaxed).wrapping_add(at));
        }
    }

    /// A free slot, if there is one without a further chunk.
    #[inline]
    fn free_slot(&mut self) -> Option<u32> {
        let (at, word) = self.open.iter().enumerate().find(|(_, word)| **word != 0)?;
        let chunk = at * 64 + word.trailing_zeros() as usize;
        let taken = self.taken[chunk].as_ref().expect("open chunks are there");
        let (at, word) = (taken
            .bits
            .iter()
            .enumerate()
            .find(|(_, word)| **word != u64::MAX))
        .expect("an open chunk has a free slot");
        let within = at * 64 + (!word).trailing_zeros() as usize;
        Some(((chunk << BITS) + within) as u32)
    }

    /// Whether an entry more needs [`Slab::grow`] first.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.at_hand == NONE && self.open.iter().all(|word| *word == 0)
    }

    /// Adds a chunk. Returns the table that readers knew so far if there is a new one; it must stay
    /// alive until none of them looks at it.
    pub(crate) fn grow(&mut self) -> Option<Table<K, V>> {
        let chunk = self.taken.iter().position(Option::is_none);
        let chunk = chunk.unwrap_or(self.taken.len());
        let mut old = None;
        if chunk >= self.table.len() {
            let len = (chunk + 1).max(self.table.len() * 2);
            let known = self.table.iter().map(|it| it.load(Relaxed));
            let all = known.chain(std::iter::repeat(std::ptr::null_mut()));
            let table = all.take(len).map(AtomicPtr::new).collect();
            old = Some(std::mem::replace(&mut self.table, table));
        }
        let len = if chunk == 0 && self.taken.is_empty() {
            // The first chunk of a small cache is small.
            let first = std::mem::replace(&mut self.first, CHUNK);
            self.short = first as u32;
            first
        } else {
            CHUNK
        };
        let memory = Chunk::<K, V>::new(len);
        self.table[chunk].store(memory.nodes.as_ptr(), Release);
        std::mem::forget(memory);
        let bits = std::array::from_fn(|word| match len.saturating_sub(word * 64) {
            0 => u64::MAX,
            here @ 1..64 => u64::MAX << here,
            _ => 0,
        });
        let taken = Some(Taken {
            bits,
            count: 0,
            len,
        });
        if chunk == self.taken.len() {
            self.taken.push(taken);
        } else {
            self.taken[chunk] = taken;
        }
        self.set_open(chunk, true);
        old
    }

    fn set_open(&mut self, chunk: usize, open: bool) {
        let word = chunk / 64;
        if word >= self.open.len() {
            self.open.resize(word + 1, 0);
        }
        let bit = 1 << (chunk % 64);
        if open {
            self.open[word] |= bit;
        } else {
            self.open[word] &= !bit;
        }
    }

    /// Puts an entry into a free slot; there must be one.
    #[inline]
    pub(crate) fn insert(&mut self, key: K, value: V, deadline: u64, mark: u64) -> u32 {
        let slot = match std::mem::replace(&mut self.at_hand, NONE) {
            NONE => self.take_free_slot(),
            slot => slot,
        };
        self.entries += 1;
        let plain = self.plain;
        let node = self.node(slot);
        // SAFETY: the slot is free, so nobody refers to its key or value, and `&mut self` makes
        // this the only writer. Plain data is written by words (invariant 3).
        unsafe {
            if plain {
                plain::store((*node.key.get()).as_mut_ptr(), &key);
                plain::store((*node.value.get()).as_mut_ptr(), &value);
            } else {
                (*node.key.get()).write(key);
                (*node.value.get()).write(value);
            }
        }
        node.mark.store(mark, Relaxed);
        node.deadline.store(deadline.max(1), Relaxed);
        slot
    }

    #[inline(never)]
    fn take_free_slot(&mut self) -> u32 {
        let slot = self.free_slot().expect("the caller made room");
        let (chunk, within) = Self::place(slot);
        let taken = self.taken[chunk].as_mut().expect("the slot is there");
        taken.bits[within / 64] |= 1 << (within % 64);
        taken.count += 1;
        if taken.count == taken.len {
            self.set_open(chunk, false);
        }
        slot
    }

    /// The chunk of a slot, and which of its slots it is.
    #[inline]
    fn place(slot: u32) -> (usize, usize) {
        ((slot >> BITS) as usize, slot as usize & (CHUNK - 1))
    }

    #[inline(never)]
    fn give_free_slot(&mut self, slot: u32) {
        let (chunk, within) = Self::place(slot);
        let taken = self.taken[chunk].as_mut().expect("the slot is there");
        taken.bits[within / 64] &= !(1 << (within % 64));
        taken.count -= 1;
        self.set_open(chunk, true);
    }

    /// Replaces the value in a taken slot.
    #[inline]
    pub(crate) fn replace(&mut self, slot: u32, value: V, deadline: u64) -> V {
        let node = self.node(slot);
        assert!(
            node.deadline.load(Relaxed) != 0,
            "only entries are replaced"
        );
        // SAFETY: initialised (invariant 1); `&mut self` makes this the only writer and nobody
        // holds a reference. The old value is read once and its place written over.
        let old = unsafe {
            let place = (*node.value.get()).as_mut_ptr();
            let old = place.read();
            if self.plain {
                plain::store(place, &value);
            } else {
                place.write(value);
            }
            old
        };
        node.deadline.store(deadline.max(1), Relaxed);
        old
    }

    /// Puts an entry where another is. Returns the other.
    #[inline]
    pub(crate) fn exchange(&mut self, slot: u32, key: K, value: V, deadline: u64) -> (K, V) {
        let node = self.node(slot);
        assert!(
            node.deadline.load(Relaxed) != 0,
            "only entries are exchanged"
        );
        // SAFETY: as in `replace`, for both.
        unsafe {
            let (old_key, old_value) = (
                (*node.key.get()).as_mut_ptr(),
                (*node.value.get()).as_mut_ptr(),
            );
            let old = (old_key.read(), old_value.read());
            if self.plain {
                plain::store(old_key, &key);
                plain::store(old_value, &value);
            } else {
                old_key.write(key);
                old_value.write(value);
            }
            node.deadline.store(deadline.max(1), Relaxed);
            old
        }
    }

    /// Takes the entry out of a taken slot.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) -> (K, V) {
        let node = self.node(slot);
        assert!(node.deadline.load(Relaxed) != 0, "only entries are removed");
        node.deadline.store(0, Relaxed);
        // SAFETY: it was initialised (invariant 1), nobody holds a reference since this is
        // `&mut self`, and from here on the slot counts as vacant, so it is not read again.
        let entry = unsafe {
            (
                (*node.key.get()).assume_init_read(),
                (*node.value.get()).assume_init_read(),
            )
        };
        self.entries -= 1;
        match std::mem::replace(&mut self.at_hand, slot) {
            NONE => {}
            before => self.give_free_slot(before),
        }
        entry
    }

    /// A chunk without entries, taken out of the table, if there are two such or no entry at all.
    /// It must stay alive until no reader looks at it.
    #[inline]
    pub(crate) fn take_empty_chunk(&mut self, slot: u32) -> Option<Chunk<K, V>> {
        let (chunk, _) = Self::place(slot);
        let count = self.taken.get(chunk)?.as_ref()?.count;
        if count > 1 {
            return None;
        }
        self.take_if_empty(chunk)
    }

    #[cold]
    fn take_if_empty(&mut self, chunk: usize) -> Option<Chunk<K, V>> {
        if self.at_hand != NONE {
            let slot = std::mem::replace(&mut self.at_hand, NONE);
            self.give_free_slot(slot);
        }
        if self.taken[chunk].as_ref()?.count > 0 {
            return None;
        }
        let spare = self.entries == 0 || self.open_chunks() > 1 + self.entries / (8 * CHUNK);
        if !spare {
            return None;
        }
        let len = self.taken[chunk]
            .take()
            .expect("it is there, and empty")
            .len;
        self.set_open(chunk, false);
        if chunk == 0 {
            self.short = CHUNK as u32;
        }
        while self.taken.last().is_some_and(Option::is_none) {
            self.taken.pop();
        }
        let nodes = self.table[chunk].load(Relaxed);
        self.table[chunk].store(std::ptr::null_mut(), Relaxed);
        Some(Chunk {
            nodes: NonNull::new(nodes).expect("the chunk was there"),
            len,
        })
    }

    /// The last chunk, if there is no entry at all. To be treated like an empty chunk.
    pub(crate) fn take_last_chunk(&mut self) -> Option<Chunk<K, V>> {
        let last = self.taken.len().checked_sub(1)?;
        if self.entries > 0 {
            return None;
        }
        self.take_if_empty(last)
    }

    fn open_chunks(&self) -> usize {
        self.open
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// The first slot with an entry from `from` on.
    pub(crate) fn next_taken(&self, from: u32) -> Option<u32> {
        match self.next_marked(from) {
            Some(slot) if slot == self.at_hand => self.next_marked(slot + 1),
            other => other,
        }
    }

    fn next_marked(&self, from: u32) -> Option<u32> {
        let (first, mut within) = Self::place(from);
        for (chunk, taken) in self.taken.iter().enumerate().skip(first) {
            let taken = taken.as_ref();
            let bits = taken.map_or([0; CHUNK / 64], |taken| taken.bits);
            let len = taken.map_or(0, |taken| taken.len);
            while within < len {
                let word = bits[within / 64] & (u64::MAX << (within % 64));
                if word != 0 {
                    let within = (within & !63) + word.trailing_zeros() as usize;
                    if within >= len {
                        break;
                    }
                    return Some(((chunk << BITS) + within) as u32);
                }
                within = (within & !63) + 64;
            }
            within = 0;
        }
        None
    }

    /// Copies the entry of a slot out of chunks that a reader without a lock was told of. `None` if
    /// there is no entry, or the slot is out of bounds: then somebody writes.
    ///
    /// # Safety
    ///
    /// `table` is or was a table of this slab, which was promised to be plain; `slot` was read from
    /// its index; neither the table nor a chunk in it is freed before the copy is forgotten.
    #[inline(always)]
    pub(crate) unsafe fn copy(table: &[AtomicPtr<Node<K, V>>], slot: u32) -> Option<Copied<K, V>> {
        let chunk = table.get((slot >> BITS) as usize)?.load(Acquire);
        if chunk.is_null() {
            return None;
        }
        let at = slot as usize & (CHUNK - 1);
        // SAFETY: within a chunk that is alive by contract. Fresh memory is zeroed, so all bytes
        // are initialised; keys and values are plain, and written by words only (invariant 3).
        // Neither is given out before the caller vouches for the copy.
        unsafe {
            let node = &*chunk.add(at);
            Some(Copied {
                deadline: node.deadline.load(Relaxed),
                key: plain::load((*node.key.get()).as_ptr()),
                value: plain::load((*node.value.get()).as_ptr()),
                mark: NonNull::from(&node.mark),
            })
        }
    }
}

impl<K, V> Copied<K, V> {
    /// Its deadline; zero for a vacant slot.
    #[inline(always)]
    pub(crate) fn deadline(&self) -> u64 {
        self.deadline
    }

    /// The key.
    ///
    /// # Safety
    ///
    /// The deadline is not zero, and nobody wrote to the slab between the moment before the index
    /// was read and one after the copy was made.
    #[inline(always)]
    pub(crate) unsafe fn key(&self) -> &K {
        // SAFETY: an initialised node, copied whole (invariant 1).
        unsafe { self.key.assume_init_ref() }
    }

    /// The value, and the mark of the slot.
    ///
    /// # Safety
    ///
    /// As for `key`; and the chunk is not freed before the mark is forgotten.
    #[inline(always)]
    pub(crate) unsafe fn into_value<'a>(self) -> (V, &'a AtomicU64) {
        // SAFETY: as above; the chunk is alive by contract.
        unsafe { (self.value.assume_init(), self.mark.as_ref()) }
    }
}

impl<K, V> Drop for Slab<K, V> {
    fn drop(&mut self) {
        let rest = Rest(self);
        rest.0.empty();
        drop(rest);
    }
}

/// What is left of a slab, also when the destructor of an entry has panicked.
struct Rest<'a, K, V>(&'a mut Slab<K, V>);

impl<K, V> Drop for Rest<'_, K, V> {
    fn drop(&mut self) {
        self.0.empty();
        self.0.free();
    }
}

impl<K, V> Slab<K, V> {
    fn empty(&mut self) {
        let mut from = 0;
        while let Some(slot) = self.next_taken(from) {
            from = slot + 1;
            drop(self.remove(slot));
        }
    }

    /// Frees all chunks, which are empty.
    fn free(&mut self) {
        for (chunk, taken) in self.table.iter().zip(&self.taken) {
            if let Some(taken) = taken
                && let Some(nodes) = NonNull::new(chunk.load(Relaxed))
            {
                let len = taken.len;
                drop(Chunk { nodes, len });
            }
        }
    }
}

impl<K, V> std::fmt::Debug for Slab<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slab")
            .field("entries", &self.entries)
            .field("chunks", &self.taken.len())
            .finish_non_exhaustive()
    }
}
