//! [`Gate`]: the breaker itself: who is let through, what a result changes, and each change of
//! state.
//!
//! One word says what happens to a call (`state.rs` has its table). Reading it is all that a call
//! through a closed breaker costs before it runs, and after a success that changes nothing it is
//! read once more.
//!
//! Everything else belongs to whoever set the word's `BUSY` bit: the window, the counts of probes,
//! the deadline, and the word. So a result is checked against its epoch and taken in as one step,
//! and of all who would change the state one does. The bit is held for a few dozen instructions, or
//! some hundreds for a change of state; no foreign code runs and no clock is read meanwhile. Those
//! who want it spin.
//!
//! Invariants:
//!
//! 1. `until` and the epoch change together, under `BUSY`. `until` is written (release) before the
//!    new epoch is, so whoever reads the word, then `until` (acquire), then the same epoch without
//!    `BUSY`, has a deadline that belongs to it.
//! 2. Half-open, the probes in flight are those whose permits carry this epoch, less those whose
//!    permits were leaked; `FULL` says that they are as many as are permitted.
//! 3. Each change of epoch that changes the state enters one event before it lets go of `BUSY`, and
//!    keeps the log locked until it has, so that nobody is told before the state is published.
//! 4. A clock is read before `BUSY` is taken. Where a result turns out to open a closed breaker,
//!    `BUSY` is let go, the clock is read, and the breaker opens if its epoch is still the same:
//!    most failures open nothing and read no clock.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use brolly_sync::Clock;

use crate::error::Rejection;
use crate::event::{Entered, Event, EventLog, Reason};
use crate::name::Name;
use crate::outcome::Outcome;
use crate::primitive::{AtomicU8, AtomicU16, AtomicU64, Spin};
use crate::settings::{Settings, nanos};
use crate::state::{State, Word};
use crate::totals::{Counter, Totals};
use crate::window::{Cells, Counts, Sample, Window};

/// What breakers that were made from one template share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    /// How far the clock's coarse reading may lag, in nanoseconds.
    pub(crate) coarse_lag: u64,
    pub(crate) log: EventLog,
}

/// What does not change in the life of a breaker, but for the window's contents. Breakers without a
/// name whose window lies in their own cells share one.
pub(crate) struct Body {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: Name,
    pub(crate) window: Window,
}

/// A breaker. 40 bytes, so that with the counts of an `Arc` and the pointer of its first handle it
/// takes 64.
pub(crate) struct Gate {
    state: AtomicU64,
    /// Open: when a call may be let through. Half-open: when the probes are overdue. Nanoseconds of
    /// the clock; `u64::MAX` is never.
    until: AtomicU64,
    /// Half-open: the probes, as [`Probes`] packs them. Otherwise a small window.
    word: AtomicU64,
    body: Arc<Body>,
    totals: Totals,
    /// How many times it has opened since it was last closed.
    openings: AtomicU16,
    /// The second cell of a small window.
    filled: AtomicU8,
}

/// A call that was let through, until its result is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    word: Word,
    /// When it began, if calls are timed.
    started: u64,
}

/// What became of a request, in two registers: a [`Pass`], or a word with `BUSY` and when to try
/// again. A rejection is large, and is written only where it is handed out.
#[derive(Clone, Copy, Debug)]
struct Answer {
    word: Word,
    number: u64,
}

impl Answer {
    fn pass(pass: Pass) -> Self {
        Self {
            word: pass.word,
            number: pass.started,
        }
    }

    fn rejection(word: Word, retry_after: u64) -> Self {
        Self {
            word: word.busy(),
            number: retry_after,
        }
    }
}

impl Pass {
    pub(crate) fn state(self) -> State {
        self.word.state()
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Result(Outcome),
    Cancelled,
    Panicked,
}

/// A thread that has put off so many successes takes them in.
const PUT_OFF: u32 = 1_024;

/// Half-open: the probes in flight and their results so far.
#[derive(Clone, Copy, Debug, Default)]
struct Probes {
    in_flight: u16,
    successes: u16,
    failures: u16,
}

impl Probes {
    fn unpack(word: u64) -> Self {
        Self {
            in_flight: word as u16,
            successes: (word >> 16) as u16,
            failures: (word >> 32) as u16,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.in_flight) | u64::from(self.successes) << 16 | u64::from(self.failures) << 32
    }
}

/// Whoever has this holds `BUSY`. The word that is in it when it goes is the word from then on.
struct Busy<'a> {
    gate: &'a Gate,
    word: Word,
}

impl Drop for Busy<'_> {
    #[inline]
    fn drop(&mut self) {
        // Pairs with the acquire of the next holder, and of those who read the word only.
        self.gate.state.store(self.word.bits(), Release);
    }
}

impl Gate {
    pub(crate) fn new(body: Arc<Body>, keeps_totals: bool) -> Self {
        let is_quiet = body.window.is_quiet(Default::default());
        let is_timed = body.shared.settings.slow.is_some();
        let word = Word::new(State::Closed, is_timed).with_quiet(is_quiet);
        Self {
            state: AtomicU64::new(word.bits()),
            until: AtomicU64::new(u64::MAX),
            word: AtomicU64::new(0),
            body,
            totals: Totals::new(keeps_totals),
            openings: AtomicU16::new(0),
            filled: AtomicU8::new(0),
        }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.body.name
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.body.shared.settings
    }

    pub(crate) fn log(&self) -> &EventLog {
        &self.body.shared.log
    }

    /// The precise time.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.body.shared.clock.now())
    }

    /// A time that may be a tick old, so that what is due by it is due.
    fn coarse(&self) -> u64 {
        nanos(self.body.shared.clock.coarse())
    }

    #[inline]
    fn load(&self) -> Word {
        // Pairs with the release in `Busy::drop`.
        Word::from_bits(self.state.load(Acquire))
    }

    /// Lets a call through, or says why not.
    #[inline(always)]
    pub(crate) fn admit(&self) -> Result<Pass, Rejection> {
        let word = self.load();
        if word.admits_at_once() {
            return Ok(Pass { word, started: 0 });
        }
        let Answer { word, number } = self.ask(word);
        if word.is_busy() {
            return Err(self.reject(word, number));
        }
        let started = number;
        Ok(Pass { word, started })
    }

    /// The answer where it is not clear from the word alone; quickly, if it is open and stays so.
    #[inline(never)]
    fn ask(&self, word: Word) -> Answer {
        if word.is_open_and_idle() {
            let now = self.coarse();
            // As in `deadline_of`.
            let until = self.until.load(Acquire);
            // Near the deadline the precise time decides, with care.
            if now.saturating_add(self.body.shared.coarse_lag) < until
                && until != u64::MAX
                && self.load() == word
            {
                return Answer::rejection(word, until - now);
            }
        }
        self.admit_with_care(word)
    }

    #[inline(never)]
    fn admit_with_care(&self, mut word: Word) -> Answer {
        let mut spin = Spin::default();
        // Probes cannot be overdue for the call that they begin with. Otherwise a call would never
        // end where both times are shorter than it takes to read the clock.
        let mut has_begun_probes = false;
        loop {
            match word.state() {
                State::Closed | State::MetricsOnly | State::Disabled => {
                    return Answer::pass(self.pass(word));
                }
                State::ForcedOpen => return Answer::rejection(word, u64::MAX),
                State::Open => {
                    let Some((until, now)) = self.deadline_of(word) else {
                        spin.wait();
                        word = self.load();
                        continue;
                    };
                    // Who waited as long as a rejection said is not rejected again for the lag of the
                    // coarse reading. The epoch is checked once more where it changes.
                    let now = match until.saturating_sub(now) <= self.body.shared.coarse_lag {
                        true => now.max(self.now()),
                        false => now,
                    };
                    if now < until || until == u64::MAX {
                        let left = if until == u64::MAX {
                            until
                        } else {
                            until - now
                        };
                        return Answer::rejection(word, left);
                    }
                    self.change_from(word, State::HalfOpen, Reason::OpenTimeOver);
                    has_begun_probes = true;
                    word = self.load();
                }
                State::HalfOpen => {
                    let Some((until, now)) = self.deadline_of(word) else {
                        spin.wait();
                        word = self.load();
                        continue;
                    };
                    if now >= until && until != u64::MAX && !has_begun_probes {
                        self.change_from(word, State::Open, Reason::ProbesOverdue);
                    } else if word.is_full() {
                        let first = nanos(self.settings().open_for.first());
                        return Answer::rejection(word, first.min(until.saturating_sub(now)));
                    } else if let Some(pass) = self.take_probe(word) {
                        return Answer::pass(pass);
                    }
                    word = self.load();
                }
            }
        }
    }

    /// The deadline that belongs to this epoch, and the time; `None` if the epoch is over or about
    /// to be.
    fn deadline_of(&self, word: Word) -> Option<(u64, u64)> {
        let now = self.coarse();
        // Pairs with the release in `change`: who sees a new deadline sees `BUSY` or a new epoch.
        let until = self.until.load(Acquire);
        let again = self.load();
        (again.is_same_epoch(word) && !again.is_busy()).then_some((until, now))
    }

    fn pass(&self, word: Word) -> Pass {
        let is_timed = self.settings().slow.is_some();
        Pass {
            word: word.idle(),
            started: if is_timed { self.now() } else { 0 },
        }
    }

    /// Inlined, so that it is written where the caller wants it, and not copied there.
    #[inline(always)]
    fn reject(&self, word: Word, retry_after: u64) -> Rejection {
        self.totals.count(Counter::Rejected);
        Rejection::new(self.body.name.clone(), word, retry_after)
    }

    /// Half-open: one more probe, if the epoch is still the same and there is room.
    fn take_probe(&self, word: Word) -> Option<Pass> {
        let pass = self.pass(word);
        let mut busy = self.busy_in(word)?;
        let mut probes = Probes::unpack(self.word.load(Relaxed));
        let permitted = self.settings().permitted_probes;
        if probes.in_flight >= permitted {
            busy.word = busy.word.with_full(true);
            return None;
        }
        probes.in_flight += 1;
        self.word.store(probes.pack(), Relaxed);
        busy.word = busy.word.with_full(probes.in_flight == permitted);
        Some(pass)
    }

    /// A call that was let through has ended. Of an epoch that is over, it goes to the totals only.
    #[inline(always)]
    pub(crate) fn end(&self, pass: Pass, ending: Ending) {
        if ending != Ending::Result(Outcome::Success) {
            return self.end_with_care(pass, ending);
        }
        self.totals.count(Counter::Successes);
        if !self.load().is_quiet_since(pass.word) {
            self.succeed_with_care(pass);
        }
    }

    /// A success, already in the totals, that changes something, or is of an epoch that is over.
    #[inline(never)]
    fn succeed_with_care(&self, pass: Pass) {
        if self.load().defers_since(pass.word) {
            let tag = pass.word.generation() as u32;
            match self.totals.defer(tag) {
                Some(count) if count % PUT_OFF != 0 => return,
                Some(_) => return self.gather(pass.word),
                None => {}
            }
        }
        self.succeed_now(pass);
    }

    /// Apart, so that a success that is put off saves no registers for what it does not do.
    #[inline(never)]
    fn succeed_now(&self, pass: Pass) {
        let (slow, now) = self.read_clocks(pass, || self.is_slow(pass));
        let failed = false;
        self.take_in(pass, Some(Sample { failed, slow }), now);
    }

    #[inline(never)]
    fn end_with_care(&self, pass: Pass, ending: Ending) {
        let settings = self.settings();
        let is_failure = match ending {
            Ending::Result(outcome) => outcome == Outcome::Failure,
            Ending::Cancelled => settings.cancel_is_failure,
            Ending::Panicked => settings.panic_is_failure,
        };
        if !is_failure {
            self.totals.count(match ending {
                Ending::Result(_) => Counter::Ignored,
                Ending::Cancelled | Ending::Panicked => Counter::Cancelled,
            });
            return self.take_in(pass, None, 0);
        }
        self.totals.count(Counter::Failures);
        let (slow, now) = self.read_clocks(pass, || {
            let (slow, now) = self.is_slow(pass);
            if self.totals.are_kept() {
                self.totals
                    .failed_at(if now == 0 { self.coarse() } else { now });
            }
            (slow, now)
        });
        let failed = true;
        self.take_in(pass, Some(Sample { failed, slow }), now);
    }

    /// Reads clocks for a call that ends. They are foreign code: if one panics, a probe gives its
    /// place back all the same, since nobody else could.
    #[inline]
    fn read_clocks<R>(&self, pass: Pass, read: impl FnOnce() -> R) -> R {
        struct GiveBack<'a>(&'a Gate, Word);
        impl Drop for GiveBack<'_> {
            #[cold]
            fn drop(&mut self) {
                let Self(gate, word) = *self;
                if word.is_half_open()
                    && let Some(mut busy) = gate.busy_in(word)
                {
                    let mut probes = Probes::unpack(gate.word.load(Relaxed));
                    probes.in_flight = probes.in_flight.saturating_sub(1);
                    gate.word.store(probes.pack(), Relaxed);
                    busy.word = busy.word.with_full(false);
                }
            }
        }
        let unless_read = GiveBack(self, pass.word);
        let reading = read();
        std::mem::forget(unless_read);
        reading
    }

    /// Whether a call that ends now was slow, and the time if it was looked at, else zero.
    #[inline]
    fn is_slow(&self, pass: Pass) -> (bool, u64) {
        let Some(slow) = &self.settings().slow else {
            return (false, 0);
        };
        let now = self.now();
        let is_slow = now.saturating_sub(pass.started) > slow.longer_than;
        if is_slow {
            self.totals.count(Counter::Slow);
        }
        (is_slow, now)
    }

    /// What a result changes; none is a call that says nothing about the service.
    #[inline]
    fn take_in(&self, pass: Pass, sample: Option<Sample>, now: u64) {
        match sample {
            Some(sample) if pass.word.is_watched() => self.take_in_closed(pass, sample, now),
            _ if pass.word.is_half_open() => self.take_in_probe(pass, sample),
            _ => {}
        }
    }

    fn take_in_closed(&self, pass: Pass, sample: Sample, now: u64) {
        let window = &self.body.window;
        let now = match now {
            0 if window.needs_time() => self.coarse(),
            now => now,
        };
        let Some(mut busy) = self.busy_in(pass.word) else {
            return;
        };
        let counts = match window {
            // Never quiet, and nothing is put off.
            Window::Buckets(buckets) => buckets.push(sample, now),
            _ => {
                window.gather(&self.totals, busy.word);
                let counts = window.push(self.cells(), sample, now);
                busy.word = self.with_flags(busy.word, counts);
                counts
            }
        };
        drop(busy);
        if pass.word.is_closed()
            && window.may_trip(sample, counts, self.settings().minimum_calls)
            && let Some(reason) = self.settings().trips(counts)
        {
            self.change_from(pass.word, State::Open, reason);
        }
    }

    /// What a success may leave undone, with these calls in the window.
    #[inline]
    fn with_flags(&self, word: Word, counts: Counts) -> Word {
        let window = &self.body.window;
        let is_quiet = window.is_quiet(counts);
        let minimum_calls = self.settings().minimum_calls;
        let defers = !is_quiet && window.defers(counts, minimum_calls, &self.totals);
        word.with_quiet(is_quiet).with_defer(defers)
    }

    /// Takes in the successes that were put off, so that there are never too many of them, and the
    /// window is quiet when its last failure has left it.
    #[cold]
    fn gather(&self, word: Word) {
        let Some(mut busy) = self.busy_in(word) else {
            return;
        };
        self.gather_in(&mut busy);
    }

    fn gather_in(&self, busy: &mut Busy<'_>) {
        if busy.word.defers() {
            let window = &self.body.window;
            window.gather(&self.totals, busy.word);
            busy.word = self.with_flags(busy.word, window.counts(self.cells()));
        }
    }

    /// A probe gives its place back, and its result may decide.
    fn take_in_probe(&self, pass: Pass, sample: Option<Sample>) {
        let now = self.read_clocks(pass, || self.now());
        let Some(mut busy) = self.busy_in(pass.word) else {
            return;
        };
        let mut probes = Probes::unpack(self.word.load(Relaxed));
        probes.in_flight = probes.in_flight.saturating_sub(1);
        match sample {
            // A service that answers, but too slowly, is not well yet.
            Some(sample) if sample.failed || sample.slow => {
                probes.failures = probes.failures.saturating_add(1);
            }
            Some(_) => probes.successes = probes.successes.saturating_add(1),
            None => {}
        }
        self.word.store(probes.pack(), Relaxed);
        busy.word = busy.word.with_full(false);
        let rule = self.settings().probe_rule;
        let Some(is_well) = rule.decide(probes.successes, probes.failures) else {
            return;
        };
        let (to, reason) = match is_well {
            true => (State::Closed, Reason::ProbesSucceeded),
            false => (State::Open, Reason::ProbesFailed),
        };
        let entered = self.change(&mut busy, to, reason, now, None);
        drop(busy);
        drop(entered);
        self.log().deliver();
    }

    fn cells(&self) -> Cells<'_> {
        Cells {
            word: &self.word,
            filled: &self.filled,
        }
    }

    /// Takes `BUSY`, if the epoch is that of `word`.
    #[inline]
    fn busy_in(&self, word: Word) -> Option<Busy<'_>> {
        let mut current = self.load();
        let mut spin = Spin::default();
        loop {
            if !current.is_same_epoch(word) {
                return None;
            }
            match self.try_busy(current) {
                Ok(busy) => return Some(busy),
                Err(newer) => current = newer,
            }
            if current.is_busy() {
                spin.wait();
                current = self.load();
            }
        }
    }

    /// Takes `BUSY`.
    fn busy(&self) -> Busy<'_> {
        let mut spin = Spin::default();
        loop {
            match self.try_busy(self.load()) {
                Ok(busy) => return busy,
                Err(_) => spin.wait(),
            }
        }
    }

    #[inline]
    fn try_busy(&self, current: Word) -> Result<Busy<'_>, Word> {
        if current.is_busy() {
            return Err(current);
        }
        // Pairs with the release of the last holder.
        match self
            .state
            .compare_exchange(current.bits(), current.busy().bits(), Acquire, Acquire)
        {
            Ok(_) => Ok(Busy {
                gate: self,
                word: current,
            }),
            Err(newer) => Err(Word::from_bits(newer)),
        }
    }

    /// Changes the state, if the epoch is still that of `word`, and tells the listeners.
    #[cold]
    fn change_from(&self, word: Word, to: State, reason: Reason) {
        let now = self.now();
        let Some(mut busy) = self.busy_in(word) else {
            return;
        };
        let entered = self.change(&mut busy, to, reason, now, None);
        drop(busy);
        drop(entered);
        self.log().deliver();
    }

    /// Sets the state by hand. Whether it was another before.
    ///
    /// A new epoch begins in any case where `begins_anew`: what is in flight no longer matters.
    pub(crate) fn set(&self, to: State, reason: Reason, begins_anew: bool) -> bool {
        let now = self.now();
        let mut busy = self.busy();
        let is_change = busy.word.state() != to;
        let entered = match is_change || begins_anew {
            true => self.change(&mut busy, to, reason, now, None),
            false => None,
        };
        drop(busy);
        drop(entered);
        self.log().deliver();
        is_change
    }

    /// Begins a new epoch. `until` is given where the deadline is known already.
    ///
    /// What is returned goes after `BUSY`: whoever is telling of an earlier event tells of this one as
    /// soon as it is there, and listeners must not be let through by the old state.
    fn change(
        &self,
        busy: &mut Busy<'_>,
        to: State,
        reason: Reason,
        now: u64,
        until: Option<u64>,
    ) -> Option<Entered<'_>> {
        let from = busy.word.state();
        let mut word = busy.word.next(to);
        let generation = word.generation();
        let mut deadline = u64::MAX;
        match to {
            State::Open => {
                if from == State::HalfOpen {
                    // No longer probes, and no window yet.
                    self.word.store(0, Relaxed);
                }
                let before = self.openings.load(Relaxed);
                self.openings.store(before.saturating_add(1), Relaxed);
                deadline = until.unwrap_or_else(|| {
                    let name = self.body.name.as_str();
                    let address = std::ptr::from_ref(self).addr();
                    let open_for = self
                        .settings()
                        .open_for
                        .draw(before, generation, name, address);
                    now.saturating_add(nanos(open_for))
                });
                self.totals.opened();
            }
            State::HalfOpen => {
                deadline = now.saturating_add(self.settings().max_half_open_wait);
                self.body.window.clear(self.cells());
            }
            State::Closed | State::MetricsOnly | State::Disabled | State::ForcedOpen => {
                self.openings.store(0, Relaxed);
                self.body.window.clear(self.cells());
                let counts = self.body.window.counts(self.cells());
                let is_quiet = to.admits_all() && self.body.window.is_quiet(counts);
                word = word.with_quiet(is_quiet || to == State::Disabled);
            }
        }
        // Pairs with the acquire in `deadline_of`.
        self.until.store(deadline, Release);
        busy.word = word;
        (from != to).then(|| {
            self.log().enter(Event {
                sequence: 0,
                name: self.body.name.clone(),
                from,
                to,
                reason,
                generation,
                at: Duration::from_nanos(now),
            })
        })
    }
}

mod inspect;
