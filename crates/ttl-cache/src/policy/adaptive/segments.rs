//! [`Segments`]: the entries of a cache in two queues, a window for the new ones and a main part
//! for those that have proven themselves; and the two [`Rule`]s for choosing a victim.

use super::line::Line;
use super::memory::MAX_COUNT;
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

    /// Has the processor fetch what `take_reads` will look at.
    fn prefetch(&self, _slot: u32) {}
}

/// An entry is moved on at most so often in one search for a victim, however popular all are.
const ROUNDS: usize = 32;

/// After a change of rule, the window passes on so many entries with each that comes.
const PASSED: usize = 4;

/// Credit ends here: an entry that was popular is passed over so often and no more.
const MAX_CREDIT: u64 = 3;

/// What will be looked at is fetched so many slots ahead.
const AHEAD: usize = 2;

/// So many slots at least are gone before they are sorted out.
const GONE: usize = 64;

/// Every slot that was inserted and neither removed nor evicted is a member of one of two lines.
/// Slots are numbers; what is in them is the caller's.
///
/// Invariants:
///
/// 1. A slot lies in one line, once, or in none.
/// 2. A slot that is removed is not looked for: it stays where it lies, [`State::GONE`], until it
///    comes up, or so many are gone that all are sorted out. If it is inserted again before that, it
///    is [`State::LATE`] instead: a member of the line that its state names, whose end it takes when
///    it comes up where it lies.
/// 3. Members that are not late lie in the line that their state names.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Segments {
    window: Line,
    main: Line,
    /// How many slots lie in a line and are gone.
    gone: usize,
    /// The next slot whose count fades. None is fading if there is no such slot.
    fading: u32,
    states: SlotVec<State>,
}

/// What is known of an entry.
///
/// | bits | |
/// |---|---|
/// | 0 | in the main part |
/// | 1 | watched by the policy: not used here |
/// | 2–3 | credit: reads that still keep it from going |
/// | 4–7 | count: how often it was used, halved as time goes by |
/// | 8 | gone: there is no entry, but the slot lies in a line |
/// | 9 | late: the slot lies where an earlier entry left it |
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State(u16);

impl State {
    const MAIN: u16 = 1;
    const WATCHED: u16 = 1 << 1;
    const CREDIT: u16 = 0b11 << 2;
    const COUNT: u16 = 0b1111 << 4;
    const GONE: u16 = 1 << 8;
    const LATE: u16 = 1 << 9;

    fn new(count: u8) -> Self {
        Self(u16::from(count.min(MAX_COUNT)) << 4)
    }

    pub(super) fn count(self) -> u8 {
        ((self.0 & Self::COUNT) >> 4) as u8
    }

    pub(super) fn is_watched(self) -> bool {
        self.0 & Self::WATCHED != 0
    }

    fn credit(self) -> u8 {
        ((self.0 & Self::CREDIT) >> 2) as u8
    }

    fn is_main(self) -> bool {
        self.0 & Self::MAIN != 0
    }

    fn is_gone(self) -> bool {
        self.0 & Self::GONE != 0
    }

    /// Whether it is an entry that lies where it belongs.
    fn is_settled(self) -> bool {
        self.0 & (Self::GONE | Self::LATE) == 0
    }

    fn with_credit(self, credit: u8) -> Self {
        Self((self.0 & !Self::CREDIT) | u16::from(credit) << 2)
    }

    fn with(self, bit: u16, set: bool) -> Self {
        Self((self.0 & !bit) | if set { bit } else { 0 })
    }

    fn after(self, reads: u64) -> Self {
        let count = (u64::from(self.count()) + reads).min(u64::from(MAX_COUNT));
        let credit = (u64::from(self.credit()) + reads).min(MAX_CREDIT);
        let both = ((count << 4) | (credit << 2)) as u16;
        Self((self.0 & !(Self::COUNT | Self::CREDIT)) | both)
    }

    fn faded(self) -> Self {
        let count = (self.0 >> 1) & Self::COUNT & !(1 << 7);
        Self((self.0 & !Self::COUNT) | count)
    }
}

impl Segments {
    pub(super) fn new() -> Self {
        Self {
            states: SlotVec::new(State(0)),
            window: Line::new(),
            main: Line::new(),
            gone: 0,
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
        let proven = rule == Rule::Reuse && known.is_some();
        let late = self.state(slot).is_gone();
        let state = State::new(known.unwrap_or(0).saturating_add(1))
            .with(State::MAIN, proven)
            .with(State::LATE, late);
        self.states.set(slot, state);
        let line = self.line(proven);
        line.count_in();
        if late {
            self.gone -= 1;
        } else {
            line.push(slot);
        }
        // Before the cache is full: what came first is not contested by what comes next.
        if rule == Rule::Frequency && self.len() < room {
            self.narrow(rule.window(room));
        }
    }

    /// The entry in a slot was used.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, reads: u64) {
        let state = self.state(slot).after(reads);
        self.states.set(slot, state);
    }

    /// Lets a slot go.
    pub(super) fn remove(&mut self, slot: u32) {
        let state = self.state(slot);
        self.line(state.is_main()).count_out();
        self.states.set(slot, State(State::GONE));
        self.gone += 1;
        if self.gone > self.len() + GONE {
            self.sort_out();
        }
    }

    /// Has the processor fetch what the next search for a victim will look at. Returns the slot
    /// that it will look at first.
    #[inline]
    pub(super) fn prepare(&self, rule: Rule, fetch: impl Fn(u32)) -> Option<u32> {
        let (first, second) = match rule {
            Rule::Recency if !self.main.is_empty() => (&self.main, &self.window),
            _ => (&self.window, &self.main),
        };
        // The first itself was the second one the last time.
        for slot in [first.get(1), second.front()].into_iter().flatten() {
            fetch(slot);
        }
        first.front()
    }

    #[inline]
    fn line(&mut self, main: bool) -> &mut Line {
        if main {
            &mut self.main
        } else {
            &mut self.window
        }
    }

    /// The oldest slot of a line.
    #[inline]
    fn oldest(&mut self, main: bool) -> Option<u32> {
        loop {
            let slot = self.line(main).front()?;
            if self.state(slot).is_settled() {
                return Some(slot);
            }
            self.line(main).pop();
            self.settle(slot);
        }
    }

    /// The first of any line. Twice round, since those that are late may all lie in the other line
    /// than the one that they belong to.
    #[cold]
    fn anybody(&mut self) -> Option<u32> {
        [false, true, false]
            .into_iter()
            .find_map(|main| self.oldest(main))
    }

    /// A slot came up, and was taken out, that has no entry or belongs elsewhere.
    #[cold]
    fn settle(&mut self, slot: u32) {
        let state = self.state(slot);
        if state.is_gone() {
            self.gone -= 1;
            self.states.set(slot, State(0));
        } else {
            self.states.set(slot, state.with(State::LATE, false));
            self.line(state.is_main()).push(slot);
        }
    }

    /// Settles all slots. Takes time for each, after as many were removed.
    #[cold]
    fn sort_out(&mut self) {
        let mut unsettled = Vec::new();
        for line in [&mut self.window, &mut self.main] {
            line.retain(|slot| {
                let settled = self.states.get(slot).is_settled();
                if !settled {
                    unsettled.push(slot);
                }
                settled
            });
        }
        for slot in unsettled {
            self.settle(slot);
        }
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
        let victim = victim
            .or_else(|| self.sweep(entries))
            .or_else(|| self.anybody())?;
        // The searches end with what is the first of its line.
        let line = self.line(self.state(victim).is_main());
        line.count_out();
        line.pop();
        Some(victim)
    }

    /// The oldest entry of the window against the entry that the main part can spare.
    #[inline]
    fn contest(&mut self, window: usize, entries: &mut impl Entries) -> Option<u32> {
        self.narrow(window);
        if self.window.len() < window && !self.main.is_empty() {
            return None;
        }
        let young = self.oldest(false)?;
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
            self.main.turn();
            Some(young)
        }
    }

    /// The oldest entry of the window that was not used in it; the others move on.
    #[inline]
    fn sift(&mut self, window: usize, entries: &mut impl Entries) -> Option<u32> {
        for _ in 0..ROUNDS {
            if self.window.len() < window && !self.main.is_empty() {
                return None;
            }
            let oldest = self.oldest(false)?;
            if self.look(oldest, entries).credit() == 0 {
                return Some(oldest);
            }
            self.fetch_ahead(false, entries);
            self.pass_on(oldest);
        }
        self.oldest(false)
    }

    /// The oldest entry that was not used since it was passed, of the main part while there is one.
    #[inline]
    fn revolve(&mut self, entries: &mut impl Entries) -> Option<u32> {
        for _ in 0..ROUNDS {
            let (main, oldest) = self.oldest_of_all()?;
            if self.look(oldest, entries).credit() == 0 {
                return Some(oldest);
            }
            self.fetch_ahead(main, entries);
            self.pay(oldest);
            if main {
                self.pass_back(oldest);
            } else {
                self.window.turn();
            }
        }
        self.oldest_of_all().map(|(_, oldest)| oldest)
    }

    #[inline]
    fn oldest_of_all(&mut self) -> Option<(bool, u32)> {
        match self.oldest(true) {
            Some(oldest) => Some((true, oldest)),
            None => Some((false, self.oldest(false)?)),
        }
    }

    /// The oldest entry of the main part that has no credit; the others pay for another round.
    #[inline]
    fn sweep(&mut self, entries: &mut impl Entries) -> Option<u32> {
        for _ in 0..ROUNDS {
            let oldest = self.oldest(true)?;
            if self.look(oldest, entries).credit() == 0 {
                return Some(oldest);
            }
            self.fetch_ahead(true, entries);
            self.pay(oldest);
            self.main.turn();
        }
        self.oldest(true)
    }

    /// The oldest slot of a line is about to be passed.
    #[inline]
    fn fetch_ahead(&self, main: bool, entries: &impl Entries) {
        let line = if main { &self.main } else { &self.window };
        if let Some(slot) = line.get(AHEAD) {
            entries.prefetch(slot);
        }
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

    /// The oldest slot goes from the window to the main part, where credit has to be earned anew.
    #[inline]
    fn pass_on(&mut self, slot: u32) {
        self.window.pop();
        self.window.count_out();
        self.main.push(slot);
        self.main.count_in();
        let state = self.state(slot).with_credit(0).with(State::MAIN, true);
        self.states.set(slot, state);
    }

    /// The oldest slot goes from the main part to the window.
    #[inline]
    fn pass_back(&mut self, slot: u32) {
        self.main.pop();
        self.main.count_out();
        self.window.push(slot);
        self.window.count_in();
        let state = self.state(slot).with(State::MAIN, false);
        self.states.set(slot, state);
    }

    /// Passes on what the window has beyond `window` entries, a few at a time.
    #[inline]
    fn narrow(&mut self, window: usize) {
        for _ in 0..PASSED {
            if self.window.len() <= window {
                break;
            }
            if let Some(oldest) = self.oldest(false) {
                self.pass_on(oldest);
            }
        }
    }

    /// From now on, [`fade`](Self::fade) halves every count once.
    pub(super) fn begin_fading(&mut self) {
        self.fading = 0;
    }

    /// Halves the counts of the next `slots` slots. Returns whether there are more.
    pub(super) fn fade(&mut self, slots: u32) -> bool {
        let all = self.states.len();
        let end = self.fading.saturating_add(slots).min(all);
        for slot in self.fading..end {
            let state = self.states.get(slot).faded();
            self.states.set(slot, state);
        }
        self.fading = self.fading.max(end);
        self.fading < all
    }

    /// Forgets the slots from `slots` on, none of which is held. Takes time for each slot.
    pub(super) fn shrink(&mut self, slots: u32) {
        self.sort_out();
        self.states.shrink(slots);
        self.window.shrink();
        self.main.shrink();
    }
}
