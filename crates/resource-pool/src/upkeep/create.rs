//! One attempt to create a resource, and the pause after one that failed. Both belong to the pool:
//! who waited for them may leave.

use std::sync::{Arc, Weak};
use std::time::Duration;

use brolly_sync::{Timer, TimerExt};

use crate::error::CreateError;
use crate::event::Event;
use crate::gate::{Made, Refused, Ticket};
use crate::manager::{CloseReason, Manager, Usage};
use crate::panics::{contain, contained, discard};
use crate::primitive::lock;
use crate::shared::Shared;
use crate::upkeep::close;

/// An attempt that the counts know of. Dropped before it has landed, it takes itself off them.
pub(crate) struct Attempt<M: Manager> {
    shared: Arc<Shared<M>>,
    epoch: u64,
    /// What was begun before a reset is of before the reset.
    generation: u64,
    ticket: Ticket,
    has_landed: bool,
}

impl<M: Manager> Attempt<M> {
    pub(crate) fn new(shared: Arc<Shared<M>>, epoch: u64) -> Self {
        Self {
            generation: shared.generation(),
            shared,
            epoch,
            ticket: Ticket::default(),
            has_landed: false,
        }
    }

    fn land(mut self, result: Result<M::Resource, CreateError<M::Error>>) {
        self.has_landed = true;
        let ticket = std::mem::take(&mut self.ticket);
        match result {
            Ok(resource) => {
                ticket.tell(Made::Succeeded);
                self.succeed(resource);
            }
            Err(error) => {
                ticket.tell(Made::Failed);
                self.fail(error);
            }
        }
    }

    /// The gate lets nobody pass: nothing was attempted.
    fn refuse(mut self, refused: Refused) {
        self.has_landed = true;
        let Refused { retry_after } = refused;
        discard(self.shared.change(|core, now, effects| {
            core.creating -= 1;
            effects.events.push(Event::Refused { retry_after });
            core.refused(retry_after, now)
        }));
    }

    fn succeed(&self, resource: M::Resource) {
        let shared = &self.shared;
        let item = shared.item(resource, self.generation);
        discard(shared.change(|core, now, effects| {
            core.creating -= 1;
            core.extra = core.extra.saturating_sub(1);
            core.counts.created += 1;
            let error = core.resume(self.epoch);
            effects.events.push(Event::Created);
            if let Err(item) = shared.settle_in(core, item, now, effects) {
                // The pool was closed or made smaller meanwhile. It exists until it is closed.
                let reason = match core.is_closed {
                    true => CloseReason::Closed,
                    false => CloseReason::Surplus,
                };
                core.size += 1;
                core.closing += 1;
                core.counts.closed[reason as usize] += 1;
                effects.events.push(Event::Closed { reason });
                effects.retired.push((item, reason));
            }
            error
        }));
    }

    fn fail(&self, error: CreateError<M::Error>) {
        let shared = &self.shared;
        let is_final = match error.failure() {
            Some(error) => !contain(|| shared.manager.is_transient(error)).unwrap_or(true),
            None => false,
        };
        let message = match error.failure() {
            Some(failure) => contain(|| failure.to_string()).unwrap_or_default(),
            None => error.to_string(),
        };
        discard(shared.change(|core, now, effects| {
            core.creating -= 1;
            effects.events.push(Event::CreateFailed { message });
            core.attempt_failed(&shared.idle, &error, is_final, self.epoch, now, effects)
        }));
        discard(error);
    }
}

impl<M: Manager> Drop for Attempt<M> {
    fn drop(&mut self) {
        if self.has_landed {
            return;
        }
        if self.shared.spawner.is_some() {
            // Whatever ran it is shutting down: another attempt would fare no better.
            self.fail(CreateError::Dropped);
        } else {
            // Those who did it have left. If somebody has come since, it begins again.
            self.shared.change(|core, _, _| {
                core.creating -= 1;
                core.extra = 0;
            });
        }
    }
}

pub(crate) async fn run<M: Manager>(mut attempt: Attempt<M>) {
    match attempt.shared.gate.ask() {
        Ok(ticket) => attempt.ticket = ticket,
        Err(refused) => return attempt.refuse(refused),
    }
    let result = {
        let shared = &attempt.shared;
        let limit = shared.rules.create_timeout;
        let made = contained(async {
            let mut resource = shared.manager.create().await?;
            let wants_proof = lock(&shared.core).wants_proof();
            if wants_proof {
                shared
                    .manager
                    .recycle(&mut resource, &Usage::none())
                    .await?;
            }
            Ok(resource)
        });
        match shared.timer.timeout(limit, made).await {
            Ok(Ok(Ok(mut resource))) => match &shared.hooks.after_create {
                None => Ok(resource),
                Some(hook) => match contain(|| hook(&mut resource)) {
                    Ok(()) => Ok(resource),
                    Err(message) => {
                        close::one(shared, resource, CloseReason::Unhealthy).await;
                        Err(CreateError::Panicked { message })
                    }
                },
            },
            Ok(Ok(Err(error))) => Err(CreateError::Failed(Arc::new(error))),
            Ok(Err(message)) => Err(CreateError::Panicked { message }),
            Err(_) => Err(CreateError::Timeout { after: limit }),
        }
    };
    attempt.land(result);
}

/// The pause between attempts that fail. It holds no pool alive.
pub(crate) struct Pause<M: Manager> {
    shared: Weak<Shared<M>>,
    timer: Arc<dyn Timer>,
    /// Another pause may have taken the place of this one.
    until: u64,
}

impl<M: Manager> Pause<M> {
    pub(crate) fn new(shared: &Arc<Shared<M>>, until: u64) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            timer: Arc::clone(&shared.timer),
            until,
        }
    }
}

impl<M: Manager> Drop for Pause<M> {
    fn drop(&mut self) {
        // Over or dropped, nobody sleeps any more; the next who asks may begin another pause.
        if let Some(shared) = self.shared.upgrade()
            && let Some(failing) = &mut lock(&shared.core).failing
            && failing.retry_at == self.until
        {
            failing.is_armed = false;
        }
    }
}

pub(crate) async fn pause<M: Manager>(pause: Pause<M>, nanos: u64) {
    let sleep = pause.timer.sleep(Duration::from_nanos(nanos));
    sleep.await;
    let Some(shared) = pause.shared.upgrade() else {
        return;
    };
    let until = pause.until;
    drop(pause);
    shared.change(|core, _, _| {
        if let Some(failing) = &mut core.failing
            && failing.retry_at == until
        {
            // By the timer the time has come, whatever the cheap clock says.
            failing.retry_at = 0;
        }
    });
}
