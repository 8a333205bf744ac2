//! Throughput of reads and writes with keys of which few are asked for often.
//!
//! What is missing is put. Nobody draws a key sequence twice: a cache that has not moved on since
//! its warm-up would hold exactly what a replay asks for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::data::{Payload, Zipf, key};
use super::faces::{self, Face};
use super::ours::{Adaptive, Lru, Ours, OursTtl};
use super::peers::{
    by_hand, cached, foyer, mini_moka, moka, peers, quick_cache, sharded_lru, tinyufo,
};
use super::{CRATE, mean_factor};
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured, random};
use crate::record::{Better, Record, median, rounded};

/// Keys that may be asked for, and how many of them fit.
const KEYS: u32 = 1_000_000;
const CAPACITY: usize = 100_000;
/// Draws that a thread takes at once.
const CHUNK: usize = 1_024;
/// Bits of a draw that tell the key; the others tell reads from writes.
const KEY_BITS: u32 = 20;

/// One field of the table: how uneven, how many writes in a hundred, how many threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    /// Ten times the exponent.
    tenths: u32,
    writes: u32,
    threads: usize,
}

impl Cell {
    fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for tenths in [9, 12] {
            for writes in [1, 20] {
                cells.extend([1, 2, 4].map(|threads| Self {
                    tenths,
                    writes,
                    threads,
                }));
            }
        }
        cells
    }

    /// As in `zipf09_99_t1`.
    fn name(self) -> String {
        let reads = 100 - self.writes;
        format!("zipf{:02}_{reads}_t{}", self.tenths, self.threads)
    }
}

/// Draws for everyone; each entrant has its own place in them.
struct Draws(Vec<u32>);

impl Draws {
    fn new(tenths: u32, effort: Effort) -> Self {
        let zipf = Zipf::new(KEYS, f64::from(tenths) / 10.0);
        let length: usize = effort.pick(1 << 24, 1 << 26);
        let mut draws = vec![0; length];
        // Each part with a sequence of its own.
        let parts = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for (number, part) in draws.chunks_mut(length.div_ceil(parts)).enumerate() {
                let zipf = &zipf;
                scope.spawn(move || {
                    let mut state = u64::from(tenths) << 32 | number as u64;
                    for draw in part {
                        let percent = (random(&mut state) % 100) as u32;
                        *draw = zipf.draw(&mut state) | percent << KEY_BITS;
                    }
                });
            }
        });
        Self(draws)
    }

    fn chunk(&self, place: &AtomicUsize) -> &[u32] {
        let from = place.fetch_add(CHUNK, Relaxed) % self.0.len();
        &self.0[from..(from + CHUNK).min(self.0.len())]
    }
}

/// A cache that is warm, and how far it has come.
struct Runner<V, C> {
    cache: C,
    values: PhantomData<V>,
    draws: Arc<Draws>,
    place: AtomicUsize,
}

impl<V: Payload, C: Face<V>> Runner<V, C> {
    fn new(draws: Arc<Draws>, warm_up: usize) -> Self {
        let runner = Self {
            cache: C::new(CAPACITY),
            values: PhantomData,
            draws,
            place: AtomicUsize::new(0),
        };
        while runner.place.load(Relaxed) < warm_up {
            runner.chunk(1);
        }
        runner
    }

    /// Operations done, and wrong answers.
    fn chunk(&self, writes: u32) -> (usize, usize) {
        let draws = self.draws.chunk(&self.place);
        let mut wrong = 0;
        for draw in draws {
            let key = key(u64::from(draw & ((1 << KEY_BITS) - 1)));
            if draw >> KEY_BITS < writes {
                self.cache.put(key, V::of(key));
                continue;
            }
            match self.cache.get(key) {
                Some(value) => wrong += usize::from(!value.is_of(key)),
                None => self.cache.put(key, V::of(key)),
            }
        }
        (draws.len(), wrong)
    }

    /// Millions of operations a second.
    fn run(&self, cell: Cell, window: Duration) -> Measured {
        let barrier = Barrier::new(cell.threads);
        let work = || {
            barrier.wait();
            let start = Instant::now();
            let (mut done, mut wrong) = (0, 0);
            loop {
                let chunk = self.chunk(cell.writes);
                done += chunk.0;
                wrong += chunk.1;
                let now = Instant::now();
                if now - start >= window {
                    return (start, now, done, wrong);
                }
            }
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = (0..cell.threads).map(|_| scope.spawn(work)).collect();
            let joined = running.into_iter().map(|it| it.join());
            joined.map(|it| it.expect("no thread panics")).collect()
        });
        let start = outcomes.iter().map(|it| it.0).min();
        let end = outcomes.iter().map(|it| it.1).max();
        let wrong: usize = outcomes.iter().map(|it| it.3).sum();
        if wrong > 0 {
            return Err(format!("{wrong} hits without the right value"));
        }
        let done: usize = outcomes.iter().map(|it| it.2).sum();
        let seconds = end
            .zip(start)
            .map_or(0.0, |(end, start)| (end - start).as_secs_f64());
        Ok(done as f64 / 1e6 / seconds.max(f64::MIN_POSITIVE))
    }
}

type Entrant = Box<dyn FnMut(Cell) -> Measured>;

/// An entrant that warms up when it is first asked to run.
fn entrant<V: Payload, C: Face<V>>(draws: &Arc<Draws>, effort: Effort) -> Entrant {
    let (warm_up, window) = effort.pick(
        (1_000_000, Duration::from_millis(40)),
        (4_000_000, Duration::from_millis(100)),
    );
    let draws = draws.clone();
    let mut runner: Option<Runner<V, C>> = None;
    Box::new(move |cell| {
        runner
            .get_or_insert_with(|| Runner::<V, C>::new(draws.clone(), warm_up))
            .run(cell, window)
    })
}

/// Everyone, with caches of their own and one exponent.
struct Field {
    tenths: u32,
    quick: bool,
    ours: RefCell<Entrant>,
    beside: Vec<(&'static str, RefCell<Entrant>)>,
    peers: Vec<(&'static str, RefCell<Entrant>)>,
}

/// Takes peers as a contest does, so that one list of them serves both.
impl Field {
    fn peer(mut self, name: &'static str, entrant: Entrant) -> Self {
        self.peers.push((name, RefCell::new(entrant)));
        self
    }

    fn new(tenths: u32, effort: Effort) -> Self {
        let draws = Arc::new(Draws::new(tenths, effort));
        let field = Self {
            tenths,
            quick: effort.quick,
            ours: RefCell::new(entrant::<u64, Ours<u64, Adaptive>>(&draws, effort)),
            beside: vec![(
                "ours, Lru",
                RefCell::new(entrant::<u64, Ours<u64, Lru>>(&draws, effort)),
            )],
            peers: Vec::new(),
        };
        peers!(field, entrant::<u64>(&draws, effort))
    }

    fn expiring(tenths: u32, effort: Effort) -> Self {
        let draws = Arc::new(Draws::new(tenths, effort));
        let field = Self {
            tenths,
            quick: effort.quick,
            ours: RefCell::new(entrant::<u64, OursTtl<u64, Adaptive>>(&draws, effort)),
            beside: vec![(
                "ours, Lru",
                RefCell::new(entrant::<u64, OursTtl<u64, Lru>>(&draws, effort)),
            )],
            peers: Vec::new(),
        };
        peers!(expiring field, entrant::<u64>(&draws, effort))
    }

    fn contest(&self, name: &str, cell: Cell, effort: Effort, goal: f64) -> Result<Record, String> {
        let goal = Goal::BestPeer(goal);
        let mut contest = Contest::new(CRATE, name, "Mops/s", Better::Higher, goal)
            .ours(|| (self.ours.borrow_mut())(cell));
        for (name, entrant) in &self.peers {
            contest = contest.peer(name, move || (entrant.borrow_mut())(cell));
        }
        for (name, entrant) in &self.beside {
            contest = contest.floor(name, move || (entrant.borrow_mut())(cell));
        }
        contest.run(effort, effort.pick(5, 11))
    }
}

/// Caches that stay warm from axis to axis, and what was measured already.
#[derive(Default)]
struct Stadium {
    field: Option<Field>,
    done: BTreeMap<(Cell, bool), Record>,
}

impl Stadium {
    fn record(&mut self, cell: Cell, effort: Effort) -> Result<Record, String> {
        if let Some(record) = self.done.get(&(cell, effort.quick)) {
            return Ok(record.clone());
        }
        let field = match self.field.take() {
            Some(field) if field.tenths == cell.tenths && field.quick == effort.quick => field,
            _ => Field::new(cell.tenths, effort),
        };
        let record = field.contest(&cell.name(), cell, effort, 0.95);
        self.field = Some(field);
        let record = record?;
        self.done.insert((cell, effort.quick), record.clone());
        Ok(record)
    }
}

/// One record of many: factors are averaged as factors.
fn mean(name: &str, goal: f64, cells: &[Record], effort: Effort) -> Record {
    let common = |of: fn(&Record) -> &BTreeMap<String, f64>| -> BTreeMap<String, f64> {
        let names = cells.iter().flat_map(|it| of(it).keys());
        let mut means = BTreeMap::new();
        for name in names {
            let figures: Vec<f64> = cells
                .iter()
                .filter_map(|it| of(it).get(name))
                .copied()
                .collect();
            if figures.len() == cells.len() {
                means.insert(name.clone(), rounded(mean_factor(figures)));
            }
        }
        means
    };
    let spreads: Vec<f64> = cells.iter().map(|it| it.spread).collect();
    Record {
        krate: CRATE.to_owned(),
        axis: name.to_owned(),
        unit: "Mops/s".to_owned(),
        better: Better::Higher,
        ours: rounded(mean_factor(cells.iter().map(|it| it.ours))),
        peers: common(|it| &it.peers),
        floors: common(|it| &it.floors),
        disqualified: BTreeMap::new(),
        vs: format!("best peer of each of {} cells", cells.len()),
        ratio: rounded(mean_factor(cells.iter().map(|it| it.ratio))),
        goal,
        bound: None,
        rounds: cells.iter().map(|it| it.rounds).min().unwrap_or(0),
        spread: rounded(median(&spreads)),
        quick: effort.quick,
        cells: cells
            .iter()
            .map(|it| (it.axis.clone(), with_ours(it)))
            .collect(),
    }
}

fn with_ours(record: &Record) -> BTreeMap<String, f64> {
    let mut figures = record.peers.clone();
    figures.extend(record.floors.clone());
    figures.insert("ours".to_owned(), record.ours);
    figures
}

pub(super) fn axes() -> Vec<Axis> {
    let stadium = Rc::new(RefCell::new(Stadium::default()));
    let mut axes = Vec::new();
    for cell in Cell::all() {
        let stadium = stadium.clone();
        axes.push(Axis::new(cell.name(), move |effort| {
            stadium.borrow_mut().record(cell, effort)
        }));
    }
    axes.push(Axis::new("zipf_mean", move |effort| {
        let mut stadium = stadium.borrow_mut();
        let cells = Cell::all().into_iter();
        let records: Result<Vec<_>, _> = cells.map(|it| stadium.record(it, effort)).collect();
        stadium.field = None;
        Ok(mean("zipf_mean", 1.25, &records?, effort))
    }));
    axes.push(Axis::new("zipf_ttl", |effort| {
        let mut records = Vec::new();
        for tenths in [9, 12] {
            let field = Field::expiring(tenths, effort);
            let cells = Cell::all().into_iter();
            // The quick run takes the cells in the middle.
            let cells =
                cells.filter(|it| it.tenths == tenths && (!effort.quick || it.threads == 2));
            for cell in cells {
                let name = format!("{}_ttl", cell.name());
                records.push(field.contest(&name, cell, effort, 2.0)?);
            }
        }
        Ok(mean("zipf_ttl", 2.0, &records, effort))
    }));
    axes
}
