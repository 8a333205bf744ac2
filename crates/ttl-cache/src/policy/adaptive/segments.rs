//! [`Segments`]: the entries of a cache in two queues, a window for the new ones and a main part
//! for those that have proven themselves; and the two [`Rule`]s for choosing a victim.

use super::memory::MAX_COUNT;
use crate::order::{NONE, SlotVec};

/// How entries get from the window into the main part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// An entry has to have been used more often than the one that goes in its place: the rule of
    /// TinyLFU. What is held stays while what comes is no better, so loops and scans do no harm.
    Frequency,
    /// An entry has to have been used again, in the window or soon after it: the rule of S3-FIFO.
    /// The main part keeps up with what is popular now.
    Reuse,
    /// An entry has to have been used since it came or was passed the last time: the rule of
    /// CLOCK, which does as least recently used does. There is no main part.
    Recency,
}

impl Rule {
    pub(super) const ALL: [Self; 3] = [Self::Frequency, Self::Reuse, Self::Recency];

    /// How many of `entries` entries the window has at least, when the cache is full: the share
    /// that the papers recommend, one in a hundred for TinyLFU and one in ten for S3-FIFO.
    fn window(self, entries: usize) -> usize {
        let share = match self {
            Self::Frequency => entries / 100,
            Self::Reuse => entries / 10,
            Self::Recency => entries,
        };
        share.max(1)
    }
}

/// What segments ask about the entries in their slots.
pub(super) trait Entries {
    /// How often an entry was read since this was asked last, and whether the policy watches it.
    fn take_reads(&mut self, slot: u32, watched: bool) -> u64;

    /// The hash of the key in a slot, also right after the entry was let go.
    fn hash(&self, slot: u32) -> u32;
}

/// An entry is moved on at most so often in one search for a victim, however popular all are.
const ROUNDS: usize = 32;

/// After a change of rule, the window passes on so many entries with each that comes.
const PASSED: usize = 4;

/// Credit ends here: an entry that was popular is passed over so often and no more.
const MAX_CREDIT: u64 = 3;

/// Every slot that was inserted and neither removed nor evicted is in exactly one of two queues,
/// newest first. Slots are numbers; what is in them is the caller's.
#[derive(Debug)]
pub(super) struct Segments {
    links: SlotVec<Links>,
    states: SlotVec<State>,
    window: Ends,
    main: Ends,
    /// All slots so far are below this.
    slots: u32,
    /// The next slot whose count fades. None is fading if there is no such slot.
    fading: u32,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    newer: u32,
    older: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    newest: u32,
    oldest: u32,
    len: usize,
}

const EMPTY: Ends = Ends {
    newest: NONE,
    oldest: NONE,
    len: 0,
};

/// What is known of an entry, in one byte.
///
/// | bits | |
/// |---|---|
/// | 0 | in the main part |
/// | 1 | watched by the policy: not used here |
/// | 2–3 | credit: reads that still keep it from going |
/// | 4–7 | count: how often it was used, halved as time goes by |
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State(u8);

impl State {
    const MAIN: u8 = 1;
    const WATCHED: u8 = 2;

    pub(super) fn count(self) -> u8 {
        self.0 >> 4
    }

    pub(super) fn is_watched(self) -> bool {
        self.0 & Self::WATCHED != 0
    }

    fn credit(self) -> u8 {
        self.0 >> 2 & 3
    }

    fn is_main(self) -> bool {
        self.0 & Self::MAIN != 0
    }

    fn with_credit(self, credit: u8) -> Self {
        Self(self.0 & 0b1111_0011 | credit << 2)
    }

    fn after(self, reads: u64) -> Self {
        let count = (u64::from(self.count()) + reads).min(u64::from(MAX_COUNT));
        let credit = (u64::from(self.credit()) + reads).min(MAX_CREDIT);
        Self((count << 4 | credit << 2) as u8 | self.0 & 0b11)
    }
}

impl Segments {
    pub(super) fn new() -> Self {
        Self {
            links: SlotVec::new(Links {
                newer: NONE,
                older: NONE,
            }),
            states: SlotVec::new(State(0)),
            window: EMPTY,
            main: EMPTY,
            slots: 0,
            fading: u32::MAX,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.window.len + self.main.len
    }

    pub(super) fn state(&self, slot: u32) -> State {
        self.states.get(slot)
    }

    pub(super) fn set_watched(&mut self, slot: u32, watched: bool) {
        let State(bits) = self.states.get(slot);
        let bit = if watched { State::WATCHED } else { 0 };
        self.states.set(slot, State(bits & !State::WATCHED | bit));
    }

    /// Takes in a slot. `known` is how often its key was used before, if it is remembered. `room`
    /// is how many entries there are when the cache is full, if that is known.
    #[inline]
    pub(super) fn insert(&mut self, slot: u32, known: Option<u8>, rule: Rule, room: usize) {
        let count = known.unwrap_or(0).saturating_add(1).min(MAX_COUNT);
        let proven = rule == Rule::Reuse && known.is_some();
        self.slots = self.slots.max(slot.saturating_add(1));
        self.states.set(slot, State(count << 4));
        self.push(slot, proven);
        // Before the cache is full: what came first is not contested by what comes next.
        if rule == Rule::Frequency && self.len() < room {
            let window = rule.window(room);
            for _ in 0..PASSED {
                if self.window.len > window {
                    self.shift(self.window.oldest, true);
                }
            }
        }
    }

    /// The entry in a slot was used.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, reads: u64) {
        if reads > 0 {
            let state = self.states.get(slot).after(reads);
            self.states.set(slot, state);
        }
    }

    /// Lets a slot go.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) {
        self.unlink(slot);
    }

    /// Chooses a victim and lets it go.
    #[inline]
    pub(super) fn evict(&mut self, rule: Rule, entries: &mut impl Entries) -> Option<u32> {
        let window = rule.window(self.len());
        let victim = match rule {
            Rule::Frequency => self.contest(window, entries),
            Rule::Reuse => self.sift(window, entries),
            Rule::Recency => self.revolve(entries),
        };
        let victim = victim.or_else(|| self.sweep(entries))?;
        self.remove(victim);
        Some(victim)
    }

    /// The oldest entry of the window against the entry that the main part can spare.
    fn contest(&mut self, window: usize, entries: &mut impl Entries) -> Option<u32> {
        for _ in 0..PASSED {
            if self.window.len > window {
                self.look(self.window.oldest, entries);
                self.pass_on(self.window.oldest);
            }
        }
        if self.window.len < window && self.main.len > 0 {
            return None;
        }
        let young = self.window.oldest;
        if young == NONE {
            return None;
        }
        self.look(young, entries);
        let Some(old) = self.sweep(entries) else {
            return Some(young);
        };
        let (better, held) = (self.state(young).count(), self.state(old).count());
        // Nothing is admitted for a single use: on a long loop, counts of entries that are held
        // may have faded to nothing when a newcomer has been used once.
        if better > held && better > 1 {
            self.pass_on(young);
            Some(old)
        } else {
            self.shift(old, true);
            Some(young)
        }
    }

    /// The oldest entry of the window that was not used in it; the others move on.
    fn sift(&mut self, window: usize, entries: &mut impl Entries) -> Option<u32> {
        for round in 0.. {
            let oldest = self.window.oldest;
            if oldest == NONE || self.window.len < window && self.main.len > 0 {
                break;
            }
            if self.look(oldest, entries) == 0 || round == ROUNDS {
                return Some(oldest);
            }
            self.pass_on(oldest);
        }
        None
    }

    /// The oldest entry that was not used since it was passed, of the main part while there is one.
    fn revolve(&mut self, entries: &mut impl Entries) -> Option<u32> {
        let mut oldest = NONE;
        for _ in 0..ROUNDS {
            let part = if self.main.len > 0 {
                &self.main
            } else {
                &self.window
            };
            oldest = part.oldest;
            if oldest == NONE {
                return None;
            }
            let credit = self.look(oldest, entries);
            if credit == 0 {
                break;
            }
            let state = self.state(oldest).with_credit(credit - 1);
            self.states.set(oldest, state);
            self.shift(oldest, false);
        }
        Some(oldest)
    }

    /// The oldest entry of the main part that has no credit; the others pay for another round.
    fn sweep(&mut self, entries: &mut impl Entries) -> Option<u32> {
        for _ in 0..ROUNDS {
            let oldest = self.main.oldest;
            if oldest == NONE {
                return None;
            }
            let credit = self.look(oldest, entries);
            if credit == 0 {
                return Some(oldest);
            }
            let state = self.state(oldest).with_credit(credit - 1);
            self.states.set(oldest, state);
            self.shift(oldest, true);
        }
        Some(self.main.oldest)
    }

    /// Brings what is known of an entry up to date. Returns its credit.
    fn look(&mut self, slot: u32, entries: &mut impl Entries) -> u8 {
        let watched = self.state(slot).is_watched();
        self.touch(slot, entries.take_reads(slot, watched));
        self.state(slot).credit()
    }

    /// From the window to the main part, where credit has to be earned anew.
    fn pass_on(&mut self, slot: u32) {
        self.states.set(slot, self.state(slot).with_credit(0));
        self.shift(slot, true);
    }

    /// From now on, [`fade`](Self::fade) halves every count once.
    pub(super) fn begin_fading(&mut self) {
        self.fading = 0;
    }

    /// Halves the counts of the next `slots` slots.
    #[inline]
    pub(super) fn fade(&mut self, slots: u32) {
        let end = self.fading.saturating_add(slots).min(self.slots);
        for slot in self.fading..end {
            let State(bits) = self.states.get(slot);
            let count = bits >> 1 & 0b0111_0000;
            self.states.set(slot, State(count | bits & 0b1111));
        }
        self.fading = self.fading.max(end);
    }

    /// Forgets the slots from `slots` on, none of which is held.
    pub(super) fn shrink(&mut self, slots: u32) {
        self.slots = self.slots.min(slots);
        self.links.shrink(slots);
        self.states.shrink(slots);
    }

    fn shift(&mut self, slot: u32, main: bool) {
        self.unlink(slot);
        self.push(slot, main);
    }

    fn push(&mut self, slot: u32, main: bool) {
        let ends = if main {
            &mut self.main
        } else {
            &mut self.window
        };
        let older = std::mem::replace(&mut ends.newest, slot);
        ends.len += 1;
        if older == NONE {
            ends.oldest = slot;
        } else {
            let links = self.links.get(older);
            self.links.set(
                older,
                Links {
                    newer: slot,
                    ..links
                },
            );
        }
        self.links.set(slot, Links { newer: NONE, older });
        let State(bits) = self.states.get(slot);
        self.states
            .set(slot, State(bits & !State::MAIN | u8::from(main)));
    }

    fn unlink(&mut self, slot: u32) {
        let Links { newer, older } = self.links.get(slot);
        let main = self.states.get(slot).is_main();
        let ends = if main {
            &mut self.main
        } else {
            &mut self.window
        };
        ends.len -= 1;
        if newer == NONE {
            ends.newest = older;
        } else {
            let links = self.links.get(newer);
            self.links.set(newer, Links { older, ..links });
        }
        let ends = if main {
            &mut self.main
        } else {
            &mut self.window
        };
        if older == NONE {
            ends.oldest = newer;
        } else {
            let links = self.links.get(older);
            self.links.set(older, Links { newer, ..links });
        }
    }
}
