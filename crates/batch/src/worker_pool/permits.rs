//! [`Permits`]: the count of free permits in one atomic word, and the line behind a lock.
//!
//! The word holds the number of free permits and one flag:
//!
//! | flag | meaning | taking | giving back |
//! |---|---|---|---|
//! | clear | nobody waits and nothing is owed | compare-and-swap | one addition |
//! | `QUEUED` | somebody waits, or a shrink is owed permits | under the lock only | one addition, then [`step`](Permits::step) under the lock |
//!
//! The flag changes under the lock only, and whenever the lock is free it is set exactly if the
//! line is not empty or permits are owed. What must stay true:
//!
//! 1. held + free = `max` + `owed`, at every moment. Only a resize changes `max`; a shrink takes
//!    what is free at once and owes the rest, and permits given back pay that before they serve
//!    anybody.
//! 2. While the flag is set, nobody takes a permit without the lock, so nobody overtakes.
//! 3. No wake-up is lost. All changes of the word are read-modify-writes, so they have one order.
//!    Whoever joins the line sets the flag first and then decides by the count that came back: a
//!    permit given back before is in that count, and who gives one back later sees the flag and
//!    comes for the lock.
//!
//! Taking acquires and giving back releases, so what was done under a permit is seen by the next
//! holder; an addition in between continues the release sequence. `models.rs` explores all this
//! with loom.

use std::task::{Context, Poll, Waker};

use super::line::{Line, Redeemed, Wish};
use crate::panic::{contained, wake};
use crate::primitive::{AtomicU64, Mutex, MutexGuard, Ordering, lock};

/// The line or the lock has a say in who gets the next permit.
const QUEUED: u64 = 1 << 63;

#[derive(Debug)]
pub(crate) struct Permits {
    word: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    line: Line,
    max: u32,
    owed: u32,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) max: u32,
    /// Held, or handed to somebody who has not looked yet.
    pub(crate) active: u32,
    pub(crate) waiting: usize,
}

/// Nobody could ever be served: this is all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) max: u32,
}

/// Where a taker stands.
#[derive(Debug)]
pub(super) enum Stand {
    /// It was not polled yet, or was answered.
    Outside,
    /// In line, with this ticket.
    InLine(usize),
}

impl Permits {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            word: AtomicU64::new(u64::from(max)),
            state: Mutex::new(State {
                line: Line::new(),
                max,
                owed: 0,
            }),
        }
    }

    /// Takes permits if they are free and nobody waits.
    #[inline]
    pub(crate) fn try_take(&self, wish: Wish) -> bool {
        match self.take_free(wish) {
            Some(taken) => taken,
            None => self.try_take_queued(wish),
        }
    }

    /// Takes permits that are free, without the lock; `None` if the lock has a say.
    #[inline]
    fn take_free(&self, wish: Wish) -> Option<bool> {
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            if seen & QUEUED != 0 {
                return None;
            }
            if seen < u64::from(wish.needs) {
                return Some(false);
            }
            // Acquire pairs with the release of `give`.
            match self.word.compare_exchange_weak(
                seen,
                seen - u64::from(wish.takes),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(true),
                Err(now) => seen = now,
            }
        }
    }

    /// The flag may be about to fall, by somebody who comes for the lock; under the lock it is
    /// exact.
    #[cold]
    fn try_take_queued(&self, wish: Wish) -> bool {
        let mut state = lock(&self.state);
        self.pay(&mut state);
        self.drop_flag_if_idle(&state);
        self.take_free(wish).unwrap_or(false)
    }

    /// Gives permits back, to the first in line if there is one.
    #[inline]
    pub(crate) fn give(&self, count: u32) {
        // Release: what the holder did is seen by whoever takes these next.
        let before = self.word.fetch_add(u64::from(count), Ordering::AcqRel);
        if before & QUEUED != 0 {
            self.settle(lock(&self.state));
        }
    }

    /// Changes how many permits there are.
    pub(crate) fn resize(&self, max: u32) {
        let mut state = lock(&self.state);
        self.word.fetch_or(QUEUED, Ordering::AcqRel);
        let mut refused = Vec::new();
        if max >= state.max {
            let more = max - state.max;
            let forgiven = more.min(state.owed);
            state.owed -= forgiven;
            self.word
                .fetch_add(u64::from(more - forgiven), Ordering::AcqRel);
        } else {
            state.owed += state.max - max;
            // Nobody joins who wants more than there is, so only a shrink has to look for such.
            refused = state.line.refuse_above(max);
        }
        state.max = max;
        self.settle(state);
        refused.into_iter().for_each(wake);
    }

    /// Serves whoever can be, one at a time, each woken without the lock.
    fn settle<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        loop {
            let (waker, more) = self.step(&mut state);
            drop(state);
            if let Some(waker) = waker {
                wake(waker);
            }
            if !more {
                return;
            }
            state = lock(&self.state);
        }
    }

    /// Pays what is owed, then serves the first in line if that can be. Also says whether there may
    /// be another.
    fn step(&self, state: &mut State) -> (Option<Waker>, bool) {
        let mut free = self.pay(state);
        let mut granted = None;
        if let Some(first) = state.line.first()
            && state.owed == 0
            && first.needs <= free
        {
            free -= first.takes;
            self.word
                .fetch_sub(u64::from(first.takes), Ordering::AcqRel);
            granted = state.line.grant_first();
        }
        self.drop_flag_if_idle(state);
        let next = state.line.first();
        let more = granted.is_some() && next.is_some_and(|next| next.needs <= free);
        (granted, more)
    }

    /// Pays what is owed from what is free, and returns what is free then. The flag is set, or
    /// nothing is owed: so nobody else takes from what was read.
    fn pay(&self, state: &mut State) -> u32 {
        let free = self.free();
        let paid = free.min(state.owed);
        if paid > 0 {
            state.owed -= paid;
            self.word.fetch_sub(u64::from(paid), Ordering::AcqRel);
        }
        free - paid
    }

    fn drop_flag_if_idle(&self, state: &State) {
        if state.line.is_empty() && state.owed == 0 {
            self.word.fetch_and(!QUEUED, Ordering::AcqRel);
        }
    }

    fn free(&self) -> u32 {
        let free = self.word.load(Ordering::Acquire) & !QUEUED;
        u32::try_from(free).unwrap_or(u32::MAX) // never more than the most permits a pool may have
    }

    pub(crate) fn has_free(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        if word & QUEUED == 0 {
            return word > 0;
        }
        let state = lock(&self.state);
        state.line.is_empty() && self.free() > state.owed
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = lock(&self.state);
        Counts {
            max: state.max,
            active: state.max + state.owed - self.free(),
            waiting: state.line.len(),
        }
    }

    /// Polls for permits; the stand is kept between polls and given back by [`leave`](Self::leave).
    #[inline]
    pub(super) fn poll_take(
        &self,
        wish: Wish,
        stand: &mut Stand,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Refused>> {
        match *stand {
            Stand::Outside if self.take_free(wish) == Some(true) => Poll::Ready(Ok(())),
            Stand::Outside => self.join(wish, stand, cx),
            Stand::InLine(ticket) => self.look(ticket, stand, cx),
        }
    }

    #[cold]
    fn join(
        &self,
        wish: Wish,
        stand: &mut Stand,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Refused>> {
        let waker = cx.waker().clone(); // foreign code, so before the lock
        let mut state = lock(&self.state);
        if wish.needs > state.max {
            let max = state.max;
            drop(state);
            return Poll::Ready(Err(Refused { max }));
        }
        self.word.fetch_or(QUEUED, Ordering::AcqRel);
        let free = self.pay(&mut state);
        if state.line.is_empty() && state.owed == 0 && wish.needs <= free {
            self.word.fetch_sub(u64::from(wish.takes), Ordering::AcqRel);
            self.drop_flag_if_idle(&state);
            drop(state);
            return Poll::Ready(Ok(()));
        }
        *stand = Stand::InLine(state.line.join(wish, waker));
        Poll::Pending
    }

    fn look(
        &self,
        ticket: usize,
        stand: &mut Stand,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Refused>> {
        let mut fresh = None;
        loop {
            let mut state = lock(&self.state);
            match state.line.redeem(ticket, cx.waker()) {
                Redeemed::Granted => {
                    *stand = Stand::Outside;
                    return Poll::Ready(Ok(()));
                }
                Redeemed::Refused { max } => {
                    *stand = Stand::Outside;
                    return Poll::Ready(Err(Refused { max }));
                }
                Redeemed::Waiting => return Poll::Pending,
                Redeemed::StaleWaker => {
                    if let Some(waker) = fresh.take() {
                        let stale = state.line.replace_waker(ticket, waker);
                        drop(state);
                        drop(stale);
                        return Poll::Pending;
                    }
                    drop(state);
                    fresh = Some(cx.waker().clone());
                }
            }
        }
    }

    /// Leaves the line. What was granted already goes to the next; so does the turn of a first in
    /// line that wanted more than was free.
    #[cold]
    pub(super) fn leave(&self, ticket: usize) {
        let mut state = lock(&self.state);
        let (granted, waker) = state.line.leave(ticket);
        if granted > 0 {
            self.word.fetch_add(u64::from(granted), Ordering::AcqRel);
        }
        self.settle(state);
        contained(|| drop(waker)); // in a destructor, where a second panic would end the process
    }
}
