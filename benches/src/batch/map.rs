//! The bounded map: one adapter per peer, and the axes they meet on.

use std::fmt;
use std::future::Future;
use std::hint::black_box;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use brolly_batch::{BatchProcessor, ItemError};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::CRATE;
use crate::alloc::footprint;
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record};

/// The error of an item that is meant to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejected;

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rejected")
    }
}

impl std::error::Error for Rejected {}

/// A way to run one future per item, at most so many at once, and to keep all results.
trait Mapper {
    const NAME: &'static str;
    /// Whether results come back in the order of the items.
    const KEEPS_ORDER: bool;
    type Error;

    async fn map<W, F>(items: u64, concurrency: usize, work: W) -> Vec<Result<u64, Self::Error>>
    where
        W: Fn(u64) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static;
}

struct Ours;

impl Mapper for Ours {
    const NAME: &'static str = "ours";
    const KEEPS_ORDER: bool = true;
    type Error = ItemError<Rejected>;

    async fn map<W, F>(items: u64, concurrency: usize, work: W) -> Vec<Result<u64, Self::Error>>
    where
        W: Fn(u64) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let processor = BatchProcessor::builder()
            .max_concurrent(concurrency)
            .build()
            .expect("the axes ask for sensible concurrency");
        processor.map(0..items, work).await
    }
}

struct Buffered;

impl Mapper for Buffered {
    const NAME: &'static str = "buffered";
    const KEEPS_ORDER: bool = true;
    type Error = Rejected;

    async fn map<W, F>(items: u64, concurrency: usize, work: W) -> Vec<Result<u64, Self::Error>>
    where
        W: Fn(u64) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let futures = stream::iter(0..items).map(work);
        futures.buffered(concurrency).collect().await
    }
}

struct BufferUnordered;

impl Mapper for BufferUnordered {
    const NAME: &'static str = "buffer_unordered";
    const KEEPS_ORDER: bool = false;
    type Error = Rejected;

    async fn map<W, F>(items: u64, concurrency: usize, work: W) -> Vec<Result<u64, Self::Error>>
    where
        W: Fn(u64) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let futures = stream::iter(0..items).map(work);
        futures.buffer_unordered(concurrency).collect().await
    }
}

struct Chunks;

impl Mapper for Chunks {
    const NAME: &'static str = "chunks+join_all";
    const KEEPS_ORDER: bool = true;
    type Error = Rejected;

    async fn map<W, F>(items: u64, concurrency: usize, work: W) -> Vec<Result<u64, Self::Error>>
    where
        W: Fn(u64) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let mut results = Vec::with_capacity(items as usize);
        let mut next = 0;
        while next < items {
            let end = items.min(next + concurrency as u64);
            results.extend(join_all((next..end).map(&work)).await);
            next = end;
        }
        results
    }
}

struct Joined;

impl Mapper for Joined {
    const NAME: &'static str = "JoinSet";
    const KEEPS_ORDER: bool = false;
    type Error = Rejected;

    async fn map<W, F>(items: u64, concurrency: usize, work: W) -> Vec<Result<u64, Self::Error>>
    where
        W: Fn(u64) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let mut results = Vec::with_capacity(items as usize);
        let mut running = JoinSet::new();
        for item in 0..items {
            if running.len() == concurrency
                && let Some(done) = running.join_next().await
            {
                results.push(done.expect("no item panics"));
            }
            running.spawn(work(item));
        }
        while let Some(done) = running.join_next().await {
            results.push(done.expect("no item panics"));
        }
        results
    }
}

struct Tracked;

impl Mapper for Tracked {
    const NAME: &'static str = "TaskTracker";
    const KEEPS_ORDER: bool = true;
    type Error = Rejected;

    async fn map<W, F>(items: u64, concurrency: usize, work: W) -> Vec<Result<u64, Self::Error>>
    where
        W: Fn(u64) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let permits = Arc::new(Semaphore::new(concurrency));
        let tracker = TaskTracker::new();
        let mut handles = Vec::with_capacity(items as usize);
        for item in 0..items {
            let permit = Arc::clone(&permits).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let item = work(item);
            handles.push(tracker.spawn(async move {
                let result = item.await;
                drop(permit);
                result
            }));
        }
        tracker.close();
        tracker.wait().await;
        let mut results = Vec::with_capacity(items as usize);
        for handle in handles {
            results.push(handle.await.expect("no item panics"));
        }
        results
    }
}

/// One item after the other: what a map without concurrency costs.
struct OneByOne;

impl Mapper for OneByOne {
    const NAME: &'static str = "one by one";
    const KEEPS_ORDER: bool = true;
    type Error = Rejected;

    async fn map<W, F>(items: u64, _: usize, work: W) -> Vec<Result<u64, Self::Error>>
    where
        W: Fn(u64) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let mut results = Vec::with_capacity(items as usize);
        for item in 0..items {
            results.push(work(item).await);
        }
        results
    }
}

/// What an item does.
#[derive(Clone, Copy)]
enum Work {
    /// Nothing: what is left is the machinery.
    Nothing,
    /// Gives way once before it is ready.
    Yield,
    /// About a microsecond of arithmetic; one item of a hundred fails.
    Microsecond,
    /// The same, half of it before and half of it after giving way once.
    YieldAndMicrosecond,
    /// Waits a millisecond of tokio's timer.
    Sleep,
}

/// What is read off a run.
#[derive(Clone, Copy)]
enum Meter {
    NanosPerItem,
    /// The time of as many sleeps in a row as the map has waves, over the time of the map.
    ShareOfTimerFloor,
    /// Most memory in use at once beyond the results, over the items.
    BytesPerItem,
    AllocationsPerItem,
}

#[derive(Clone, Copy)]
struct Case {
    work: Work,
    meter: Meter,
    items: u64,
    concurrency: usize,
    /// Worker threads; 0 is the runtime of the current thread.
    threads: usize,
}

impl Case {
    fn measure<M: Mapper>(&self) -> Measured {
        match self.work {
            Work::Nothing => self.run::<M, _, _>(|item| async move { Ok(item) }),
            Work::Yield => self.run::<M, _, _>(|item| async move {
                tokio::task::yield_now().await;
                Ok(item)
            }),
            Work::Microsecond => {
                let steps = steps_per_microsecond();
                self.run::<M, _, _>(move |item| async move {
                    spin(steps);
                    if fails(item) { Err(Rejected) } else { Ok(item) }
                })
            }
            Work::YieldAndMicrosecond => {
                let steps = steps_per_microsecond() / 2;
                self.run::<M, _, _>(move |item| async move {
                    spin(steps);
                    tokio::task::yield_now().await;
                    spin(steps);
                    if fails(item) { Err(Rejected) } else { Ok(item) }
                })
            }
            Work::Sleep => self.run::<M, _, _>(|item| async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(item)
            }),
        }
    }

    fn run<M, W, F>(&self, work: W) -> Measured
    where
        M: Mapper,
        W: Fn(u64) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let runtime = self.runtime();
        let map = || runtime.block_on(M::map(self.items, self.concurrency, work));
        let items = self.items as f64;
        let (results, figure) = match self.meter {
            Meter::NanosPerItem => {
                let start = Instant::now();
                let results = map();
                (results, start.elapsed().as_nanos() as f64 / items)
            }
            Meter::ShareOfTimerFloor => {
                let waves = self.items.div_ceil(self.concurrency as u64);
                let start = Instant::now();
                runtime.block_on(async {
                    for _ in 0..waves {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                });
                let floor = start.elapsed();
                let start = Instant::now();
                let results = map();
                let share = floor.as_secs_f64() / start.elapsed().as_secs_f64();
                (results, share)
            }
            Meter::BytesPerItem => {
                let (results, used) = footprint(map);
                (results, (used.peak_bytes - used.kept_bytes) as f64 / items)
            }
            Meter::AllocationsPerItem => {
                let (results, used) = footprint(map);
                (results, used.allocations as f64 / items)
            }
        };
        self.check::<M>(&results)?;
        Ok(figure)
    }

    fn check<M: Mapper>(&self, results: &[Result<u64, M::Error>]) -> Result<(), String> {
        if results.len() as u64 != self.items {
            return Err(format!("{} results of {}", results.len(), self.items));
        }
        let expected = |item: u64| {
            let works = matches!(self.work, Work::Microsecond | Work::YieldAndMicrosecond);
            let fails = works && fails(item);
            (!fails).then_some(item)
        };
        if M::KEEPS_ORDER {
            let wrong = (0..self.items)
                .zip(results)
                .find(|(item, result)| result.as_ref().ok().copied() != expected(*item));
            return wrong.map_or(Ok(()), |(item, _)| Err(format!("wrong result of {item}")));
        }
        let mut got: Vec<u64> = results.iter().flatten().copied().collect();
        got.sort_unstable();
        if !got.into_iter().eq((0..self.items).filter_map(expected)) {
            return Err("wrong results".to_owned());
        }
        Ok(())
    }

    fn runtime(&self) -> Runtime {
        let mut builder = match self.threads {
            0 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        builder
            .worker_threads(self.threads.max(1))
            .enable_time()
            .build()
            .expect("a runtime can be started")
    }
}

/// One item of a hundred.
pub fn fails(item: u64) -> bool {
    item % 100 == 7
}

/// Work that no compiler folds away.
pub fn spin(steps: u64) {
    let mut x = black_box(steps | 1);
    for _ in 0..steps {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    black_box(x);
}

/// Measured once, the same for everybody: the fastest of a few tries, so that a busy machine does
/// not make the work smaller.
pub fn steps_per_microsecond() -> u64 {
    static STEPS: OnceLock<u64> = OnceLock::new();
    *STEPS.get_or_init(|| {
        const STEPS: u64 = 1_000_000;
        let speed = || {
            let start = Instant::now();
            spin(STEPS);
            STEPS as f64 / (start.elapsed().as_secs_f64() * 1e6)
        };
        (0..20).map(|_| speed()).fold(1.0, f64::max) as u64
    })
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("noop_c100", |name, effort| {
            nanos(name, Goal::BestPeer(10.0), Work::Nothing, 100, 0, effort)
        }),
        axis("noop_c100_mt", |name, effort| {
            nanos(name, Goal::BestPeer(10.0), Work::Nothing, 100, 2, effort)
        }),
        axis("work_1us_c100", |name, effort| {
            let goal = Goal::BestPeer(0.95);
            nanos(name, goal, Work::Microsecond, 100, 0, effort)
        }),
        axis("noop_c10", |name, effort| {
            let goal = Goal::Peer(Chunks::NAME, 1.5);
            nanos(name, goal, Work::Nothing, 10, 0, effort)
        }),
        axis("work_1us_c10", |name, effort| {
            let goal = Goal::Peer(Chunks::NAME, 0.95);
            nanos(name, goal, Work::Microsecond, 10, 0, effort)
        }),
        axis("yield_c10", |name, effort| {
            let goal = Goal::Peer(Chunks::NAME, 0.95);
            nanos(name, goal, Work::Yield, 10, 0, effort)
        }),
        axis("yield_c10_mt", |name, effort| {
            let goal = Goal::Peer(Chunks::NAME, 0.95);
            nanos(name, goal, Work::Yield, 10, 2, effort)
        }),
        axis("yield_c100", |name, effort| {
            nanos(name, Goal::BestPeer(0.95), Work::Yield, 100, 0, effort)
        }),
        axis("yield_work_1us_c10", |name, effort| {
            let goal = Goal::Peer(Chunks::NAME, 0.95);
            nanos(name, goal, Work::YieldAndMicrosecond, 10, 0, effort)
        }),
        axis("sleep_efficiency", |name, effort| sleep(name, 0, effort)),
        axis("sleep_efficiency_mt", |name, effort| sleep(name, 2, effort)),
        axis("bytes_per_item", |name, effort| {
            let goal = Goal::Bound("16 bytes an item", 16.0);
            footprints(name, "B", goal, Meter::BytesPerItem, effort)
        }),
        axis("allocs_per_item", |name, effort| {
            let goal = Goal::Bound("0.01 allocations an item", 0.01);
            footprints(name, "allocations", goal, Meter::AllocationsPerItem, effort)
        }),
    ]
}

fn nanos(
    axis: &str,
    goal: Goal,
    work: Work,
    concurrency: usize,
    threads: usize,
    effort: Effort,
) -> Result<Record, String> {
    let case = Case {
        work,
        meter: Meter::NanosPerItem,
        items: match work {
            Work::Nothing => effort.pick(300_000, 1_000_000),
            Work::Yield => effort.pick(100_000, 300_000),
            Work::Microsecond | Work::YieldAndMicrosecond | Work::Sleep => {
                effort.pick(20_000, 100_000)
            }
        },
        concurrency,
        threads,
    };
    let contest = Contest::new(CRATE, axis, "ns", Better::Lower, goal);
    everyone(contest, &case)
        .floor(OneByOne::NAME, || case.measure::<OneByOne>())
        .run(effort, effort.pick(7, 15))
}

fn sleep(axis: &str, threads: usize, effort: Effort) -> Result<Record, String> {
    let case = Case {
        work: Work::Sleep,
        meter: Meter::ShareOfTimerFloor,
        items: effort.pick(30_000, 100_000),
        concurrency: 1_000,
        threads,
    };
    let goal = Goal::Bound("share of the timer floor", 0.92);
    let contest = Contest::new(CRATE, axis, "floor/time", Better::Higher, goal);
    everyone(contest, &case).run(effort, effort.pick(5, 11))
}

fn footprints(
    axis: &str,
    unit: &'static str,
    goal: Goal,
    meter: Meter,
    effort: Effort,
) -> Result<Record, String> {
    let case = Case {
        work: Work::Yield,
        meter,
        items: 100_000,
        concurrency: 100,
        threads: 0,
    };
    let contest = Contest::new(CRATE, axis, unit, Better::Lower, goal);
    // Counts do not vary; the rounds only prove it.
    everyone(contest, &case).run(effort, 3)
}

fn everyone<'a>(contest: Contest<'a>, case: &'a Case) -> Contest<'a> {
    contest
        .ours(|| case.measure::<Ours>())
        .peer(Buffered::NAME, || case.measure::<Buffered>())
        .peer(BufferUnordered::NAME, || case.measure::<BufferUnordered>())
        .peer(Chunks::NAME, || case.measure::<Chunks>())
        .peer(Joined::NAME, || case.measure::<Joined>())
        .peer(Tracked::NAME, || case.measure::<Tracked>())
}
