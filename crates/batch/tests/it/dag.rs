//! Graphs: their errors, levels, and the promises of a run.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::sync::{Barrier, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use brolly_batch::{ConfigError, Dag, DagError, DenseDag, ItemError, Outcome};

use crate::support::{Gauge, run, yield_times};

type Input = Vec<(&'static str, Vec<&'static str>)>;

fn errors(nodes: Input) -> Vec<DagError<&'static str>> {
    Dag::from_dependencies(nodes)
        .expect_err("the graph is wrong")
        .into_iter()
        .collect()
}

#[test]
fn an_empty_graph_has_no_levels_and_runs_to_nothing() {
    let dag = Dag::<String>::from_dependencies(Vec::<(String, Vec<String>)>::new()).unwrap();
    assert!(dag.is_empty());
    assert!(dag.levels().is_empty());
    assert_eq!(dag.critical_path(), 0);
    let never = |_| -> Result<(), ()> { unreachable!("no node") };
    assert_eq!(dag.dense().run_blocking(1, never), Ok(vec![]));
    assert_eq!(
        run(dag.dense().run(1, |_| async { Ok::<(), ()>(()) })),
        Ok(vec![])
    );
}

#[test]
fn a_level_lies_one_above_the_highest_dependency_and_is_sorted_bytewise() {
    let dag = Dag::from_dependencies(vec![
        ("z", vec!["a", "b"]),
        ("é", vec![]),
        ("b", vec!["a"]),
        ("a", vec![]),
        ("Z", vec![]),
        ("y", vec!["a"]),
    ]);
    let levels = dag.unwrap().levels();
    assert_eq!(levels, [vec!["Z", "a", "é"], vec!["b", "y"], vec!["z"]]);
}

/// The originals sorted the caller's lists in place and returned their cached answer itself.
#[test]
fn levels_leave_the_callers_input_untouched() {
    let nodes = vec![("b", vec!["z", "a"]), ("z", vec![]), ("a", vec![])];
    let before = nodes.clone();
    let dag = Dag::from_dependencies(nodes.iter().map(|(n, d)| (*n, d.clone()))).unwrap();
    let mut levels = dag.levels();
    levels[0].clear();
    assert_eq!(nodes, before);
    assert_eq!(dag.levels(), [vec!["a", "z"], vec!["b"]]);
}

#[test]
fn a_dependency_named_twice_counts_once() {
    let dag = Dag::from_dependencies(vec![("a", vec![]), ("b", vec!["a", "a", "a"])]).unwrap();
    assert_eq!(dag.dense().dependencies(1), [0]);
    let outcomes = dag.run_blocking(1, |node| Err::<(), _>(*node.key)).unwrap();
    assert_eq!(outcomes[1], Outcome::Blocked { by: [0].into() });
}

#[test]
fn an_absurd_size_hint_of_a_list_of_dependencies_does_no_harm() {
    struct Liar(Option<&'static str>);
    impl Iterator for Liar {
        type Item = &'static str;
        fn next(&mut self) -> Option<&'static str> {
            self.0.take()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, None)
        }
    }
    let dag = Dag::from_dependencies([("a", Liar(None)), ("b", Liar(Some("a")))]).unwrap();
    assert_eq!(dag.levels(), [["a"], ["b"]]);
}

#[test]
fn an_unknown_dependency_is_reported_once_for_each_node_that_names_it() {
    let found = errors(vec![
        ("a", vec!["ghost", "b", "ghost"]),
        ("b", vec!["ghost"]),
        ("a", vec!["ghost"]),
    ]);
    let unknown = |node| DagError::UnknownDependency {
        node,
        dependency: "ghost",
    };
    let twice = DagError::DuplicateNode { node: "a" };
    assert_eq!(found, [unknown("a"), unknown("b"), twice]);
}

#[test]
fn an_unknown_dependency_is_reported_with_its_node() {
    let found = errors(vec![("a", vec!["ghost"])]);
    let expected = DagError::UnknownDependency {
        node: "a",
        dependency: "ghost",
    };
    assert_eq!(found, std::slice::from_ref(&expected));
    assert_eq!(
        expected.to_string(),
        r#"node "a" depends on "ghost", which is not a node"#
    );
}

/// The originals let the second one win without a word.
#[test]
fn a_node_defined_twice_is_reported() {
    let found = errors(vec![("a", vec![]), ("b", vec![]), ("a", vec!["b"])]);
    assert_eq!(found, [DagError::DuplicateNode { node: "a" }]);
}

#[test]
fn a_node_that_depends_on_itself_is_a_cycle_of_one() {
    let found = errors(vec![("a", vec!["a"])]);
    assert_eq!(found, [DagError::Cycle { path: vec!["a"] }]);
    assert_eq!(found[0].to_string(), r#"dependency cycle: "a" -> "a""#);
}

/// The originals named everything behind a cycle as part of it.
#[test]
fn innocent_downstream_nodes_are_not_reported_as_cycle_members() {
    let found = errors(vec![
        ("before", vec![]),
        ("a", vec!["before", "c"]),
        ("b", vec!["a"]),
        ("c", vec!["b"]),
        ("after", vec!["c"]),
        ("far", vec!["after"]),
    ]);
    assert_eq!(
        found,
        [DagError::Cycle {
            path: vec!["a", "c", "b"]
        }]
    );
}

#[test]
fn every_error_is_reported_at_once() {
    let found = errors(vec![
        ("a", vec!["b"]),
        ("b", vec!["a", "x"]),
        ("a", vec!["y"]),
        ("c", vec!["d"]),
        ("d", vec!["c"]),
    ]);
    assert_eq!(
        found,
        [
            DagError::UnknownDependency {
                node: "b",
                dependency: "x"
            },
            DagError::DuplicateNode { node: "a" },
            DagError::UnknownDependency {
                node: "a",
                dependency: "y"
            },
            DagError::Cycle {
                path: vec!["a", "b"]
            },
            DagError::Cycle {
                path: vec!["c", "d"]
            },
        ]
    );
}

#[test]
fn the_list_of_errors_reads_as_one_sentence() {
    let found = Dag::from_dependencies(vec![("a", vec!["a", "x"])]).unwrap_err();
    assert_eq!(found.len(), 2);
    assert_eq!(found.first(), found.iter().next().unwrap());
    assert_eq!(
        found.to_string(),
        r#"node "a" depends on "x", which is not a node; dependency cycle: "a" -> "a""#
    );
}

#[test]
fn an_edge_out_of_range_is_reported() {
    let found = DenseDag::from_edges(2, &[(0, 1), (1, 2), (9, 0)]).unwrap_err();
    let expected = [(1, 2), (9, 0)].map(|edge| DagError::OutOfRange { edge, nodes: 2 });
    assert!(found.iter().eq(&expected));
}

#[test]
fn a_million_nodes_in_a_chain_or_a_ring_overflow_no_stack() {
    let nodes = 1_000_000;
    let mut edges: Vec<_> = (1..nodes).map(|n| (n - 1, n)).collect();
    let chain = DenseDag::from_edges(nodes as usize, &edges).unwrap();
    assert_eq!(chain.levels().len(), nodes as usize);
    assert_eq!(chain.critical_path(), u64::from(nodes));
    let failed = chain.run_blocking(1, |_| Err::<(), _>("first")).unwrap();
    assert_eq!(failed[0], Outcome::Failed(ItemError::Failed("first")));
    assert!(
        failed[1..]
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Blocked { .. }))
    );

    edges.push((nodes - 1, 0));
    let ring = DenseDag::from_edges(nodes as usize, &edges).unwrap_err();
    assert!(matches!(ring.first(), DagError::Cycle { path } if path.len() == nodes as usize));
}

#[test]
fn keys_and_indexes_lead_to_each_other() {
    let nodes = [
        ("b".to_owned(), vec!["a".to_owned()]),
        ("a".to_owned(), vec![]),
    ];
    let dag = Dag::from_dependencies(nodes).unwrap();
    assert_eq!(dag.keys(), ["b", "a"]);
    assert_eq!(
        (dag.index_of("a"), dag.index_of("b"), dag.index_of("c")),
        (Some(1), Some(0), None)
    );
    assert_eq!(dag.key(1).unwrap(), "a");
    assert_eq!(dag.key(2), None);
    assert_eq!(dag.dense().dependencies(2), [0_u32; 0]);
}

#[test]
fn a_limit_of_zero_is_refused_before_anything_runs() {
    let dag = DenseDag::from_edges(1, &[]).unwrap();
    let never = |_| -> Result<(), ()> { unreachable!("refused") };
    let expected = ConfigError::OutOfRange {
        field: "limit",
        value: 0,
        min: 1,
        max: 1 << 20,
    };
    assert_eq!(dag.run_blocking(0, never), Err(expected.clone()));
    assert_eq!(run(dag.run(0, |n| async move { never(n) })), Err(expected));
}

/// The originals started a dependent while its dependency was still running.
#[test]
fn a_dependent_never_starts_before_its_dependency_finished() {
    let dag = DenseDag::from_edges(2, &[(0, 1)]).unwrap();
    let events = RefCell::new(Vec::new());
    let log = |event| events.borrow_mut().push(event);
    run(dag.run(8, |n| async move {
        log((n, "start"));
        yield_times(5).await;
        log((n, "end"));
        Ok::<_, Infallible>(())
    }))
    .unwrap();
    assert_eq!(
        *events.borrow(),
        [(0, "start"), (0, "end"), (1, "start"), (1, "end")]
    );
}

#[test]
fn a_failure_blocks_what_depends_on_it_and_nothing_else() {
    let dag = Dag::from_dependencies(vec![
        ("top", vec!["bad", "mid"]),
        ("mid", vec!["worse", "good", "bad"]),
        ("bad", vec![]),
        ("worse", vec![]),
        ("good", vec![]),
        ("apart", vec!["good"]),
    ])
    .unwrap();
    let work = |name: &str| match name {
        "bad" | "worse" => Err(name.to_owned()),
        "top" | "mid" => unreachable!("blocked"),
        _ => Ok(()),
    };
    let expected = [
        Outcome::Blocked { by: [1, 2].into() },
        Outcome::Blocked { by: [2, 3].into() },
        Outcome::Failed(ItemError::Failed("bad".to_owned())),
        Outcome::Failed(ItemError::Failed("worse".to_owned())),
        Outcome::Done(()),
        Outcome::Done(()),
    ];
    for limit in 1..5 {
        assert_eq!(
            run(dag.run(limit, |node| async move { work(node.key) })).unwrap(),
            expected
        );
        assert_eq!(
            dag.run_blocking(limit, |node| work(node.key)).unwrap(),
            expected
        );
    }
}

/// dagrs once counted such an edge twice and took what was left over for a loop.
#[test]
fn an_edge_given_twice_is_no_loop_and_holds_nobody_up() {
    let dag = DenseDag::from_edges(2, &[(0, 1), (0, 1), (0, 1)]).unwrap();
    assert_eq!(dag.levels().len(), 2);
    let outcomes = dag.run_blocking(2, Ok::<_, ()>).unwrap();
    assert_eq!(outcomes, [0, 1].map(Outcome::Done));
}

#[test]
fn an_edge_given_twice_is_one_cause() {
    let dag = DenseDag::from_edges(2, &[(0, 1), (0, 1)]).unwrap();
    let outcomes = dag.run_blocking(1, |_| Err::<(), _>("broken")).unwrap();
    assert_eq!(outcomes[1], Outcome::Blocked { by: [0].into() });
}

#[test]
fn the_next_node_starts_at_once_without_waiting_for_its_level() {
    // 0 and 1 are on the first level; 2 needs only 1 and must not wait for 0.
    let dag = DenseDag::from_edges(3, &[(1, 2)]).unwrap();
    let gate = Cell::new(false);
    let future = dag.run(2, |n| {
        let gate = &gate;
        std::future::poll_fn(move |cx| {
            gate.set(gate.get() || n == 2);
            match n == 0 && !gate.get() {
                true => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                false => Poll::Ready(Ok::<_, Infallible>(n)),
            }
        })
    });
    assert!(run(future).unwrap().iter().all(Outcome::is_done));
}

#[test]
fn the_longest_remaining_path_starts_first_and_ties_go_by_index() {
    let order = |dag: &DenseDag| {
        let order = RefCell::new(Vec::new());
        run(dag.run(1, |n| {
            order.borrow_mut().push(n);
            async { Ok::<_, Infallible>(()) }
        }))
        .unwrap();
        order.into_inner()
    };
    let edges = [(2, 3), (3, 4), (1, 5)];
    let dag = DenseDag::from_edges(6, &edges).unwrap();
    assert_eq!(order(&dag), [2, 1, 3, 0, 4, 5]);
    let dag = dag.with_weights(|n| if n == 0 { 10 } else { 1 });
    assert_eq!(order(&dag), [0, 2, 1, 3, 4, 5]);
    assert_eq!(
        (
            dag.critical_path(),
            dag.remaining_path(2),
            dag.remaining_path(9)
        ),
        (10, 3, 0)
    );
}

#[test]
fn weights_saturate() {
    let dag = Dag::from_dependencies(vec![("a", vec![]), ("b", vec!["a"])]).unwrap();
    let dag = dag.with_weights(|_| u64::MAX);
    assert_eq!(dag.critical_path(), u64::MAX);
    assert!(
        dag.run_blocking(1, |_| Ok::<_, ()>(()))
            .unwrap()
            .iter()
            .all(Outcome::is_done)
    );
}

#[test]
fn never_more_nodes_than_the_limit_are_in_flight() {
    let edges: Vec<_> = (1..200)
        .map(|n| (n / 3, n))
        .filter(|(a, b)| a != b)
        .collect();
    let dag = DenseDag::from_edges(200, &edges).unwrap();
    for limit in [1, 3, 50] {
        let gauge = Gauge::default();
        run(dag.run(limit, |n| {
            let gauge = &gauge;
            async move {
                let _guard = gauge.enter();
                yield_times(1 + n % 3).await;
                Ok::<_, Infallible>(())
            }
        }))
        .unwrap();
        assert_eq!(gauge.peak(), limit);
    }
}

#[test]
fn blocking_nodes_run_side_by_side_up_to_the_limit() {
    // The three middle nodes must be inside at once, or the barrier never opens.
    let dag = DenseDag::from_edges(5, &[(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)]).unwrap();
    let barrier = Barrier::new(3);
    let threads = Mutex::new(Vec::new());
    let outcomes = dag.run_blocking(3, |n| {
        if (1..4).contains(&n) {
            barrier.wait();
            threads.lock().unwrap().push(thread::current().id());
        }
        Ok::<_, ()>(n)
    });
    assert_eq!(outcomes.unwrap().len(), 5);
    let mut threads = threads.into_inner().unwrap();
    threads.dedup();
    assert_eq!(threads.len(), 3);
}

#[test]
fn an_idle_thread_is_woken_when_nodes_become_ready() {
    // A comb: the tooth of each joint must run beside the next joint.
    let mut edges = Vec::new();
    for joint in (0..40).step_by(2) {
        edges.extend([(joint, joint + 1), (joint, joint + 2)]);
    }
    let dag = DenseDag::from_edges(41, &edges).unwrap();
    let pair = Barrier::new(2);
    let outcomes = dag.run_blocking(2, |n| {
        if n > 0 {
            pair.wait(); // 40 nodes, two at a time
        }
        Ok::<_, ()>(())
    });
    assert!(outcomes.unwrap().iter().all(Outcome::is_done));
}

#[test]
fn one_graph_serves_several_runs_at_once() {
    let dag = DenseDag::from_edges(3, &[(0, 1), (1, 2)]).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let outcomes = dag.run_blocking(2, Ok::<_, ()>).unwrap();
                assert_eq!(outcomes, [0, 1, 2].map(Outcome::Done));
            });
        }
    });
}

#[test]
fn a_node_may_borrow_its_name() {
    let dag = Dag::from_dependencies(vec![("a".to_owned(), vec![])]).unwrap();
    let lengths = run(dag.run(1, |node| async move {
        yield_times(1).await;
        Ok::<_, Infallible>(node.key.as_str())
    }));
    assert_eq!(lengths.unwrap(), [Outcome::Done("a")]);
    let _ = Waker::noop();
}
