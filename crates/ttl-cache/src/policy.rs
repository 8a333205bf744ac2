//! Who has to go: one eviction policy a file, behind one trait.

mod adaptive;
mod fifo;
mod lfu;
mod lru;
mod soonest_expiry;

use std::fmt;

/// Which entry goes when there is no room.
///
/// Whatever the policy, entries that have expired go first, and a new entry is never the victim of
/// its own insertion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum EvictionPolicy {
    /// The entry that was read or written longest ago.
    ///
    /// Exact in a cache of one shard, which is what small caches are by default. With more shards
    /// the victim is the one of the shard that needs room, and the order of reads between two
    /// writes of the same shard is not kept.
    #[default]
    Lru,
    /// The entry that was inserted longest ago; reads and later writes of a key change nothing.
    Fifo,
    /// The entry that was used least often, where uses count less the more evictions ago they were
    /// (LFU with dynamic aging: Arlitt, Cherkasova, Dilley, Friedrich and Jin, "Evaluating content
    /// management techniques for web proxy caches", 1999). Among equals the one inserted first.
    Lfu,
    /// The entry that expires first; entries that never expire come last, oldest first.
    SoonestExpiry,
    /// Adapts to the workload: keeps what is used again, lets scans pass through.
    Adaptive,
}

impl fmt::Display for EvictionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lru => "lru",
            Self::Fifo => "fifo",
            Self::Lfu => "lfu",
            Self::SoonestExpiry => "soonest-expiry",
            Self::Adaptive => "adaptive",
        })
    }
}

/// What a policy may know of a shard's entries: marks, which readers write, deadlines and hashes.
pub(crate) trait Marks {
    /// The mark of an entry.
    fn mark(&self, slot: u32) -> u64;
    /// Overwrites the mark of an entry.
    fn set_mark(&self, slot: u32, mark: u64);
    /// When the entry in a slot ends. Zero if the slot is free, or not there.
    fn deadline(&self, slot: u32) -> u64;
    /// The hash of the key in a slot, or of the one that was there last.
    fn hash(&self, slot: u32) -> u32;
    /// Has the processor fetch the mark of an entry.
    fn prefetch(&self, _slot: u32) {}
    /// The shard's clock: a multiple of `STEP`, one more for each write.
    fn stamp(&self) -> u64;
}

/// What a write moves the shard's clock by. Reads between two writes stamp what lies between.
pub(crate) const STEP: u64 = 1 << 12;

/// What a reader leaves on an entry that it found. No policy hears of a read any other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Nothing.
    Nothing,
    /// A stamp after the last write and before the next one, the same for all reads between them.
    Stamp,
    /// A stamp of its own for each read.
    StampEach,
    /// One more than was there, up to a maximum.
    Count { max: u8 },
}

/// One eviction policy over the slots of one shard. It knows no key, no time and no lock.
///
/// The caller's side: all calls come one at a time; a slot is inserted once before it is removed or
/// evicted. The policy's side: every slot that it holds is evicted sooner or later if `evict` is
/// called often enough, each once, and `evict` returns `None` only when it holds none.
pub(crate) trait Policy {
    /// What readers leave.
    const TOUCH: Touch;

    /// How many entries the shard has room for; `u64::MAX` if only their weight is bounded.
    fn set_capacity(&mut self, entries: u64, marks: &impl Marks);

    /// A new entry is in `slot`. `hash` is well mixed, and the same for a key each time.
    fn insert(&mut self, slot: u32, hash: u32, marks: &impl Marks);

    /// The entry in `slot` was written again, which has left the mark of a reader on it.
    fn update(&mut self, _slot: u32, _marks: &impl Marks) {}

    /// The entry in `slot` goes for a reason that is not this policy's. The slot still reads as
    /// taken.
    fn remove(&mut self, slot: u32);

    /// Chooses the next victim and forgets it.
    fn evict(&mut self, marks: &impl Marks) -> Option<u32>;

    /// Has the processor fetch what `evict` will look at next. Returns a guess which slot it will
    /// choose.
    fn prepare(&self, _marks: &impl Marks) -> Option<u32> {
        None
    }

    /// Has the processor fetch what is known of a hash that will be inserted or evicted.
    fn prefetch(&self, _hash: u32) {}

    /// Takes a victim back that was not wanted: it is as it was before.
    fn put_back(&mut self, slot: u32, hash: u32, marks: &impl Marks) {
        let mark = marks.mark(slot);
        self.insert(slot, hash, marks);
        marks.set_mark(slot, mark);
    }

    /// There are no slots from `slots` on any more.
    fn shrink(&mut self, slots: u32, marks: &impl Marks);
}

/// Runs the same code for a policy of whichever kind, as its own type: one jump for several calls.
macro_rules! with_policy {
    ($any:expr, $policy:ident => $body:expr) => {
        match $any {
            $crate::policy::AnyPolicy::Lru($policy) => $body,
            $crate::policy::AnyPolicy::Fifo($policy) => $body,
            $crate::policy::AnyPolicy::Lfu($policy) => $body,
            $crate::policy::AnyPolicy::SoonestExpiry($policy) => $body,
            $crate::policy::AnyPolicy::Adaptive($policy) => $body,
        }
    };
}
pub(crate) use with_policy;

/// The policy of a shard.
#[derive(Debug)]
pub(crate) enum AnyPolicy {
    Lru(lru::Lru),
    Fifo(fifo::Fifo),
    Lfu(lfu::Lfu),
    SoonestExpiry(soonest_expiry::SoonestExpiry),
    Adaptive(adaptive::Adaptive),
}

impl AnyPolicy {
    pub(crate) fn new(kind: EvictionPolicy) -> Self {
        match kind {
            EvictionPolicy::Lru => Self::Lru(lru::Lru::new()),
            EvictionPolicy::Fifo => Self::Fifo(fifo::Fifo::new()),
            EvictionPolicy::Lfu => Self::Lfu(lfu::Lfu::new()),
            EvictionPolicy::SoonestExpiry => {
                Self::SoonestExpiry(soonest_expiry::SoonestExpiry::new())
            }
            EvictionPolicy::Adaptive => Self::Adaptive(adaptive::Adaptive::new()),
        }
    }

    /// What readers leave for this policy.
    pub(crate) fn touch(kind: EvictionPolicy) -> Touch {
        match kind {
            EvictionPolicy::Lru => lru::Lru::TOUCH,
            EvictionPolicy::Fifo => fifo::Fifo::TOUCH,
            EvictionPolicy::Lfu => lfu::Lfu::TOUCH,
            EvictionPolicy::SoonestExpiry => soonest_expiry::SoonestExpiry::TOUCH,
            EvictionPolicy::Adaptive => adaptive::Adaptive::TOUCH,
        }
    }

    pub(crate) fn set_capacity(&mut self, entries: u64, marks: &impl Marks) {
        with_policy!(self, it => it.set_capacity(entries, marks))
    }

    #[inline]
    pub(crate) fn insert(&mut self, slot: u32, hash: u32, marks: &impl Marks) {
        with_policy!(self, it => it.insert(slot, hash, marks))
    }

    #[inline]
    pub(crate) fn update(&mut self, slot: u32, marks: &impl Marks) {
        with_policy!(self, it => it.update(slot, marks))
    }

    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) {
        with_policy!(self, it => it.remove(slot))
    }

    #[inline]
    pub(crate) fn evict(&mut self, marks: &impl Marks) -> Option<u32> {
        with_policy!(self, it => it.evict(marks))
    }

    #[inline]
    pub(crate) fn prefetch(&self, hash: u32) {
        with_policy!(self, it => it.prefetch(hash))
    }

    pub(crate) fn put_back(&mut self, slot: u32, hash: u32, marks: &impl Marks) {
        with_policy!(self, it => it.put_back(slot, hash, marks))
    }

    pub(crate) fn shrink(&mut self, slots: u32, marks: &impl Marks) {
        with_policy!(self, it => it.shrink(slots, marks))
    }
}
