//! The peers, each at its own best.

use std::time::Duration;

use failsafe::CircuitBreaker as _;
use failsafe::failure_policy::{self, ConsecutiveFailures, SuccessRateOverTimeWindow};
use failsafe::{StateMachine, backoff};

use super::faces::{Answer, Breaker, Down};

const OPEN_FOR: Duration = Duration::from_secs(600);

/// recloser: a ring of the last calls, of which half may fail.
pub struct Recloser<const CALLS: usize>(recloser::Recloser);

impl<const CALLS: usize> Breaker for Recloser<CALLS> {
    const NAME: &'static str = "recloser";

    fn new() -> Self {
        let builder = recloser::Recloser::custom()
            .closed_len(CALLS)
            .error_rate(0.5);
        Self(builder.open_wait(OPEN_FOR).build())
    }

    #[inline(always)]
    fn call(&self, operation: impl FnOnce() -> Result<u64, Down>) -> Answer {
        match self.0.call(operation) {
            Ok(value) => Answer::Done(value),
            Err(recloser::Error::Inner(_)) => Answer::Failed,
            Err(recloser::Error::Rejected) => Answer::Rejected,
        }
    }
}

#[inline(always)]
fn failsafe_answer(result: Result<u64, failsafe::Error<Down>>) -> Answer {
    match result {
        Ok(value) => Answer::Done(value),
        Err(failsafe::Error::Inner(_)) => Answer::Failed,
        Err(failsafe::Error::Rejected) => Answer::Rejected,
    }
}

/// failsafe, by failures in a row.
pub struct Failsafe(StateMachine<ConsecutiveFailures<backoff::Constant>, ()>);

impl Breaker for Failsafe {
    const NAME: &'static str = "failsafe";

    fn new() -> Self {
        let policy = failure_policy::consecutive_failures(5, backoff::constant(OPEN_FOR));
        Self(failsafe::Config::new().failure_policy(policy).build())
    }

    #[inline(always)]
    fn call(&self, operation: impl FnOnce() -> Result<u64, Down>) -> Answer {
        failsafe_answer(self.0.call(operation))
    }
}

/// failsafe, by a moving average over ten seconds.
pub struct FailsafeRate(StateMachine<SuccessRateOverTimeWindow<backoff::Constant>, ()>);

impl Breaker for FailsafeRate {
    const NAME: &'static str = "failsafe";

    fn new() -> Self {
        let (window, backoff) = (Duration::from_secs(10), backoff::constant(OPEN_FOR));
        let policy = failure_policy::success_rate_over_time_window(0.5, 10, window, backoff);
        Self(failsafe::Config::new().failure_policy(policy).build())
    }

    #[inline(always)]
    fn call(&self, operation: impl FnOnce() -> Result<u64, Down>) -> Answer {
        failsafe_answer(self.0.call(operation))
    }
}

/// circuitbreaker-rs: failures in a row, or half of all calls.
pub struct CircuitBreakerRs(
    circuitbreaker_rs::CircuitBreaker<circuitbreaker_rs::DefaultPolicy, Down>,
);

impl Breaker for CircuitBreakerRs {
    const NAME: &'static str = "circuitbreaker-rs";

    fn new() -> Self {
        let builder =
            circuitbreaker_rs::CircuitBreaker::<circuitbreaker_rs::DefaultPolicy, Down>::builder();
        let builder = builder
            .failure_threshold(0.5)
            .min_throughput(100)
            .consecutive_failures(5);
        Self(builder.cooldown(OPEN_FOR).build())
    }

    #[inline(always)]
    fn call(&self, operation: impl FnOnce() -> Result<u64, Down>) -> Answer {
        match self.0.call(operation) {
            Ok(value) => Answer::Done(value),
            Err(circuitbreaker_rs::BreakerError::Open) => Answer::Rejected,
            Err(_) => Answer::Failed,
        }
    }
}
