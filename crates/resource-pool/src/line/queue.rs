//! The line of those who wait, in the order of their arrival: tickets in a slab.
//!
//! It knows no lock and no thread. `brolly_sync::WaitList` serves one value at a time under a lock of
//! its own; here several may be wanted at once, an answer may be an error, and the line must lie
//! under the same lock as the counts of the pool. Invariants:
//!
//! 1. Only waiting tickets are linked. An answered one has left the line and holds its answer.
//! 2. A ticket is freed by its owner only, through [`Queue::redeem`] or [`Queue::cancel`].
//! 3. What arrives goes to the first in line until that one has all it wants, so two who want
//!    several cannot each hold a part of what the other needs.

use std::panic::Location;
use std::task::Waker;

use brolly_sync::NEVER;

/// No neighbour.
const NIL: usize = usize::MAX;

type Site = &'static Location<'static>;

/// What somebody who waited is given.
#[derive(Debug)]
pub(crate) enum Answer<L, E> {
    One(L),
    Many(Vec<L>),
    Failed(E),
}

/// What a ticket's owner finds when it looks.
pub(crate) enum Redeemed<L, E> {
    /// The ticket is gone.
    Answered(Answer<L, E>),
    /// Nothing yet, and the waker is registered.
    Waiting,
    /// Nothing yet, and a waker is needed: clone it outside of the lock and call again.
    NeedsWaker,
}

pub(crate) struct Queue<L, E> {
    slots: Vec<Slot<L, E>>,
    free: Vec<usize>,
    oldest: usize,
    newest: usize,
    waiting: usize,
    /// The sum of what those in line still want.
    wanted: usize,
    /// The latest deadline, of those that end, since the line was empty.
    latest: u64,
    /// Whether deadlines came in their own order since then, as they do where all are given as much
    /// time.
    is_sorted: bool,
}

/// Beside its state a slot has what it needs while it is in line, changed in its place: to build all
/// of that elsewhere and move it costs more than linking it.
struct Slot<L, E> {
    state: State<L, E>,
    /// `None` while the owner is being woken: it registers anew when it looks.
    waker: Option<Waker>,
    site: Site,
    /// `NEVER` where time is not limited.
    deadline: u64,
    wants: usize,
    has: Vec<L>,
    older: usize,
    newer: usize,
}

enum State<L, E> {
    Free,
    Waiting,
    Answered(Answer<L, E>),
}

impl<L, E> Queue<L, E> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NIL,
            newest: NIL,
            waiting: 0,
            wanted: 0,
            latest: 0,
            is_sorted: true,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    /// How much is set aside for the first in line, who wants more.
    pub(crate) fn set_aside(&self) -> usize {
        match self.slots.get(self.oldest) {
            Some(first) => first.has.len(),
            None => 0,
        }
    }

    /// Joins the back of the line for so many.
    pub(crate) fn join(&mut self, waker: Waker, site: Site, deadline: u64, wants: usize) -> usize {
        if self.is_empty() {
            self.latest = 0;
            self.is_sorted = true;
        }
        if deadline != NEVER {
            self.is_sorted &= deadline >= self.latest;
            self.latest = self.latest.max(deadline);
        }
        let ticket = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::free(site));
            self.slots.len() - 1
        });
        let slot = &mut self.slots[ticket];
        slot.state = State::Waiting;
        slot.waker = Some(waker);
        slot.site = site;
        slot.deadline = deadline;
        slot.wants = wants;
        slot.older = self.newest;
        slot.newer = NIL;
        match self.newest {
            NIL => self.oldest = ticket,
            newest => self.waiting_mut(newest).newer = ticket,
        }
        self.newest = ticket;
        self.waiting += 1;
        self.wanted += wants;
        ticket
    }

    /// Where the first in line stands.
    pub(crate) fn first_site(&self) -> Option<Site> {
        match self.slots.get(self.oldest) {
            Some(first) => Some(first.site),
            None => None,
        }
    }

    /// Gives a loan to the first in line and returns the waker to call once the lock is released.
    /// There must be somebody in line.
    #[must_use = "the waker must be woken after the lock is released"]
    pub(crate) fn grant(&mut self, loan: L) -> Option<Waker> {
        let ticket = self.oldest;
        self.wanted -= 1;
        let first = self.waiting_mut(ticket);
        if first.wants == 1 {
            return self.answer(ticket, Answer::One(loan));
        }
        first.has.push(loan);
        if first.has.len() < first.wants {
            return None;
        }
        let all = std::mem::take(&mut first.has);
        self.answer(ticket, Answer::Many(all))
    }

    /// Answers the first in line with an error; what was set aside for it comes back.
    #[must_use = "the waker must be woken after the lock is released"]
    pub(crate) fn fail_first(&mut self, error: E) -> (Option<Waker>, Vec<L>) {
        self.fail(self.oldest, error)
    }

    /// The same for the last in line.
    #[must_use = "the waker must be woken after the lock is released"]
    pub(crate) fn fail_last(&mut self, error: E) -> (Option<Waker>, Vec<L>) {
        self.fail(self.newest, error)
    }

    /// Who wants more than that, in all: tickets and numbers.
    pub(crate) fn wanting_more(&self, than: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut ticket = self.oldest;
        while ticket != NIL {
            let slot = &self.slots[ticket];
            if slot.wants > than {
                found.push((ticket, slot.wants));
            }
            ticket = slot.newer;
        }
        found
    }

    /// Answers one in line with an error; what was set aside for it comes back.
    #[must_use = "the waker must be woken after the lock is released"]
    pub(crate) fn fail(&mut self, ticket: usize, error: E) -> (Option<Waker>, Vec<L>) {
        if ticket == NIL {
            return (None, Vec::new());
        }
        let waiting = self.waiting_mut(ticket);
        let has = std::mem::take(&mut waiting.has);
        let missing = waiting.wants - has.len();
        self.wanted -= missing;
        (self.answer(ticket, Answer::Failed(error)), has)
    }

    /// Takes the wakers of everybody in line, to wake them all.
    pub(crate) fn take_wakers(&mut self, into: &mut Vec<Waker>) {
        let mut ticket = self.oldest;
        while ticket != NIL {
            let waiting = self.waiting_mut(ticket);
            into.extend(waiting.waker.take());
            ticket = waiting.newer;
        }
    }

    /// Takes the wakers of those whose deadline has come, and returns the next deadline. Looks at no
    /// more than these and those without one, where deadlines are in order.
    pub(crate) fn take_due(&mut self, now: u64, into: &mut Vec<Waker>) -> u64 {
        let is_sorted = self.is_sorted;
        let mut next = NEVER;
        let mut ticket = self.oldest;
        while ticket != NIL {
            let waiting = self.waiting_mut(ticket);
            ticket = waiting.newer;
            if waiting.deadline <= now {
                into.extend(waiting.waker.take());
                continue;
            }
            next = next.min(waiting.deadline);
            if is_sorted && next != NEVER {
                break;
            }
        }
        next
    }

    /// Looks whether a ticket was answered; if so the ticket is spent. A `fresh` waker is taken if
    /// one is needed; the one it replaces comes back in its place.
    pub(crate) fn redeem(
        &mut self,
        ticket: usize,
        waker: &Waker,
        fresh: &mut Option<Waker>,
    ) -> Redeemed<L, E> {
        if let Some(answer) = self.release_answered(ticket) {
            return Redeemed::Answered(answer);
        }
        let own = &mut self.slots[ticket].waker;
        if own.as_ref().is_some_and(|own| own.will_wake(waker)) {
            return Redeemed::Waiting;
        }
        match fresh.take() {
            Some(new) => {
                *fresh = own.replace(new);
                Redeemed::Waiting
            }
            None => Redeemed::NeedsWaker,
        }
    }

    /// Gives a ticket back that has got nothing yet, which most have not; its waker is to be dropped
    /// outside of the lock. Nothing happens if it has: see [`cancel`](Self::cancel).
    #[inline]
    pub(crate) fn leave(&mut self, ticket: usize) -> (bool, Option<Waker>) {
        let slot = &mut self.slots[ticket];
        if !matches!(slot.state, State::Waiting) || !slot.has.is_empty() {
            return (false, None);
        }
        slot.state = State::Free;
        self.wanted -= slot.wants;
        let waker = slot.waker.take();
        self.unlink(ticket);
        self.free.push(ticket);
        (true, waker)
    }

    /// Gives a ticket back, answered or not. What it was given or had set aside comes back, and its
    /// waker, to be dropped outside of the lock.
    pub(crate) fn cancel(&mut self, ticket: usize) -> (Option<Answer<L, E>>, Option<Waker>) {
        if let Some(answer) = self.release_answered(ticket) {
            return (Some(answer), None);
        }
        self.unlink(ticket);
        self.free.push(ticket);
        let slot = &mut self.slots[ticket];
        slot.state = State::Free;
        self.wanted -= slot.wants - slot.has.len();
        let has = match slot.has.is_empty() {
            true => None,
            false => Some(Answer::Many(std::mem::take(&mut slot.has))),
        };
        (has, slot.waker.take())
    }

    fn answer(&mut self, ticket: usize, answer: Answer<L, E>) -> Option<Waker> {
        self.unlink(ticket);
        let slot = &mut self.slots[ticket];
        slot.state = State::Answered(answer);
        slot.waker.take()
    }

    /// Frees a ticket that was answered.
    fn release_answered(&mut self, ticket: usize) -> Option<Answer<L, E>> {
        let slot = &mut self.slots[ticket];
        if let State::Waiting = slot.state {
            return None;
        }
        match std::mem::replace(&mut slot.state, State::Free) {
            State::Answered(answer) => {
                self.free.push(ticket);
                Some(answer)
            }
            State::Free | State::Waiting => unreachable!("a ticket is freed by its owner only"),
        }
    }

    fn unlink(&mut self, ticket: usize) {
        let slot = &self.slots[ticket];
        let (older, newer) = (slot.older, slot.newer);
        match older {
            NIL => self.oldest = newer,
            older => self.waiting_mut(older).newer = newer,
        }
        match newer {
            NIL => self.newest = older,
            newer => self.waiting_mut(newer).older = older,
        }
        self.waiting -= 1;
    }

    fn waiting_mut(&mut self, ticket: usize) -> &mut Slot<L, E> {
        let slot = &mut self.slots[ticket];
        debug_assert!(
            matches!(slot.state, State::Waiting),
            "only these are linked"
        );
        slot
    }
}

impl<L, E> Slot<L, E> {
    fn free(site: Site) -> Self {
        Self {
            state: State::Free,
            waker: None,
            site,
            deadline: NEVER,
            wants: 0,
            has: Vec::new(),
            older: NIL,
            newer: NIL,
        }
    }
}

impl<L, E> Default for Queue<L, E> {
    fn default() -> Self {
        Self::new()
    }
}
