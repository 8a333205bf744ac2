//! Waiting for a value: how soon many are woken, what a failure costs, what a leader that leaves costs.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use brolly_lazy::Once;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::CRATE;
use super::cells::{AsyncLock, AsyncOnceCell, Cell, Moka, Rejected, Tokio};
use crate::axis::Axis;
use crate::driver::{Contest, Goal, Measured};
use crate::record::{Better, median};

const VALUE: u64 = 7;
const WAITERS: usize = 512;
/// Cells in a measurement of wake-ups; the median of them is its figure.
const CELLS: usize = 21;
const CALLERS: usize = 64;
/// How often more than a bare sleep a value may take.
const OF_A_SLEEP: f64 = 1.1;

/// Everything on the thread that measures.
fn on_this_thread<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = Builder::new_current_thread().enable_time().build();
    run(runtime, work)
}

/// Everything on two workers.
fn on_two_workers<T>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
{
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build();
    run(runtime, async {
        // The thread that blocks on it is none of the two.
        let task = tokio::spawn(work);
        task.await.map_err(|error| error.to_string())
    })?
}

fn run<T>(runtime: std::io::Result<Runtime>, work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = runtime.map_err(|error| error.to_string())?;
    Ok(runtime.block_on(work))
}

async fn results<T>(tasks: Vec<JoinHandle<T>>) -> Result<Vec<T>, String> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.map_err(|error| error.to_string())?);
    }
    Ok(results)
}

/// Microseconds from the end of the initialiser until all who waited have the value.
fn wake<C: Cell>() -> Measured {
    on_this_thread(wake_many::<C>())?
}

/// The same, on two workers.
fn wake_on_two<C: Cell>() -> Measured {
    on_two_workers(wake_many::<C>())?
}

async fn wake_many<C: Cell>() -> Measured {
    let mut times = Vec::with_capacity(CELLS);
    for _ in 0..CELLS {
        times.push(wake_one::<C>().await?);
    }
    Ok(median(&times))
}

async fn wake_one<C: Cell>() -> Result<f64, String> {
    let cell = Arc::new(C::new());
    let (end, ended) = oneshot::channel::<u64>();
    let asked = Arc::new(AtomicU64::new(0));
    let leader = tokio::spawn({
        let (cell, asked) = (Arc::clone(&cell), Arc::clone(&asked));
        async move {
            let init = || async move {
                asked.fetch_add(1, SeqCst);
                ended.await.unwrap_or_default()
            };
            cell.get_or_init(init).await
        }
    });
    all_wait(&asked, 1).await;
    let mut tasks: Vec<_> = (1..WAITERS)
        .map(|_| {
            let (cell, asked) = (Arc::clone(&cell), Arc::clone(&asked));
            tokio::spawn(async move {
                asked.fetch_add(1, SeqCst);
                cell.get_or_init(|| async { 0 }).await
            })
        })
        .collect();
    tasks.push(leader);
    all_wait(&asked, WAITERS as u64).await;
    let start = Instant::now();
    end.send(VALUE).map_err(|_| "nobody waits")?;
    let values = results(tasks).await?;
    let micros = start.elapsed().as_nanos() as f64 / 1e3;
    match values.iter().all(|value| *value == VALUE) {
        true => Ok(micros),
        false => Err("wrong values".to_owned()),
    }
}

/// Until so many have asked, and had the time to lie down.
async fn all_wait(asked: &AtomicU64, waiters: u64) {
    while asked.load(SeqCst) < waiters {
        tokio::task::yield_now().await;
    }
    sleep(Duration::from_millis(1)).await;
}

/// Microseconds to wake as many tasks as wait for nothing but their waker: what no cell can do better.
fn wake_bare() -> Measured {
    on_this_thread(wake_bare_many())?
}

fn wake_bare_on_two() -> Measured {
    on_two_workers(wake_bare_many())?
}

async fn wake_bare_many() -> Measured {
    let mut times = Vec::with_capacity(CELLS);
    for _ in 0..CELLS {
        let (bells, tasks): (Vec<_>, Vec<_>) = (0..WAITERS)
            .map(|_| {
                let (bell, rings) = oneshot::channel::<u64>();
                (
                    bell,
                    tokio::spawn(async { rings.await.unwrap_or_default() }),
                )
            })
            .unzip();
        sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        for bell in bells {
            bell.send(VALUE).map_err(|_| "nobody waits")?;
        }
        results(tasks).await?;
        times.push(start.elapsed().as_nanos() as f64 / 1e3);
    }
    Ok(median(&times))
}

/// How much longer than a bare sleep, timed right before, it takes 64 callers to learn that the
/// initialiser has failed.
fn failing<C: Cell>() -> Measured {
    const SLEEP: Duration = Duration::from_millis(5);
    on_this_thread(async {
        let bare = bare_sleep(SLEEP).await;
        let (cell, runs) = (Arc::new(C::new()), Arc::new(AtomicU64::new(0)));
        let start = Instant::now();
        let tasks = (0..CALLERS)
            .map(|_| {
                let (cell, runs) = (Arc::clone(&cell), Arc::clone(&runs));
                tokio::spawn(async move {
                    let init = || async move {
                        runs.fetch_add(1, SeqCst);
                        sleep(SLEEP).await;
                        Err(Rejected)
                    };
                    cell.get_or_try_init(init).await
                })
            })
            .collect();
        let answers = results(tasks).await?;
        let ratio = start.elapsed().as_secs_f64() / bare;
        if answers.iter().any(|answer| *answer != Err(Rejected)) {
            return Err("not the error".to_owned());
        }
        match runs.load(SeqCst) {
            1 => Ok(ratio),
            runs => Err(format!("{runs} runs, {ratio:.1} times a bare sleep")),
        }
    })?
}

/// How much longer than a bare sleep of as much, timed right before, a value takes whose leader is
/// cancelled at 20 of 50 ms.
fn cancelled<C: Cell>() -> Measured {
    const SLEEP: Duration = Duration::from_millis(50);
    const LEAVES_AFTER: Duration = Duration::from_millis(20);
    on_this_thread(async {
        let bare = bare_sleep(SLEEP).await;
        let (cell, starts) = (Arc::new(C::new()), Arc::new(AtomicU64::new(0)));
        let ask = || {
            let (cell, starts) = (Arc::clone(&cell), Arc::clone(&starts));
            tokio::spawn(async move {
                let init = || async move {
                    starts.fetch_add(1, SeqCst);
                    sleep(SLEEP).await;
                    VALUE
                };
                cell.get_or_init(init).await
            })
        };
        let start = Instant::now();
        let (leader, waiter) = (ask(), ask());
        sleep(LEAVES_AFTER).await;
        leader.abort();
        let value = waiter.await.map_err(|error| error.to_string())?;
        let ratio = start.elapsed().as_secs_f64() / bare;
        if value != VALUE {
            return Err(format!("the value is {value}"));
        }
        match starts.load(SeqCst) {
            1 => Ok(ratio),
            starts => Err(format!("{starts} starts, {ratio:.2} times a bare sleep")),
        }
    })?
}

async fn bare_sleep(duration: Duration) -> f64 {
    let start = Instant::now();
    sleep(duration).await;
    start.elapsed().as_secs_f64()
}

fn wakes<'a>(axis: &str, goal: Goal) -> Contest<'a> {
    Contest::new(CRATE, axis, "us", Better::Lower, goal)
        .ours(wake::<Once<u64>>)
        .peer(AsyncOnceCell::NAME, wake::<AsyncOnceCell>)
        .peer(Tokio::NAME, wake::<Tokio>)
        .peer(AsyncLock::NAME, wake::<AsyncLock>)
        .peer(Moka::NAME, wake::<Moka>)
        .floor("bare wakers", wake_bare)
}

fn wakes_on_two<'a>(axis: &str, goal: Goal) -> Contest<'a> {
    Contest::new(CRATE, axis, "us", Better::Lower, goal)
        .ours(wake_on_two::<Once<u64>>)
        .peer(AsyncOnceCell::NAME, wake_on_two::<AsyncOnceCell>)
        .peer(Tokio::NAME, wake_on_two::<Tokio>)
        .peer(AsyncLock::NAME, wake_on_two::<AsyncLock>)
        .peer(Moka::NAME, wake_on_two::<Moka>)
        .floor("bare wakers", wake_bare_on_two)
}

fn sleeps<'a>(axis: &str) -> Contest<'a> {
    let goal = Goal::Bound("bare sleeps", OF_A_SLEEP);
    Contest::new(CRATE, axis, "sleeps", Better::Lower, goal)
}

pub(super) fn axes() -> Vec<Axis> {
    vec![
        Axis::new("wake_512", |effort| {
            wakes("wake_512", Goal::Peer(AsyncOnceCell::NAME, 0.95))
                .run(effort, effort.pick(15, 51))
        }),
        Axis::new("wake_512_vs_tokio", |effort| {
            wakes("wake_512_vs_tokio", Goal::Peer(Tokio::NAME, 2.0))
                .run(effort, effort.pick(15, 51))
        }),
        Axis::new("wake_512_two_workers", |effort| {
            wakes_on_two(
                "wake_512_two_workers",
                Goal::Peer(AsyncOnceCell::NAME, 0.95),
            )
            .run(effort, effort.pick(15, 51))
        }),
        Axis::new("wake_512_two_workers_vs_tokio", |effort| {
            wakes_on_two(
                "wake_512_two_workers_vs_tokio",
                Goal::Peer(Tokio::NAME, 2.0),
            )
            .run(effort, effort.pick(15, 51))
        }),
        Axis::new("failing_init_64", |effort| {
            sleeps("failing_init_64")
                .ours(failing::<Once<u64>>)
                .peer(Tokio::NAME, failing::<Tokio>)
                .peer(AsyncOnceCell::NAME, failing::<AsyncOnceCell>)
                .peer(AsyncLock::NAME, failing::<AsyncLock>)
                .peer(Moka::NAME, failing::<Moka>)
                .run(effort, effort.pick(15, 51))
        }),
        Axis::new("leader_cancelled", |effort| {
            sleeps("leader_cancelled")
                .ours(cancelled::<Once<u64>>)
                .peer(Tokio::NAME, cancelled::<Tokio>)
                .peer(AsyncOnceCell::NAME, cancelled::<AsyncOnceCell>)
                .peer(AsyncLock::NAME, cancelled::<AsyncLock>)
                .peer(Moka::NAME, cancelled::<Moka>)
                .run(effort, effort.pick(9, 31))
        }),
    ]
}
