//! One caller: taking and giving back, with limits and without, giving up, blocking, allocations.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Instant;

use super::CRATE;
use super::faces::{AsyncPool, Ours, OursOwned, ours};
use super::peers::{Bb8, Bb8Owned, Deadpool, FastPool, Mobc, r2d2};
use crate::alloc::footprint;
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record, median};

/// Checkouts in a batch.
const CHECKOUTS: u64 = 4_000;
/// Batches in a measurement; the median of them is its figure, so that a slice of time lost to
/// another process does not count.
const BATCHES: usize = 15;
/// Resources there may be.
const SIZE: usize = 4;

pub(super) fn runtime(workers: usize) -> tokio::runtime::Runtime {
    let mut builder = match workers {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let builder = builder.enable_time();
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.build().expect("a runtime can be had")
}

/// Nanoseconds a time, of one batch after another.
fn nanos(times: u64, mut batch: impl FnMut() -> Result<(), String>) -> Measured {
    let mut figures = Vec::with_capacity(BATCHES);
    for number in 0..=BATCHES {
        let start = Instant::now();
        batch()?;
        let figure = start.elapsed().as_nanos() as f64 / times as f64;
        // The first one warms up.
        if number > 0 {
            figures.push(figure);
        }
    }
    Ok(median(&figures))
}

/// Takes one, counts with it, gives it back.
fn checkouts<P: AsyncPool>(has_limits: bool) -> Measured {
    runtime(1).block_on(async {
        let pool = P::new(SIZE, has_limits);
        let mut last = 0;
        let mut figures = Vec::with_capacity(BATCHES);
        for number in 0..=BATCHES {
            let start = Instant::now();
            for _ in 0..CHECKOUTS {
                let mut guard = pool.get().await;
                *guard += 1;
                last = black_box(*guard);
            }
            let figure = start.elapsed().as_nanos() as f64 / CHECKOUTS as f64;
            if number > 0 {
                figures.push(figure);
            }
            // mobc gives back in a task.
            tokio::task::yield_now().await;
        }
        if last == 0 {
            return Err(String::from("nothing was counted"));
        }
        Ok(median(&figures))
    })
}

/// Begins to wait, and leaves.
fn cancelled<P: AsyncPool>() -> Measured {
    runtime(1).block_on(async {
        let pool = P::new(1, false);
        let held = pool.get().await;
        let mut cx = Context::from_waker(Waker::noop());
        let figure = nanos(CHECKOUTS, || {
            for _ in 0..CHECKOUTS {
                let waiting = pin!(pool.get());
                if waiting.poll(&mut cx).is_ready() {
                    return Err(String::from("got what another holds"));
                }
            }
            Ok(())
        });
        drop(held);
        // Whoever has left must not have taken anything along.
        tokio::task::yield_now().await;
        drop(pool.get().await);
        figure
    })
}

fn blocking_ours() -> Measured {
    let pool = ours(SIZE, true);
    nanos(CHECKOUTS, || {
        for _ in 0..CHECKOUTS {
            let mut guard = pool.acquire_blocking().map_err(|it| it.to_string())?;
            *guard = black_box(*guard + 1);
        }
        Ok(())
    })
}

fn blocking_r2d2(pool: &r2d2::Pool<super::peers::Zeros>) -> Measured {
    nanos(CHECKOUTS, || {
        for _ in 0..CHECKOUTS {
            let mut guard = pool.get().map_err(|it| it.to_string())?;
            *guard = black_box(*guard + 1);
        }
        Ok(())
    })
}

/// Allocations of a thousand checkouts, alone and by eight tasks that share one resource.
fn allocations<P: AsyncPool>() -> Measured {
    const TASKS: usize = 8;
    const TURNS: usize = 125;
    runtime(1).block_on(async {
        let pool = P::new(1, true);
        for _ in 0..100 {
            drop(pool.get().await);
        }
        tokio::task::yield_now().await;
        let work = || async {
            let mut taking: Vec<_> = (0..TASKS)
                .map(|_| {
                    let pool = pool.clone();
                    Box::pin(async move {
                        for _ in 0..TURNS {
                            let mut guard = pool.get().await;
                            *guard += 1;
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            let used = footprint_of(&mut taking).await;
            used as f64 / (TASKS * TURNS) as f64
        };
        // The line, and what the runtime keeps, grow to their size once.
        work().await;
        Ok(work().await)
    })
}

/// Runs futures side by side in this task, and counts what is allocated meanwhile.
async fn footprint_of<F: Future<Output = ()> + Unpin>(futures: &mut Vec<F>) -> u64 {
    let mut allocations = 0;
    std::future::poll_fn(|cx| {
        let ((), used) = footprint(|| {
            futures.retain_mut(|it| std::pin::Pin::new(it).poll(cx).is_pending());
        });
        allocations += used.allocations;
        match futures.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    allocations
}

fn contest(name: &str, goal: f64) -> Contest<'static> {
    Contest::new(CRATE, name, "ns", Better::Lower, Goal::BestPeer(goal))
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("alone_owned", |name, effort| {
            contest(name, 5.0)
                .ours(|| checkouts::<OursOwned>(false))
                .peer(Deadpool::NAME, || checkouts::<Deadpool>(false))
                .peer(Bb8Owned::NAME, || checkouts::<Bb8Owned>(false))
                .peer(Mobc::NAME, || checkouts::<Mobc>(false))
                .peer(FastPool::NAME, || checkouts::<FastPool>(false))
                .run(effort, effort.pick(11, 25))
        }),
        axis("alone_borrowed", |name, effort| {
            contest(name, 8.0)
                .ours(|| checkouts::<Ours>(false))
                .peer(Deadpool::NAME, || checkouts::<Deadpool>(false))
                .peer(Bb8::NAME, || checkouts::<Bb8>(false))
                .peer(Mobc::NAME, || checkouts::<Mobc>(false))
                .peer(FastPool::NAME, || checkouts::<FastPool>(false))
                .run(effort, effort.pick(11, 25))
        }),
        axis("alone_with_limits", |name, effort| {
            contest(name, 8.0)
                .ours(|| checkouts::<Ours>(true))
                .peer("deadpool, limits", || checkouts::<Deadpool>(true))
                .peer(Bb8::NAME, || checkouts::<Bb8>(true))
                .peer(Mobc::NAME, || checkouts::<Mobc>(true))
                .peer(FastPool::NAME, || checkouts::<FastPool>(true))
                .run(effort, effort.pick(11, 25))
        }),
        axis("limits_cost", |name, effort| {
            let goal = Goal::Bound("times the figure without limits", 1.05);
            Contest::new(CRATE, name, "x", Better::Lower, goal)
                .ours(|| Ok(checkouts::<Ours>(true)? / checkouts::<Ours>(false)?))
                .run(effort, effort.pick(11, 25))
        }),
        axis("cancelled_wait", |name, effort| {
            contest(name, 1.6)
                .ours(cancelled::<Ours>)
                .peer(Deadpool::NAME, cancelled::<Deadpool>)
                .peer(Bb8::NAME, cancelled::<Bb8>)
                .peer(Mobc::NAME, cancelled::<Mobc>)
                .peer(FastPool::NAME, cancelled::<FastPool>)
                .run(effort, effort.pick(11, 25))
        }),
        axis("blocking", |name, effort| {
            let theirs = r2d2(SIZE);
            contest(name, 7.0)
                .ours(blocking_ours)
                .peer("r2d2", || blocking_r2d2(&theirs))
                .run(effort, effort.pick(11, 25))
        }),
        axis("allocations", |name, effort| {
            let goal = Goal::Bound("allocations a checkout", 0.0);
            Contest::new(CRATE, name, "allocations", Better::Lower, goal)
                .ours(allocations::<OursOwned>)
                .peer(Deadpool::NAME, allocations::<Deadpool>)
                .peer(Bb8Owned::NAME, allocations::<Bb8Owned>)
                .peer(Mobc::NAME, allocations::<Mobc>)
                .peer(FastPool::NAME, allocations::<FastPool>)
                .run(effort, 3)
        }),
    ]
}
