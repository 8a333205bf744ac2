//! Durations learnt from runs: what is kept of them, and what they gain.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_batch::{ConfigError, Dag, DurationEstimates};
use brolly_sync::{Clock, ManualClock, Timer};
use proptest::prelude::*;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn estimates(capacity: usize, newest_percent: usize) -> DurationEstimates<u32> {
    let builder = DurationEstimates::builder().capacity(capacity);
    builder
        .newest_percent(newest_percent)
        .build()
        .expect("tests use settings within range")
}

/// Drives a future by moving time from one event to the next.
fn run_in<F: Future>(clock: &ManualClock, future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return output;
        }
        let next = clock.next_deadline();
        clock.set(next.expect("pending, and nothing is to come"));
    }
}

/// Runs a graph whose nodes take this long, and returns how long all of it took.
fn makespan(
    dag: &Dag<u32>,
    limit: usize,
    durations: &[Duration],
    clock: &Arc<ManualClock>,
    learnt: Option<&DurationEstimates<u32>>,
) -> Duration {
    let start = clock.now();
    let mut runner = dag.runner().limit(limit);
    if let Some(estimates) = learnt {
        runner = runner.estimates(estimates);
    }
    let outcomes = run_in(
        clock,
        runner.run(|node| {
            let sleep = clock.sleep(durations[node.index]);
            async move {
                sleep.await;
                Ok::<_, ()>(())
            }
        }),
    );
    assert!(
        outcomes
            .expect("the plan is valid")
            .iter()
            .all(|outcome| outcome.is_done())
    );
    clock.now() - start
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refused = |capacity, percent| {
        let builder = DurationEstimates::<u32>::builder().capacity(capacity);
        builder.newest_percent(percent).build().unwrap_err()
    };
    let out_of_range = |field, value, max| ConfigError::OutOfRange {
        field,
        value,
        min: 1,
        max,
    };
    assert_eq!(refused(0, 1), out_of_range("capacity", 0, 1 << 24));
    assert_eq!(
        refused(usize::MAX, 1),
        out_of_range("capacity", usize::MAX, 1 << 24)
    );
    assert_eq!(refused(1, 0), out_of_range("newest_percent", 0, 100));
    assert_eq!(refused(1, 101), out_of_range("newest_percent", 101, 100));
}

#[test]
fn an_estimate_moves_towards_the_newest_duration() {
    let estimates = estimates(10, 25);
    assert_eq!(estimates.get(&7), None);
    estimates.record(&7, secs(100));
    assert_eq!(estimates.get(&7), Some(secs(100)));
    estimates.record(&7, secs(200));
    assert_eq!(estimates.get(&7), Some(secs(125)));
    estimates.record(&7, Duration::MAX);
    assert!(estimates.get(&7) > Some(secs(1_000_000_000)));
}

#[test]
fn a_run_teaches_how_long_the_nodes_took_that_succeeded() {
    let clock = Arc::new(ManualClock::new());
    let estimates = DurationEstimates::builder().clock(clock.clone());
    let estimates = estimates.build().unwrap();
    let dag = Dag::from_dependencies([(1_u32, vec![]), (2, vec![1]), (3, vec![]), (4, vec![3])]);
    let dag = dag.unwrap();
    let run = dag.runner().estimates(&estimates).run(|node| {
        let sleep = clock.sleep(secs(u64::from(*node.key)));
        async move {
            sleep.await;
            if *node.key == 3 { Err(()) } else { Ok(()) }
        }
    });
    run_in(&clock, run).unwrap();
    let known = [1, 2, 3, 4].map(|key| estimates.get(&key));
    assert_eq!(known, [Some(secs(1)), Some(secs(2)), None, None]);
}

#[test]
fn a_blocking_run_teaches_too() {
    let clock = Arc::new(ManualClock::new());
    let estimates = DurationEstimates::builder().clock(clock.clone());
    let estimates = estimates.build().unwrap();
    let dag = Dag::from_dependencies([("a", vec![]), ("b", vec!["a"])]).unwrap();
    let run = dag.runner().limit(2).estimates(&estimates);
    run.run_blocking(|node| {
        clock.advance(secs(3));
        if node.index == 0 { Ok(()) } else { Err(()) }
    })
    .unwrap();
    assert_eq!(estimates.get(&"a"), Some(secs(3)));
    assert_eq!(estimates.get(&"b"), None);
}

#[test]
fn a_run_that_is_dropped_teaches_nothing() {
    let estimates = estimates(10, 50);
    let dag = Dag::from_dependencies([(1, vec![]), (2, vec![1])]).unwrap();
    let run = dag.runner().estimates(&estimates).run(|node| async move {
        match *node.key {
            1 => Ok::<_, ()>(()),
            _ => std::future::pending().await,
        }
    });
    {
        let mut run = pin!(run);
        let mut context = Context::from_waker(Waker::noop());
        assert!(run.as_mut().poll(&mut context).is_pending());
    }
    assert!(estimates.is_empty());
}

#[test]
fn nodes_that_are_not_known_weigh_as_much_as_the_median() {
    let estimates = estimates(10, 50);
    for (key, duration) in [(1, 1), (2, 5), (3, 9), (99, 1_000)] {
        estimates.record(&key, secs(duration));
    }
    // 4 is new: behind 3, which takes longer, and before 2, which has a later index. 99 is not
    // part of the graph.
    let dag = Dag::from_dependencies([1, 4, 2, 3].map(|key| (key, []))).unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let run = dag.runner().limit(1).estimates(&estimates);
    run.run_blocking(|node| {
        order.lock().unwrap().push(*node.key);
        Ok::<_, ()>(())
    })
    .unwrap();
    assert_eq!(order.into_inner().unwrap(), [3, 4, 2, 1]);
}

#[test]
fn a_copy_taken_and_restored_knows_the_same() {
    let original = estimates(3, 50);
    for key in [5, 6, 7] {
        original.record(&key, secs(u64::from(key)));
    }
    let copy = estimates(2, 50);
    copy.record(&1, secs(1));
    copy.restore(&original.snapshot());
    let nodes = copy.snapshot().nodes;
    let nodes: Vec<_> = nodes.iter().map(|node| (node.key, node.duration)).collect();
    assert_eq!(nodes, [(6, secs(6)), (7, secs(7))]);
    copy.clear();
    assert!(copy.is_empty());
}

#[cfg(feature = "serde")]
#[test]
fn a_copy_survives_json_and_unknown_fields_are_refused() {
    let original = estimates(3, 50);
    original.record(&5, Duration::from_millis(1_500));
    let json = serde_json::to_string(&original.snapshot()).unwrap();
    assert_eq!(
        json,
        r#"{"nodes":[{"key":5,"duration":{"secs":1,"nanos":500000000}}]}"#
    );
    assert_eq!(
        serde_json::from_str::<brolly_batch::EstimatesSnapshot<u32>>(&json).unwrap(),
        original.snapshot()
    );
    let wrong = json.replace("\"key\"", "\"more\":1,\"key\"");
    assert!(serde_json::from_str::<brolly_batch::EstimatesSnapshot<u32>>(&wrong).is_err());
}

/// A key may lock, panic or ask the estimates while it is cloned or dropped.
#[test]
fn no_lock_is_held_while_a_key_is_cloned_or_dropped() {
    use std::sync::{OnceLock, Weak};

    static ESTIMATES: OnceLock<Weak<DurationEstimates<Key>>> = OnceLock::new();

    #[derive(PartialEq, Eq, Hash)]
    struct Key(u32);

    fn look() {
        if let Some(estimates) = ESTIMATES.get().and_then(Weak::upgrade) {
            let _would_hang = estimates.len();
        }
    }

    impl Clone for Key {
        fn clone(&self) -> Self {
            look();
            Self(self.0)
        }
    }

    impl Drop for Key {
        fn drop(&mut self) {
            look();
        }
    }

    crate::support::within_a_minute(|| {
        let estimates = DurationEstimates::builder().capacity(2).build().unwrap();
        let estimates = Arc::new(estimates);
        ESTIMATES.set(Arc::downgrade(&estimates)).unwrap();
        for key in 0..5 {
            estimates.record(&Key(key), secs(1));
        }
        let snapshot = estimates.snapshot();
        estimates.restore(&snapshot);
        assert_eq!(estimates.len(), 2);
        estimates.clear();
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_more_names_than_the_capacity_are_known_and_the_oldest_go_first(
        capacity in 1_usize..6,
        runs in prop::collection::vec(prop::collection::vec((0_u32..12, 0_u64..100), 0..10), 0..20),
    ) {
        let estimates = estimates(capacity, 100);
        // Name to duration and when it was last seen.
        let mut model: BTreeMap<u32, (Duration, usize)> = BTreeMap::new();
        let mut now = 0;
        for run in runs {
            estimates.record_all(run.iter().map(|(key, s)| (key, secs(*s))));
            for (key, s) in &run[run.len().saturating_sub(capacity)..] {
                now += 1;
                model.insert(*key, (secs(*s), now));
            }
            let mut newest: Vec<_> = model.iter().map(|(key, (_, seen))| (Reverse(*seen), *key)).collect();
            newest.sort_unstable();
            for (_, key) in newest.into_iter().skip(capacity) {
                model.remove(&key);
            }
            let mut snapshot = estimates.snapshot().nodes;
            prop_assert!(snapshot.len() <= capacity);
            snapshot.sort_by_key(|node| node.key);
            let snapshot: Vec<_> = snapshot.into_iter().map(|node| (node.key, node.duration)).collect();
            let model: Vec<_> = model.iter().map(|(key, (duration, _))| (*key, *duration)).collect();
            prop_assert_eq!(snapshot, model);
        }
    }
}

/// Simulated time: plans like those of a build farm, whose nodes take from seconds to an hour.
#[test]
fn learnt_durations_make_plans_end_earlier_than_counting_nodes() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let clock = Arc::new(ManualClock::new());
    let (mut by_count, mut by_estimate, mut bound) = (0.0, 0.0, 0.0);
    for _ in 0..60 {
        let nodes = 20 + random(60) as u32;
        let plan = (0..nodes).map(|node| {
            let on = (0..random(3)).filter(|_| node > 0);
            (
                node,
                on.map(|_| random(u64::from(node)) as u32)
                    .collect::<Vec<_>>(),
            )
        });
        let plan: Vec<(u32, Vec<u32>)> = plan.collect();
        let dag = Dag::from_dependencies(plan).unwrap();
        // Evenly spread over the orders of magnitude.
        let durations: Vec<_> = (0..nodes).map(|_| secs(1 << random(12))).collect();
        let limit = 2 + random(6) as usize;

        let estimates = DurationEstimates::builder().clock(clock.clone());
        let estimates = estimates.build().unwrap();
        makespan(&dag, limit, &durations, &clock, Some(&estimates)); // learns
        let jitter = |duration: &Duration| *duration * (80 + random(41) as u32) / 100;
        let durations: Vec<_> = durations.iter().map(jitter).collect();
        by_count += makespan(&dag, limit, &durations, &clock, None).as_secs_f64();
        by_estimate += makespan(&dag, limit, &durations, &clock, Some(&estimates)).as_secs_f64();
        let weighted = dag.with_weights(|node| durations[*node as usize].as_secs());
        let work: f64 = durations.iter().map(Duration::as_secs_f64).sum();
        bound += (work / limit as f64).max(weighted.critical_path() as f64);
    }
    println!("counting nodes {by_count:.0} s, estimates {by_estimate:.0} s, bound {bound:.0} s");
    assert!(by_estimate < 0.97 * by_count, "{by_estimate} {by_count}");
    assert!(by_estimate < 1.10 * bound, "{by_estimate} {bound}");
}

/// What a run has done is not lost because a name cannot be kept.
#[test]
fn a_name_that_panics_when_it_is_cloned_costs_no_outcomes() {
    #[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    struct Name(u32);
    impl Clone for Name {
        fn clone(&self) -> Self {
            assert_ne!(self.0, 2, "no copies of this one");
            Self(self.0)
        }
    }
    let dag = Dag::from_dependencies([(Name(1), vec![]), (Name(2), vec![Name(1)])]).unwrap();
    let estimates = DurationEstimates::builder().build().unwrap();
    let done = |node: brolly_batch::Node<'_, Name>| Ok::<_, ()>(node.index);
    let runner = || dag.runner().estimates(&estimates);
    let outcomes = [
        runner().run_blocking(done).unwrap(),
        run_in(
            &ManualClock::new(),
            runner().run(|node| async move { done(node) }),
        )
        .unwrap(),
    ];
    for outcomes in outcomes {
        assert!(outcomes.iter().all(|outcome| outcome.is_done()));
    }
    estimates.record(&Name(3), secs(1));
    assert_eq!(estimates.get(&Name(3)), Some(secs(1)), "it still learns");
}
