//! A stand-in for the slab: one chunk whose keys and values are words that loom knows.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::primitive::{AtomicPtr, AtomicU64};

const SLOTS: usize = 2;

/// A key of one word and a value of two.
pub(crate) struct Node<K, V> {
    key: AtomicU64,
    value: [AtomicU64; 2],
    deadline: AtomicU64,
    mark: AtomicU64,
    marker: PhantomData<(K, V)>,
}

pub(crate) struct Slab<K, V> {
    table: Box<[AtomicPtr<Node<K, V>>]>,
}

pub(crate) struct Copied<K, V> {
    key: K,
    value: V,
    deadline: u64,
    mark: NonNull<AtomicU64>,
}

impl<K, V> Slab<K, V> {
    pub(crate) fn new() -> Self {
        assert_eq!(size_of::<K>(), size_of::<u64>());
        assert_eq!(size_of::<V>(), size_of::<[u64; 2]>());
        let word = || AtomicU64::new(0);
        let node = |_| Node {
            key: word(),
            value: [word(), word()],
            deadline: word(),
            mark: word(),
            marker: PhantomData,
        };
        let nodes: Box<[Node<K, V>]> = (0..SLOTS).map(node).collect();
        let chunk = Box::into_raw(nodes).cast::<Node<K, V>>();
        Self {
            table: Box::new([AtomicPtr::new(chunk)]),
        }
    }

    pub(crate) fn table(&self) -> &[AtomicPtr<Node<K, V>>] {
        &self.table
    }

    fn node(&self, slot: u32) -> &Node<K, V> {
        assert!((slot as usize) < SLOTS);
        let chunk = self.table[0].load(Relaxed);
        // SAFETY: inside the chunk, which lives as long as the slab.
        unsafe { &*chunk.add(slot as usize) }
    }

    /// Writes an entry as the real one does: by words, the deadline last.
    pub(crate) fn write(&self, slot: u32, key: u64, value: u64) {
        let node = self.node(slot);
        node.key.store(key, Relaxed);
        node.value[0].store(value, Relaxed);
        node.value[1].store(value, Relaxed);
        node.deadline.store(1, Relaxed);
    }

    pub(crate) fn vacate(&self, slot: u32) {
        self.node(slot).deadline.store(0, Relaxed);
    }

    /// # Safety
    ///
    /// `K` and `V` are one and two words; the table is that of a living slab.
    pub(crate) unsafe fn copy(table: &[AtomicPtr<Node<K, V>>], slot: u32) -> Option<Copied<K, V>> {
        let chunk = table.first()?.load(Acquire);
        assert!(
            (slot as usize) < SLOTS,
            "the index tells slots that there are"
        );
        // SAFETY: inside the chunk; the sizes were checked when the slab was made.
        unsafe {
            let node = &*chunk.add(slot as usize);
            let deadline = node.deadline.load(Relaxed);
            let key = node.key.load(Relaxed);
            let value = [node.value[0].load(Relaxed), node.value[1].load(Relaxed)];
            Some(Copied {
                key: std::mem::transmute_copy(&key),
                value: std::mem::transmute_copy(&value),
                deadline,
                mark: NonNull::from(&node.mark),
            })
        }
    }
}

impl<K, V> Copied<K, V> {
    pub(crate) fn deadline(&self) -> u64 {
        self.deadline
    }

    /// # Safety
    ///
    /// None here: all copies are initialised.
    pub(crate) unsafe fn key(&self) -> &K {
        &self.key
    }

    /// # Safety
    ///
    /// The slab lives.
    pub(crate) unsafe fn into_value<'a>(self) -> (V, &'a AtomicU64) {
        // SAFETY: by contract.
        (self.value, unsafe { self.mark.as_ref() })
    }
}

impl<K, V> Drop for Slab<K, V> {
    fn drop(&mut self) {
        let chunk = self.table[0].load(Relaxed);
        self.table[0].store(std::ptr::null_mut(), Release);
        // SAFETY: made by `new` from a box of so many nodes.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(chunk, SLOTS)) });
    }
}
