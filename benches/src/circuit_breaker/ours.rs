//! Ours, set up for each axis.

use std::time::Duration;

use brolly_circuit_breaker::{CallError, CircuitBreaker, CircuitBreakerBuilder};

use super::faces::{Answer, Breaker, Down};

macro_rules! ours {
    ($($(#[$doc:meta])* $name:ident = $settings:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name(CircuitBreaker);

        impl Breaker for $name {
            const NAME: &'static str = "ours";

            fn new() -> Self {
                let settings: fn(CircuitBreakerBuilder) -> CircuitBreakerBuilder = $settings;
                let builder = CircuitBreaker::builder().name("search");
                let builder = builder.open_for(Duration::from_secs(600));
                Self(settings(builder).build().expect("the settings are allowed"))
            }

            #[inline(always)]
            fn call(&self, operation: impl FnOnce() -> Result<u64, Down>) -> Answer {
                match self.0.call_sync(operation) {
                    Ok(value) => Answer::Done(value),
                    Err(CallError::Inner(_)) => Answer::Failed,
                    Err(_) => Answer::Rejected,
                }
            }
        }
    )*};
}

ours! {
    /// As it comes: consecutive failures, totals on.
    Default = |builder| builder;
    NoTotals = |builder| builder.totals(false);
    /// The last hundred calls, half of which may fail.
    CountWindow = |builder| builder.count_window(100).failure_rate(0.5);
    TimeWindow = |builder| builder.time_window(Duration::from_secs(10)).failure_rate(0.5);
}
