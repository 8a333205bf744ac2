//! Random graphs against an oracle that is slow and obvious.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use brolly_batch::{
    Dag, DagError, DenseDag, DurationEstimates, ItemError, Join, OnFailure, Outcome, Stopped,
};
use proptest::prelude::*;

use crate::support::{run, yield_times};

/// Per node, its dependencies.
type Dependencies = Vec<BTreeSet<usize>>;

fn edges_of(dependencies: &Dependencies) -> Vec<(u32, u32)> {
    let pairs = dependencies.iter().enumerate();
    pairs
        .flat_map(|(node, on)| on.iter().map(move |&on| (on as u32, node as u32)))
        .collect()
}

/// Edges from anywhere to anywhere: often with cycles.
fn any_graph() -> impl Strategy<Value = Dependencies> {
    (1_usize..12).prop_flat_map(|nodes| {
        prop::collection::vec(prop::collection::btree_set(0..nodes, 0..3), nodes)
    })
}

/// A graph without cycles, and what its nodes are like.
#[derive(Clone, Debug)]
struct Graph {
    dependencies: Dependencies,
    fails: Vec<bool>,
    waits_for_any: Vec<bool>,
}

impl Graph {
    fn len(&self) -> usize {
        self.dependencies.len()
    }

    fn dag(&self) -> DenseDag {
        let dag = DenseDag::from_edges(self.len(), &edges_of(&self.dependencies))
            .expect("drawn graphs have no cycles");
        dag.with_joins(|node| match self.waits_for_any[node] {
            true => Join::Any,
            false => Join::All,
        })
    }
}

/// A graph without cycles under a random numbering.
fn acyclic() -> impl Strategy<Value = Graph> {
    (1_usize..40).prop_flat_map(|nodes| {
        let rank = Just((0..nodes).collect::<Vec<_>>()).prop_shuffle();
        let on = prop::collection::vec(
            prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            nodes,
        );
        let fails = prop::collection::vec(prop::bool::weighted(0.15), nodes);
        let joins = prop_oneof![Just(0.0), Just(0.5), Just(1.0)]
            .prop_flat_map(move |any| prop::collection::vec(prop::bool::weighted(any), nodes));
        (rank, on, fails, joins).prop_map(move |(rank, on, fails, waits_for_any)| {
            let mut dependencies = vec![BTreeSet::new(); nodes];
            for at in 1..nodes {
                for index in &on[at] {
                    dependencies[rank[at]].insert(rank[index.index(at)]);
                }
            }
            Graph {
                dependencies,
                fails,
                waits_for_any,
            }
        })
    })
}

fn level(dependencies: &Dependencies, node: usize) -> usize {
    let below = dependencies[node]
        .iter()
        .map(|&on| 1 + level(dependencies, on));
    below.max().unwrap_or(0)
}

/// Whether `to` can be reached from `from` over dependencies, in at least one step.
fn reaches(dependencies: &Dependencies, from: usize, to: usize, without: &BTreeSet<usize>) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(node) = next.pop() {
        for &on in dependencies[node].difference(without) {
            if on == to {
                return true;
            }
            if seen.insert(on) {
                next.push(on);
            }
        }
    }
    false
}

/// How the definition says a node ends when nothing stops the run.
fn expected(graph: &Graph, node: usize) -> Outcome<usize, usize> {
    let all = &graph.dependencies[node];
    let lost = all
        .iter()
        .copied()
        .filter(|&on| !expected(graph, on).is_done());
    let by: Vec<usize> = lost.collect();
    let is_blocked = match graph.waits_for_any[node] {
        true => !all.is_empty() && by.len() == all.len(),
        false => !by.is_empty(),
    };
    match (is_blocked, graph.fails[node]) {
        (true, _) => Outcome::Blocked { by: by.into() },
        (false, true) => Outcome::Failed(ItemError::Failed(node)),
        (false, false) => Outcome::Done(node),
    }
}

/// Panics unless every start comes after the success of the dependencies it waits for.
fn check_order(graph: &Graph, events: &[(usize, bool)]) {
    for (at, &(node, is_end)) in events.iter().enumerate() {
        let has_succeeded = |&on: &usize| events[..at].contains(&(on, true)) && !graph.fails[on];
        let on = &graph.dependencies[node];
        let may_start = match graph.waits_for_any[node] {
            true => on.is_empty() || on.iter().any(has_succeeded),
            false => on.iter().all(has_succeeded),
        };
        assert!(is_end || may_start, "{node} came too early");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn levels_equal_the_definition(graph in acyclic()) {
        let dependencies = graph.dependencies;
        let named = dependencies.iter().enumerate().map(|(n, on)| (n, on.iter().copied()));
        let levels = Dag::from_dependencies(named).unwrap().levels();
        let mut seen = 0;
        for (number, nodes) in levels.iter().enumerate() {
            prop_assert!(nodes.is_sorted());
            for &node in nodes {
                prop_assert_eq!(level(&dependencies, node), number);
                seen += 1;
            }
        }
        prop_assert_eq!(seen, dependencies.len());
    }

    #[test]
    fn a_run_ends_as_the_definition_says(graph in acyclic(), limit in 1_usize..6) {
        let dag = graph.dag();
        let work = |node: usize| if graph.fails[node] { Err(node) } else { Ok(node) };
        let definition: Vec<_> = (0..graph.len()).map(|node| expected(&graph, node)).collect();

        let events = RefCell::new(Vec::new());
        let outcomes = run(dag.run(limit, |node| {
            let events = &events;
            async move {
                events.borrow_mut().push((node, false));
                yield_times(node % 3).await;
                events.borrow_mut().push((node, true));
                work(node)
            }
        }));
        prop_assert_eq!(outcomes.unwrap(), definition.clone());
        check_order(&graph, &events.into_inner());

        let events = Mutex::new(Vec::new());
        let outcomes = dag.run_blocking(limit, |node| {
            events.lock().unwrap().push((node, false));
            let result = work(node);
            events.lock().unwrap().push((node, true));
            result
        });
        prop_assert_eq!(outcomes.unwrap(), definition);
        check_order(&graph, &events.into_inner().unwrap());
    }

    /// Whatever stops a run half way: what ran has its result, what failures block is blocked, and
    /// only the rest is stopped.
    #[test]
    fn a_run_that_stops_at_a_failure_says_of_each_node_how_far_it_came(
        graph in acyclic(),
        limit in 1_usize..6,
        drains in any::<bool>(),
    ) {
        let dag = graph.dag();
        let [started, ended] = [(); 2].map(|()| RefCell::new(BTreeSet::new()));
        let on_failure = if drains { OnFailure::Drain } else { OnFailure::Cancel };
        let outcomes = run(dag.runner().limit(limit).on_failure(on_failure).run(|node| {
            let (started, ended, fails) = (&started, &ended, &graph.fails);
            async move {
                assert!(ended.borrow().iter().all(|&on: &usize| !fails[on]), "started after a failure");
                started.borrow_mut().insert(node);
                yield_times(node % 3).await;
                ended.borrow_mut().insert(node);
                if fails[node] { Err(node) } else { Ok(node) }
            }
        })).unwrap();
        let (started, ended) = (started.into_inner(), ended.into_inner());

        if drains {
            prop_assert_eq!(&started, &ended);
        }
        let lost = |node: usize| matches!(outcomes[node], Outcome::Failed(_) | Outcome::Blocked { .. });
        for (node, outcome) in outcomes.iter().enumerate() {
            let all = &graph.dependencies[node];
            let by: Vec<usize> = all.iter().copied().filter(|&on| lost(on)).collect();
            let is_blocked = match graph.waits_for_any[node] {
                true => !all.is_empty() && by.len() == all.len(),
                false => !by.is_empty(),
            };
            let is_started = started.contains(&node);
            let definition = match (ended.contains(&node), graph.fails[node]) {
                (true, false) => Outcome::Done(node),
                (true, true) => Outcome::Failed(ItemError::Failed(node)),
                (false, _) if is_blocked && !is_started => Outcome::Blocked { by: by.into() },
                (false, _) => Outcome::Stopped { started: is_started, why: Stopped::Failed },
            };
            prop_assert_eq!(outcome, &definition);
        }
        let has_failed = ended.iter().any(|&node| graph.fails[node]);
        let is_stopped = outcomes.iter().any(|end| matches!(end, Outcome::Stopped { .. }));
        prop_assert!(has_failed || !is_stopped);
    }

    #[test]
    fn ready_nodes_start_in_order_of_their_remaining_path(graph in acyclic(), weights in prop::collection::vec(0_u64..9, 40)) {
        let dag = graph.dag().with_weights(|node| weights[node]);
        let order = RefCell::new(Vec::new());
        run(dag.run(1, |node| {
            order.borrow_mut().push(node);
            async { Ok::<_, ()>(()) }
        })).unwrap();

        let mut done = BTreeSet::new();
        for node in order.into_inner() {
            let is_ready = |node: usize| {
                let on = &graph.dependencies[node];
                on.is_subset(&done) || graph.waits_for_any[node] && !on.is_disjoint(&done)
            };
            let ready = (0..graph.len()).filter(|n| !done.contains(n) && is_ready(*n));
            let best = ready.max_by_key(|&n| (dag.remaining_path(n), std::cmp::Reverse(n)));
            prop_assert_eq!(Some(node), best);
            done.insert(node);
        }
    }

    #[test]
    fn estimates_change_the_order_and_never_the_outcomes(
        graph in acyclic(),
        limit in 1_usize..6,
        durations in prop::collection::vec(prop::option::of(0_u64..1_000), 40),
    ) {
        let named = graph.dependencies.iter().enumerate().map(|(n, on)| (n, on.iter().copied()));
        let dag = Dag::from_dependencies(named).unwrap().with_joins(|&node| graph.dag().join(node));
        let estimates = DurationEstimates::builder().build().unwrap();
        for (node, nanos) in durations.iter().enumerate() {
            if let Some(nanos) = nanos {
                estimates.record(&node, Duration::from_nanos(*nanos));
            }
        }
        let outcomes = run(dag.runner().limit(limit).estimates(&estimates).run(|node| {
            let fails = graph.fails[node.index];
            async move {
                yield_times(node.index % 3).await;
                if fails { Err(node.index) } else { Ok(node.index) }
            }
        })).unwrap();
        let definition: Vec<_> = (0..graph.len()).map(|node| expected(&graph, node)).collect();
        prop_assert_eq!(outcomes, definition);
    }

    #[test]
    fn reported_cycles_are_cycles_and_cover_all_of_them(dependencies in any_graph()) {
        let nodes = dependencies.len();
        let nowhere = BTreeSet::new();
        let cyclic = (0..nodes).any(|node| reaches(&dependencies, node, node, &nowhere));
        let named = dependencies.iter().enumerate().map(|(n, on)| (n, on.iter().copied()));
        let errors = match Dag::from_dependencies(named) {
            Ok(_) => {
                prop_assert!(!cyclic);
                return Ok(());
            }
            Err(errors) => errors,
        };
        prop_assert!(cyclic);
        let mut on_cycles = BTreeSet::new();
        for error in errors {
            let DagError::Cycle { path } = error else { panic!("{error} is not a cycle") };
            for (at, node) in path.iter().enumerate() {
                prop_assert!(dependencies[*node].contains(&path[(at + 1) % path.len()]));
                prop_assert!(on_cycles.insert(*node), "cycles share no node");
            }
        }
        for node in (0..nodes).filter(|node| !on_cycles.contains(node)) {
            prop_assert!(!reaches(&dependencies, node, node, &on_cycles), "{} was missed", node);
        }
    }
}
