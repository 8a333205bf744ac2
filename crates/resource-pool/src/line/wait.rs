//! [`Wait`]: a caller on its way to a resource: the fast way first, then in line.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_sync::{NEVER, saturating_nanos};

use crate::core::Answered;
use crate::error::AcquireError;
use crate::line::queue::{Answer, Redeemed};
use crate::manager::Manager;
use crate::panics::discard;
use crate::places::loan::Loan;
use crate::primitive::lock;
use crate::shared::Shared;

/// What a caller gets: what it asked for, or why not.
pub(crate) type Outcome<M> = Result<Answered<M>, AcquireError<<M as Manager>::Error>>;

/// So often who was served begins to wait again within one poll; see [`Wait`].
const TURNS: u32 = 32;

/// In line for so many resources. Dropped, it leaves the line; what was granted meanwhile goes to
/// the next.
///
/// Polled again after it was served, it begins again with the time that it has left: what it got was
/// refused by the user's hook. After some turns it lets others run first.
pub(crate) struct Wait<'a, M: Manager> {
    shared: &'a Shared<M>,
    site: &'static Location<'static>,
    wants: usize,
    limit: Option<Duration>,
    ticket: Option<usize>,
    /// There may have been an answer as soon as it had joined.
    has_news: bool,
    /// By the timer's clock where there is a limit, by the pool's otherwise; zero before.
    began: u64,
    turns: u32,
    /// By the timer's clock; `NEVER` where there is no limit.
    deadline: u64,
}

impl<'a, M: Manager> Wait<'a, M> {
    pub(crate) fn new(
        shared: &'a Shared<M>,
        site: &'static Location<'static>,
        wants: usize,
        limit: Option<Duration>,
    ) -> Self {
        Self {
            shared,
            site,
            wants,
            limit,
            ticket: None,
            has_news: false,
            began: 0,
            turns: 0,
            deadline: NEVER,
        }
    }

    /// How long it has waited. Precise where there is a limit, which needs a precise start anyway.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(self.began))
    }

    fn now(&self) -> u64 {
        match self.limit {
            Some(_) => self.shared.timer_clock.now(),
            None => self.shared.time.coarse(),
        }
    }

    fn begin(&mut self) {
        self.began = self.now();
        if let Some(limit) = self.limit {
            self.deadline = self.began.saturating_add(saturating_nanos(limit));
        }
    }

    fn time_out(&self) -> AcquireError<M::Error> {
        self.shared.timeout(self.site, self.waited())
    }

    fn is_due_to_yield(&mut self) -> bool {
        self.turns += 1;
        self.turns.is_multiple_of(TURNS)
    }

    /// Whether its time is over. The clock is read only if that can be.
    fn is_over(&self, is_first_poll: bool) -> bool {
        match self.limit {
            None => false,
            Some(limit) if is_first_poll => limit.is_zero(),
            Some(_) => self.shared.timer_clock.is_past(self.deadline),
        }
    }

    /// Joins the line, whoever may be idle: what is, is handed out in the same step.
    pub(crate) fn join(&mut self, waker: Waker) -> Result<(), AcquireError<M::Error>> {
        if self.began == 0 {
            self.begin();
        }
        let shared = self.shared;
        let mut announced = None;
        let joined = {
            let mut core = lock(&shared.core);
            let wants = self.wants;
            if core.is_closed {
                Err((AcquireError::Closed, waker))
            } else if wants > core.max {
                let max = core.max;
                Err((AcquireError::TooMany { asked: wants, max }, waker))
            } else {
                let ticket = core.line.join(waker, self.site, self.deadline, wants);
                core.ask_attention(&shared.idle);
                self.has_news = !core.is_stuck(&shared.idle);
                if !self.has_news {
                    announced = core.limits.announce(self.deadline);
                }
                Ok(ticket)
            }
        };
        match joined {
            Ok(ticket) => {
                self.ticket = Some(ticket);
                if self.has_news {
                    // What settles is found by the look that follows.
                    shared.change(|_, _, _| {});
                }
                shared.keep_limit(announced);
                Ok(())
            }
            Err((error, waker)) => {
                discard(waker);
                Err(error)
            }
        }
    }

    /// The answer, if there is one. Otherwise the waker is registered.
    pub(crate) fn look(&mut self, waker: &Waker) -> Option<Outcome<M>> {
        let ticket = self.ticket?;
        let mut fresh = None;
        loop {
            let redeemed = lock(&self.shared.core)
                .line
                .redeem(ticket, waker, &mut fresh);
            match redeemed {
                Redeemed::Answered(answer) => {
                    self.ticket = None;
                    discard(fresh);
                    // What was begun for this caller may be nobody's now.
                    self.shared.dismiss_crew_if_alone();
                    return Some(self.arrive(answer));
                }
                Redeemed::Waiting => {
                    discard(fresh);
                    return None;
                }
                Redeemed::NeedsWaker => fresh = Some(waker.clone()),
            }
        }
    }

    fn arrive(&mut self, answer: Answered<M>) -> Outcome<M> {
        match answer {
            Answer::Failed(error) => Err(error),
            granted => {
                self.shared.waits.record(self.waited());
                Ok(granted)
            }
        }
    }

    /// Leaves the line; an answer that is there already is not turned down.
    pub(crate) fn give_up(&mut self) -> Option<Outcome<M>> {
        let ticket = self.ticket.take()?;
        let shared = self.shared;
        let mut answered = None;
        let mut own_waker = None;
        shared.change(|core, now, effects| {
            let (answer, waker) = core.line.cancel(ticket);
            own_waker = waker;
            // Only a ticket that was answered has given its waker away.
            match answer {
                Some(answer) if own_waker.is_none() && is_whole(&answer, self.wants) => {
                    answered = Some(answer);
                }
                answer => core.take_back(&shared.idle, answer, now, effects),
            }
        });
        discard(own_waker);
        shared.dismiss_crew_if_alone();
        answered.map(|answer| self.arrive(answer))
    }
}

/// The answer of somebody who asked for one.
pub(crate) fn one<M: Manager>(
    outcome: Outcome<M>,
) -> Result<Loan<M::Resource>, AcquireError<M::Error>> {
    match outcome? {
        Answer::One(loan) => Ok(loan),
        Answer::Failed(error) => Err(error),
        Answer::Many(_) => unreachable!("one was asked for"),
    }
}

fn is_whole<L, E>(answer: &Answer<L, E>, wants: usize) -> bool {
    match answer {
        Answer::One(_) | Answer::Failed(_) => true,
        Answer::Many(loans) => loans.len() == wants,
    }
}

impl<M: Manager> Future for Wait<'_, M> {
    type Output = Outcome<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut has_news = true;
        let is_first = this.ticket.is_none();
        if is_first {
            if this.began != 0 {
                if this.is_over(false) {
                    return Poll::Ready(Err(this.time_out()));
                }
                if this.is_due_to_yield() {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            if let Err(error) = this.join(cx.waker().clone()) {
                return Poll::Ready(Err(error));
            }
            // An answer from then on wakes; one that was there is worth a look.
            has_news = this.has_news || this.shared.work();
        }
        while has_news {
            if let Some(outcome) = this.look(cx.waker()) {
                return Poll::Ready(outcome);
            }
            has_news = this.shared.work();
        }
        if this.is_over(is_first) {
            let outcome = this.give_up();
            return Poll::Ready(outcome.unwrap_or_else(|| Err(this.time_out())));
        }
        if this.limit.is_some() && (!is_first || this.has_news) {
            // It was not announced, or who kept the time for this one has been unable to.
            let announced = lock(&this.shared.core).limits.announce(this.deadline);
            this.shared.keep_limit(announced);
        }
        Poll::Pending
    }
}

impl<M: Manager> Drop for Wait<'_, M> {
    #[inline]
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let shared = self.shared;
        shared.leave(ticket);
    }
}

impl<M: Manager> Shared<M> {
    /// A caller leaves the line without looking at its answer. Kept apart, so that the end of a
    /// future that has never waited is a test of a flag.
    #[inline(never)]
    fn leave(&self, ticket: usize) {
        // Where nothing was granted, nothing has to settle: whoever comes next ends the attention
        // that nobody needs any more. That spares a caller that gives up two writes.
        let (has_left, waker) = lock(&self.core).line.leave(ticket);
        discard(waker);
        if !has_left {
            self.turn_down(ticket);
        }
        self.dismiss_crew_if_alone();
    }

    /// What was granted to a caller who has left goes to the next.
    #[cold]
    fn turn_down(&self, ticket: usize) {
        let (answer, waker) = lock(&self.core).line.cancel(ticket);
        discard(waker);
        match answer {
            None => {}
            Some(Answer::Failed(error)) => discard(error),
            granted => self.change(|core, now, effects| {
                core.take_back(&self.idle, granted, now, effects);
            }),
        }
    }

    /// Does the pool's work, where there is no spawner to do it. False if there was none.
    #[inline]
    pub(crate) fn work(&self) -> bool {
        self.spawner.is_none() && self.crew.work()
    }

    /// Without a spawner, what nobody waits for is not kept without being polled.
    #[inline]
    pub(crate) fn dismiss_crew_if_alone(&self) {
        if self.spawner.is_none() {
            self.dismiss_crew_unless_needed();
        }
    }

    fn dismiss_crew_unless_needed(&self) {
        if self.crew.is_empty() {
            return;
        }
        let is_alone = {
            let core = lock(&self.core);
            core.line.is_empty() && core.watchers.is_empty()
        };
        if is_alone {
            self.crew.dismiss();
        }
    }

    /// A change of the counts, for who looks at them in turns.
    pub(crate) fn changed(self: &Arc<Self>) -> Changed<'_, M> {
        let (key, version) = {
            let mut core = lock(&self.core);
            let key = core.next_watcher;
            core.next_watcher += 1;
            core.watchers.push((key, None));
            (key, core.version)
        };
        Changed {
            shared: self,
            key,
            version,
        }
    }
}

/// Ends when the counts have changed since it was made. Does the pool's work meanwhile, where there
/// is no spawner to do it.
pub(crate) struct Changed<'a, M: Manager> {
    shared: &'a Arc<Shared<M>>,
    key: u64,
    version: u64,
}

impl<M: Manager> Future for Changed<'_, M> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let fresh = cx.waker().clone();
            let before = {
                let mut core = lock(&self.shared.core);
                if core.version != self.version {
                    drop(core);
                    return Poll::Ready(());
                }
                let own = core.watchers.iter_mut().find(|(key, _)| *key == self.key);
                own.and_then(|(_, waker)| waker.replace(fresh))
            };
            discard(before);
            if !self.shared.work() {
                return Poll::Pending;
            }
        }
    }
}

impl<M: Manager> Drop for Changed<'_, M> {
    fn drop(&mut self) {
        let own = {
            let mut core = lock(&self.shared.core);
            let position = core.watchers.iter().position(|(key, _)| *key == self.key);
            position.map(|position| core.watchers.swap_remove(position))
        };
        discard(own);
        self.shared.dismiss_crew_if_alone();
    }
}
