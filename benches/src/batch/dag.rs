//! The dependency graph: one adapter per peer, and the axes they meet on.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use brolly_batch::{Dag, DenseDag, DurationEstimates, ItemError, Outcome};
use brolly_sync::{Clock, ManualClock, Timer};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use petgraph::Directed;
use petgraph::graph::{Graph, NodeIndex};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::CRATE;
use super::map::{Rejected, fails, spin, steps_per_microsecond};
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured, random};
use crate::record::{Better, Record};

/// Nodes that may run at once.
const LIMIT: usize = 100;

/// How the nodes of a graph hang together.
#[derive(Clone, Copy)]
enum Shape {
    /// One node, then all others but one, then the last.
    Wide,
    /// A chain.
    Deep,
    /// Layers of a hundred; each node stands on two random ones of the layer before.
    Layered,
    /// `Layered`, with the numbers of the nodes shuffled.
    Scattered,
    /// A binary tree from its root.
    Tree,
    /// A square in which each node stands on the one to its left and the one above it.
    Grid,
    /// Each node stands on two random ones of all before it.
    Sparse,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Deep => "deep",
            Self::Layered => "layered",
            Self::Scattered => "scattered",
            Self::Tree => "tree",
            Self::Grid => "grid",
            Self::Sparse => "sparse",
        }
    }

    /// Pairs of a dependency and its dependent.
    fn edges(self, nodes: u32) -> Vec<(u32, u32)> {
        let last = nodes - 1;
        match self {
            Self::Wide => (1..last)
                .flat_map(|node| [(0, node), (node, last)])
                .collect(),
            Self::Deep => (0..last).map(|node| (node, node + 1)).collect(),
            Self::Layered => {
                const LAYER: u32 = 100;
                let mut state = 1;
                let mut edges = Vec::with_capacity(2 * nodes as usize);
                for node in LAYER..nodes {
                    let layer_before = (node / LAYER - 1) * LAYER;
                    let first = (random(&mut state) % u64::from(LAYER)) as u32;
                    let apart = 1 + (random(&mut state) % u64::from(LAYER - 1)) as u32;
                    edges.push((layer_before + first, node));
                    edges.push((layer_before + (first + apart) % LAYER, node));
                }
                edges
            }
            Self::Scattered => {
                let mut state = 2;
                let mut names: Vec<u32> = (0..nodes).collect();
                for last in (1..names.len()).rev() {
                    names.swap(last, random(&mut state) as usize % (last + 1));
                }
                let edges = Self::Layered.edges(nodes).into_iter();
                edges
                    .map(|(from, to)| (names[from as usize], names[to as usize]))
                    .collect()
            }
            Self::Tree => (1..nodes).map(|node| ((node - 1) / 2, node)).collect(),
            Self::Grid => {
                let side = nodes.isqrt();
                let left = (0..nodes).filter(|node| node % side > 0);
                let above = (side..nodes).map(|node| (node - side, node));
                left.map(|node| (node - 1, node)).chain(above).collect()
            }
            Self::Sparse => {
                let mut state = 3;
                let mut before = |node: u32| (random(&mut state) % u64::from(node)) as u32;
                (1..nodes)
                    .flat_map(|node| [(before(node), node), (before(node), node)])
                    .collect()
            }
        }
    }
}

/// A way to turn edges into an order.
trait Planner {
    const NAME: &'static str;
    type Plan;

    fn plan(nodes: u32, edges: &[(u32, u32)]) -> Self::Plan;

    fn order(plan: &Self::Plan) -> Vec<u32>;
}

/// The order, and the longest remaining path of each node with it.
struct Ours;

impl Planner for Ours {
    const NAME: &'static str = "ours";
    type Plan = DenseDag;

    fn plan(nodes: u32, edges: &[(u32, u32)]) -> DenseDag {
        DenseDag::from_edges(nodes as usize, edges).expect("the shapes have no cycle")
    }

    fn order(plan: &DenseDag) -> Vec<u32> {
        plan.topological_order().to_vec()
    }
}

struct Petgraph;

impl Planner for Petgraph {
    const NAME: &'static str = "petgraph";
    type Plan = Vec<NodeIndex<u32>>;

    fn plan(nodes: u32, edges: &[(u32, u32)]) -> Self::Plan {
        let mut graph = Graph::<(), (), Directed, u32>::with_capacity(nodes as usize, edges.len());
        for _ in 0..nodes {
            graph.add_node(());
        }
        for (from, to) in edges {
            graph.add_edge(NodeIndex::from(*from), NodeIndex::from(*to), ());
        }
        petgraph::algo::toposort(&graph, None).expect("the shapes have no cycle")
    }

    fn order(plan: &Self::Plan) -> Vec<u32> {
        plan.iter().map(|node| node.index() as u32).collect()
    }
}

fn plan<P: Planner>(nodes: u32, edges: &[(u32, u32)]) -> Measured {
    let start = Instant::now();
    let plan = P::plan(nodes, edges);
    let elapsed = start.elapsed();

    let mut place = vec![u32::MAX; nodes as usize];
    for (at, node) in (0..).zip(P::order(&plan)) {
        place[node as usize] = at;
    }
    if place.contains(&u32::MAX) {
        return Err("a node is missing in the order".to_owned());
    }
    if let Some((from, to)) = edges
        .iter()
        .find(|(from, to)| place[*from as usize] >= place[*to as usize])
    {
        return Err(format!("{from} comes after {to}, which stands on it"));
    }
    Ok(elapsed.as_nanos() as f64 / f64::from(nodes))
}

/// A graph in the form each runner takes; making it is not part of the run.
struct Prepared {
    edges: Vec<(u32, u32)>,
    dense: DenseDag,
    dependencies: Vec<u32>,
    /// Where the dependents of a node begin in `dependents`; one more entry than nodes.
    offsets: Vec<u32>,
    dependents: Vec<u32>,
    runtime: Runtime,
}

impl Prepared {
    fn new(shape: Shape, nodes: u32) -> Self {
        Self::from_edges(nodes, shape.edges(nodes))
    }

    fn from_edges(nodes: u32, edges: Vec<(u32, u32)>) -> Self {
        let mut dependencies = vec![0; nodes as usize];
        let mut offsets = vec![0; nodes as usize + 1];
        for (from, to) in &edges {
            dependencies[*to as usize] += 1;
            offsets[*from as usize + 1] += 1;
        }
        for node in 0..nodes as usize {
            offsets[node + 1] += offsets[node];
        }
        let mut free = offsets.clone();
        let mut dependents = vec![0; edges.len()];
        for (from, to) in &edges {
            let slot = &mut free[*from as usize];
            dependents[*slot as usize] = *to;
            *slot += 1;
        }
        let dense = DenseDag::from_edges(nodes as usize, &edges).expect("no shape has a cycle");
        let runtime = Builder::new_current_thread()
            .build()
            .expect("a runtime can be started");
        Self {
            edges,
            dense,
            dependencies,
            offsets,
            dependents,
            runtime,
        }
    }

    fn nodes(&self) -> usize {
        self.dependencies.len()
    }

    fn dependents(&self, node: usize) -> &[u32] {
        &self.dependents[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }
}

/// What became of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done(u64),
    Failed,
    Blocked,
}

/// A way to run a graph, a node as soon as its dependencies have succeeded.
trait Runner {
    const NAME: &'static str;
    type Kept;

    async fn run<W, F>(dag: &Prepared, work: W) -> Self::Kept
    where
        W: Fn(usize) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static;

    fn fates(kept: &Self::Kept) -> impl Iterator<Item = Fate>;
}

impl Runner for Ours {
    const NAME: &'static str = "ours";
    type Kept = Vec<Outcome<u64, Rejected>>;

    async fn run<W, F>(dag: &Prepared, work: W) -> Self::Kept
    where
        W: Fn(usize) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        dag.dense
            .run(LIMIT, work)
            .await
            .expect("the limit is sensible")
    }

    fn fates(kept: &Self::Kept) -> impl Iterator<Item = Fate> {
        kept.iter().map(|outcome| match outcome {
            Outcome::Done(value) => Fate::Done(*value),
            Outcome::Failed(ItemError::Failed(Rejected)) => Fate::Failed,
            Outcome::Blocked { .. } => Fate::Blocked,
            other => panic!("no node has this outcome: {other:?}"),
        })
    }
}

/// The bookkeeping of a loop made by hand: what is missing, ready and done.
struct ByHand<'a> {
    dag: &'a Prepared,
    missing: Vec<u32>,
    is_blocked: Vec<bool>,
    ready: Vec<u32>,
    fates: Vec<Fate>,
}

impl<'a> ByHand<'a> {
    fn new(dag: &'a Prepared) -> Self {
        let missing = dag.dependencies.clone();
        let ready = (0..).zip(&missing);
        Self {
            dag,
            ready: ready
                .filter(|(_, missing)| **missing == 0)
                .map(|(node, _)| node)
                .collect(),
            is_blocked: vec![false; missing.len()],
            fates: vec![Fate::Blocked; missing.len()],
            missing,
        }
    }

    fn finish(&mut self, node: usize, result: Result<u64, Rejected>) {
        let is_failure = result.is_err();
        self.fates[node] = result.map_or(Fate::Failed, Fate::Done);
        self.release(node, is_failure);
    }

    fn release(&mut self, node: usize, blocks: bool) {
        let mut settled = vec![];
        let mut next = Some((node, blocks));
        while let Some((node, blocks)) = next {
            for dependent in self.dag.dependents(node) {
                let at = *dependent as usize;
                self.is_blocked[at] |= blocks;
                self.missing[at] -= 1;
                if self.missing[at] > 0 {
                    continue;
                }
                if self.is_blocked[at] {
                    settled.push(at);
                } else {
                    self.ready.push(*dependent);
                }
            }
            next = settled.pop().map(|node| (node, true));
        }
    }
}

struct Unordered;

impl Runner for Unordered {
    const NAME: &'static str = "FuturesUnordered by hand";
    type Kept = Vec<Fate>;

    async fn run<W, F>(dag: &Prepared, work: W) -> Self::Kept
    where
        W: Fn(usize) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let mut state = ByHand::new(dag);
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < LIMIT
                && let Some(node) = state.ready.pop()
            {
                let node = node as usize;
                let work = work(node);
                running.push(async move { (node, work.await) });
            }
            let Some((node, result)) = running.next().await else {
                return state.fates;
            };
            state.finish(node, result);
        }
    }

    fn fates(kept: &Self::Kept) -> impl Iterator<Item = Fate> {
        kept.iter().copied()
    }
}

struct Joined;

impl Runner for Joined {
    const NAME: &'static str = "JoinSet by hand";
    type Kept = Vec<Fate>;

    async fn run<W, F>(dag: &Prepared, work: W) -> Self::Kept
    where
        W: Fn(usize) -> F,
        F: Future<Output = Result<u64, Rejected>> + Send + 'static,
    {
        let mut state = ByHand::new(dag);
        let mut running = JoinSet::new();
        loop {
            while running.len() < LIMIT
                && let Some(node) = state.ready.pop()
            {
                let node = node as usize;
                let work = work(node);
                running.spawn(async move { (node, work.await) });
            }
            let Some(done) = running.join_next().await else {
                return state.fates;
            };
            let (node, result) = done.expect("no node panics");
            state.finish(node, result);
        }
    }

    fn fates(kept: &Self::Kept) -> impl Iterator<Item = Fate> {
        kept.iter().copied()
    }
}

/// What a node does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Nothing,
    /// About a microsecond of arithmetic; one node of a hundred fails.
    Microsecond,
}

fn run<R: Runner>(dag: &Prepared, what: Work, is_checked: &mut bool) -> Measured {
    if !*is_checked {
        check_order::<R>(dag)?;
        *is_checked = true;
    }
    let nodes = dag.nodes();
    let (kept, elapsed) = match what {
        Work::Nothing => timed::<R, _, _>(dag, |node| async move { Ok(node as u64) }),
        Work::Microsecond => {
            let steps = steps_per_microsecond();
            timed::<R, _, _>(dag, move |node| async move {
                spin(steps);
                let node = node as u64;
                if fails(node) { Err(Rejected) } else { Ok(node) }
            })
        }
    };
    let expected = oracle(dag, what);
    if !R::fates(&kept).eq(expected) {
        return Err("wrong outcomes".to_owned());
    }
    Ok(elapsed / nodes as f64)
}

fn timed<R, W, F>(dag: &Prepared, work: W) -> (R::Kept, f64)
where
    R: Runner,
    W: Fn(usize) -> F,
    F: Future<Output = Result<u64, Rejected>> + Send + 'static,
{
    let start = Instant::now();
    let kept = dag.runtime.block_on(R::run(dag, work));
    (kept, start.elapsed().as_nanos() as f64)
}

/// The outcomes, found by walking the nodes in an order and doing nothing else.
fn oracle(dag: &Prepared, what: Work) -> Vec<Fate> {
    let mut fates: Vec<Fate> = (0..dag.nodes() as u64).map(Fate::Done).collect();
    if what == Work::Nothing {
        return fates;
    }
    for node in dag.dense.topological_order() {
        let node = *node as usize;
        if fates[node] != Fate::Blocked && fails(node as u64) {
            fates[node] = Fate::Failed;
        }
        if !matches!(fates[node], Fate::Done(_)) {
            for dependent in dag.dependents(node) {
                fates[*dependent as usize] = Fate::Blocked;
            }
        }
    }
    fates
}

/// A node may not start before the nodes it stands on have ended: run once with a clock of ticks.
fn check_order<R: Runner>(dag: &Prepared) -> Result<(), String> {
    let ticks: Arc<Vec<[AtomicU32; 2]>> = Arc::new(
        (0..dag.nodes())
            .map(|_| [AtomicU32::new(0), AtomicU32::new(0)])
            .collect(),
    );
    let clock = Arc::new(AtomicU32::new(1));
    let kept = dag.runtime.block_on(R::run(dag, |node| {
        let (ticks, clock) = (Arc::clone(&ticks), Arc::clone(&clock));
        async move {
            ticks[node][0].store(clock.fetch_add(1, SeqCst), SeqCst);
            tokio::task::yield_now().await;
            ticks[node][1].store(clock.fetch_add(1, SeqCst), SeqCst);
            Ok(node as u64)
        }
    }));
    drop(kept);
    for (from, to) in &dag.edges {
        let ended = ticks[*from as usize][1].load(SeqCst);
        let started = ticks[*to as usize][0].load(SeqCst);
        if ended == 0 || started < ended {
            return Err(format!("{to} started before {from} had ended"));
        }
    }
    Ok(())
}

/// Build and run in one, as async_dag has it: its nodes are typed by their number of inputs.
fn build_and_run_async_dag(dag: &Prepared) -> Measured {
    use async_dag::TryGraph;

    let mut parents: Vec<Vec<u32>> = vec![Vec::new(); dag.nodes()];
    for (from, to) in &dag.edges {
        parents[*to as usize].push(*from);
    }
    let start = Instant::now();
    let mut graph = TryGraph::<Rejected>::new();
    let mut nodes = Vec::with_capacity(parents.len());
    for (node, parents) in parents.iter().enumerate() {
        let value = node as u64;
        let index = match parents.len() {
            0 => graph.add_try_task(move || async move { Ok::<u64, Rejected>(value) }),
            1 => graph.add_try_task(move |_: u64| async move { Ok::<u64, Rejected>(value) }),
            2 => {
                graph.add_try_task(move |_: u64, _: u64| async move { Ok::<u64, Rejected>(value) })
            }
            more => return Err(format!("no node with {more} inputs")),
        };
        for (slot, parent) in parents.iter().enumerate() {
            graph
                .update_dependency(nodes[*parent as usize], index, slot as u8)
                .map_err(|error| format!("{error:?}"))?;
        }
        nodes.push(index);
    }
    let outcome = dag.runtime.block_on(graph.try_run());
    let elapsed = start.elapsed();
    outcome.map_err(|error| error.to_string())?;
    for (node, index) in nodes.iter().enumerate() {
        if graph.get_value::<u64>(*index) != Some(node as u64) {
            return Err(format!("wrong result of {node}"));
        }
    }
    Ok(elapsed.as_nanos() as f64 / dag.nodes() as f64)
}

fn build_and_run_ours(dag: &Prepared) -> Measured {
    let start = Instant::now();
    let plan = Ours::plan(dag.nodes() as u32, &dag.edges);
    let kept = dag
        .runtime
        .block_on(plan.run(LIMIT, |node| async move { Ok(node as u64) }))
        .map_err(|error| error.to_string())?;
    let elapsed = start.elapsed();
    if !Ours::fates(&kept).eq(oracle(dag, Work::Nothing)) {
        return Err("wrong outcomes".to_owned());
    }
    Ok(elapsed.as_nanos() as f64 / dag.nodes() as f64)
}

/// Build and run in one with dagrs, whose nodes wait for each other at channels.
fn build_and_run_dagrs(dag: &Prepared, runtime: &Runtime) -> Measured {
    use dagrs::async_trait::async_trait;
    use dagrs::{
        Action, Content, DefaultNode, EnvVar, Graph, InChannels, Node, NodeTable, OutChannels,
        Output,
    };

    struct Value(u64);

    #[async_trait]
    impl Action for Value {
        async fn run(&self, from: &mut InChannels, to: &mut OutChannels, _: Arc<EnvVar>) -> Output {
            for sender in from.get_sender_ids() {
                if let Err(error) = from.recv_from(&sender).await {
                    return Output::Err(error);
                }
            }
            to.broadcast(Content::new(self.0)).await;
            Output::Out(Some(Content::new(self.0)))
        }
    }

    let start = Instant::now();
    let mut table = NodeTable::new();
    let mut graph = Graph::new();
    let mut ids = Vec::with_capacity(dag.nodes());
    for node in 0..dag.nodes() {
        let name = node.to_string();
        let added = DefaultNode::with_action(name, Value(node as u64), &mut table);
        ids.push(added.id());
        graph.add_node(added).map_err(|error| error.to_string())?;
    }
    for node in 0..dag.nodes() {
        let dependents = dag.dependents(node).iter();
        let dependents: Vec<_> = dependents.map(|to| ids[*to as usize]).collect();
        if !dependents.is_empty() {
            let added = graph.add_edge(ids[node], dependents);
            added.map_err(|error| error.to_string())?;
        }
    }
    let report = runtime.block_on(graph.async_start());
    let elapsed = start.elapsed();
    report.map_err(|error| error.to_string())?;
    let outputs = graph.get_outputs();
    for (node, id) in ids.iter().enumerate() {
        let output = outputs.get(id).and_then(Output::get_out);
        if output.and_then(|value| value.get::<u64>().copied()) != Some(node as u64) {
            return Err(format!("wrong result of {node}"));
        }
    }
    Ok(elapsed.as_nanos() as f64 / dag.nodes() as f64)
}

/// Plans like those of a build farm: fifty nodes on at most two others each, which take from a
/// second to about an hour, evenly spread over the orders of magnitude, and vary by a fifth from run
/// to run. Simulated time.
struct Farm {
    plans: Vec<(Prepared, Dag<u32>, DurationEstimates<u32>, Vec<Duration>)>,
    clock: Arc<ManualClock>,
}

impl Farm {
    const NODES: u32 = 50;
    /// Nodes that may run at once.
    const LIMIT: usize = 4;

    fn new(plans: usize) -> Self {
        let mut state = 4;
        let clock = Arc::new(ManualClock::new());
        let plans = (0..plans).map(|_| {
            let mut random = |below: u32| (random(&mut state) % u64::from(below)) as u32;
            let dependencies = (0..Self::NODES).map(|node| {
                let on: Vec<u32> = (0..random(3).min(node)).map(|_| random(node)).collect();
                (node, on)
            });
            let dependencies: Vec<(u32, Vec<u32>)> = dependencies.collect();
            let mut edges: Vec<(u32, u32)> = Vec::new();
            for (node, on) in &dependencies {
                edges.extend(on.iter().map(|on| (*on, *node)));
            }
            edges.sort_unstable();
            edges.dedup();
            let dag = Dag::from_dependencies(dependencies).expect("no node stands on a later one");
            let estimates = DurationEstimates::builder().clock(clock.clone());
            let estimates = estimates.build().expect("the defaults are in range");
            let usual = (0..Self::NODES).map(|_| 1 << random(12));
            let usual: Vec<u64> = usual.collect();
            for (node, seconds) in (0..).zip(&usual) {
                estimates.record(&node, Duration::from_secs(*seconds));
            }
            let today = usual.iter();
            let today =
                today.map(|usual| Duration::from_millis(usual * u64::from(800 + random(401))));
            (
                Prepared::from_edges(Self::NODES, edges),
                dag,
                estimates,
                today.collect(),
            )
        });
        Self {
            plans: plans.collect(),
            clock: clock.clone(),
        }
    }

    /// Runs a future by moving time from one event to the next, and says how long it took.
    fn time<F: Future>(&self, future: F) -> (F::Output, f64) {
        let start = self.clock.now();
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return (output, (self.clock.now() - start).as_secs_f64());
            }
            let next = self.clock.next_deadline();
            self.clock
                .set(next.expect("nodes that run are all there is to wait for"));
        }
    }

    async fn work(&self, takes: Duration) -> Result<u64, Rejected> {
        self.clock.sleep(takes).await;
        Ok(0)
    }

    /// Seconds for all plans, one after the other.
    fn ours(&self) -> Measured {
        let mut total = 0.0;
        for (_, dag, estimates, durations) in &self.plans {
            let runner = dag.runner().limit(Self::LIMIT).estimates(estimates);
            let run = runner.run(|node| self.work(durations[node.index]));
            let (outcomes, took) = self.time(run);
            let outcomes = outcomes.map_err(|error| error.to_string())?;
            if !outcomes.iter().all(Outcome::is_done) {
                return Err("a node did not end".to_owned());
            }
            total += took;
        }
        Ok(total)
    }

    fn without_estimates(&self) -> Measured {
        let mut total = 0.0;
        for (_, dag, _, durations) in &self.plans {
            let run = dag.run(Self::LIMIT, |node| self.work(durations[node.index]));
            let (outcomes, took) = self.time(run);
            outcomes.map_err(|error| error.to_string())?;
            total += took;
        }
        Ok(total)
    }

    /// Whatever became ready last starts first.
    fn by_hand(&self) -> Measured {
        let mut total = 0.0;
        for (dag, _, _, durations) in &self.plans {
            let run = async {
                let mut state = ByHand::new(dag);
                let mut running = FuturesUnordered::new();
                loop {
                    while running.len() < Self::LIMIT
                        && let Some(node) = state.ready.pop()
                    {
                        let node = node as usize;
                        running.push(async move { (node, self.work(durations[node]).await) });
                    }
                    let Some((node, result)) = running.next().await else {
                        return;
                    };
                    state.finish(node, result);
                }
            };
            total += self.time(run).1;
        }
        Ok(total)
    }
}

pub(super) fn axes() -> Vec<Axis> {
    let sizes = [("10k", 10_000), ("1m", 1_000_000)];
    let shapes = [Shape::Wide, Shape::Deep, Shape::Layered];
    let mut axes = Vec::new();
    for (size, nodes) in sizes {
        for shape in shapes {
            axes.push(plan_axis(size, nodes, shape));
        }
    }
    // Shapes that nothing was made for.
    let others = [Shape::Scattered, Shape::Tree, Shape::Grid, Shape::Sparse];
    for shape in others {
        axes.push(plan_axis("1m", 1_000_000, shape));
    }
    for (size, nodes) in sizes {
        for shape in shapes {
            axes.push(run_axis(size, nodes, shape));
        }
    }
    for shape in others {
        let name = format!("dag_run_{}_1m", shape.name());
        axes.push(Axis::new(name.clone(), move |effort| {
            let nodes = 1_000_000;
            let dag = Prepared::new(shape, nodes);
            let [mut ours, mut unordered] = [false; 2];
            let goal = Goal::Peer(Unordered::NAME, 3.0);
            Contest::new(CRATE, &name, "ns", Better::Lower, goal)
                .ours(|| run::<Ours>(&dag, Work::Nothing, &mut ours))
                .peer(Unordered::NAME, || {
                    run::<Unordered>(&dag, Work::Nothing, &mut unordered)
                })
                .run(effort, rounds(nodes, effort))
        }));
    }
    // In the other shapes one failure of a hundred blocks nearly everything.
    axes.push(Axis::new("dag_run_wide_10k_work_1us", |effort| {
        let axis = "dag_run_wide_10k_work_1us";
        let dag = Prepared::new(Shape::Wide, 10_000);
        run_contest(axis, Goal::BestPeer(0.95), &dag, Work::Microsecond)
            .run(effort, effort.pick(7, 15))
    }));
    for shape in [Shape::Deep, Shape::Layered] {
        let name = format!("dag_build_run_{}_10k", shape.name());
        axes.push(Axis::new(name.clone(), move |effort| {
            let dag = Prepared::new(shape, 10_000);
            Contest::new(CRATE, &name, "ns", Better::Lower, Goal::BestPeer(3.0))
                .ours(|| build_and_run_ours(&dag))
                .peer("async_dag", || build_and_run_async_dag(&dag))
                .run(effort, effort.pick(7, 15))
        }));
    }
    for shape in [Shape::Wide, Shape::Deep, Shape::Layered] {
        // dagrs takes some 10 microseconds a node, and more for each in larger graphs.
        let name = format!("dag_build_run_{}_1k", shape.name());
        axes.push(Axis::new(name.clone(), move |effort| {
            let dag = Prepared::new(shape, 1_000);
            let threads = Builder::new_multi_thread().worker_threads(2).build();
            let threads = threads.map_err(|error| error.to_string())?;
            Contest::new(CRATE, &name, "ns", Better::Lower, Goal::BestPeer(3.0))
                .ours(|| build_and_run_ours(&dag))
                .peer("dagrs", || build_and_run_dagrs(&dag, &threads))
                .run(effort, effort.pick(5, 11))
        }));
    }
    axes.push(Axis::new("dag_makespan", |effort| {
        let farm = Farm::new(effort.pick(50, 200));
        let goal = Goal::Peer(Unordered::NAME, 1.0);
        Contest::new(CRATE, "dag_makespan", "s", Better::Lower, goal)
            .ours(|| farm.ours())
            .peer("ours without estimates", || farm.without_estimates())
            .peer(Unordered::NAME, || farm.by_hand())
            .run(effort, 3)
    }));
    axes
}

fn plan_axis(size: &str, nodes: u32, shape: Shape) -> Axis {
    let name = format!("dag_plan_{}_{size}", shape.name());
    Axis::new(name.clone(), move |effort| -> Result<Record, String> {
        let edges = shape.edges(nodes);
        Contest::new(CRATE, &name, "ns", Better::Lower, Goal::BestPeer(1.5))
            .ours(|| plan::<Ours>(nodes, &edges))
            .peer(Petgraph::NAME, || plan::<Petgraph>(nodes, &edges))
            .run(effort, rounds(nodes, effort))
    })
}

fn run_axis(size: &str, nodes: u32, shape: Shape) -> Axis {
    let name = format!("dag_run_{}_{size}", shape.name());
    Axis::new(name.clone(), move |effort| -> Result<Record, String> {
        let dag = Prepared::new(shape, nodes);
        let why = match shape {
            Shape::Wide => "its nodes take a handful of inputs",
            _ => "builds and runs in one: see dag_build_run",
        };
        run_contest(&name, Goal::Peer(Unordered::NAME, 3.0), &dag, Work::Nothing)
            .unable("async_dag", why)
            .run(effort, rounds(nodes, effort))
    })
}

fn run_contest<'a>(axis: &str, goal: Goal, dag: &'a Prepared, work: Work) -> Contest<'a> {
    let [mut ours, mut unordered, mut joined] = [false; 3];
    Contest::new(CRATE, axis, "ns", Better::Lower, goal)
        .ours(move || run::<Ours>(dag, work, &mut ours))
        .peer(Unordered::NAME, move || {
            run::<Unordered>(dag, work, &mut unordered)
        })
        .peer(Joined::NAME, move || run::<Joined>(dag, work, &mut joined))
}

fn rounds(nodes: u32, effort: Effort) -> usize {
    if nodes < 100_000 {
        effort.pick(9, 31)
    } else {
        effort.pick(3, 9)
    }
}
