//! The micro-batcher: calls of one key each, collapsed into bulk calls, and the axes of it.
//!
//! `batched` is left out: its newest version needs a nightly compiler.

use std::collections::HashMap;
use std::future::{Future, Ready, ready};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use brolly_batch::Batcher;
use brolly_sync::Task;
use dataloader::BatchFn;
use tokio::runtime::{Builder, Handle, Runtime};
use tower::{Service, ServiceExt};
use tower_batch::{Batch, BatchControl};
use ultra_batch::{BatchExecutor, Executor};

use super::CRATE;
use super::map::{fails, spin, steps_per_microsecond};
use crate::alloc::footprint;
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record};

const LINGER: Duration = Duration::from_millis(1);
const MAX_SIZE: usize = 100;

/// What a key's result is; one key of a hundred fails where there is work.
type Answer = Result<u64, ()>;

/// How much the bulk function does for a key.
#[derive(Clone, Copy)]
struct Work {
    steps: u64,
}

impl Work {
    fn answer(self, key: u64) -> Answer {
        if self.steps == 0 {
            return Ok(key * 3 + 1);
        }
        spin(self.steps);
        if fails(key) { Err(()) } else { Ok(key * 3 + 1) }
    }

    fn expected(self, key: u64) -> Answer {
        if self.steps > 0 && fails(key) {
            Err(())
        } else {
            Ok(key * 3 + 1)
        }
    }
}

/// One caller's handle. Made inside of a runtime.
trait Loader: Clone + Send + 'static {
    const NAME: &'static str;

    fn new(work: Work) -> Self;

    /// `None` if the batcher itself failed.
    fn load(&mut self, key: u64) -> impl Future<Output = Option<Answer>> + Send;
}

/// Ours, with results for each key, lingering as long as the peers with a timer.
#[derive(Clone)]
struct Ours(Batcher<u64, Answer, ()>);

/// The same, which does not linger while nothing is in flight.
#[derive(Clone)]
struct Eager(Batcher<u64, Answer, ()>);

fn ours(work: Work, eager: bool) -> Batcher<u64, Answer, ()> {
    let handle = Handle::current();
    Batcher::builder()
        .max_size(MAX_SIZE)
        .linger(LINGER)
        .eager(eager)
        .build(
            move |task: Task| drop(handle.spawn(task)),
            move |keys: Vec<u64>| ready(Ok(keys.into_iter().map(|key| work.answer(key)).collect())),
        )
        .expect("the settings are sensible")
}

impl Loader for Ours {
    const NAME: &'static str = "ours";

    fn new(work: Work) -> Self {
        Self(ours(work, false))
    }

    async fn load(&mut self, key: u64) -> Option<Answer> {
        self.0.submit(key).await.ok()
    }
}

impl Loader for Eager {
    const NAME: &'static str = "ours";

    fn new(work: Work) -> Self {
        Self(ours(work, true))
    }

    async fn load(&mut self, key: u64) -> Option<Answer> {
        self.0.submit(key).await.ok()
    }
}

impl BatchFn<u64, Answer> for Work {
    async fn load(&mut self, keys: &[u64]) -> HashMap<u64, Answer> {
        keys.iter().map(|key| (*key, self.answer(*key))).collect()
    }
}

/// With its default of ten yields, which is how it gathers callers.
#[derive(Clone)]
struct Dataloader(dataloader::non_cached::Loader<u64, Answer, Work>);

impl Loader for Dataloader {
    const NAME: &'static str = "dataloader";

    fn new(work: Work) -> Self {
        let loader = dataloader::non_cached::Loader::new(work);
        Self(loader.with_max_batch_size(MAX_SIZE))
    }

    async fn load(&mut self, key: u64) -> Option<Answer> {
        self.0.try_load(key).await.ok()
    }
}

/// The same with one yield: sooner, in smaller batches.
#[derive(Clone)]
struct OneYield(dataloader::non_cached::Loader<u64, Answer, Work>);

impl Loader for OneYield {
    const NAME: &'static str = "dataloader, one yield";

    fn new(work: Work) -> Self {
        let loader = dataloader::non_cached::Loader::new(work);
        Self(loader.with_max_batch_size(MAX_SIZE).with_yield_count(1))
    }

    async fn load(&mut self, key: u64) -> Option<Answer> {
        self.0.try_load(key).await.ok()
    }
}

impl Executor for Work {
    type Value = u64;
    type Result = Answer;
    type Error = String;

    async fn execute(&self, keys: Vec<u64>) -> Result<Vec<Answer>, String> {
        Ok(keys.into_iter().map(|key| self.answer(key)).collect())
    }
}

struct UltraBatch(BatchExecutor<Work>);

impl Clone for UltraBatch {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Loader for UltraBatch {
    const NAME: &'static str = "ultra-batch";

    fn new(work: Work) -> Self {
        let builder = BatchExecutor::build(work)
            .eager_batch_size(Some(MAX_SIZE))
            .delay_duration(LINGER);
        Self(builder.finish())
    }

    async fn load(&mut self, key: u64) -> Option<Answer> {
        self.0.execute(key).await.ok().flatten()
    }
}

/// Answers a key as it is taken in, which is the least that a service can do; a flush is empty.
impl Service<BatchControl<u64>> for Work {
    type Response = Answer;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Answer, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: BatchControl<u64>) -> Self::Future {
        ready(Ok(match request {
            BatchControl::Item(key) => self.answer(key),
            BatchControl::Flush => Ok(0),
        }))
    }
}

#[derive(Clone)]
struct TowerBatch(Batch<Work, u64>);

impl Loader for TowerBatch {
    const NAME: &'static str = "tower-batch";

    fn new(work: Work) -> Self {
        Self(Batch::new(work, MAX_SIZE, LINGER))
    }

    async fn load(&mut self, key: u64) -> Option<Answer> {
        self.0.ready().await.ok()?.call(key).await.ok()
    }
}

/// No batching: the work of each call, and nothing else.
#[derive(Clone)]
struct Direct(Work);

impl Loader for Direct {
    const NAME: &'static str = "a direct call";

    fn new(work: Work) -> Self {
        Self(work)
    }

    async fn load(&mut self, key: u64) -> Option<Answer> {
        tokio::task::yield_now().await;
        Some(self.0.answer(key))
    }
}

#[derive(Clone, Copy)]
enum Meter {
    NanosPerCall,
    AllocationsPerCall,
}

#[derive(Clone, Copy)]
struct Case {
    work: Work,
    meter: Meter,
    callers: u64,
    calls: u64,
    /// Worker threads; 0 is the runtime of the current thread.
    threads: usize,
}

impl Case {
    fn measure<L: Loader>(&self) -> Measured {
        let runtime = runtime(self.threads);
        let calls = (self.callers * self.calls) as f64;
        let loader = runtime.block_on(async {
            let loader = L::new(self.work);
            // Threads and tasks of the batcher are there before it counts.
            let _ = loader.clone().load(0).await;
            loader
        });
        let (wrong, figure) = match self.meter {
            Meter::NanosPerCall => {
                let start = Instant::now();
                let wrong = runtime.block_on(self.run(&loader));
                (wrong, start.elapsed().as_nanos() as f64 / calls)
            }
            Meter::AllocationsPerCall => {
                // What the callers' own tasks take is taken off.
                let direct = Direct(self.work);
                let (_, bare) = footprint(|| runtime.block_on(self.run(&direct)));
                let (wrong, used) = footprint(|| runtime.block_on(self.run(&loader)));
                let more = used.allocations.saturating_sub(bare.allocations);
                (wrong, more as f64 / calls)
            }
        };
        match wrong {
            0 => Ok(figure),
            wrong => Err(format!("{wrong} wrong results")),
        }
    }

    /// Returns how many results were wrong.
    async fn run<L: Loader>(&self, loader: &L) -> u64 {
        let (work, calls) = (self.work, self.calls);
        let callers: Vec<_> = (0..self.callers)
            .map(|caller| {
                let mut loader = loader.clone();
                tokio::spawn(async move {
                    let mut wrong = 0;
                    for key in caller * calls..(caller + 1) * calls {
                        wrong += u64::from(loader.load(key).await != Some(work.expected(key)));
                    }
                    wrong
                })
            })
            .collect();
        let mut wrong = 0;
        for caller in callers {
            wrong += caller.await.expect("no caller panics");
        }
        wrong
    }
}

/// The time of one call after another, by a single caller that is a task of the runtime.
fn lone<L: Loader>(threads: usize, calls: u64) -> Measured {
    let runtime = runtime(threads);
    let caller = async move {
        let work = Work { steps: 0 };
        let mut loader = L::new(work);
        let _ = loader.load(0).await;
        let start = Instant::now();
        for key in 0..calls {
            if loader.load(key).await != Some(work.expected(key)) {
                return Err("a wrong result".to_owned());
            }
        }
        Ok(start.elapsed().as_secs_f64() * 1e6 / calls as f64)
    };
    runtime.block_on(async {
        tokio::spawn(caller)
            .await
            .expect("the caller does not panic")
    })
}

fn runtime(threads: usize) -> Runtime {
    let mut builder = match threads {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder
        .worker_threads(threads.max(1))
        .enable_time()
        .build()
        .expect("a runtime can be started")
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("micro_batch", |name, effort| {
            let goal = Goal::BestPeer(3.0);
            throughput(name, goal, Work { steps: 0 }, 0, effort)
        }),
        axis("micro_batch_mt", |name, effort| {
            let goal = Goal::BestPeer(3.0);
            throughput(name, goal, Work { steps: 0 }, 2, effort)
        }),
        axis("micro_batch_1us", |name, effort| {
            let steps = steps_per_microsecond();
            throughput(name, Goal::BestPeer(0.95), Work { steps }, 0, effort)
        }),
        axis("micro_batch_allocs", |name, effort| {
            let case = Case {
                work: Work { steps: 0 },
                meter: Meter::AllocationsPerCall,
                callers: 1_000,
                calls: 20,
                threads: 0,
            };
            let goal = Goal::Bound("0.1 allocations a call", 0.1);
            let contest = Contest::new(CRATE, name, "allocations", Better::Lower, goal);
            everyone(contest, &case).run(effort, 3)
        }),
        axis("micro_batch_lone", |name, effort| {
            lone_call(name, 0, effort)
        }),
        axis("micro_batch_lone_mt", |name, effort| {
            lone_call(name, 2, effort)
        }),
    ]
}

fn throughput(
    axis: &str,
    goal: Goal,
    work: Work,
    threads: usize,
    effort: Effort,
) -> Result<Record, String> {
    let case = Case {
        work,
        meter: Meter::NanosPerCall,
        callers: 1_000,
        calls: effort.pick(50, 100),
        threads,
    };
    let contest = Contest::new(CRATE, axis, "ns", Better::Lower, goal);
    everyone(contest, &case)
        .floor(Direct::NAME, || case.measure::<Direct>())
        .run(effort, effort.pick(5, 11))
}

fn lone_call(axis: &str, threads: usize, effort: Effort) -> Result<Record, String> {
    let (few, many) = (effort.pick(20, 50), effort.pick(2_000, 10_000));
    Contest::new(CRATE, axis, "us", Better::Lower, Goal::BestPeer(0.95))
        .ours(move || lone::<Eager>(threads, many))
        .floor("ours, lingering 1 ms", move || lone::<Ours>(threads, few))
        .peer(Dataloader::NAME, move || lone::<Dataloader>(threads, many))
        .peer(OneYield::NAME, move || lone::<OneYield>(threads, many))
        .peer(UltraBatch::NAME, move || lone::<UltraBatch>(threads, few))
        .peer(TowerBatch::NAME, move || lone::<TowerBatch>(threads, few))
        .run(effort, effort.pick(5, 11))
}

fn everyone<'a>(contest: Contest<'a>, case: &'a Case) -> Contest<'a> {
    contest
        .ours(|| case.measure::<Ours>())
        .peer(Dataloader::NAME, || case.measure::<Dataloader>())
        .peer(OneYield::NAME, || case.measure::<OneYield>())
        .peer(UltraBatch::NAME, || case.measure::<UltraBatch>())
        .peer(TowerBatch::NAME, || case.measure::<TowerBatch>())
}
