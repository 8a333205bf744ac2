//! [`Index`]: from a hash to the slots that may hold its key, one cache line a look.
//!
//! A table of groups of one cache line: twelve tags of a byte, twelve slots, and counts of the
//! entries that belong here and found no room. A look compares all tags at once; it goes on to the
//! next group only if those counts say that there is somebody to look for. So taking an entry out
//! moves no other entry and leaves no tombstone (as in F14: Bronson and Shi, "Open-sourcing F14 for
//! faster, more memory-efficient hash tables", 2019; the counts are kept by three bits of the hash,
//! so that a look for what is not there rarely goes on).
//!
//! All words are atomic, so that a reader without a lock sees whole words; what it makes of them
//! counts only if nobody wrote meanwhile.

use crate::primitive::{AtomicU32, AtomicU64};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Slots of a group.
const WIDTH: usize = 12;
/// The bits of these slots.
const PLACES: u32 = (1 << WIDTH) - 1;

/// One cache line. A tag of zero means that the place is free.
///
/// | word | bytes |
/// |---|---|
/// | `tags` | tags of places 0 to 7 |
/// | `rest` | low half: tags of places 8 to 11; high half: how many entries that passed here lie in a later group, four bits for each class of hashes; a count that reached 15 stays |
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Group {
    tags: AtomicU64,
    rest: AtomicU64,
    slots: [AtomicU32; WIDTH],
}

impl Group {
    fn new() -> Self {
        Self {
            tags: AtomicU64::new(0),
            rest: AtomicU64::new(0),
            slots: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// The places whose tag is `tag`, one bit each.
    #[inline(always)]
    fn matches(&self, tag: u8) -> Look {
        let (tags, rest) = (self.tags.load(Relaxed), self.rest.load(Relaxed));
        Look {
            places: equal_bytes(tags, rest, tag) & PLACES,
            rest,
        }
    }

    /// An entry with this hash passes on to the next group.
    fn add_passed(&self, hash: u32) {
        let rest = self.rest.load(Relaxed);
        let shift = class_shift(hash);
        if rest >> shift & PASSED < PASSED {
            self.rest.store(rest + (1 << shift), Relaxed);
        }
    }

    /// One that passed has gone.
    fn subtract_passed(&self, hash: u32) {
        let rest = self.rest.load(Relaxed);
        let shift = class_shift(hash);
        if (1..PASSED).contains(&(rest >> shift & PASSED)) {
            self.rest.store(rest - (1 << shift), Relaxed);
        }
    }

    #[inline(always)]
    fn slot(&self, place: usize) -> u32 {
        // Pairs with the storing of a slot: whoever reads it finds the memory that it lies in.
        self.slots[place].load(Acquire)
    }

    fn set_tag(&self, place: usize, tag: u8) {
        let (word, byte) = if place < 8 {
            (&self.tags, place)
        } else {
            (&self.rest, place - 8)
        };
        let shift = byte * 8;
        let others = word.load(Relaxed) & !(0xFF << shift);
        word.store(others | u64::from(tag) << shift, Relaxed);
    }

    /// Enters a slot, if there is a free place.
    #[inline]
    fn enter(&self, hash: u32, slot: u32) -> bool {
        let Some(place) = self.matches(0).first() else {
            return false;
        };
        self.slots[place].store(slot, Release);
        self.set_tag(place, tag_of(hash));
        true
    }

    /// Takes a slot out, if it is here.
    #[inline]
    fn leave(&self, hash: u32, slot: u32) -> bool {
        let mut seen = self.matches(tag_of(hash));
        while let Some(place) = seen.first() {
            if self.slot(place) == slot {
                self.set_tag(place, 0);
                return true;
            }
            seen = seen.others();
        }
        false
    }
}

/// What a group says about a tag.
#[derive(Clone, Copy)]
pub(super) struct Look {
    places: u32,
    rest: u64,
}

impl Look {
    /// The first place with the tag.
    #[inline(always)]
    fn first(self) -> Option<usize> {
        (self.places != 0).then(|| self.places.trailing_zeros() as usize)
    }

    /// Without the first place.
    #[inline(always)]
    fn others(self) -> Self {
        Self {
            places: self.places & self.places.wrapping_sub(1),
            ..self
        }
    }

    /// Whether an entry with this hash may lie in the next group.
    #[inline(always)]
    fn passes(self, hash: u32) -> bool {
        self.rest >> class_shift(hash) & PASSED != 0
    }
}

/// Has the processor fetch a cache line, where this crate knows how.
#[inline(always)]
pub(crate) fn prefetch<T>(line: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// Which bytes of `low`, then of `high`, equal `byte`: one bit each, from the lowest on.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn equal_bytes(low: u64, high: u64, byte: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    // SAFETY: SSE2 is part of every x86-64.
    unsafe {
        let bytes = _mm_set_epi64x(high as i64, low as i64);
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))) as u32
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn equal_bytes(low: u64, high: u64, byte: u8) -> u32 {
    swar::equal_bytes(low, byte) | swar::equal_bytes(high, byte) << 8
}

/// The same for processors whose vector instructions this crate does not know: words as vectors.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod swar {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const REST: u64 = 0x7F7F_7F7F_7F7F_7F7F;

    /// Which bytes of `word` equal `byte`.
    #[inline(always)]
    pub(super) fn equal_bytes(word: u64, byte: u8) -> u32 {
        let differs = word ^ (LOW * u64::from(byte));
        // The high bit of a byte stays clear only if all its bits are.
        let some = ((differs & REST) + REST) | differs | REST;
        // One bit for each byte that has none, gathered into the highest byte.
        let none = (!some) >> 7;
        (none.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    }
}

/// The largest count of a class.
const PASSED: u64 = 15;

/// Where in `rest` the count of a hash's class is: bits that neither tag nor home depend on much.
#[inline(always)]
fn class_shift(hash: u32) -> u32 {
    32 + (hash >> 8 & 7) * 4
}

/// The tag of a hash: never zero.
#[inline(always)]
pub(crate) fn tag_of(hash: u32) -> u8 {
    (hash as u8).max(1)
}

/// The group where a hash is at home.
#[inline(always)]
pub(super) fn home_of(hash: u32, groups: usize) -> usize {
    ((u64::from(hash) * groups as u64) >> 32) as usize
}

/// Where to look after the group `at` had no room. The first time far away, since full groups attract
/// what their neighbours have no room for; from there on one after the other, so that all are seen.
#[inline]
fn next_of(at: usize, turn: usize, hash: u32, groups: usize) -> usize {
    if turn == 0 {
        home_of(hash.wrapping_mul(0x9E37_79B1), groups)
    } else if at + 1 == groups {
        0
    } else {
        at + 1
    }
}

/// Looks for a hash among `groups`. `is_it` is asked for each slot that may be the one.
///
/// Ends after every group was seen once, whatever others write meanwhile.
#[inline(always)]
pub(super) fn look<R>(
    groups: &[Group],
    hash: u32,
    mut is_it: impl FnMut(u32) -> Option<R>,
) -> Option<R> {
    let tag = tag_of(hash);
    let mut at = home_of(hash, groups.len());
    for turn in 0..=groups.len() {
        let group = &groups[at];
        let mut seen = group.matches(tag);
        while let Some(place) = seen.first() {
            if let Some(found) = is_it(group.slot(place)) {
                return Some(found);
            }
            seen = seen.others();
        }
        if !seen.passes(hash) {
            return None;
        }
        at = next_of(at, turn, hash, groups.len());
    }
    None
}

/// The first look at a hash, at its home: nearly always the last one.
pub(super) enum First {
    /// This slot may be the one.
    Perhaps(u32),
    /// There is nothing, here or elsewhere.
    Nothing,
    /// Only a whole look can tell.
    Unclear,
}

/// Takes a first look. There is a group at least.
#[inline(always)]
pub(super) fn first_look(groups: &[Group], hash: u32) -> First {
    let group = &groups[home_of(hash, groups.len())];
    let seen = group.matches(tag_of(hash));
    match seen.first() {
        Some(place) => First::Perhaps(group.slot(place)),
        None if seen.passes(hash) => First::Unclear,
        None => First::Nothing,
    }
}

/// The index as its writer sees it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Index {
    entries: usize,
    groups: Box<[Group]>,
}

/// How full two groups may be together: 19 of 24 places. The fuller they are, the more look-ups go on
/// to a second group; the emptier, the more memory an entry takes.
const FULL: usize = 19;

impl Index {
    /// An index that holds nothing and has room for a few entries.
    pub(crate) fn new() -> Self {
        Self::with_groups(1)
    }

    fn with_groups(groups: usize) -> Self {
        Self {
            groups: (0..groups).map(|_| Group::new()).collect(),
            entries: 0,
        }
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether one more entry needs a larger table first.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.entries * 2 >= self.groups.len() * FULL
    }

    /// A larger table with the same entries: twice as large, or just enough for `expected` if that
    /// is less, an eighth larger beyond. `hash_of` tells the hash of a slot.
    pub(crate) fn grown(&self, expected: usize, hash_of: impl Fn(u32) -> u32) -> Self {
        let now = self.groups.len();
        let enough = expected.saturating_mul(2).div_ceil(FULL);
        let groups = if now < enough {
            (now * 2).min(enough)
        } else {
            now + now / 8 + 1
        };
        self.rebuilt(groups, hash_of)
    }

    /// A table just large enough, with the same entries.
    pub(crate) fn shrunk(&self, hash_of: impl Fn(u32) -> u32) -> Self {
        self.rebuilt(self.entries * 2 / FULL + 1, hash_of)
    }

    fn rebuilt(&self, groups: usize, hash_of: impl Fn(u32) -> u32) -> Self {
        let mut new = Self::with_groups(groups);
        // What holds nothing is not looked through.
        if self.entries > 0 {
            for slot in self.slots() {
                new.insert(hash_of(slot), slot);
            }
        }
        new
    }

    /// How many entries the table could hold for each that it holds.
    pub(crate) fn is_sparse(&self) -> bool {
        self.groups.len() > 4 && self.entries < self.groups.len()
    }

    fn slots(&self) -> impl Iterator<Item = u32> {
        self.groups.iter().flat_map(|group| {
            let tags = group.tags.load(Relaxed).to_le_bytes();
            let rest = group.rest.load(Relaxed).to_le_bytes();
            let tags = tags.into_iter().chain(rest.into_iter().take(WIDTH - 8));
            let slots = group.slots.iter().map(|slot| slot.load(Relaxed));
            let both = tags.zip(slots).filter(|(tag, _)| *tag != 0);
            both.map(|(_, slot)| slot)
        })
    }

    /// The slot with this hash that is the one.
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.search(hash, |slot| is_it(slot).then_some(slot))
    }

    /// Looks for a hash. `is_it` is asked about slots that may be the one.
    #[inline(always)]
    pub(crate) fn search<R>(
        &self,
        hash: u32,
        mut is_it: impl FnMut(u32) -> Option<R>,
    ) -> Option<R> {
        match first_look(&self.groups, hash) {
            First::Nothing => return None,
            First::Perhaps(slot) => {
                let found = is_it(slot);
                if found.is_some() {
                    return found;
                }
            }
            First::Unclear => {}
        }
        self.find_anywhere(hash, is_it)
    }

    #[cold]
    #[inline(never)]
    fn find_anywhere<R>(&self, hash: u32, is_it: impl FnMut(u32) -> Option<R>) -> Option<R> {
        look(&self.groups, hash, is_it)
    }

    /// Enters a slot. There must be room.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u32, slot: u32) {
        self.entries += 1;
        let home = home_of(hash, self.groups.len());
        if !self.groups[home].enter(hash, slot) {
            self.insert_after(home, hash, slot);
        }
    }

    /// As `insert`, when there is no place at home.
    #[cold]
    #[inline(never)]
    fn insert_after(&mut self, home: usize, hash: u32, slot: u32) {
        let mut at = home;
        for turn in 0.. {
            self.groups[at].add_passed(hash);
            at = next_of(at, turn, hash, self.groups.len());
            if self.groups[at].enter(hash, slot) {
                return;
            }
        }
    }

    /// Has the processor fetch what `remove` will look at.
    #[inline(always)]
    pub(crate) fn prefetch(&self, hash: u32) {
        prefetch(&self.groups[home_of(hash, self.groups.len())]);
    }

    /// Takes a slot out that was entered under this hash.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u32, slot: u32) {
        self.entries -= 1;
        let home = home_of(hash, self.groups.len());
        if !self.groups[home].leave(hash, slot) {
            self.remove_after(home, hash, slot);
        }
    }

    /// As `remove`, when it is not at home.
    #[cold]
    #[inline(never)]
    fn remove_after(&mut self, home: usize, hash: u32, slot: u32) {
        let mut at = home;
        for turn in 0..=self.groups.len() {
            self.groups[at].subtract_passed(hash);
            at = next_of(at, turn, hash, self.groups.len());
            if self.groups[at].leave(hash, slot) {
                return;
            }
        }
        debug_assert!(false, "a slot was taken out that is not in the index");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{equal_bytes, swar};

    proptest! {
        #[test]
        fn words_as_vectors_tell_the_same_as_vectors(low: u64, high: u64, byte: u8, copies: u16) {
            // Equal bytes are rare by chance.
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&low.to_le_bytes());
            bytes[8..].copy_from_slice(&high.to_le_bytes());
            let mut expected = 0;
            for (at, it) in bytes.iter_mut().enumerate() {
                if copies >> at & 1 == 1 {
                    *it = byte;
                }
                expected |= u32::from(*it == byte) << at;
            }
            let [low, high] = [0, 8].map(|at| {
                u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
            });
            prop_assert_eq!(equal_bytes(low, high, byte), expected);
            let words = swar::equal_bytes(low, byte) | swar::equal_bytes(high, byte) << 8;
            prop_assert_eq!(words, expected);
        }
    }
}
