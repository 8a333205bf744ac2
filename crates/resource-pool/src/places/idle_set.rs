//! [`IdleSet`]: places for idle things, found through bitmaps that also say whether somebody waits.
//!
//! It knows no time and no lock. A *bank* is one word and the places it stands for:
//!
//! | bits of the word | meaning | who changes it |
//! |---|---|---|
//! | 0 to 62 | the place holds an idle thing | set by who gives it back, cleared by who takes it |
//! | 63 | attention: give back and take under the lock of the pool | set and cleared under that lock |
//!
//! Invariants:
//!
//! 1. A place's cell is touched by the holder of its [`Place`] only, or by whoever has just cleared
//!    its bit and becomes the holder. A bit is set by the holder, who loses the place by it. Each
//!    place is issued once, and goes back to the set that issued it and to no other.
//! 2. Both facts that a hand-over depends on lie in one word: who sets a bit sees in the same step
//!    whether attention was asked for, and who asks for attention sees the bits set before. So a
//!    thing that becomes idle and a taker that begins to wait cannot miss each other, and no fence
//!    between two words is needed.
//! 3. While attention is set, bits are cleared under the lock only: nobody overtakes.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64 as PlainU64, AtomicUsize};

use crossbeam_utils::CachePadded;

use crate::places::cell::Cell;
use crate::places::record::Record;
use crate::primitive::AtomicU64;

const ATTENTION: u64 = 1 << 63;
/// Few in a model, so that there is more than one bank, and since a model's stack is small.
const PLACES: usize = if cfg!(brolly_loom) { 2 } else { 63 };
/// Banks come in groups of doubling size, so that places never move: 2047 banks at most.
const GROUPS: usize = 11;
/// How many places there can be.
pub(crate) const CAPACITY: usize = ((1 << GROUPS) - 1) * PLACES;

/// The right to a place. There is one for each place, and it is not copied.
///
/// One number, the bank times 64 and the bit: with a pointer beside it, it travels in registers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u32);

impl Place {
    /// Grows with the bank and the bit; not the number of the place where there are shards.
    #[inline]
    pub(crate) fn ordinal(&self) -> usize {
        self.0 as usize
    }

    #[inline]
    fn at(bank: usize, bit: u32) -> Self {
        // There are 2047 banks at most.
        Self((bank as u32) << 6 | bit)
    }

    #[inline]
    fn bank(&self) -> usize {
        (self.0 >> 6) as usize
    }

    #[inline]
    fn bit(&self) -> usize {
        (self.0 & 63) as usize
    }
}

pub(crate) struct IdleSet<T> {
    /// The first bank, which is all that most pools need.
    first: Box<Bank<T>>,
    /// The others. The first group would be the first bank, and stays empty.
    groups: [OnceLock<Box<[Bank<T>]>>; GROUPS],
    /// How many banks are looked at. Grows under the lock of the pool.
    banks: AtomicUsize,
    /// How many places were issued. Changes under the lock of the pool.
    issued: AtomicUsize,
    shards: usize,
    /// Where the next look begins, in bits; stays zero where the hottest goes first.
    cursor: Option<PlainU64>,
}

struct Bank<T> {
    word: CachePadded<AtomicU64>,
    slots: [CachePadded<Slot<T>>; PLACES],
}

struct Slot<T> {
    cell: Cell<T>,
    record: Record,
}

/// What became of a thing that was given back without a lock.
pub(crate) enum Put<T> {
    /// It is idle.
    Idle,
    /// It is idle, and attention was asked for: look under the lock.
    Look,
    /// It was not taken, since attention is asked for.
    Refused(Place, T),
}

impl<T> IdleSet<T> {
    /// A set without places. Places are spread over `shards` banks at a time.
    pub(crate) fn new(shards: usize, round_robin: bool) -> Self {
        Self {
            first: Box::new(Bank::new(0)),
            groups: [const { OnceLock::new() }; GROUPS],
            banks: AtomicUsize::new(0),
            issued: AtomicUsize::new(0),
            shards: shards.clamp(1, PLACES),
            cursor: round_robin.then(|| PlainU64::new(0)),
        }
    }

    /// Takes an idle thing, unless attention is asked for.
    #[inline]
    pub(crate) fn try_take(&self) -> Option<(Place, T)> {
        if self.shards == 1 {
            let bank = &*self.first;
            let word = bank.word.load(Relaxed);
            if word & ATTENTION != 0 {
                return None;
            }
            if word != 0
                && self.cursor.is_none()
                && let Some(taken) = take(bank, 0, word, u64::MAX)
            {
                return Some(taken);
            }
        }
        self.try_take_anywhere()
    }

    #[inline(never)]
    fn try_take_anywhere(&self) -> Option<(Place, T)> {
        let banks = self.banks.load(Acquire);
        let home = match self.shards {
            1 => 0,
            shards => thread_number() % shards,
        };
        let preferred = match &self.cursor {
            Some(cursor) => u64::MAX << (cursor.load(Relaxed) % PLACES as u64),
            None => u64::MAX,
        };
        for position in 0..banks {
            // Within each row of banks, the one of this thread comes first.
            let row = position - position % self.shards;
            let index = row + (position + home) % self.shards;
            // The last row may have banks that were never used.
            let Some(bank) = self.find_bank(index) else {
                continue;
            };
            let word = bank.word.load(Relaxed);
            if word & ATTENTION != 0 {
                return None;
            }
            if word == 0 {
                continue;
            }
            if let Some(taken) = take(bank, index, word, preferred) {
                if let Some(cursor) = &self.cursor {
                    cursor.store(taken.0.bit() as u64 + 1, Relaxed);
                }
                return Some(taken);
            }
        }
        None
    }

    /// Gives a thing back, which makes it idle; refused while attention is asked for.
    #[inline]
    pub(crate) fn put(&self, place: Place, thing: T) -> Put<T> {
        let bank = self.bank(place.bank());
        if bank.word.load(Relaxed) & ATTENTION != 0 {
            return Put::Refused(place, thing);
        }
        // SAFETY: the caller gives the right to this place away, and invariant 1 is that nobody
        // touches the cell without it. The bit is clear, so nobody else gets it before it is set.
        unsafe { bank.slots[place.bit()].cell.put(thing) };
        // Release: who clears the bit finds the thing. The bit is clear, so that adding sets it, and
        // that is one instruction where setting it and asking what was there would be a loop.
        let before = bank.word.fetch_add(1 << place.bit(), Release);
        debug_assert!(before & (1 << place.bit()) == 0, "one right to a place");
        if before & ATTENTION != 0 {
            return Put::Look;
        }
        Put::Idle
    }

    /// Makes a thing idle, whether attention is asked for or not. Under the lock of the pool.
    pub(crate) fn put_under_lock(&self, place: Place, thing: T) {
        let bank = self.bank(place.bank());
        // SAFETY: as in `put`.
        unsafe { bank.slots[place.bit()].cell.put(thing) };
        let before = bank.word.fetch_or(1 << place.bit(), Release);
        debug_assert!(before & (1 << place.bit()) == 0, "one right to a place");
    }

    /// Takes an idle thing, whether attention is asked for or not. Under the lock of the pool.
    pub(crate) fn take_under_lock(&self) -> Option<(Place, T)> {
        let banks = self.banks.load(Relaxed);
        (0..banks).find_map(|index| {
            let bank = self.bank(index);
            take_any(bank, index, !ATTENTION)
        })
    }

    /// Takes the thing of this very place if it is idle. Under the lock of the pool.
    pub(crate) fn take_this(&self, number: usize) -> Option<(Place, T)> {
        let (index, bit) = self.position(number);
        take_any(self.bank(index), index, 1 << bit)
    }

    /// Asks that everything be given back and taken under the lock. Under the lock of the pool.
    pub(crate) fn ask_attention(&self) {
        for index in 0..self.banks.load(Relaxed) {
            // Acquire: what was idle before this can be taken.
            self.bank(index).word.fetch_or(ATTENTION, AcqRel);
        }
    }

    /// Ends that. Under the lock of the pool.
    pub(crate) fn end_attention(&self) {
        for index in 0..self.banks.load(Relaxed) {
            self.bank(index).word.fetch_and(!ATTENTION, Release);
        }
    }

    /// How many things are idle: exact where nobody gives back or takes meanwhile.
    pub(crate) fn idle(&self) -> usize {
        let banks = self.banks.load(Acquire);
        let counts = (0..banks).map(|index| {
            let word = self.bank(index).word.load(Relaxed) & !ATTENTION;
            word.count_ones() as usize
        });
        counts.sum()
    }

    /// The right to a place that there was not before; `None` if there can be no more. Under the
    /// lock of the pool, whose `attention` a new bank takes over.
    pub(crate) fn issue(&self, attention: bool) -> Option<Place> {
        let number = self.issued.load(Relaxed);
        if number >= CAPACITY {
            return None;
        }
        let (index, bit) = self.position(number);
        let (group, _) = group_of(index);
        if group >= GROUPS {
            return None;
        }
        if group > 0 {
            let banks = || (0..1_usize << group).map(|_| Bank::new(0)).collect();
            self.groups[group].get_or_init(banks);
        }
        let known = self.banks.load(Relaxed);
        if index >= known {
            if attention {
                self.bank(index).word.fetch_or(ATTENTION, Relaxed);
            }
            self.banks.store(index + 1, Release);
        }
        // One step, since the cells rely on it that no place is issued twice: who would come here
        // without the lock gets none.
        self.issued
            .compare_exchange(number, number + 1, Release, Relaxed)
            .ok()?;
        Some(Place::at(index, u32::try_from(bit).ok()?))
    }

    /// What is known about a place.
    #[inline]
    pub(crate) fn record(&self, place: &Place) -> &Record {
        &self.bank(place.bank()).slots[place.bit()].record
    }

    /// The records of all places that were issued, by number.
    pub(crate) fn records(&self) -> impl Iterator<Item = (usize, &Record)> {
        self.numbers()
            .map(|number| (number, self.record_of(number)))
    }

    /// The numbers of all places that were issued.
    pub(crate) fn numbers(&self) -> std::ops::Range<usize> {
        0..self.issued.load(Acquire)
    }

    /// What is known about the place of this number.
    pub(crate) fn record_of(&self, number: usize) -> &Record {
        let (index, bit) = self.position(number);
        &self.bank(index).slots[bit].record
    }

    /// Whether the place of this number holds an idle thing.
    pub(crate) fn is_idle(&self, number: usize) -> bool {
        let (index, bit) = self.position(number);
        self.bank(index).word.load(Relaxed) & (1 << bit) != 0
    }

    /// Where the place of this number is: its bank, and its bit there.
    fn position(&self, number: usize) -> (usize, usize) {
        let per_row = self.shards * PLACES;
        let (row, rest) = (number / per_row, number % per_row);
        (row * self.shards + rest % self.shards, rest / self.shards)
    }

    /// The number of a place, where [`position`](Self::position) finds it.
    pub(crate) fn number(&self, place: &Place) -> usize {
        let (row, shard) = (place.bank() / self.shards, place.bank() % self.shards);
        (row * PLACES + place.bit()) * self.shards + shard
    }

    #[inline]
    fn bank(&self, index: usize) -> &Bank<T> {
        let bank = self.find_bank(index);
        bank.expect("a bank is there before a place of it is issued")
    }

    #[inline]
    fn find_bank(&self, index: usize) -> Option<&Bank<T>> {
        if index == 0 {
            return Some(&self.first);
        }
        self.find_bank_in_group(index)
    }

    #[inline(never)]
    fn find_bank_in_group(&self, index: usize) -> Option<&Bank<T>> {
        let (group, offset) = group_of(index);
        Some(&self.groups.get(group)?.get()?[offset])
    }
}

impl<T> Bank<T> {
    fn new(word: u64) -> Self {
        Self {
            word: CachePadded::new(AtomicU64::new(word)),
            slots: std::array::from_fn(|_| {
                CachePadded::new(Slot {
                    cell: Cell::new(),
                    record: Record::default(),
                })
            }),
        }
    }
}

#[inline]
fn group_of(bank: usize) -> (usize, usize) {
    let group = (bank + 1).ilog2() as usize;
    (group, bank + 1 - (1 << group))
}

/// Clears a bit of the word that was seen, one of the `preferred` if there is one. `None` when
/// there is none left or attention is asked for.
#[inline]
fn take<T>(bank: &Bank<T>, index: usize, mut word: u64, preferred: u64) -> Option<(Place, T)> {
    loop {
        let candidates = match word & preferred {
            0 => word,
            some => some,
        };
        let bit = candidates.trailing_zeros();
        // Acquire: the thing was put before the bit was set.
        let cleared = word & !(1_u64 << bit);
        match bank
            .word
            .compare_exchange_weak(word, cleared, Acquire, Relaxed)
        {
            Ok(_) => return Some(taken(bank, index, bit)),
            Err(now) if now == 0 || now & ATTENTION != 0 => return None,
            Err(now) => word = now,
        }
    }
}

/// Clears one of the bits of the mask, whether attention is asked for or not.
fn take_any<T>(bank: &Bank<T>, index: usize, mask: u64) -> Option<(Place, T)> {
    let mut word = bank.word.load(Relaxed);
    loop {
        let candidates = word & mask & !ATTENTION;
        if candidates == 0 {
            return None;
        }
        let bit = candidates.trailing_zeros();
        let cleared = word & !(1_u64 << bit);
        match bank
            .word
            .compare_exchange_weak(word, cleared, Acquire, Relaxed)
        {
            Ok(_) => return Some(taken(bank, index, bit)),
            Err(now) => word = now,
        }
    }
}

/// The thing of a place whose bit the caller has just cleared, and the right to the place.
#[inline]
fn taken<T>(bank: &Bank<T>, index: usize, bit: u32) -> (Place, T) {
    // SAFETY: the caller has just cleared the bit of the place, with `Acquire`, so the right to it is
    // the caller's alone, and the put before the bit was set happened before this.
    let thing = unsafe { bank.slots[bit as usize].cell.take() };
    let thing = thing.expect("a set bit stands for a thing");
    (Place::at(index, bit), thing)
}

/// Numbers threads, so that each keeps to its own bank.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Relaxed);
    }
    NUMBER.try_with(|number| *number).unwrap_or(0)
}
