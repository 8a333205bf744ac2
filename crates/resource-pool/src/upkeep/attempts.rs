//! How many resources are wanted, and what becomes of attempts to create them: the rules, and the
//! pauses while attempts fail or a gate refuses them. All of it runs under the lock.

use std::time::Duration;

use brolly_sync::saturating_nanos;

use crate::config::OnCreateError;
use crate::core::{Core, Effects, Idle, Job, Now};
use crate::error::{AcquireError, CreateError};
use crate::line::queue::Answer;
use crate::manager::Manager;
use crate::time::NEVER;

/// A gate that refuses is asked again after that, at least and at most.
const ASK_AFTER: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// The last attempt to create has failed, or a gate has refused it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing {
    /// No other attempt before that.
    pub(crate) retry_at: u64,
    /// Somebody sleeps until then.
    pub(crate) is_armed: bool,
    /// New resources were made, and passed no check: the next is checked before it is handed out.
    pub(crate) wants_proof: bool,
    /// A gate lets none begin before that.
    pub(crate) refused_until: Option<u64>,
}

impl<M: Manager> Core<M> {
    /// Begins as many creations as are wanted, fit, and may run at once.
    pub(crate) fn create(&mut self, idle: &Idle<M>, now: Now, effects: &mut Effects<M>) {
        let missing = match self.is_warm && now.has_spawner {
            true => self.missing(idle).saturating_sub(self.creating),
            false => 0,
        };
        let for_line = self
            .line
            .wanted()
            .saturating_sub(self.promised + self.creating);
        let wanted = for_line
            .max(missing)
            .max(self.extra.saturating_sub(self.creating));
        let room = self.max.saturating_sub(self.size + self.creating);
        let mut most = wanted.min(room);
        if most == 0 {
            return;
        }
        most = most.min(self.concurrency.saturating_sub(self.creating));
        if let Some(failing) = &mut self.failing {
            let is_pausing = now.time < failing.retry_at;
            if self.creating > 0 && !is_pausing {
                return;
            }
            if is_pausing {
                let refused_until = failing.refused_until;
                // What is under way ends the pause, or makes another.
                if !failing.is_armed && self.creating == 0 {
                    failing.is_armed = true;
                    let until = failing.retry_at;
                    let nanos = until - now.time;
                    effects.jobs.push(Job::Pause { nanos, until });
                }
                if let Some(until) = refused_until {
                    self.pass_on_refusal(idle, until, now, effects);
                }
                return;
            }
            most = most.min(1);
        }
        for _ in 0..most {
            self.creating += 1;
            effects.jobs.push(Job::Create { epoch: self.epoch });
        }
    }

    /// How many have to be made until both minima are kept, those under way included.
    pub(crate) fn missing(&self, idle: &Idle<M>) -> usize {
        let existing = self.size - self.closing;
        let by_size = self.min.saturating_sub(existing);
        if self.min_idle == 0 {
            return by_size;
        }
        // What is being checked is idle again soon, but for what is promised to the line.
        let wanted = self.line.wanted();
        let for_line = wanted.saturating_sub(self.promised);
        let will_be_idle = idle.idle() + self.checking - self.promised.min(wanted);
        let by_idle = (self.min_idle + for_line).saturating_sub(will_be_idle);
        by_size.max(by_idle.min(self.max.saturating_sub(existing)))
    }

    /// An attempt to create has failed: who is told, and how long nobody tries again. The error
    /// before comes back, to be dropped outside of the lock.
    #[must_use = "an error is dropped after the lock is released"]
    pub(crate) fn attempt_failed(
        &mut self,
        idle: &Idle<M>,
        error: &CreateError<M::Error>,
        is_final: bool,
        epoch: u64,
        now: Now,
        effects: &mut Effects<M>,
    ) -> Option<CreateError<M::Error>> {
        self.counts.create_failures += 1;
        let before = self.last_error.replace(error.clone());
        self.pause(epoch, now);
        self.extra = 0;
        if self.on_create_error == OnCreateError::RetryUntilDeadline && !is_final {
            return before;
        }
        // Where nothing exists that could come back, everybody waits in vain.
        let is_hopeless = self.size == self.closing && self.creating == 0 && idle.idle() == 0;
        let told = match is_hopeless {
            true => self.line.waiting(),
            false => 1.min(self.line.waiting()),
        };
        for _ in 0..told {
            // Who has a part of what it wants waits for the rest.
            if self.line.set_aside() > 0 {
                break;
            }
            self.counts.errors += 1;
            let error = AcquireError::Create(error.clone());
            self.fail_first(idle, error, now, effects);
        }
        before
    }

    /// Attempts pause, longer each time. Several that fail together make one pause.
    pub(crate) fn pause(&mut self, epoch: u64, now: Now) {
        if epoch != self.epoch {
            return;
        }
        self.epoch += 1;
        let nanos = saturating_nanos(self.backoff.next_delay());
        self.failing = Some(Failing {
            retry_at: now.time.saturating_add(nanos),
            is_armed: false,
            wants_proof: self.wants_proof(),
            refused_until: None,
        });
    }

    /// A gate lets no creation begin. It is asked again when it said, or earlier: it may open by
    /// other means than time. The error before comes back, to be dropped outside of the lock.
    #[must_use = "an error is dropped after the lock is released"]
    pub(crate) fn refused(
        &mut self,
        retry_after: Duration,
        now: Now,
    ) -> Option<CreateError<M::Error>> {
        self.counts.gate_refusals += 1;
        let refused = CreateError::Refused { retry_after };
        let before = self.last_error.replace(refused);
        self.extra = 0;
        let until = Some(now.time.saturating_add(saturating_nanos(retry_after)));
        match &mut self.failing {
            Some(failing) if now.time < failing.retry_at => failing.refused_until = until,
            _ => {
                let pause = retry_after.clamp(ASK_AFTER.0, ASK_AFTER.1);
                self.failing = Some(Failing {
                    retry_at: now.time.saturating_add(saturating_nanos(pause)),
                    is_armed: false,
                    wants_proof: self.wants_proof(),
                    refused_until: until,
                });
            }
        }
        before
    }

    /// Who would need a creation is told that there will be none, unless it is to go on trying and
    /// something may come back.
    fn pass_on_refusal(&mut self, idle: &Idle<M>, until: u64, now: Now, effects: &mut Effects<M>) {
        let goes_on_trying = self.on_create_error == OnCreateError::RetryUntilDeadline;
        if goes_on_trying && (self.size > self.closing || self.creating > 0) {
            return;
        }
        let retry_after = match until {
            NEVER => Duration::MAX,
            until => Duration::from_nanos(until.saturating_sub(now.time)),
        };
        // Those who came last: what is promised to the line goes to who came first.
        while self.line.wanted() > self.promised + self.creating {
            self.counts.errors += 1;
            let error = AcquireError::Create(CreateError::Refused { retry_after });
            let (waker, set_aside) = self.line.fail_last(error);
            effects.wake(waker);
            self.take_back(idle, Some(Answer::Many(set_aside)), now, effects);
        }
    }

    /// A resource was made that has passed no check, after others that have not.
    pub(crate) fn pause_for_check(&mut self, now: Now) {
        let is_pausing = self.failing.is_some_and(|it| now.time < it.retry_at);
        if !is_pausing {
            self.pause(self.epoch, now);
        }
        if let Some(failing) = &mut self.failing {
            failing.wants_proof = true;
        }
    }

    /// Whether a new resource is checked before it is handed out.
    pub(crate) fn wants_proof(&self) -> bool {
        self.failing.is_some_and(|it| it.wants_proof)
    }

    /// Attempts succeed again. Where proof is wanted, one that was begun before that proves nothing.
    /// The error before comes back, to be dropped outside of the lock.
    #[must_use = "an error is dropped after the lock is released"]
    pub(crate) fn resume(&mut self, epoch: u64) -> Option<CreateError<M::Error>> {
        if epoch == self.epoch || !self.wants_proof() {
            self.failing = None;
            self.backoff.reset();
        }
        self.last_error.take()
    }
}
