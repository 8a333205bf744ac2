//! [`Segments`]: the entries of a cache in two queues, a window for the new ones and a main part
//! for those that have proven themselves; and the two [`Rule`]s for choosing a victim.

use super::memory::MAX_COUNT;
use super::ring::{Links, Ring};
use crate::order::SlotVec;

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

/// Every slot that was inserted and neither removed nor evicted is in exactly one of two queues.
/// Slots are numbers; what is in them is the caller's.
#[derive(Debug)]
pub(super) struct Segments {
    links: Links,
    states: SlotVec<State>,
    window: Ring,
    main: Ring,
    /// All slots so far are below this.
    slots: u32,
    /// The next slot whose count fades. None is fading if there is no such slot.
    fading: u32,
}

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
        (self.0 >> 2) & 3
    }

    fn is_main(self) -> bool {
        self.0 & Self::MAIN != 0
    }

    fn with_credit(self, credit: u8) -> Self {
        Self((self.0 & 0b1111_0011) | (credit << 2))
    }

    fn with(self, bit: u8, set: bool) -> Self {
        Self((self.0 & !bit) | if set { bit } else { 0 })
    }

    fn after(self, reads: u64) -> Self {
        let count = (u64::from(self.count()) + reads).min(u64::from(MAX_COUNT));
        let credit = (u64::from(self.credit()) + reads).min(MAX_CREDIT);
        Self(((count << 4) | (credit << 2)) as u8 | (self.0 & 0b11))
    }
}

impl Segments {
    pub(super) fn new() -> Self {
        Self {
            links: Links::new(),
            states: SlotVec::new(State(0)),
            window: Ring::new(),
            main: Ring::new(),
            slots: 0,
            fading: u32::MAX,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.window.len() + self.main.len()
    }

    #[inline]
    pub(super) fn state(&self, slot: u32) -> State {
        self.states.get(slot)
    }

    pub(super) fn set_watched(&mut self, slot: u32, watched: bool) {
        let state = self.states.get(slot).with(State::WATCHED, watched);
        self.states.set(slot, state);
    }

    /// Takes in a slot. `known` is how often its key was used before, if it is remembered. `room`
    /// is how many entries there are when the cache is full, if that is known.
    #[inline]
    pub(super) fn insert(&mut self, slot: u32, known: Option<u8>, rule: Rule, room: usize) {
        let count = known.unwrap_or(0).saturating_add(1).min(MAX_COUNT);
        let proven = rule == Rule::Reuse && known.is_some();
        self.slots = self.slots.max(slot.saturating_add(1));
        let state = State(count << 4).with(State::MAIN, proven);
        self.states.set(slot, state);
        let ring = if proven {
            &mut self.main
        } else {
            &mut self.window
        };
        ring.push(&mut self.links, slot);
        // Before the cache is full: what came first is not contested by what comes next.
        if rule == Rule::Frequency && self.len() < room {
            self.narrow(rule.window(room));
        }
    }

    /// The entry in a slot was used.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, reads: u64) {
        let state = self.states.get(slot).after(reads);
        self.states.set(slot, state);
    }

    /// Lets a slot go.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) {
        let ring = if self.state(slot).is_main() {
            &mut self.main
        } else {
            &mut self.window
        };
        ring.take(&mut self.links, slot);
    }

    /// The slots that are looked at first when a victim is sought.
    #[inline]
    pub(super) fn next(&self) -> [Option<u32>; 2] {
        [self.window.oldest(), self.main.oldest()]
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
    #[inline]
    fn contest(&mut self, window: usize, entries: &mut impl Entries) -> Option<u32> {
        self.narrow(window);
        if self.window.len() < window && self.main.len() > 0 {
            return None;
        }
        let young = self.window.oldest()?;
        let better = self.look(young, entries).count();
        // Nothing is admitted for a single use: on a long loop, counts of entries that are held
        // may have faded to nothing when a newcomer has been used once.
        if better < 2 {
            return Some(young);
        }
        let Some(old) = self.sweep(entries) else {
            return Some(young);
        };
        // At the same frequency the newcomer, which was used just now, is one ahead half the time.
        let held = self.state(old).count();
        if better > held + u8::from(held > 1) {
            self.pass_on(young);
            Some(old)
        } else {
            // The next one is compared with another.
            self.main.turn(&self.links);
            Some(young)
        }
    }

    /// The oldest entry of the window that was not used in it; the others move on.
    #[inline]
    fn sift(&mut self, window: usize, entries: &mut impl Entries) -> Option<u32> {
        for _ in 0..ROUNDS {
            if self.window.len() < window && self.main.len() > 0 {
                return None;
            }
            let oldest = self.window.oldest()?;
            if self.look(oldest, entries).credit() == 0 {
                return Some(oldest);
            }
            self.pass_on(oldest);
        }
        self.window.oldest()
    }

    /// The oldest entry that was not used since it was passed, of the main part while there is one.
    #[inline]
    fn revolve(&mut self, entries: &mut impl Entries) -> Option<u32> {
        for _ in 0..ROUNDS {
            if let Some(oldest) = self.main.oldest() {
                if self.look(oldest, entries).credit() == 0 {
                    return Some(oldest);
                }
                self.pay(oldest);
                self.main.take(&mut self.links, oldest);
                self.window.push(&mut self.links, oldest);
                let state = self.state(oldest).with(State::MAIN, false);
                self.states.set(oldest, state);
            } else {
                let oldest = self.window.oldest()?;
                if self.look(oldest, entries).credit() == 0 {
                    return Some(oldest);
                }
                self.pay(oldest);
                self.window.turn(&self.links);
            }
        }
        self.main.oldest().or_else(|| self.window.oldest())
    }

    /// The oldest entry of the main part that has no credit; the others pay for another round.
    #[inline]
    fn sweep(&mut self, entries: &mut impl Entries) -> Option<u32> {
        for _ in 0..ROUNDS {
            let oldest = self.main.oldest()?;
            if self.look(oldest, entries).credit() == 0 {
                return Some(oldest);
            }
            self.pay(oldest);
            self.main.turn(&self.links);
        }
        self.main.oldest()
    }

    /// Brings what is known of an entry up to date.
    #[inline]
    fn look(&mut self, slot: u32, entries: &mut impl Entries) -> State {
        let state = self.state(slot);
        let reads = entries.take_reads(slot, state.is_watched());
        if reads == 0 {
            return state;
        }
        let state = state.after(reads);
        self.states.set(slot, state);
        state
    }

    #[inline]
    fn pay(&mut self, slot: u32) {
        let state = self.state(slot);
        let left = state.credit().saturating_sub(1);
        self.states.set(slot, state.with_credit(left));
    }

    /// From the window to the main part, where credit has to be earned anew.
    #[inline]
    fn pass_on(&mut self, slot: u32) {
        self.window.take(&mut self.links, slot);
        self.main.push(&mut self.links, slot);
        let state = self.state(slot).with_credit(0).with(State::MAIN, true);
        self.states.set(slot, state);
    }

    /// Passes on what the window has beyond `window` entries, a few at a time.
    #[inline]
    fn narrow(&mut self, window: usize) {
        for _ in 0..PASSED {
            if self.window.len() <= window {
                break;
            }
            if let Some(oldest) = self.window.oldest() {
                self.pass_on(oldest);
            }
        }
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
            let count = (bits >> 1) & 0b0111_0000;
            self.states.set(slot, State(count | (bits & 0b1111)));
        }
        self.fading = self.fading.max(end);
    }

    /// Forgets the slots from `slots` on, none of which is held.
    pub(super) fn shrink(&mut self, slots: u32) {
        self.slots = self.slots.min(slots);
        self.links.shrink(slots);
        self.states.shrink(slots);
    }
}
