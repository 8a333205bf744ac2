//! Calls collapsed into bulk calls: triggers, limits, failures, leaving, closing.

mod crew;
mod failures;
mod leaving;
mod model;

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use brolly_batch::{BatchError, Batcher, BatcherStats, ConfigError, TrySubmitError};
use brolly_sync::{Clock, ManualClock, Task};

use crate::support::{Wakes, poll, within_a_minute};
use crew::{Crew, Gate, LINGER, Outcome, Seen, begun, lingering, millis, outcome};

type Builder = brolly_batch::BatcherBuilder<u32, u32, &'static str>;

/// A batcher on a crew whose values are ten times the keys, by a clock that the test moves.
struct Stage {
    crew: Crew,
    clock: ManualClock,
    seen: Seen,
    gate: Gate,
    batcher: Batcher<u32, u32, &'static str>,
}

fn stage(settings: impl FnOnce(Builder) -> Builder) -> Stage {
    let (crew, clock, seen, gate) = (
        Crew::default(),
        ManualClock::new(),
        Seen::default(),
        Gate::default(),
    );
    gate.open();
    gated(crew, clock, seen, gate, settings)
}

fn gated(
    crew: Crew,
    clock: ManualClock,
    seen: Seen,
    gate: Gate,
    settings: impl FnOnce(Builder) -> Builder,
) -> Stage {
    let (note, pass) = (seen.clone(), gate.clone());
    let batcher = settings(lingering(&clock))
        .build(crew.spawner(), move |keys: Vec<u32>| {
            note.note(&keys);
            let pass = pass.clone();
            async move {
                pass.pass().await;
                Ok(keys.iter().map(|key| key * 10).collect())
            }
        })
        .expect("every setting is in range");
    Stage {
        crew,
        clock,
        seen,
        gate,
        batcher,
    }
}

/// The same, whose bulk function waits at the gate until the test opens it.
fn held_stage(settings: impl FnOnce(Builder) -> Builder) -> Stage {
    gated(
        Crew::default(),
        ManualClock::new(),
        Seen::default(),
        Gate::default(),
        settings,
    )
}

impl Stage {
    fn begin(&self, key: u32) -> brolly_batch::Submit<u32, u32, &'static str> {
        begun(self.batcher.submit(key))
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.crew.run();
    }

    fn stats(&self) -> BatcherStats {
        self.batcher.stats()
    }
}

#[test]
fn calls_made_together_are_one_bulk_call_and_each_gets_its_own_value() {
    let stage = stage(|settings| settings);
    let calls: Vec<_> = (0..5).map(|key| stage.begin(key)).collect();
    stage.crew.run();
    assert_eq!(stage.seen.take(), Vec::<Vec<u32>>::new(), "it lingers");
    stage.advance(LINGER);
    assert_eq!(stage.seen.take(), [[0, 1, 2, 3, 4]]);
    let values: Vec<_> = calls.into_iter().map(outcome).collect();
    assert_eq!(values, [Ok(0), Ok(10), Ok(20), Ok(30), Ok(40)]);
    let stats = stage.stats();
    assert_eq!((stats.submitted, stats.batches, stats.keys), (5, 1, 5));
    assert_eq!((stats.by_linger, stats.waiting, stats.in_flight), (1, 0, 0));
    assert_eq!(stage.crew.tasks(), 0);
}

#[test]
fn a_full_batch_does_not_linger() {
    let stage = stage(|settings| settings.max_size(3));
    let calls: Vec<_> = (0..7).map(|key| stage.begin(key)).collect();
    stage.crew.run();
    assert_eq!(stage.seen.take(), [[0, 1, 2], [3, 4, 5]]);
    stage.advance(LINGER);
    assert_eq!(stage.seen.take(), [[6]]);
    let stats = stage.stats();
    assert_eq!((stats.by_size, stats.by_linger), (2, 1));
    assert!(calls.into_iter().all(|call| outcome(call).is_ok()));
}

/// ultra-batch starts its linger anew with every item: with one every 6 ms and a linger of 20 ms
/// its first caller waited for 400 ms.
#[test]
fn linger_counts_from_the_first_call_however_many_follow() {
    let stage = stage(|settings| settings);
    let first = stage.begin(0);
    let mut calls = Vec::new();
    for key in 1..=3 {
        stage.advance(millis(6));
        calls.push(stage.begin(key));
    }
    stage.advance(millis(1));
    assert!(stage.seen.take().is_empty(), "19 ms");
    stage.advance(millis(1));
    assert_eq!(stage.seen.take(), [[0, 1, 2, 3]], "20 ms");
    assert_eq!(outcome(first), Ok(0));
}

#[test]
fn linger_counts_from_the_first_call_even_if_the_task_runs_late() {
    let stage = stage(|settings| settings);
    let call = stage.begin(1);
    stage.clock.advance(millis(15)); // the runtime is busy
    stage.advance(millis(4));
    assert!(stage.seen.take().is_empty());
    stage.advance(millis(1));
    assert_eq!(outcome(call), Ok(10));
}

#[test]
fn idle_starts_a_batch_when_nobody_comes_and_linger_still_bounds_it() {
    let stage = stage(|settings| settings.idle(millis(5)));
    let first = stage.begin(0);
    stage.advance(millis(4));
    let second = stage.begin(1);
    stage.advance(millis(4));
    assert!(stage.seen.take().is_empty(), "somebody came 4 ms ago");
    stage.advance(millis(1));
    assert_eq!(stage.seen.take(), [[0, 1]]);
    assert_eq!((outcome(first), outcome(second)), (Ok(0), Ok(10)));

    let mut calls = Vec::new();
    for key in 0..5 {
        calls.push(stage.begin(key));
        stage.advance(millis(4));
    }
    assert_eq!(stage.seen.take(), [[0, 1, 2, 3, 4]], "20 ms");
    let stats = stage.stats();
    assert_eq!((stats.by_idle, stats.by_linger), (1, 1));
}

#[test]
fn an_eager_batcher_starts_a_lone_call_at_once_and_gathers_while_it_is_busy() {
    let stage = held_stage(|settings| settings.eager(true));
    let lone = stage.begin(0);
    stage.crew.run();
    assert_eq!(stage.seen.take(), [[0]]);
    let calls: Vec<_> = (1..4).map(|key| stage.begin(key)).collect();
    stage.crew.run();
    assert!(stage.seen.take().is_empty(), "one is in flight");
    stage.gate.open();
    stage.crew.run();
    assert_eq!(outcome(lone), Ok(0));
    assert_eq!(stage.seen.take(), [[1, 2, 3]]);
    assert!(calls.into_iter().all(|call| outcome(call).is_ok()));
    assert_eq!(stage.stats().by_eager, 2);
    assert_eq!(stage.clock.now(), Duration::ZERO);
}

#[test]
fn without_linger_whoever_can_run_before_the_task_joins() {
    let stage = stage(|settings| settings.linger(Duration::ZERO));
    let calls: Vec<_> = (0..3).map(|key| stage.begin(key)).collect();
    stage.crew.run();
    assert_eq!(stage.seen.take(), [[0, 1, 2]]);
    assert!(calls.into_iter().all(|call| outcome(call).is_ok()));
}

#[test]
fn flush_starts_what_is_open_and_an_endless_linger_ends_no_other_way() {
    let stage = stage(|settings| settings.linger(Duration::MAX));
    stage.batcher.flush();
    let call = stage.begin(4);
    stage.advance(Duration::from_secs(1 << 40));
    assert!(stage.seen.take().is_empty());
    stage.batcher.flush();
    stage.crew.run();
    assert_eq!(outcome(call), Ok(40));
    assert_eq!(stage.stats().by_flush, 1);
}

#[test]
fn no_batch_is_heavier_than_the_maximum_and_a_key_that_is_goes_alone() {
    let stage = stage(|settings| settings.max_bytes(10).weigher(|key| *key as usize));
    let calls: Vec<_> = [4, 5, 2, 8, 1, 30, 3, 7]
        .into_iter()
        .map(|key| stage.begin(key))
        .collect();
    stage.crew.run();
    let expected: [&[u32]; 5] = [&[4, 5], &[2, 8], &[1], &[30], &[3, 7]];
    assert_eq!(stage.seen.take(), expected);
    assert_eq!(stage.stats().by_bytes, 5);
    assert!(calls.into_iter().all(|call| outcome(call).is_ok()));
}

#[test]
fn a_batch_holds_one_partition_and_the_oldest_makes_room_for_a_new_one() {
    let (crew, clock, seen) = (Crew::default(), ManualClock::new(), Seen::default());
    let note = seen.clone();
    let batcher = lingering(&clock)
        .max_partitions(2)
        .partition_by(|key| (key / 100).to_string())
        .build(crew.spawner(), move |keys: Vec<u32>| {
            note.note(&keys);
            async move { Ok::<Vec<u32>, &str>(keys) }
        })
        .unwrap();
    let calls: Vec<_> = [101, 201, 102, 202]
        .into_iter()
        .map(|key| begun(batcher.submit(key)))
        .collect();
    crew.run();
    assert!(seen.take().is_empty());
    let third = begun(batcher.submit(301));
    crew.run();
    assert_eq!(seen.take(), [[101, 102]], "the oldest");
    assert_eq!(
        (batcher.stats().by_partitions, batcher.stats().open),
        (1, 2)
    );
    clock.advance(LINGER);
    crew.run();
    assert_eq!(seen.take(), [vec![201, 202], vec![301]]);
    assert_eq!(outcome(third), Ok(301));
    assert!(calls.into_iter().all(|call| outcome(call).is_ok()));
}

/// dataloader and ultra-batch run one batch at a time, under a lock.
#[test]
fn several_batches_are_in_flight_up_to_the_bound_and_the_rest_take_turns() {
    let stage = held_stage(|settings| settings.max_size(1).max_in_flight(2));
    let calls: Vec<_> = (0..5).map(|key| stage.begin(key)).collect();
    stage.crew.run();
    assert_eq!(stage.seen.take(), [[0], [1]]);
    let stats = stage.stats();
    assert_eq!((stats.in_flight, stats.ready, stats.waiting), (2, 3, 3));
    stage.gate.open();
    stage.crew.run();
    assert_eq!(stage.seen.take(), [[2], [3], [4]]);
    assert!(calls.into_iter().all(|call| outcome(call).is_ok()));
    assert_eq!(stage.stats().in_flight, 0);
}

#[test]
fn equal_keys_of_a_batch_are_sent_once_and_each_caller_gets_a_clone() {
    let stage = held_stage(|settings| settings.join_duplicates(true).max_size(3));
    let calls: Vec<_> = [7, 8, 7, 7, 8, 9, 7]
        .into_iter()
        .map(|key| stage.begin(key))
        .collect();
    stage.crew.run();
    assert_eq!(stage.seen.take(), [[7, 8, 9]]);
    stage.gate.open();
    stage.advance(LINGER);
    assert_eq!(
        stage.seen.take(),
        [[7]],
        "not joined to a batch that has started"
    );
    let values: Vec<_> = calls
        .into_iter()
        .map(|call| outcome(call).unwrap())
        .collect();
    assert_eq!(values, [70, 80, 70, 70, 80, 90, 70]);
    let stats = stage.stats();
    assert_eq!((stats.submitted, stats.joined, stats.keys), (7, 3, 4));
}

#[test]
fn keys_whose_hashes_collide_are_told_apart() {
    #[derive(Clone, PartialEq, Eq)]
    struct Clash(u32);
    impl std::hash::Hash for Clash {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }
    let crew = Crew::default();
    let batcher: Batcher<Clash, u32, &str, Clash> = Batcher::builder()
        .join_duplicates(true)
        .linger(Duration::ZERO)
        .partition_by(|key: &Clash| Clash(key.0 % 3))
        .build(crew.spawner(), |keys: Vec<Clash>| async move {
            assert!(keys.iter().all(|key| key.0 % 3 == keys[0].0 % 3));
            Ok(keys.iter().map(|key| key.0).collect())
        })
        .unwrap();
    let calls: Vec<_> = (0..40)
        .map(|n| (n % 20, begun(batcher.submit(Clash(n % 20)))))
        .collect();
    crew.run();
    for (key, call) in calls {
        assert_eq!(outcome(call), Ok(key));
    }
    assert_eq!((batcher.stats().keys, batcher.stats().batches), (20, 3));
}

#[test]
fn callers_beyond_the_capacity_stand_in_line_and_nobody_overtakes() {
    let stage = held_stage(|settings| settings.capacity(2).max_size(2).max_in_flight(1));
    let first: Vec<_> = (0..2).map(|key| stage.begin(key)).collect();
    stage.crew.run(); // these two are with the bulk function, and do not wait any more
    let second: Vec<_> = (2..4).map(|key| stage.begin(key)).collect();
    let mut line: Vec<_> = (4..8)
        .map(|key| (key, Wakes::new(), stage.batcher.submit(key)))
        .collect();
    for (_, (_, waker), call) in &mut line {
        assert!(poll(call, waker).is_pending());
    }
    assert!(matches!(
        stage.batcher.try_submit(99),
        Err(TrySubmitError::Full(99))
    ));
    assert_eq!((stage.stats().waiting, stage.stats().in_line), (2, 4));
    stage.gate.open();
    stage.crew.run();
    let woken: Vec<_> = line
        .iter()
        .map(|(_, (wakes, _), _)| wakes.count())
        .collect();
    assert_eq!(woken, [1, 1, 0, 0], "room for two");
    assert!(
        matches!(stage.batcher.try_submit(99), Err(TrySubmitError::Full(99))),
        "the room is theirs"
    );
    for pair in line.chunks_mut(2) {
        for (_, (_, waker), call) in pair {
            assert!(poll(call, waker).is_pending());
        }
        stage.crew.run();
    }
    assert_eq!(stage.seen.take(), [[0, 1], [2, 3], [4, 5], [6, 7]]);
    for (key, (_, waker), mut call) in line {
        assert_eq!(
            poll(&mut call, &waker),
            std::task::Poll::Ready(Ok(key * 10))
        );
    }
    assert!(
        first
            .into_iter()
            .chain(second)
            .all(|call| outcome(call).is_ok())
    );
    assert_eq!(stage.stats().waiting, 0);
}

#[test]
fn nobody_lingers_while_somebody_stands_in_line() {
    let stage = stage(|settings| settings.capacity(3).linger(Duration::MAX));
    let calls: Vec<_> = (0..3).map(|key| stage.begin(key)).collect();
    stage.crew.run();
    assert!(stage.seen.take().is_empty());
    let (wakes, waker) = Wakes::new();
    let mut late = stage.batcher.submit(3);
    assert!(poll(&mut late, &waker).is_pending());
    stage.crew.run();
    assert_eq!(stage.seen.take(), [[0, 1, 2]]);
    assert_eq!((stage.stats().by_capacity, wakes.count()), (1, 1));
    assert!(poll(&mut late, &waker).is_pending());
    stage.batcher.flush();
    stage.crew.run();
    assert_eq!(wakes.count(), 2, "woken for room, and for the value");
    assert_eq!(outcome(late), Ok(30));
    assert!(calls.into_iter().all(|call| outcome(call).is_ok()));
}

#[test]
fn try_submit_takes_its_place_at_once() {
    let stage = stage(|settings| settings.capacity(1));
    let call = stage.batcher.try_submit(5).unwrap();
    let full = stage.batcher.try_submit(6).unwrap_err();
    assert_eq!((full.into_key(), stage.stats().waiting), (6, 1));
    stage.advance(LINGER);
    assert_eq!(outcome(call), Ok(50));
    drop(stage.batcher.close());
    let closed = stage.batcher.try_submit(7).unwrap_err();
    assert!(matches!(closed, TrySubmitError::Closed(7)));
    assert_eq!(closed.to_string(), "the batcher is closed");
}

/// Benthos may wait its period out when it shuts down; tower-batch drops the pending lot.
#[test]
fn close_answers_everybody_without_lingering() {
    let stage = held_stage(|settings| settings.capacity(3).max_size(2));
    let calls: Vec<_> = (0..3).map(|key| stage.begin(key)).collect();
    let mut in_line = stage.begin(3);
    let unpolled = stage.batcher.submit(4);
    let (wakes, waker) = Wakes::new();
    let mut close = stage.batcher.close();
    assert!(stage.batcher.is_closed());
    assert!(poll(&mut close, &waker).is_pending());
    stage.crew.run();
    assert!(poll(&mut in_line, Waker::noop()).is_pending());
    stage.crew.run();
    assert_eq!(stage.seen.take(), [vec![0, 1], vec![2], vec![3]]);
    assert_eq!(wakes.count(), 0);
    stage.gate.open();
    stage.crew.run();
    assert!(wakes.count() > 0, "the closer is woken");
    assert!(poll(&mut close, &waker).is_ready());
    for (key, call) in (0..).zip(calls) {
        assert_eq!(outcome(call), Ok(key * 10));
    }
    assert_eq!(outcome(in_line), Ok(30));
    assert_eq!(outcome(unpolled), Err(BatchError::Closed));
    assert_eq!(outcome(stage.batcher.submit(5)), Err(BatchError::Closed));
    assert_eq!(stage.clock.now(), Duration::ZERO);
}

#[test]
fn an_idle_batcher_closes_at_once_and_as_often_as_it_is_asked() {
    let stage = stage(|settings| settings);
    for _ in 0..2 {
        assert!(poll(&mut stage.batcher.close(), Waker::noop()).is_ready());
    }
}

#[test]
fn when_the_last_handle_goes_its_calls_go_on_without_lingering() {
    let stage = stage(|settings| settings.linger(Duration::MAX));
    let begun_before = stage.begin(1);
    let unpolled = stage.batcher.submit(2);
    let another = stage.batcher.clone();
    drop(stage.batcher);
    stage.crew.run();
    assert!(stage.seen.take().is_empty(), "a handle is left");
    drop(another);
    stage.crew.run();
    assert_eq!(outcome(begun_before), Ok(10));
    let unpolled = begun(unpolled);
    stage.crew.run();
    assert_eq!(outcome(unpolled), Ok(20));
}

#[test]
fn threads_and_tasks_share_batches() {
    within_a_minute(|| {
        let batcher = Batcher::builder()
            .max_size(4)
            .linger(Duration::MAX)
            .build(
                |task: Task| drop(std::thread::spawn(|| brolly_sync::block_on(task))),
                |keys: Vec<u32>| async move { Ok::<_, &str>(keys) },
            )
            .unwrap();
        std::thread::scope(|scope| {
            for key in 0..8 {
                let batcher = &batcher;
                scope.spawn(move || assert_eq!(batcher.submit_blocking(key), Ok(key)));
            }
        });
        assert_eq!(batcher.stats().by_size, 2);
        batcher.close_blocking();
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_calls_on_a_runtime_get_their_own_values() {
    let handle = tokio::runtime::Handle::current();
    let batcher = Batcher::builder()
        .max_size(16)
        .capacity(40)
        .join_duplicates(true)
        .build(
            move |task: Task| drop(handle.spawn(task)),
            |keys: Vec<u32>| async move {
                tokio::task::yield_now().await;
                Ok::<Vec<u32>, &str>(keys.iter().map(|key| key * 10).collect())
            },
        )
        .unwrap();
    let callers: Vec<_> = (0..100)
        .map(|caller| {
            let batcher = batcher.clone();
            tokio::spawn(async move {
                for n in 0..50 {
                    let key = (caller * n) % 64;
                    assert_eq!(batcher.submit(key).await, Ok(key * 10));
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    batcher.close().await;
    let stats = batcher.stats();
    assert_eq!(
        (stats.submitted, stats.waiting, stats.in_flight),
        (5_000, 0, 0)
    );
    assert_eq!(stats.keys + stats.joined, 5_000);
}

#[test]
fn settings_out_of_range_are_named() {
    let build = |settings: Builder| {
        settings
            .build(|_: Task| (), |keys: Vec<u32>| async move { Ok(keys) })
            .unwrap_err()
    };
    type Set = fn(Builder) -> Builder;
    let zeros: [(&str, Set); 5] = [
        ("max_size", |settings| settings.max_size(0)),
        ("max_bytes", |settings| settings.max_bytes(0)),
        ("max_in_flight", |settings| settings.max_in_flight(0)),
        ("capacity", |settings| settings.capacity(0)),
        ("max_partitions", |settings| settings.max_partitions(0)),
    ];
    for (name, set) in zeros {
        match build(set(Batcher::builder())) {
            ConfigError::OutOfRange { field, value, .. } => assert_eq!((field, value), (name, 0)),
            other => panic!("{other}"),
        }
    }
    assert_eq!(
        build(Batcher::builder().max_bytes(5)).to_string(),
        "max_bytes is set, which needs weigher"
    );
}

/// A live clone of the value is what the caller holds, and nothing else.
#[test]
fn nothing_is_kept_of_calls_that_are_over() {
    let crew = Crew::default();
    let token = Arc::new(());
    let value = Arc::clone(&token);
    let batcher: Batcher<Arc<()>, Arc<()>, &str> = Batcher::builder()
        .eager(true)
        .join_duplicates(true)
        .build(crew.spawner(), move |keys: Vec<Arc<()>>| {
            let values = keys.iter().map(|_| Arc::clone(&value)).collect();
            async move { Ok(values) }
        })
        .unwrap();
    for _ in 0..20_000 {
        let call = begun(batcher.submit(Arc::clone(&token)));
        crew.run();
        drop(outcome(call).unwrap());
        assert_eq!(Arc::strong_count(&token), 2);
    }
    assert_eq!(crew.tasks(), 0);
}

#[test]
fn handles_and_calls_cross_threads() {
    const fn crosses_threads<T: Send + Sync + Unpin + 'static>() {}
    // Values need not be shareable, only sendable.
    type Value = std::cell::Cell<u32>;
    crosses_threads::<Batcher<u32, Value, String, String>>();
    crosses_threads::<brolly_batch::Submit<u32, Value, String, String>>();
    crosses_threads::<brolly_batch::Close<u32, Value, String>>();
    crosses_threads::<BatchError<String>>();
    crosses_threads::<TrySubmitError<u32>>();
    crosses_threads::<BatcherStats>();
}

#[test]
fn outcomes_are_small() {
    assert!(size_of::<Outcome<u64>>() <= 24);
}
