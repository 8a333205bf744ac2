//! The slow way to a resource, the same for all kinds of callers: in line, past the user's hook, or
//! not at all.

use std::panic::Location;
use std::task::Waker;

use crate::error::{AcquireError, TryAcquireError};
use crate::guard::Guard;
use crate::line::wait::{Wait, one};
use crate::manager::{CloseReason, Manager};
use crate::panics::contain;
use crate::places::loan::Loan;
use crate::primitive::lock;
use crate::shared::Shared;

type Site = &'static Location<'static>;

impl<M: Manager> Shared<M> {
    /// Asks the user's hook about a resource that is about to be handed out. One that is refused is
    /// closed.
    #[inline(always)]
    pub(crate) fn admit(&self, loan: Loan<M::Resource>) -> Option<Loan<M::Resource>> {
        match self.hooks.before_acquire {
            None => Some(loan),
            Some(_) => self.ask(loan),
        }
    }

    #[cold]
    fn ask(&self, loan: Loan<M::Resource>) -> Option<Loan<M::Resource>> {
        let mut guard = Guard::new(self, loan);
        match self.may_be_acquired(&mut guard) {
            true => Some(Guard::into_loan(guard)),
            false => {
                self.discard(Guard::into_loan(guard), CloseReason::Unhealthy);
                None
            }
        }
    }

    /// The same for several: all, or none of them. Those that are not refused go back.
    pub(crate) fn admit_all<'a>(&self, guards: Vec<Guard<'a, M>>) -> Option<Vec<Guard<'a, M>>> {
        let count = guards.len();
        let mut admitted = Vec::with_capacity(count);
        for mut guard in guards {
            match self.may_be_acquired(&mut guard) {
                true => admitted.push(guard),
                false => Guard::discard(guard),
            }
        }
        (admitted.len() == count).then_some(admitted)
    }

    fn may_be_acquired(&self, guard: &mut Guard<'_, M>) -> bool {
        let Some(hook) = &self.hooks.before_acquire else {
            return true;
        };
        let usage = Guard::usage(guard);
        contain(|| hook(guard, &usage)).unwrap_or(false)
    }

    /// What can be had without waiting, if nobody waits. A hook may refuse as many as there can be.
    pub(crate) fn try_slow(&self, site: Site) -> Result<Loan<M::Resource>, TryAcquireError> {
        let mut refused = 0;
        loop {
            {
                let mut core = lock(&self.core);
                if core.is_closed {
                    return Err(TryAcquireError::Closed);
                }
                if !core.line.is_empty() || refused >= core.max {
                    return Err(self.refuse(&mut core));
                }
            }
            let mut wait = Wait::new(self, site, 1, None);
            if wait.join(Waker::noop().clone()).is_err() {
                return Err(TryAcquireError::Closed);
            }
            let outcome = loop {
                if let Some(outcome) = wait.look(Waker::noop()) {
                    break Some(outcome);
                }
                if !self.work() {
                    break wait.give_up();
                }
            };
            match outcome.map(one::<M>) {
                Some(Ok(loan)) => {
                    if let Some(loan) = self.admit(loan) {
                        return Ok(loan);
                    }
                    refused += 1;
                }
                Some(Err(AcquireError::Closed)) => return Err(TryAcquireError::Closed),
                Some(Err(_)) | None => return Err(self.refuse(&mut lock(&self.core))),
            }
        }
    }

    fn refuse(&self, core: &mut crate::core::Core<M>) -> TryAcquireError {
        core.counts.refusals += 1;
        TryAcquireError::Exhausted {
            in_use: core.in_use(&self.idle),
            max: core.max,
        }
    }
}
