//! Calls through a breaker: closed, with failures, and rejected.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use super::CRATE;
use super::faces::{Answer, Breaker, Down};
use super::ours;
use super::peers::{CircuitBreakerRs, Failsafe, FailsafeRate, Recloser};
use crate::alloc::footprint;
use crate::axis::Axis;
use crate::batch::{fails, spin, steps_per_microsecond};
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record, median};

/// Calls in a batch.
const CALLS: u64 = 20_000;
/// Batches in a measurement; the median of them is its figure, so that a slice of time lost to
/// another process does not count.
const BATCHES: usize = 15;

/// What the operations of an axis do.
#[derive(Clone, Copy)]
enum Work {
    /// Return at once, with a success.
    Nothing,
    /// Return at once, every tenth with a failure.
    TenthFails,
    /// About a microsecond, and a failure of one in a hundred.
    Microsecond { steps: u64 },
}

impl Work {
    fn calls(self) -> u64 {
        match self {
            Self::Microsecond { .. } => CALLS / 20,
            Self::Nothing | Self::TenthFails => CALLS,
        }
    }

    #[inline(always)]
    fn run(self, call: u64) -> Result<u64, Down> {
        match self {
            Self::Nothing => Ok(black_box(call)),
            Self::TenthFails if call % 10 == 9 => Err(Down),
            Self::TenthFails => Ok(black_box(call)),
            Self::Microsecond { steps } => {
                spin(steps);
                if fails(call) { Err(Down) } else { Ok(call) }
            }
        }
    }
}

/// Nanoseconds a call, of one batch after another.
fn nanos<B: Breaker>(breaker: &B, work: Work) -> Measured {
    let calls = work.calls();
    let expected: u64 = (0..calls).filter_map(|call| work_value(work, call)).sum();
    let mut times = Vec::with_capacity(BATCHES);
    for batch in 0..=BATCHES {
        let start = Instant::now();
        let sum = match work {
            Work::Nothing => batch_sum(breaker, calls, |call| Work::Nothing.run(call)),
            Work::TenthFails => batch_sum(breaker, calls, |call| Work::TenthFails.run(call)),
            Work::Microsecond { .. } => batch_sum(breaker, calls, |call| work.run(call)),
        };
        let time = start.elapsed().as_nanos() as f64 / calls as f64;
        if sum != expected {
            return Err(format!("the results add up to {sum} instead of {expected}"));
        }
        // The first one warms up.
        if batch > 0 {
            times.push(time);
        }
    }
    Ok(median(&times))
}

/// What the operation of a call is to return, without doing its work.
fn work_value(work: Work, call: u64) -> Option<u64> {
    let has_failed = match work {
        Work::Nothing => false,
        Work::TenthFails => call % 10 == 9,
        Work::Microsecond { .. } => fails(call),
    };
    (!has_failed).then_some(call)
}

/// A function of its own for each breaker and operation, so that none is compiled in the company of
/// others.
#[inline(never)]
fn batch_sum<B: Breaker>(
    breaker: &B,
    calls: u64,
    operation: impl Fn(u64) -> Result<u64, Down>,
) -> u64 {
    let breaker = black_box(breaker);
    let mut sum = 0;
    for call in 0..calls {
        match breaker.call(|| operation(call)) {
            Answer::Done(value) => sum += value,
            Answer::Failed => {}
            Answer::Rejected => return u64::MAX,
        }
    }
    sum
}

fn closed<B: Breaker>(work: Work) -> Measured {
    nanos(&B::new(), work)
}

fn closed_in_threads<B: Breaker>(threads: usize, work: Work) -> Measured {
    let breaker = B::new();
    let barrier = Barrier::new(threads);
    let figures: Vec<Measured> = thread::scope(|scope| {
        let work = || {
            barrier.wait();
            nanos(&breaker, work)
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = running.into_iter().map(|it| it.join());
        joined
            .map(|figure| figure.expect("no thread panics"))
            .collect()
    });
    let figures = figures.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(figures.iter().sum::<f64>() / threads as f64)
}

fn open<B: Breaker>() -> Result<B, String> {
    let breaker = B::new();
    // A ring has to be full before some open.
    for _ in 0..1_000 {
        if breaker.call(|| Err(Down)) == Answer::Rejected {
            return Ok(breaker);
        }
    }
    Err("a thousand failures did not open it".to_owned())
}

fn rejected<B: Breaker>() -> Measured {
    let breaker = open::<B>()?;
    let breaker = black_box(&breaker);
    let mut times = Vec::with_capacity(BATCHES);
    for batch in 0..=BATCHES {
        let start = Instant::now();
        let mut count = 0;
        for call in 0..CALLS {
            count += u64::from(breaker.call(|| Ok(black_box(call))) == Answer::Rejected);
        }
        let time = start.elapsed().as_nanos() as f64 / CALLS as f64;
        if count != CALLS {
            return Err(format!("{count} of {CALLS} calls were rejected"));
        }
        if batch > 0 {
            times.push(time);
        }
    }
    Ok(median(&times))
}

/// Allocations of a call, once the breaker has been used: nine successes and a failure, and
/// rejections.
fn allocations<B: Breaker>() -> Measured {
    let (closed, open) = (B::new(), open::<B>()?);
    let calls = || {
        for call in 0..1_000 {
            black_box(closed.call(|| Work::TenthFails.run(call)));
            black_box(open.call(|| Ok(call)));
        }
    };
    calls();
    let ((), used) = footprint(calls);
    Ok(used.allocations as f64 / 2_000.0)
}

/// Runs everybody: ours first, then the peers named.
macro_rules! contest {
    ($name:expr, $goal:expr, $measure:ident $args:tt, $ours:ty, $($peer:ty),*) => {
        Contest::new(CRATE, $name, "ns", Better::Lower, $goal)
            .ours(|| $measure::<$ours> $args)
            $(.peer(<$peer>::NAME, || $measure::<$peer> $args))*
            .unable("tower-resilience", "asynchronous only, with three allocations a call")
    };
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("closed", |name, effort| {
            contest!(
                name,
                Goal::BestPeer(8.0),
                closed(Work::Nothing),
                ours::Default,
                Recloser<100>,
                Failsafe,
                CircuitBreakerRs
            )
            .floor("the operation alone", || closed::<Nobody>(Work::Nothing))
            .run(effort, effort.pick(15, 31))
        }),
        axis("closed_work_1us", |name, effort| {
            let work = one_microsecond();
            contest!(
                name,
                Goal::BestPeer(0.95),
                closed(work),
                ours::Default,
                Recloser<100>,
                Failsafe,
                CircuitBreakerRs
            )
            .floor("the operation alone", || closed::<Nobody>(work))
            .run(effort, effort.pick(9, 31))
        }),
        axis("closed_2_threads", |name, effort| {
            contest!(
                name,
                Goal::BestPeer(20.0),
                closed_in_threads(2, Work::Nothing),
                ours::Default,
                Recloser<100>,
                Failsafe,
                CircuitBreakerRs
            )
            .run(effort, effort.pick(15, 31))
        }),
        axis("closed_2_threads_work_1us", |name, effort| {
            let work = one_microsecond();
            contest!(
                name,
                Goal::BestPeer(0.95),
                closed_in_threads(2, work),
                ours::Default,
                Recloser<100>,
                Failsafe,
                CircuitBreakerRs
            )
            .run(effort, effort.pick(9, 31))
        }),
        axis("closed_totals_off", |name, effort| {
            contest!(
                name,
                Goal::BestPeer(12.0),
                closed(Work::Nothing),
                ours::NoTotals,
                Recloser<100>,
                Failsafe,
                CircuitBreakerRs
            )
            .floor("the operation alone", || closed::<Nobody>(Work::Nothing))
            .run(effort, effort.pick(15, 31))
        }),
        axis("closed_totals_off_work_1us", |name, effort| {
            let work = one_microsecond();
            contest!(
                name,
                Goal::BestPeer(0.95),
                closed(work),
                ours::NoTotals,
                Recloser<100>,
                Failsafe,
                CircuitBreakerRs
            )
            .run(effort, effort.pick(9, 31))
        }),
        axis("closed_totals_off_2_threads", |name, effort| {
            contest!(
                name,
                Goal::BestPeer(60.0),
                closed_in_threads(2, Work::Nothing),
                ours::NoTotals,
                Recloser<100>,
                Failsafe,
                CircuitBreakerRs
            )
            .run(effort, effort.pick(15, 31))
        }),
        axis("count_window_10_percent_fail", |name, effort| {
            contest!(
                name,
                Goal::BestPeer(2.0),
                closed(Work::TenthFails),
                ours::CountWindow,
                Recloser<100>,
                FailsafeRate,
                CircuitBreakerRs
            )
            .run(effort, effort.pick(15, 31))
        }),
        axis("count_window_10_percent_fail_2_threads", |name, effort| {
            let work = Work::TenthFails;
            contest!(
                name,
                Goal::BestPeer(0.95),
                closed_in_threads(2, work),
                ours::CountWindow,
                Recloser<100>,
                FailsafeRate,
                CircuitBreakerRs
            )
            .run(effort, effort.pick(15, 31))
        }),
        axis("count_window_work_1us", |name, effort| {
            let work = one_microsecond();
            contest!(
                name,
                Goal::BestPeer(0.95),
                closed(work),
                ours::CountWindow,
                Recloser<100>,
                FailsafeRate,
                CircuitBreakerRs
            )
            .run(effort, effort.pick(9, 31))
        }),
        axis("time_window", |name, effort| {
            contest!(
                name,
                Goal::BestPeer(0.95),
                closed(Work::Nothing),
                ours::TimeWindow,
                Recloser<100>,
                FailsafeRate
            )
            .unable("circuitbreaker-rs", "nothing feeds its time window")
            .run(effort, effort.pick(15, 31))
        }),
        axis("time_window_work_1us", |name, effort| {
            let work = one_microsecond();
            contest!(
                name,
                Goal::BestPeer(0.95),
                closed(work),
                ours::TimeWindow,
                Recloser<100>,
                FailsafeRate
            )
            .unable("circuitbreaker-rs", "nothing feeds its time window")
            .run(effort, effort.pick(9, 31))
        }),
        axis("open_reject", |name, effort| {
            contest!(
                name,
                Goal::BestPeer(4.0),
                rejected(),
                ours::Default,
                Recloser<100>,
                Failsafe,
                CircuitBreakerRs
            )
            .run(effort, effort.pick(15, 31))
        }),
        axis("allocations_per_call", |name, effort| {
            let goal = Goal::Bound("no allocation", 0.0);
            Contest::new(CRATE, name, "allocations", Better::Lower, goal)
                .ours(allocations::<ours::CountWindow>)
                .peer("recloser", allocations::<Recloser<100>>)
                .peer("failsafe", allocations::<FailsafeRate>)
                .peer("circuitbreaker-rs", allocations::<CircuitBreakerRs>)
                .run(effort, 3)
        }),
    ]
}

fn one_microsecond() -> Work {
    Work::Microsecond {
        steps: steps_per_microsecond(),
    }
}

/// No breaker at all.
struct Nobody;

impl Breaker for Nobody {
    const NAME: &'static str = "nobody";

    fn new() -> Self {
        Self
    }

    #[inline(always)]
    fn call(&self, operation: impl FnOnce() -> Result<u64, Down>) -> Answer {
        match operation() {
            Ok(value) => Answer::Done(value),
            Err(Down) => Answer::Failed,
        }
    }
}
