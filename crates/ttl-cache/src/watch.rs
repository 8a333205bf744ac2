//! [`Watch`]: whether a key was written since somebody looked.
//!
//! A load, or a computation on a value, runs without a lock. Before it looks at the key it puts up
//! a watch; when it wants to store its result it finds out, under the shard's lock, whether
//! somebody wrote the key meanwhile. Watches go by hash, so a write of another key with the same
//! hash counts too: that costs a store or a retry, never a wrong value.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use brolly_sync::NanoClock;

use crate::inner::Condition;
use crate::load::{Ended, Left, Listing};

use crate::primitive::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Up to 64 keys of one shard, and which of them were written since they are watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen(AtomicU64);

impl Watch {
    /// Whether the key that is watched as number `number` was written. Certain only under the
    /// shard's lock; without it, a `true` is.
    pub(crate) fn wrote(&self, number: u32) -> bool {
        self.0.0.load(Relaxed) & (1 << number) != 0
    }

    /// Whether the only key was written.
    pub(crate) fn written(&self) -> bool {
        self.wrote(0)
    }
}

/// A load's claim to store its value: it is listed under this number, and its key was not written
/// since.
pub(crate) struct Claim<K, V> {
    number: u64,
    /// There was nothing of the key when it was listed.
    absent: bool,
    /// Set once it has stored: whether nothing else is listed then.
    stored: Cell<Option<bool>>,
    left: Cell<Option<Left<K, V>>>,
}

impl<K, V> Claim<K, V> {
    pub(crate) fn new(number: u64, absent: bool) -> Self {
        Self {
            number,
            absent,
            stored: Cell::new(None),
            left: Cell::new(None),
        }
    }

    /// What is left of the load, if it has stored its value.
    pub(crate) fn into_ended(self) -> Option<Ended<K, V>> {
        let (last, left) = (self.stored.get()?, self.left.into_inner());
        Some(Ended { last, left })
    }
}

impl<K, V> Condition<'_, K, V> {
    /// Whether nothing was written that the condition is about. Under the shard's lock.
    #[inline]
    pub(crate) fn is_unwritten(&self, hash: u32, watches: &Watches<K, V>) -> bool {
        match self {
            Self::Always | Self::IfAbsent => true,
            Self::IfUnwritten(watch) => !watch.written(),
            Self::IfLoading(claim) => watches.loads.is_unwritten(hash, claim.number),
        }
    }

    /// Whether it is certain that nothing is there of the key, if nothing was written.
    #[inline(always)]
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::IfLoading(claim) if claim.absent)
    }

    /// When the write is done, if that matters to what the condition is about. `now` is zero if the
    /// write did not have to read the clock.
    #[inline(always)]
    pub(crate) fn ends_at(&self, now: u64, clock: &NanoClock) -> u64 {
        match self {
            Self::IfLoading(_) if now == 0 => clock.coarse(),
            _ => now,
        }
    }

    /// The write is done, under the same lock: what the condition was about ends, at the time that
    /// [`ends_at`](Self::ends_at) told. Runs no foreign code.
    #[inline(always)]
    pub(crate) fn end(&self, hash: u32, watches: &mut Watches<K, V>, now: u64) {
        match self {
            Self::Always | Self::IfAbsent => {}
            Self::IfUnwritten(watch) => watches.remove(hash, watch),
            Self::IfLoading(claim) => {
                let ended = watches.loads.end(hash, claim.number, now);
                claim.stored.set(Some(ended.last));
                if ended.left.is_some() {
                    claim.left.set(ended.left);
                }
            }
        }
    }
}

/// The watches and the loads of a shard; under its lock. A watch ends when its last handle is
/// dropped, and is cleared away when somebody comes by.
pub(crate) struct Watches<K, V> {
    pub(crate) loads: Listing<K, V>,
    by_hash: HashMap<u32, Vec<Watcher>, foldhash::fast::RandomState>,
    /// When there are so many hashes, look for watches that have ended.
    sweep_at: usize,
}

#[derive(Debug)]
struct Watcher {
    seen: Weak<Seen>,
    bit: u64,
}

const SWEEP: usize = 32;

impl<K, V> Default for Watches<K, V> {
    fn default() -> Self {
        Self {
            loads: Listing::default(),
            by_hash: HashMap::default(),
            sweep_at: 0,
        }
    }
}

impl<K, V> Watches<K, V> {
    /// Watches a hash as number `number` of `watch`.
    pub(crate) fn add(&mut self, hash: u32, watch: &Watch, number: u32) {
        if self.by_hash.len() >= self.sweep_at {
            self.by_hash.retain(|_, watchers| {
                watchers.retain(Watcher::lives);
                !watchers.is_empty()
            });
            self.sweep_at = (self.by_hash.len() * 2).max(SWEEP);
        }
        let watchers = self.by_hash.entry(hash).or_default();
        if watchers.len() == watchers.capacity() {
            watchers.retain(Watcher::lives);
        }
        watchers.push(Watcher {
            seen: Arc::downgrade(&watch.0),
            bit: 1 << number,
        });
    }

    /// Ends a watch of this hash.
    pub(crate) fn remove(&mut self, hash: u32, watch: &Watch) {
        if let Some(watchers) = self.by_hash.get_mut(&hash) {
            let own = Arc::as_ptr(&watch.0);
            watchers.retain(|it| it.lives() && it.seen.as_ptr() != own);
            if watchers.is_empty() {
                self.by_hash.remove(&hash);
            }
        }
    }

    /// A key with this hash is written or removed.
    #[inline(always)]
    pub(crate) fn wrote(&mut self, hash: u32) {
        if !(self.by_hash.is_empty() && self.loads.is_empty()) {
            self.tell(hash);
        }
    }

    #[cold]
    fn tell(&mut self, hash: u32) {
        self.loads.wrote(hash);
        if let Some(watchers) = self.by_hash.get_mut(&hash) {
            watchers.retain(Watcher::tell);
            if watchers.is_empty() {
                self.by_hash.remove(&hash);
            }
        }
    }

    /// All keys are removed.
    pub(crate) fn wrote_all(&mut self) {
        self.loads.wrote_all();
        self.by_hash.retain(|_, watchers| {
            watchers.retain(Watcher::tell);
            !watchers.is_empty()
        });
    }
}

impl Watcher {
    fn lives(&self) -> bool {
        self.seen.strong_count() > 0
    }

    /// Tells a watch, and whether it still lives.
    fn tell(&self) -> bool {
        let seen = self.seen.upgrade();
        if let Some(seen) = &seen {
            seen.0.fetch_or(self.bit, Relaxed);
        }
        seen.is_some()
    }
}
