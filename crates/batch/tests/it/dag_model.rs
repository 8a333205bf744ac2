//! Random graphs against an oracle that is slow and obvious.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Mutex;

use brolly_batch::{Dag, DagError, DenseDag, ItemError, Outcome};
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

/// A graph without cycles under a random numbering, and which nodes fail.
fn acyclic() -> impl Strategy<Value = (Dependencies, Vec<bool>)> {
    (1_usize..40).prop_flat_map(|nodes| {
        let rank = Just((0..nodes).collect::<Vec<_>>()).prop_shuffle();
        let on = prop::collection::vec(
            prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            nodes,
        );
        let fails = prop::collection::vec(prop::bool::weighted(0.15), nodes);
        (rank, on, fails).prop_map(move |(rank, on, fails)| {
            let mut dependencies = vec![BTreeSet::new(); nodes];
            for at in 1..nodes {
                for index in &on[at] {
                    dependencies[rank[at]].insert(rank[index.index(at)]);
                }
            }
            (dependencies, fails)
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

fn expected(dependencies: &Dependencies, fails: &[bool], node: usize) -> Outcome<usize, usize> {
    let by: Box<[usize]> = dependencies[node]
        .iter()
        .copied()
        .filter(|&on| !expected(dependencies, fails, on).is_done())
        .collect();
    match (by.is_empty(), fails[node]) {
        (false, _) => Outcome::Blocked { by },
        (true, true) => Outcome::Failed(ItemError::Failed(node)),
        (true, false) => Outcome::Done(node),
    }
}

/// Panics unless every start comes after the end of all dependencies.
fn check_order(dependencies: &Dependencies, events: &[(usize, bool)]) {
    for (at, &(node, is_end)) in events.iter().enumerate() {
        if !is_end {
            for &on in &dependencies[node] {
                assert!(events[..at].contains(&(on, true)), "{node} before {on}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn levels_equal_the_definition((dependencies, _) in acyclic()) {
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
    fn a_run_ends_as_the_definition_says((dependencies, fails) in acyclic(), limit in 1_usize..6) {
        let dag = DenseDag::from_edges(dependencies.len(), &edges_of(&dependencies)).unwrap();
        let work = |node: usize| if fails[node] { Err(node) } else { Ok(node) };
        let definition: Vec<_> = (0..dependencies.len())
            .map(|node| expected(&dependencies, &fails, node))
            .collect();

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
        check_order(&dependencies, &events.into_inner());

        let events = Mutex::new(Vec::new());
        let outcomes = dag.run_blocking(limit, |node| {
            events.lock().unwrap().push((node, false));
            let result = work(node);
            events.lock().unwrap().push((node, true));
            result
        });
        prop_assert_eq!(outcomes.unwrap(), definition);
        check_order(&dependencies, &events.into_inner().unwrap());
    }

    #[test]
    fn ready_nodes_start_in_order_of_their_remaining_path((dependencies, _) in acyclic(), weights in prop::collection::vec(0_u64..9, 40)) {
        let nodes = dependencies.len();
        let dag = DenseDag::from_edges(nodes, &edges_of(&dependencies)).unwrap()
            .with_weights(|node| weights[node]);
        let order = RefCell::new(Vec::new());
        run(dag.run(1, |node| {
            order.borrow_mut().push(node);
            async { Ok::<_, ()>(()) }
        })).unwrap();

        let mut done = BTreeSet::new();
        for node in order.into_inner() {
            let ready = (0..nodes)
                .filter(|n| !done.contains(n) && dependencies[*n].is_subset(&done));
            let best = ready.max_by_key(|&n| (dag.remaining_path(n), std::cmp::Reverse(n)));
            prop_assert_eq!(Some(node), best);
            done.insert(node);
        }
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
