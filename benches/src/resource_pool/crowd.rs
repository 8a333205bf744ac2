//! Many tasks and few resources: who is served how often, and how much is done.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::CRATE;
use super::alone::runtime;
use super::faces::{AsyncPool, Ours};
use super::peers::{Bb8, Deadpool, FastPool, Mobc};
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record, median, rounded};

const WORKERS: usize = 2;
/// A window of a cell is too short to tell; the axis `fairness` has the figures.
const UNFAIR: &str = "does not serve in order: see `fairness`";

/// What a task does with a resource.
#[derive(Clone, Copy)]
enum Hold {
    /// Lets others run once.
    Yield,
    /// Lets others run until so much time is over.
    For(Duration),
}

/// How often each of so many tasks was served, and how long that took.
fn serve<P: AsyncPool>(size: usize, tasks: usize, hold: Hold, window: Duration) -> (Vec<u64>, f64) {
    runtime(WORKERS).block_on(async {
        let pool = P::new(size, true);
        // All that there may be are made before.
        let mut guards = Vec::new();
        for _ in 0..size {
            guards.push(pool.get().await);
        }
        drop(guards);
        let is_over = Arc::new(AtomicBool::new(false));
        // Nobody begins before all are there.
        let has_begun = Arc::new(AtomicBool::new(false));
        let running: Vec<_> = (0..tasks)
            .map(|_| {
                let (pool, is_over) = (pool.clone(), Arc::clone(&is_over));
                let has_begun = Arc::clone(&has_begun);
                tokio::spawn(async move {
                    while !has_begun.load(Relaxed) {
                        tokio::task::yield_now().await;
                    }
                    let mut served = 0;
                    while !is_over.load(Relaxed) {
                        let mut guard = pool.get().await;
                        *guard += 1;
                        match hold {
                            Hold::Yield => tokio::task::yield_now().await,
                            Hold::For(time) => {
                                let since = Instant::now();
                                while since.elapsed() < time {
                                    tokio::task::yield_now().await;
                                }
                            }
                        }
                        drop(guard);
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        let start = Instant::now();
        has_begun.store(true, Relaxed);
        tokio::time::sleep(window).await;
        is_over.store(true, Relaxed);
        let seconds = start.elapsed().as_secs_f64();
        let mut served = Vec::with_capacity(tasks);
        for task in running {
            served.push(task.await.expect("no task panics"));
        }
        (served, seconds)
    })
}

/// The most by the least. Who has begun to wait when the time is over is served once more, and so
/// is not counted as starving.
fn fairness(served: &[u64]) -> f64 {
    let most = served.iter().max().copied().unwrap_or(0);
    let least = served.iter().min().copied().unwrap_or(0);
    most as f64 / least.max(1) as f64
}

fn fair<P: AsyncPool>(effort: Effort) -> Measured {
    let hold = Hold::For(Duration::from_micros(50));
    let window = effort.pick(Duration::from_millis(800), Duration::from_secs(2));
    let (served, _) = serve::<P>(4, 64, hold, window);
    Ok(fairness(&served))
}

/// Thousands of checkouts a second.
fn throughput<P: AsyncPool>(cell: Cell, effort: Effort) -> Measured {
    let window = effort.pick(Duration::from_millis(60), Duration::from_millis(200));
    let (served, seconds) = serve::<P>(cell.size, cell.tasks, Hold::Yield, window);
    Ok(served.iter().sum::<u64>() as f64 / 1e3 / seconds)
}

/// One field of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    size: usize,
    tasks: usize,
}

impl Cell {
    fn all() -> Vec<Self> {
        let sizes = [4, 16, 64].into_iter();
        sizes
            .flat_map(|size| [8, 64, 512].map(|tasks| Self { size, tasks }))
            .collect()
    }

    /// As in `throughput_p4_t64`.
    fn name(self) -> String {
        format!("throughput_p{}_t{}", self.size, self.tasks)
    }

    fn run(self, effort: Effort) -> Result<Record, String> {
        let goal = Goal::BestPeer(0.95);
        Contest::new(CRATE, &self.name(), "k/s", Better::Higher, goal)
            .ours(move || throughput::<Ours>(self, effort))
            .peer(Deadpool::NAME, move || throughput::<Deadpool>(self, effort))
            .peer(Mobc::NAME, move || throughput::<Mobc>(self, effort))
            .unable(Bb8::NAME, UNFAIR)
            .unable(FastPool::NAME, UNFAIR)
            .run(effort, effort.pick(5, 11))
    }
}

/// The geometric mean of the ratios of all cells.
fn mean(name: &str, goal: f64, cells: &[Record], effort: Effort) -> Record {
    let factor = |values: Vec<f64>| {
        let logs: f64 = values.iter().map(|it| it.max(f64::MIN_POSITIVE).ln()).sum();
        rounded((logs / values.len().max(1) as f64).exp())
    };
    let of = |figure: fn(&Record) -> f64| factor(cells.iter().map(figure).collect());
    let spreads: Vec<f64> = cells.iter().map(|it| it.spread).collect();
    Record {
        krate: CRATE.to_owned(),
        axis: name.to_owned(),
        unit: "k/s".to_owned(),
        better: Better::Higher,
        ours: of(|it| it.ours),
        peers: BTreeMap::new(),
        floors: BTreeMap::new(),
        disqualified: BTreeMap::new(),
        vs: format!("best fair peer of each of {} cells", cells.len()),
        ratio: of(|it| it.ratio),
        goal,
        bound: None,
        rounds: cells.iter().map(|it| it.rounds).min().unwrap_or(0),
        spread: rounded(median(&spreads)),
        quick: effort.quick,
        cells: cells
            .iter()
            .map(|it| {
                let mut figures = it.peers.clone();
                figures.insert("ours".to_owned(), it.ours);
                (it.axis.clone(), figures)
            })
            .collect(),
    }
}

pub(super) fn axes() -> Vec<Axis> {
    let done: Rc<RefCell<BTreeMap<(Cell, bool), Record>>> = Rc::default();
    let run = move |cell: Cell, effort: Effort| -> Result<Record, String> {
        let key = (cell, effort.quick);
        if let Some(record) = done.borrow().get(&key) {
            return Ok(record.clone());
        }
        let record = cell.run(effort)?;
        done.borrow_mut().insert(key, record.clone());
        Ok(record)
    };
    let mut axes = vec![Axis::new("fairness", |effort| {
        let goal = Goal::Bound("times as often as the least served of 64", 1.10);
        Contest::new(CRATE, "fairness", "x", Better::Lower, goal)
            .ours(move || fair::<Ours>(effort))
            .peer(Deadpool::NAME, move || fair::<Deadpool>(effort))
            .peer(Bb8::NAME, move || fair::<Bb8>(effort))
            .peer(Mobc::NAME, move || fair::<Mobc>(effort))
            .peer(FastPool::NAME, move || fair::<FastPool>(effort))
            .run(effort, effort.pick(5, 11))
    })];
    for cell in Cell::all() {
        let run = run.clone();
        axes.push(Axis::new(cell.name(), move |effort| run(cell, effort)));
    }
    axes.push(Axis::new("throughput_mean", move |effort| {
        let cells = Cell::all().into_iter();
        let records: Result<Vec<_>, _> = cells.map(|it| run(it, effort)).collect();
        Ok(mean("throughput_mean", 1.3, &records?, effort))
    }));
    axes
}
