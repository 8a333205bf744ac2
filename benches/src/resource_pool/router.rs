//! Least loaded of many: a pick and the end of another lease, against what one would write by hand.
//!
//! All of them stand behind a lock, reserve, and give back by a guard. Their answers are checked: as
//! long as nothing ends, all loads have to be equal.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use brolly_resource_pool::{Lease, Router, Target};
use priority_queue::PriorityQueue;

use super::CRATE;
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured, random};
use crate::record::{Better, median};

/// Leases that are out, for each target.
const LOAD: usize = 3;
/// Batches in a measurement; the median of them is its figure.
const BATCHES: usize = 9;

trait Balancer: Sync {
    /// Whether what it picks is the least loaded.
    const CHOOSES: bool = true;
    type Lease<'a>: Send
    where
        Self: 'a;

    fn new(targets: usize) -> Self;

    fn pick(&self) -> Self::Lease<'_>;

    fn loads(&self) -> Vec<u64>;
}

impl Balancer for Router<usize> {
    type Lease<'a> = Lease<'a, usize, ()>;

    fn new(targets: usize) -> Self {
        let router = Self::builder().build().expect("defaults are sensible");
        for id in 0..targets {
            router.add(Target::id(id)).expect("it is new");
        }
        router
    }

    fn pick(&self) -> Self::Lease<'_> {
        Self::pick(self).expect("there are targets")
    }

    fn loads(&self) -> Vec<u64> {
        self.targets().into_iter().map(|it| it.load).collect()
    }
}

/// What all the others have around them.
struct Locked<S>(Mutex<S>);

struct Back<'a, S: Structure>(&'a Locked<S>, usize);

/// A structure without a lock or leases.
trait Structure: Send {
    const NAME: &'static str;
    const CHOOSES: bool = true;

    fn new(targets: usize) -> Self;

    fn pick(&mut self) -> usize;

    fn end(&mut self, target: usize);

    fn loads(&self) -> Vec<u64>;
}

impl<S: Structure> Locked<S> {
    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Structure> Balancer for Locked<S> {
    const CHOOSES: bool = S::CHOOSES;
    type Lease<'a>
        = Back<'a, S>
    where
        S: 'a;

    fn new(targets: usize) -> Self {
        Self(Mutex::new(S::new(targets)))
    }

    fn pick(&self) -> Self::Lease<'_> {
        Back(self, self.lock().pick())
    }

    fn loads(&self) -> Vec<u64> {
        self.lock().loads()
    }
}

impl<S: Structure> Drop for Back<'_, S> {
    fn drop(&mut self) {
        self.0.lock().end(self.1);
    }
}

struct Scan(Vec<u32>);

impl Structure for Scan {
    const NAME: &'static str = "linear scan";

    fn new(targets: usize) -> Self {
        Self(vec![0; targets])
    }

    fn pick(&mut self) -> usize {
        let (mut least, mut at) = (u32::MAX, 0);
        for (target, load) in self.0.iter().enumerate() {
            if *load < least {
                (least, at) = (*load, target);
            }
        }
        self.0[at] += 1;
        at
    }

    fn end(&mut self, target: usize) {
        self.0[target] -= 1;
    }

    fn loads(&self) -> Vec<u64> {
        self.0.iter().map(|it| u64::from(*it)).collect()
    }
}

/// Picks any: two locks, and a count.
struct Nothing {
    loads: Vec<u32>,
    next: usize,
}

impl Structure for Nothing {
    const NAME: &'static str = "two locks, any target";
    const CHOOSES: bool = false;

    fn new(targets: usize) -> Self {
        Self {
            loads: vec![0; targets],
            next: 0,
        }
    }

    fn pick(&mut self) -> usize {
        self.next = if self.next + 1 < self.loads.len() {
            self.next + 1
        } else {
            0
        };
        self.loads[self.next] += 1;
        self.next
    }

    fn end(&mut self, target: usize) {
        self.loads[target] -= 1;
    }

    fn loads(&self) -> Vec<u64> {
        self.loads.iter().map(|it| u64::from(*it)).collect()
    }
}

struct Tree {
    order: BTreeSet<(u32, u32)>,
    loads: Vec<u32>,
}

impl Structure for Tree {
    const NAME: &'static str = "BTreeSet";

    fn new(targets: usize) -> Self {
        Self {
            order: (0..targets as u32).map(|target| (0, target)).collect(),
            loads: vec![0; targets],
        }
    }

    fn pick(&mut self) -> usize {
        let (load, target) = self.order.pop_first().expect("there are targets");
        self.order.insert((load + 1, target));
        self.loads[target as usize] = load + 1;
        target as usize
    }

    fn end(&mut self, target: usize) {
        let load = &mut self.loads[target];
        self.order.remove(&(*load, target as u32));
        *load -= 1;
        self.order.insert((*load, target as u32));
    }

    fn loads(&self) -> Vec<u64> {
        self.loads.iter().map(|it| u64::from(*it)).collect()
    }
}

struct Queue(PriorityQueue<u32, Reverse<u32>, foldhash::fast::FixedState>);

impl Structure for Queue {
    const NAME: &'static str = "priority-queue";

    fn new(targets: usize) -> Self {
        let mut queue = PriorityQueue::with_default_hasher();
        queue.extend((0..targets as u32).map(|target| (target, Reverse(0))));
        Self(queue)
    }

    fn pick(&mut self) -> usize {
        let target = *self.0.peek().expect("there are targets").0;
        self.0.change_priority_by(&target, |load| load.0 += 1);
        target as usize
    }

    fn end(&mut self, target: usize) {
        self.0
            .change_priority_by(&(target as u32), |load| load.0 -= 1);
    }

    fn loads(&self) -> Vec<u64> {
        self.0.iter().map(|(_, load)| u64::from(load.0)).collect()
    }
}

/// As many leases as there are on the average, after a check that they are spread evenly.
fn fill<B: Balancer>(balancer: &B, targets: usize) -> Result<Vec<B::Lease<'_>>, String> {
    let leases = (0..LOAD * targets).map(|_| balancer.pick()).collect();
    let is_even = balancer.loads().iter().all(|it| *it == LOAD as u64);
    match is_even || !B::CHOOSES {
        true => Ok(leases),
        false => Err(String::from("the loads are not even")),
    }
}

/// Ends a lease at random and picks anew.
fn turn<'a, B: Balancer>(balancer: &'a B, leases: &mut [B::Lease<'a>], state: &mut u64) {
    let at = (u128::from(random(state)) * leases.len() as u128) >> 64;
    leases[at as usize] = balancer.pick();
}

fn alone<B: Balancer>(targets: usize, turns: u64) -> Measured {
    let balancer = B::new(targets);
    let mut leases = fill(&balancer, targets)?;
    let mut state = 1;
    let mut figures = Vec::with_capacity(BATCHES);
    for number in 0..=BATCHES {
        let start = Instant::now();
        for _ in 0..turns {
            turn(&balancer, &mut leases, &mut state);
        }
        let figure = start.elapsed().as_nanos() as f64 / turns as f64;
        // The first one warms up.
        if number > 0 {
            figures.push(figure);
        }
    }
    black_box(&leases);
    drop(leases);
    match balancer.loads().iter().sum() {
        0_u64 => Ok(median(&figures)),
        left => Err(format!("{left} leases were not given back")),
    }
}

/// Nanoseconds a turn, on each of two threads at once.
fn in_two<B: Balancer>(targets: usize, turns: u64) -> Measured {
    let balancer = B::new(targets);
    drop(fill(&balancer, targets)?);
    let is_ready = std::sync::Barrier::new(2);
    let work = |seed: u64| {
        let mut leases: Vec<_> = (0..LOAD * targets / 2).map(|_| balancer.pick()).collect();
        let mut state = seed;
        is_ready.wait();
        let start = Instant::now();
        for _ in 0..turns {
            turn(&balancer, &mut leases, &mut state);
        }
        start.elapsed().as_nanos() as f64 / turns as f64
    };
    let figures = std::thread::scope(|scope| {
        let other = scope.spawn(|| work(2));
        [work(1), other.join().expect("nothing panics")]
    });
    Ok(median(&figures))
}

type Meter = fn(usize, u64) -> Measured;

/// All of them, by one way of measuring.
fn contest(name: &str, targets: usize, meters: [Meter; 5], effort: Effort) -> Contest<'static> {
    let turns = effort.pick(10_000, 40_000);
    // A scan costs as much as there are targets.
    let scans = (2_000_000 / targets as u64).clamp(200, turns);
    let [ours, floor, scan, tree, queue] = meters;
    Contest::new(CRATE, name, "ns", Better::Lower, Goal::BestPeer(5.0))
        .ours(move || ours(targets, turns))
        .floor(Nothing::NAME, move || floor(targets, turns))
        .peer(Scan::NAME, move || scan(targets, scans))
        .peer(Tree::NAME, move || tree(targets, turns))
        .peer(Queue::NAME, move || queue(targets, turns))
}

pub(super) fn axes() -> Vec<Axis> {
    const ALONE: [Meter; 5] = [
        alone::<Router<usize>>,
        alone::<Locked<Nothing>>,
        alone::<Locked<Scan>>,
        alone::<Locked<Tree>>,
        alone::<Locked<Queue>>,
    ];
    const IN_TWO: [Meter; 5] = [
        in_two::<Router<usize>>,
        in_two::<Locked<Nothing>>,
        in_two::<Locked<Scan>>,
        in_two::<Locked<Tree>>,
        in_two::<Locked<Queue>>,
    ];
    let axis = |name: &'static str, targets: usize, meters: [Meter; 5]| {
        Axis::new(name, move |effort| {
            contest(name, targets, meters, effort).run(effort, effort.pick(7, 15))
        })
    };
    vec![
        axis("router_100", 100, ALONE),
        axis("router_1k", 1_000, ALONE),
        axis("router_10k", 10_000, ALONE),
        axis("router_1k_two_threads", 1_000, IN_TWO),
    ]
}
