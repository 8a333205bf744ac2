//! Bytes of a breaker: its handle and everything that it has allocated.

use brolly_circuit_breaker::{CircuitBreaker, Template};

use super::CRATE;
use super::faces::{Answer, Breaker, Down};
use super::peers::{CircuitBreakerRs, Failsafe, Recloser};
use crate::alloc::footprint;
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record};

/// Enough that what all of them share does not count.
const BREAKERS: usize = 16_384;

/// Bytes of each of many, in a vector that has room for all of them, after a success and a failure
/// through each. What was made stays, so that no round is measured in memory of a round before.
fn bytes<B>(make: impl Fn() -> B, call: impl Fn(&B, Result<u64, Down>) -> Answer) -> Measured {
    let (made, used) = footprint(|| {
        let mut all = Vec::with_capacity(BREAKERS);
        for _ in 0..BREAKERS {
            let breaker = make();
            call(&breaker, Ok(1));
            call(&breaker, Err(Down));
            all.push(breaker);
        }
        all
    });
    std::mem::forget(made);
    Ok(used.kept_bytes as f64 / BREAKERS as f64)
}

fn ours(template: &Template) -> Measured {
    let call = |breaker: &CircuitBreaker, result| match breaker.call_sync(|| result) {
        Ok(value) => Answer::Done(value),
        Err(_) => Answer::Failed,
    };
    bytes(|| template.create(), call)
}

fn peer<B: Breaker>() -> Measured {
    bytes(B::new, |breaker, result| breaker.call(|| result))
}

fn contest(name: &'static str, of: &'static str, bound: f64) -> Contest<'static> {
    Contest::new(CRATE, name, "B", Better::Lower, Goal::Bound(of, bound))
        .peer("recloser", peer::<Recloser<100>>)
        .peer("failsafe", peer::<Failsafe>)
        .peer("circuitbreaker-rs", peer::<CircuitBreakerRs>)
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("bytes_per_breaker", |name, effort| {
            let template = CircuitBreaker::builder().totals(false).template();
            let template = template.expect("the settings are allowed");
            contest(name, "64 bytes, handle included, totals off", 64.0)
                .ours(move || ours(&template))
                .run(effort, 3)
        }),
        axis("bytes_per_breaker_totals_on", |name, effort| {
            let template = CircuitBreaker::builder().template();
            let template = template.expect("the settings are allowed");
            contest(
                name,
                "64 bytes and 64 for a thread that calls, with their lists",
                144.0,
            )
            .ours(move || ours(&template))
            .run(effort, 3)
        }),
    ]
}
