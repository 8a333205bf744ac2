//! [`Engine`]: segments and memory that follow one rule, and the time after which uses count half.

use super::memory::Memory;
use super::segments::{Entries, Rule, Segments};

/// Counts are halved when there were so many uses for each entry: the sample size of the TinyLFU
/// paper is 8 to 16; longer memory favours stable popularity, and this is not sensitive to it.
const USES_PER_ENTRY: u64 = 20;

/// No cache is so small that its counts are halved after fewer uses than this makes.
const MIN_ENTRIES: usize = 16;

/// What fades with each insertion while counts are being halved: so that no insertion takes long,
/// and that it is done long before it begins again.
const FADING_SLOTS: u32 = 64;
const FADING_BUCKETS: usize = 32;

/// The whole of a policy but for the choice of its rule. The cache has one; so has each of the
/// shadows that try the rules.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Engine {
    /// Uses since counts began to fade the last time.
    uses: u64,
    /// So many of them are worth a look whether there were enough for the entries that there are.
    enough: u64,
    /// Counts are being halved.
    fading: bool,
    pub(super) segments: Segments,
    memory: Memory,
    /// Entries when the cache is full; zero if that is not known.
    room: usize,
}

struct Counted<'a, E> {
    entries: &'a mut E,
    reads: u64,
}

impl<E: Entries> Entries for Counted<'_, E> {
    #[inline]
    fn take_reads(&mut self, slot: u32, watched: bool) -> u64 {
        let reads = self.entries.take_reads(slot, watched);
        self.reads += reads;
        reads
    }

    #[inline]
    fn hash(&self, slot: u32) -> u32 {
        self.entries.hash(slot)
    }

    #[inline]
    fn prefetch(&self, slot: u32) {
        self.entries.prefetch(slot);
    }
}

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            segments: Segments::new(),
            memory: Memory::default(),
            uses: 0,
            enough: 0,
            fading: false,
            room: 0,
        }
    }

    /// So many entries make the cache full; zero if that is not known.
    pub(super) fn set_room(&mut self, room: usize) {
        self.room = room;
    }

    #[inline]
    pub(super) fn insert(&mut self, slot: u32, hash: u32, rule: Rule) {
        let known = self.memory.take(hash);
        self.segments.insert(slot, known, rule, self.room);
        self.used(1);
        if self.fading {
            self.fade();
        }
    }

    #[cold]
    fn fade(&mut self) {
        let memory = self.memory.fade(FADING_BUCKETS);
        let segments = self.segments.fade(FADING_SLOTS);
        self.fading = memory || segments;
    }

    #[inline]
    pub(super) fn touch(&mut self, slot: u32, reads: u64) {
        self.segments.touch(slot, reads);
        self.used(reads);
    }

    #[inline]
    pub(super) fn evict(&mut self, rule: Rule, entries: &mut impl Entries) -> Option<u32> {
        let mut counted = Counted { entries, reads: 0 };
        let victim = self.segments.evict(rule, &mut counted)?;
        let reads = counted.reads;
        self.used(reads);
        // The memory begins here, for a cache that is never full needs none.
        self.memory.fit(self.segments.len() + 1);
        let count = self.segments.state(victim).count();
        self.memory.put(entries.hash(victim), count);
        Some(victim)
    }

    /// Has the processor fetch what is remembered of a hash.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        self.memory.prefetch(hash);
    }

    #[inline]
    fn used(&mut self, times: u64) {
        self.uses += times;
        if self.uses >= self.enough {
            self.begin_fading_if_due();
        }
    }

    #[cold]
    fn begin_fading_if_due(&mut self) {
        self.enough = USES_PER_ENTRY * self.segments.len().max(MIN_ENTRIES) as u64;
        if self.uses >= self.enough {
            self.uses = 0;
            self.fading = true;
            self.memory.begin_fading();
            self.segments.begin_fading();
        }
    }
}
