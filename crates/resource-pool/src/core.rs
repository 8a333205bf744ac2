//! [`Core`]: what changes under the lock of a pool, and the rules by which it does. No foreign code
//! runs here: what has to be run is left behind as [`Effects`].
//!
//! Conservation: `size` counts every resource of the pool that exists. Of these, `checking` are with
//! a check, `closing` with a closer, some are idle (the bits of the idle set), and the rest is in
//! use: handed out, or granted to somebody who has not looked yet. `size + creating` never grows
//! beyond `max`; it is above only after `max` was lowered, until so many have come back.

use std::collections::BTreeSet;
use std::task::Waker;

use brolly_sync::Backoff;

use crate::config::OnCreateError;
use crate::error::{AcquireError, CreateError};
use crate::event::Event;
use crate::line::limit::Limits;
use crate::line::queue::{Answer, Queue};
use crate::manager::{CloseReason, Manager};
use crate::places::idle_set::{IdleSet, Place};
use crate::places::loan::{Item, Loan};
use crate::reports::stats::Capacity;
use crate::upkeep::attempts::Failing;

pub(crate) type Line<M> =
    Queue<Loan<<M as Manager>::Resource>, AcquireError<<M as Manager>::Error>>;

/// What somebody in line was answered.
pub(crate) type Answered<M> =
    Answer<Loan<<M as Manager>::Resource>, AcquireError<<M as Manager>::Error>>;

pub(crate) type Idle<M> = IdleSet<Box<Item<<M as Manager>::Resource>>>;

pub(crate) struct Core<M: Manager> {
    pub(crate) line: Line<M>,
    pub(crate) limits: Limits,
    pub(crate) max: usize,
    pub(crate) min: usize,
    /// How many idle ones are kept beside those in use, once the minimum is.
    pub(crate) min_idle: usize,
    /// What could have been in use up to now.
    pub(crate) capacity: Capacity,
    pub(crate) size: usize,
    pub(crate) creating: usize,
    pub(crate) checking: usize,
    /// Of those being checked, how many are for somebody who waits.
    pub(crate) promised: usize,
    pub(crate) closing: usize,
    /// How many the maintenance has closed within a second, and when that began.
    pub(crate) evicted: (u64, usize),
    /// Written off, and not come back yet. Not part of `size`.
    pub(crate) abandoned: usize,
    /// Places without a resource.
    pub(crate) vacant: BTreeSet<Place>,
    /// Mirrors the bit in the idle set.
    pub(crate) attention: bool,
    pub(crate) is_closed: bool,
    /// The minimum is kept from now on.
    pub(crate) is_warm: bool,
    /// Since then a check has failed and none has passed: those who wait get new resources rather
    /// than other old ones.
    pub(crate) suspect_since: Option<u64>,
    /// Creations wanted beside those for the line.
    pub(crate) extra: usize,
    pub(crate) failing: Option<Failing>,
    pub(crate) backoff: Backoff,
    /// Counts the failures that made the pool pause. An attempt that began before the last one says
    /// nothing new.
    pub(crate) epoch: u64,
    pub(crate) last_error: Option<CreateError<M::Error>>,
    pub(crate) on_create_error: OnCreateError,
    pub(crate) concurrency: usize,
    pub(crate) failed_checks: u32,
    pub(crate) counts: Counts,
    /// Who waits for a change of the counts: wakers by key.
    pub(crate) watchers: Vec<(u64, Option<Waker>)>,
    pub(crate) next_watcher: u64,
    /// Grows with every change that watchers care about.
    pub(crate) version: u64,
    /// What watchers care about, as it was when they were told last.
    pub(crate) seen: [u64; 5],
    pub(crate) peak: usize,
}

/// What was counted under the lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) created: u64,
    pub(crate) create_failures: u64,
    pub(crate) gate_refusals: u64,
    pub(crate) check_failures: u64,
    pub(crate) closed: [u64; CloseReason::COUNT],
    pub(crate) timeouts: u64,
    pub(crate) refusals: u64,
    pub(crate) errors: u64,
    pub(crate) leaks: u64,
    pub(crate) late_returns: u64,
    pub(crate) reclaimed: u64,
    pub(crate) detached: u64,
    pub(crate) last_health_check: Option<u64>,
}

/// What is to be done once the lock is released.
pub(crate) struct Effects<M: Manager> {
    /// The first waker; most of the time there is one at most.
    pub(crate) waker: Option<Waker>,
    pub(crate) wakers: Vec<Waker>,
    pub(crate) jobs: Vec<Job<M>>,
    pub(crate) retired: Vec<(Box<Item<M::Resource>>, CloseReason)>,
    pub(crate) events: Vec<Event>,
    /// The pool has got something to maintain.
    pub(crate) rings_bell: bool,
}

pub(crate) enum Job<M: Manager> {
    Create {
        epoch: u64,
    },
    Check {
        loan: Loan<M::Resource>,
        is_promised: bool,
    },
    Pause {
        nanos: u64,
        /// Which one: see `Failing::retry_at`.
        until: u64,
    },
}

/// How an idle resource stands.
enum Standing {
    Good,
    Doubtful,
    Over(CloseReason),
}

/// The part of the rules and readings that a step needs.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) time: u64,
    pub(crate) generation: u64,
    pub(crate) has_spawner: bool,
    pub(crate) has_leases: bool,
}

impl<M: Manager> Effects<M> {
    pub(crate) fn new() -> Self {
        Self {
            waker: None,
            wakers: Vec::new(),
            jobs: Vec::new(),
            retired: Vec::new(),
            events: Vec::new(),
            rings_bell: false,
        }
    }

    pub(crate) fn wake(&mut self, waker: Option<Waker>) {
        match (&self.waker, waker) {
            (None, waker) => self.waker = waker,
            (Some(_), waker) => self.wakers.extend(waker),
        }
    }
}

impl<M: Manager> Core<M> {
    /// How many are handed out, or granted.
    pub(crate) fn in_use(&self, idle: &Idle<M>) -> usize {
        let elsewhere = idle.idle() + self.checking + self.closing;
        self.size.saturating_sub(elsewhere)
    }

    /// How many attempts to create came to nothing.
    pub(crate) fn failures(&self) -> u64 {
        self.counts.create_failures + self.counts.gate_refusals
    }

    /// Whether more exist, or are about to, than there may be.
    pub(crate) fn has_surplus(&self) -> bool {
        self.size - self.closing + self.creating > self.max
    }

    /// Whether somebody who joins the line changes nothing else: nothing is idle, and nothing can be
    /// created.
    pub(crate) fn is_stuck(&self, idle: &Idle<M>) -> bool {
        !self.is_closed && self.size + self.creating >= self.max && idle.idle() == 0
    }

    /// Brings everything into the state that the rules ask for. To be called at the end of whatever
    /// changes the counts, the line or the limits.
    pub(crate) fn settle(&mut self, idle: &Idle<M>, now: Now, effects: &mut Effects<M>) {
        if self.is_closed {
            self.close_all(idle, now, effects);
        } else {
            self.drop_surplus(idle, effects);
            self.hand_out(idle, now, effects);
            self.create(idle, now, effects);
        }
        self.aim_attention(idle);
        self.tell_watchers(effects);
        // Only where it can have risen is it worth counting.
        if self.size.saturating_sub(self.checking + self.closing) > self.peak {
            self.peak = self.peak.max(self.in_use(idle));
        }
    }

    /// Somebody begins to wait. What is idle from now on, or was before, is seen by the settling that
    /// has to follow.
    pub(crate) fn ask_attention(&mut self, idle: &Idle<M>) {
        if !self.attention {
            self.attention = true;
            idle.ask_attention();
        }
    }

    fn aim_attention(&mut self, idle: &Idle<M>) {
        let is_needed = self.is_closed || !self.line.is_empty() || self.has_surplus();
        if is_needed {
            self.ask_attention(idle);
        } else if self.attention {
            self.attention = false;
            idle.end_attention();
        }
    }

    fn tell_watchers(&mut self, effects: &mut Effects<M>) {
        if self.watchers.is_empty() {
            return;
        }
        let now_seen = [
            self.size as u64,
            self.creating as u64,
            self.closing as u64,
            self.counts.created,
            self.failures(),
        ];
        if std::mem::replace(&mut self.seen, now_seen) == now_seen {
            return;
        }
        self.version += 1;
        for (_, waker) in &mut self.watchers {
            effects.wakers.extend(waker.take());
        }
    }

    fn close_all(&mut self, idle: &Idle<M>, now: Now, effects: &mut Effects<M>) {
        self.ask_attention(idle);
        self.extra = 0;
        while let Some((place, item)) = idle.take_under_lock() {
            self.retire(Loan { place, item }, CloseReason::Closed, effects);
        }
        while !self.line.is_empty() {
            self.fail_first(idle, AcquireError::Closed, now, effects);
        }
    }

    fn drop_surplus(&mut self, idle: &Idle<M>, effects: &mut Effects<M>) {
        if !self.has_surplus() {
            return;
        }
        // Whoever gives back from now on comes here.
        self.ask_attention(idle);
        while self.has_surplus()
            && let Some((place, item)) = idle.take_under_lock()
        {
            self.retire(Loan { place, item }, CloseReason::Surplus, effects);
        }
    }

    fn hand_out(&mut self, idle: &Idle<M>, now: Now, effects: &mut Effects<M>) {
        if self.line.is_empty() {
            return;
        }
        let mut passed_over = Vec::new();
        while !self.line.is_empty()
            && let Some((place, item)) = idle.take_under_lock()
        {
            let loan = Loan { place, item };
            match standing(&loan.item, now) {
                Standing::Good => self.grant(idle, loan, now, effects),
                Standing::Over(reason) => self.retire(loan, reason, effects),
                Standing::Doubtful if self.is_worth_a_check(&loan.item) => {
                    self.check(loan, true, effects);
                }
                Standing::Doubtful => passed_over.push(loan),
            }
        }
        for loan in passed_over {
            idle.put_under_lock(loan.place, loan.item);
        }
    }

    /// Whether somebody in line has no check to hope for yet, and this one is worth it: not if it is
    /// as old as one that has failed, and a new one can be made instead.
    fn is_worth_a_check(&self, item: &Item<M::Resource>) -> bool {
        let could_create =
            self.size - self.closing + self.creating < self.max && self.failing.is_none();
        let is_suspicious = self.suspect_since.is_some_and(|since| item.created < since);
        self.line.wanted() > self.promised && !(is_suspicious && could_create)
    }

    /// A resource has nobody: the first in line gets it, or it becomes idle, or it is closed.
    pub(crate) fn offer(
        &mut self,
        idle: &Idle<M>,
        loan: Loan<M::Resource>,
        now: Now,
        effects: &mut Effects<M>,
    ) {
        if self.is_closed {
            return self.retire(loan, CloseReason::Closed, effects);
        }
        if self.has_surplus() {
            return self.retire(loan, CloseReason::Surplus, effects);
        }
        match standing(&loan.item, now) {
            Standing::Over(reason) => self.retire(loan, reason, effects),
            Standing::Good if !self.line.is_empty() => self.grant(idle, loan, now, effects),
            Standing::Good | Standing::Doubtful => idle.put_under_lock(loan.place, loan.item),
        }
    }

    fn grant(
        &mut self,
        idle: &Idle<M>,
        mut loan: Loan<M::Resource>,
        now: Now,
        effects: &mut Effects<M>,
    ) {
        let site = self.line.first_site();
        let site = site.expect("only those in line are granted something");
        loan.item.uses += 1;
        idle.record(&loan.place).begin(now.time, site);
        effects.wake(self.line.grant(loan));
    }

    pub(crate) fn check(
        &mut self,
        loan: Loan<M::Resource>,
        is_promised: bool,
        effects: &mut Effects<M>,
    ) {
        self.checking += 1;
        self.promised += usize::from(is_promised);
        effects.jobs.push(Job::Check { loan, is_promised });
    }

    /// The resource leaves its place, and counts as being closed until it is.
    pub(crate) fn retire(
        &mut self,
        loan: Loan<M::Resource>,
        reason: CloseReason,
        effects: &mut Effects<M>,
    ) {
        self.closing += 1;
        self.counts.closed[reason as usize] += 1;
        self.vacant.insert(loan.place);
        effects.events.push(Event::Closed { reason });
        effects.retired.push((loan.item, reason));
    }

    pub(crate) fn fail_first(
        &mut self,
        idle: &Idle<M>,
        error: AcquireError<M::Error>,
        now: Now,
        effects: &mut Effects<M>,
    ) {
        let (waker, set_aside) = self.line.fail_first(error);
        effects.wake(waker);
        self.take_back(idle, Some(Answer::Many(set_aside)), now, effects);
    }

    /// Changes the maximum. Who wants more at once than that cannot be served any more, and would
    /// hold up everybody behind it.
    pub(crate) fn set_max(
        &mut self,
        max: usize,
        idle: &Idle<M>,
        now: Now,
        effects: &mut Effects<M>,
    ) {
        self.capacity.change(now.time, self.max);
        self.max = max;
        let mut set_aside = Vec::new();
        for (ticket, asked) in self.line.wanting_more(max) {
            let (waker, had) = self.line.fail(ticket, AcquireError::TooMany { asked, max });
            effects.wake(waker);
            set_aside.extend(had);
        }
        self.take_back(idle, Some(Answer::Many(set_aside)), now, effects);
    }

    /// Checks pass again.
    pub(crate) fn trust(&mut self) {
        if self.suspect_since.take().is_some() && self.failing.is_none() {
            self.backoff.reset();
        }
    }

    /// What was granted and is not wanted goes back.
    pub(crate) fn take_back(
        &mut self,
        idle: &Idle<M>,
        answer: Option<Answered<M>>,
        now: Now,
        effects: &mut Effects<M>,
    ) {
        let loans = match answer {
            Some(Answer::One(loan)) => vec![loan],
            Some(Answer::Many(loans)) => loans,
            Some(Answer::Failed(_)) | None => return,
        };
        for mut loan in loans {
            let record = idle.record(&loan.place);
            if record.never_mind(now.has_leases) {
                loan.item.uses -= 1;
                self.offer(idle, loan, now, effects);
            } else {
                self.pardon(idle, loan, effects);
            }
        }
    }

    /// Somebody who was written off has come back. The resource is closed; it counts no more.
    pub(crate) fn pardon(
        &mut self,
        idle: &Idle<M>,
        loan: Loan<M::Resource>,
        effects: &mut Effects<M>,
    ) {
        idle.record(&loan.place).pardon();
        self.abandoned -= 1;
        self.counts.late_returns += 1;
        // It exists until it is closed.
        self.size += 1;
        self.retire(loan, CloseReason::Late, effects);
    }

    /// A place for a new resource; `None` when there can be no more.
    pub(crate) fn place(&mut self, idle: &Idle<M>) -> Option<Place> {
        let vacant = self.vacant.pop_first();
        vacant.or_else(|| idle.issue(self.attention))
    }
}

fn standing<R>(item: &Item<R>, now: Now) -> Standing {
    if item.generation != now.generation {
        Standing::Over(CloseReason::Reset)
    } else if now.time >= item.expires_at {
        Standing::Over(CloseReason::Expired)
    } else if now.time >= item.good_until {
        Standing::Doubtful
    } else {
        Standing::Good
    }
}
