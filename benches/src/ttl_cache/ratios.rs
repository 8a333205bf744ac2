//! Hit ratios over traces, with an audit of what each cache holds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Mutex;
use std::thread;

use super::CRATE;
use super::data::Payload;
use super::faces::Face;
use super::ours::{Adaptive, Lru, Ours};
use super::peers::{cached, foyer, mini_moka, moka, quick_cache, sharded_lru, tinyufo};
use super::traces::{self, Trace, most_hits};
use crate::axis::Axis;
use crate::driver::Effort;
use crate::record::{Better, Record, ratio, rounded};

/// How often what is held is counted in a replay.
const AUDITS: usize = 24;
/// Shards that are rounded up are no breach; more than these hundredths are.
const TOLERATED: f64 = 3.0;
/// No capacity is smaller.
const LEAST: usize = 16;

const OURS: &str = "ours";
const OURS_LRU: &str = "ours, Lru";
const BELADY: &str = "Belady";

/// The outcome of a cache on a trace.
#[derive(Clone, Copy, Debug)]
struct Replay {
    /// Hits in a hundred.
    hits: f64,
    /// Most entries held, over the capacity, in hundredths of it.
    over: f64,
}

fn replay<C: Face<u64>>(trace: &Trace, capacity: usize) -> Result<Replay, String> {
    let cache = C::new(capacity);
    let (mut hits, mut wrong, mut most) = (0usize, 0usize, 0);
    let step = trace.keys.len().div_ceil(AUDITS).max(1);
    for part in trace.keys.chunks(step) {
        for key in part {
            match cache.get(*key) {
                Some(value) => {
                    hits += 1;
                    wrong += usize::from(!value.is_of(*key));
                }
                None => cache.put(*key, u64::of(*key)),
            }
        }
        most = most.max(cache.held().unwrap_or(0));
    }
    if wrong > 0 {
        return Err(format!(
            "{}: {wrong} wrong values on {}",
            C::NAME,
            trace.name
        ));
    }
    Ok(Replay {
        hits: 100.0 * hits as f64 / trace.keys.len().max(1) as f64,
        over: 100.0 * (most as f64 - capacity as f64).max(0.0) / capacity as f64,
    })
}

/// One trace at one capacity.
struct Cell {
    name: String,
    replays: BTreeMap<&'static str, Replay>,
    belady: f64,
}

impl Cell {
    fn run(trace: &Trace, footprint: usize, share: usize) -> Result<Self, String> {
        let capacity = (footprint * share / 100).max(LEAST);
        let mut replays = BTreeMap::new();
        macro_rules! entrants {
            ($($cache:ty),*) => {
                $(replays.insert(<$cache as Face<u64>>::NAME, replay::<$cache>(trace, capacity)?);)*
            };
        }
        entrants!(
            quick_cache::QuickCache<u64>,
            sharded_lru::ShardedLru<u64>,
            cached::Cached<u64>,
            foyer::Foyer<u64, foyer::S3Fifo>,
            foyer::Foyer<u64, foyer::Sieve>,
            foyer::Foyer<u64, foyer::TinyLfu>,
            tinyufo::TinyUfo<u64, { tinyufo::COUNTED }>,
            moka::Moka<u64>,
            mini_moka::MiniMoka<u64>
        );
        replays.insert(OURS, replay::<Ours<u64, Adaptive>>(trace, capacity)?);
        replays.insert(OURS_LRU, replay::<Ours<u64, Lru>>(trace, capacity)?);
        for ours in [OURS, OURS_LRU] {
            if replays[ours].over > 0.0 {
                return Err(format!(
                    "{ours} is over capacity on {} at {share} %",
                    trace.name
                ));
            }
        }
        let hits = most_hits(&trace.keys, capacity);
        Ok(Self {
            name: format!("{}@{share}%", trace.name),
            replays,
            belady: 100.0 * hits as f64 / trace.keys.len().max(1) as f64,
        })
    }

    /// The best of those that kept to the capacity, and by how many points it is ahead of ours.
    fn gap(&self) -> (&'static str, f64) {
        let compliant = self.peers().filter(|(_, it)| it.over <= TOLERATED);
        let best = compliant.max_by(|a, b| a.1.hits.total_cmp(&b.1.hits));
        best.map_or(("none", 0.0), |(name, it)| {
            (name, it.hits - self.replays[OURS].hits)
        })
    }

    fn peers(&self) -> impl Iterator<Item = (&'static str, Replay)> {
        let all = self.replays.iter().map(|(name, it)| (*name, *it));
        all.filter(|(name, _)| ![OURS, OURS_LRU].contains(name))
    }
}

/// All traces at all capacities.
struct Table {
    cells: Vec<Cell>,
}

impl Table {
    fn run(effort: Effort) -> Result<Self, String> {
        let mut traces = Vec::new();
        for source in traces::sources()? {
            traces.push(source.trace(effort)?);
        }
        let mut jobs = Vec::new();
        for trace in &traces {
            let footprint = trace.footprint();
            // The quick run takes the first capacity of one trace, the second of the next, …
            for (at, share) in trace.shares.iter().enumerate() {
                if !effort.quick || at == jobs.len() % trace.shares.len() {
                    jobs.push((trace, footprint, *share));
                    if effort.quick {
                        break;
                    }
                }
            }
        }
        let queue = Mutex::new(jobs.iter().enumerate());
        let cells = Mutex::new(Vec::new());
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let job = queue.lock().map(|mut it| it.next());
                        let Ok(Some((number, (trace, footprint, share)))) = job else {
                            return;
                        };
                        let cell = Cell::run(trace, *footprint, *share);
                        if let Ok(mut cells) = cells.lock() {
                            cells.push((number, cell));
                        }
                    }
                });
            }
        });
        let mut cells = cells.into_inner().map_err(|_| "a replay panicked")?;
        cells.sort_by_key(|(number, _)| *number);
        let cells: Result<Vec<_>, _> = cells.into_iter().map(|(_, cell)| cell).collect();
        Ok(Self { cells: cells? })
    }

    fn mean(&self, of: impl Fn(&Cell) -> f64) -> f64 {
        let all: f64 = self.cells.iter().map(of).sum();
        all / self.cells.len().max(1) as f64
    }

    fn peers(&self, figure: impl Fn(&str) -> f64) -> BTreeMap<String, f64> {
        let names = self.cells.first().into_iter().flat_map(Cell::peers);
        names
            .map(|(name, _)| (name.to_owned(), rounded(figure(name))))
            .collect()
    }

    /// Who held more than it may, where, and how much.
    fn breaches(&self) -> BTreeMap<String, String> {
        let mut breaches = BTreeMap::new();
        for (name, _) in self.cells.first().into_iter().flat_map(Cell::peers) {
            let over = self.cells.iter().map(|it| it.replays[name].over);
            let over: Vec<f64> = over.filter(|over| *over > TOLERATED).collect();
            if !over.is_empty() {
                let most = over.iter().fold(0.0, |most: f64, over| most.max(*over));
                let reason = format!(
                    "in {} of {} cells over capacity, by up to {most:.0} %",
                    over.len(),
                    self.cells.len(),
                );
                breaches.insert(name.to_owned(), reason);
            }
        }
        breaches
    }

    fn cells(&self) -> BTreeMap<String, BTreeMap<String, f64>> {
        let of = |cell: &Cell| {
            let hits = cell.replays.iter();
            let mut hits: BTreeMap<String, f64> = hits
                .map(|(name, it)| ((*name).to_owned(), rounded(it.hits)))
                .collect();
            hits.insert(BELADY.to_owned(), rounded(cell.belady));
            hits
        };
        self.cells
            .iter()
            .map(|it| (it.name.clone(), of(it)))
            .collect()
    }

    /// What the records of all axes share.
    fn record(&self, axis: &str, effort: Effort) -> Record {
        Record {
            krate: CRATE.to_owned(),
            axis: axis.to_owned(),
            unit: "% hits".to_owned(),
            better: Better::Higher,
            ours: rounded(self.mean(|it| it.replays[OURS].hits)),
            peers: self.peers(|name| self.mean(|it| it.replays[name].hits)),
            disqualified: BTreeMap::new(),
            floors: BTreeMap::from([
                (BELADY.to_owned(), rounded(self.mean(|it| it.belady))),
                (
                    OURS_LRU.to_owned(),
                    rounded(self.mean(|it| it.replays[OURS_LRU].hits)),
                ),
            ]),
            vs: String::new(),
            ratio: 0.0,
            goal: 1.0,
            bound: None,
            rounds: 1,
            spread: 0.0,
            quick: effort.quick,
            cells: BTreeMap::new(),
        }
    }

    /// Our mean against a peer's, which it must exceed by `margin` points.
    fn ahead(&self, axis: &str, peer: &str, margin: f64, effort: Effort) -> Record {
        let ours = self.mean(|it| it.replays[OURS].hits);
        let theirs = self.mean(|it| it.replays.get(peer).map_or(f64::MAX, |it| it.hits));
        Record {
            vs: format!("{peer} + {margin} points"),
            ratio: rounded(1.0 + (ours - theirs - margin) / 100.0),
            ..self.record(axis, effort)
        }
    }

    /// The cell in which ours is the farthest behind.
    fn worst_gap(&self, axis: &str, effort: Effort) -> Record {
        const BOUND: f64 = 3.0;
        let gaps = self.cells.iter().map(|cell| (cell, cell.gap()));
        let worst = gaps.max_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let (at, gap) = worst.map_or((String::new(), 0.0), |(cell, (peer, gap))| {
            (format!("{peer} in {}", cell.name), gap)
        });
        let gap = gap.max(0.0);
        // The gaps of the others, to the same best peer of each cell.
        let worst_of = |name: &str| {
            let gaps = self.cells.iter().map(|cell| {
                let best = cell.replays[OURS].hits + cell.gap().1;
                best.max(cell.replays[OURS].hits) - cell.replays[name].hits
            });
            gaps.fold(0.0, f64::max)
        };
        Record {
            unit: "points".to_owned(),
            better: Better::Lower,
            ours: rounded(gap),
            peers: self.peers(worst_of),
            floors: BTreeMap::from([(OURS_LRU.to_owned(), rounded(worst_of(OURS_LRU)))]),
            disqualified: self.breaches(),
            vs: format!("3 points; worst: {at}"),
            ratio: rounded(ratio(Better::Lower, gap.max(0.01), BOUND)),
            bound: Some(BOUND),
            ..self.record(axis, effort)
        }
    }
}

/// Three axes, one replay.
#[derive(Default)]
struct Shared {
    table: Option<(bool, Table)>,
}

impl Shared {
    fn table(&mut self, effort: Effort) -> Result<&Table, String> {
        match self.table.take() {
            Some((quick, table)) if quick == effort.quick => {
                Ok(&self.table.insert((quick, table)).1)
            }
            _ => {
                let table =
                    Table::run(effort).map_err(|why| format!("{CRATE} hit ratios: {why}"))?;
                Ok(&self.table.insert((effort.quick, table)).1)
            }
        }
    }
}

pub(super) fn axes() -> Vec<Axis> {
    let shared = Rc::new(RefCell::new(Shared::default()));
    let axis = |name: &'static str, of: fn(&Table, &str, Effort) -> Record| {
        let shared = shared.clone();
        Axis::new(name, move |effort| {
            Ok(of(shared.borrow_mut().table(effort)?, name, effort))
        })
    };
    vec![
        axis("hit_ratio_mean_vs_quick_cache", |table, name, effort| {
            Record {
                cells: table.cells(),
                ..table.ahead(name, "quick_cache", 1.5, effort)
            }
        }),
        axis("hit_ratio_mean_vs_moka", |table, name, effort| {
            table.ahead(name, "moka", 2.5, effort)
        }),
        axis("hit_ratio_worst_gap", Table::worst_gap),
    ]
}
