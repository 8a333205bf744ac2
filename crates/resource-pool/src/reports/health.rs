//! Whether a pool can do its work: one resource, taken and checked as any other.

use std::error::Error as StdError;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::TimerExt;
use thiserror::Error;

use crate::error::AcquireError;
use crate::guard::Guard;
use crate::manager::{CloseReason, Manager};
use crate::panics::{contain, contained};
use crate::pool::Pool;
use crate::shared::Shared;
use crate::upkeep::check::{note_failure, note_success};

/// Why a pool cannot do its work.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum HealthError {
    /// No resource was to be had, or it did not answer, in time.
    #[error("no answer after {after:?}")]
    Timeout {
        /// How long it was given.
        after: Duration,
    },
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
    /// No resource was to be had.
    #[error("no resource could be acquired")]
    Acquire(#[source] Arc<dyn StdError + Send + Sync>),
    /// A resource failed its check. It is closed.
    #[error("a resource failed its check")]
    Failed(#[source] Arc<dyn StdError + Send + Sync>),
    /// The check panicked. The resource is closed.
    #[error("the check panicked: {message}")]
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
}

impl<M: Manager> Pool<M> {
    /// Whether a resource can be had that passes its check: takes one as any other caller does, has it
    /// checked whatever the rule for checkouts says, and gives it back. One that fails is closed.
    ///
    /// A pool whose resources are all in use for longer than the limit is not well either.
    ///
    /// # Errors
    ///
    /// [`HealthError`]: there is none, or it failed.
    ///
    /// # Cancel safety
    ///
    /// A resource that is being checked when the future is dropped is closed.
    #[doc(alias = "health_check")]
    #[doc(alias = "ping")]
    #[track_caller]
    pub fn check(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<(), HealthError>> + Send + use<'_, M> {
        let site = Location::caller();
        async move {
            let shared = &**self.shared();
            let checked = check(self, shared, site, limit);
            let checked = shared.timer.timeout(limit, checked).await;
            checked.unwrap_or(Err(HealthError::Timeout { after: limit }))
        }
    }
}

async fn check<M: Manager>(
    pool: &Pool<M>,
    shared: &Shared<M>,
    site: &'static Location<'static>,
    limit: Duration,
) -> Result<(), HealthError> {
    let guard = match pool.acquire_at(site, Some(limit)).await {
        Ok(guard) => guard,
        Err(AcquireError::Timeout(report)) => {
            let after = report.waited;
            return Err(HealthError::Timeout { after });
        }
        Err(AcquireError::Closed) => return Err(HealthError::Closed),
        Err(error) => return Err(HealthError::Acquire(Arc::new(error))),
    };
    let mut doubt = Doubt {
        shared,
        guard: Some(guard),
        message: String::from("the check was dropped"),
    };
    let Some(resource) = &mut doubt.guard else {
        return Ok(());
    };
    let usage = Guard::usage(resource);
    let answer = contained(async { shared.manager.recycle(resource, &usage).await });
    let limit = shared.rules.check_timeout;
    let error = match shared.timer.timeout(limit, answer).await {
        Ok(Ok(Ok(()))) => {
            doubt.dispel();
            return Ok(());
        }
        Ok(Ok(Err(error))) => {
            doubt.message = contain(|| error.to_string()).unwrap_or_default();
            return Err(HealthError::Failed(Arc::new(error)));
        }
        Ok(Err(message)) => HealthError::Panicked { message },
        Err(_) => HealthError::Timeout { after: limit },
    };
    doubt.message = error.to_string();
    Err(error)
}

/// A resource in the middle of its check. Nobody knows in which state it is: dropped, it is closed.
struct Doubt<'a, M: Manager> {
    shared: &'a Shared<M>,
    guard: Option<Guard<'a, M>>,
    /// What is wrong.
    message: String,
}

impl<M: Manager> Doubt<'_, M> {
    /// It has passed, and goes back.
    fn dispel(mut self) {
        let shared = self.shared;
        shared.change(|core, _, effects| note_success(core, effects));
        drop(self.guard.take());
    }
}

impl<M: Manager> Drop for Doubt<'_, M> {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            let message = std::mem::take(&mut self.message);
            let shared = self.shared;
            shared.change(|core, _, effects| note_failure(core, message, effects));
            let loan = Guard::into_loan(guard);
            self.shared.discard(loan, CloseReason::Unhealthy);
        }
    }
}
