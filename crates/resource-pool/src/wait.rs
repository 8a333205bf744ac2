//! [`Wait`]: a caller on its way to a resource: the fast way first, then in line.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_sync::Sleep;

use crate::core::{Answered, Effects};
use crate::error::AcquireError;
use crate::manager::Manager;
use crate::panics::discard;
use crate::primitive::lock;
use crate::queue::{Answer, Redeemed};
use crate::shared::Shared;

/// What a caller gets: what it asked for, or why not.
pub(crate) type Outcome<M> = Result<Answered<M>, AcquireError<<M as Manager>::Error>>;

/// In line for so many resources. Dropped, it leaves the line; what was granted meanwhile goes to
/// the next.
pub(crate) struct Wait<'a, M: Manager> {
    shared: &'a Shared<M>,
    site: &'static Location<'static>,
    wants: usize,
    limit: Option<Duration>,
    ticket: Option<usize>,
    /// There was an answer as soon as it had joined.
    is_answered: bool,
    began: Duration,
    sleep: Option<Sleep>,
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
            is_answered: false,
            began: Duration::ZERO,
            sleep: None,
        }
    }

    /// How long it has waited. Precise where there is a limit, which needs a precise start anyway.
    pub(crate) fn waited(&self) -> Duration {
        let now = match self.limit {
            Some(_) => self.shared.timer.now(),
            None => Duration::from_nanos(self.shared.time.coarse()),
        };
        now.saturating_sub(self.began)
    }

    fn begin(&mut self) {
        self.began = match self.limit {
            Some(_) => self.shared.timer.now(),
            None => Duration::from_nanos(self.shared.time.coarse()),
        };
    }

    /// Joins the line, whoever may be idle: what is, is handed out in the same step.
    pub(crate) fn join(&mut self, waker: Waker) -> Result<(), AcquireError<M::Error>> {
        let Self { site, wants, .. } = *self;
        let shared = self.shared;
        let time = shared.time.coarse();
        let mut effects = Effects::new();
        let joined = {
            let mut core = lock(&shared.core);
            let now = shared.now_under_lock(time);
            if core.is_closed {
                Err((AcquireError::Closed, waker))
            } else if wants > core.max {
                let max = core.max;
                Err((AcquireError::TooMany { asked: wants, max }, waker))
            } else {
                let ticket = core.line.join(waker, site, wants);
                core.ask_attention(&shared.idle);
                core.settle(&shared.idle, now, &mut effects);
                self.is_answered = !core.line.is_waiting(ticket);
                Ok(ticket)
            }
        };
        shared.perform(effects);
        match joined {
            Ok(ticket) => {
                self.ticket = Some(ticket);
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
        if this.ticket.is_none() {
            this.begin();
            if let Err(error) = this.join(cx.waker().clone()) {
                return Poll::Ready(Err(error));
            }
            // An answer from then on wakes; one that was there is worth a look.
            has_news = this.is_answered || this.shared.work();
        }
        while has_news {
            if let Some(outcome) = this.look(cx.waker()) {
                return Poll::Ready(outcome);
            }
            has_news = this.shared.work();
        }
        if let Some(limit) = this.limit {
            let deadline = this.began.saturating_add(limit);
            let timer = &this.shared.timer;
            let sleep = this
                .sleep
                .get_or_insert_with(|| timer.sleep_until(deadline));
            if Pin::new(sleep).poll(cx).is_ready() {
                let outcome = this.give_up();
                return Poll::Ready(outcome.unwrap_or_else(|| {
                    let waited = this.waited();
                    Err(this.shared.timeout(this.site, waited))
                }));
            }
        }
        Poll::Pending
    }
}

impl<M: Manager> Drop for Wait<'_, M> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let shared = self.shared;
        shared.leave(ticket);
    }
}

impl<M: Manager> Shared<M> {
    /// A caller leaves the line without looking at its answer.
    fn leave(&self, ticket: usize) {
        // Where nothing was granted, nothing has to settle: whoever comes next ends the attention
        // that nobody needs any more. That spares a caller that gives up two writes.
        let (answer, waker) = lock(&self.core).line.cancel(ticket);
        discard(waker);
        match answer {
            None => {}
            Some(Answer::Failed(error)) => discard(error),
            granted => self.change(|core, now, effects| {
                core.take_back(&self.idle, granted, now, effects);
            }),
        }
        self.dismiss_crew_if_alone();
    }

    /// Does the pool's work, where there is no spawner to do it. False if there was none.
    #[inline]
    pub(crate) fn work(&self) -> bool {
        self.spawner.is_none() && self.crew.work()
    }

    /// Without a spawner, what nobody waits for is not kept without being polled.
    pub(crate) fn dismiss_crew_if_alone(&self) {
        if self.spawner.is_some() || self.crew.is_empty() {
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
