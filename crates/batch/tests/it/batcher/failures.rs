//! Bulk functions, spawners and keys that misbehave: their calls are told, all others go on.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;
use std::time::Duration;

use brolly_batch::{BatchError, Batcher};
use brolly_sync::{ManualClock, Task};

use super::crew::{Crew, Outcome, begun, lingering, locked, outcome};
use crate::support::poll;

/// Begins a call for each key, lets the batch run, and returns the outcomes.
fn run(crew: &Crew, batcher: &Batcher<u32, u32, &'static str>, keys: &[u32]) -> Vec<Outcome> {
    let calls: Vec<_> = keys.iter().map(|&key| begun(batcher.submit(key))).collect();
    batcher.flush();
    crew.run();
    calls.into_iter().map(outcome).collect()
}

fn message(outcome: &Outcome) -> &str {
    match outcome {
        Err(BatchError::Panicked { message }) => message,
        other => panic!("{other:?} is no panic"),
    }
}

/// ultra-batch's executor dies with the first panic, and dataloader's other callers panic.
#[test]
fn each_caller_is_told_what_befell_its_batch_and_the_next_batch_works() {
    let (crew, clock) = (Crew::default(), ManualClock::new());
    let batcher = lingering(&clock)
        .max_in_flight(1)
        .build(crew.spawner(), |keys: Vec<u32>| {
            assert!(keys[0] != 1, "before the future");
            async move {
                assert!(keys[0] != 2, "inside the future");
                match keys[0] {
                    3 => Err("refused"),
                    4 => Ok(vec![1]),
                    5 => Ok(vec![1, 2, 3]),
                    _ => Ok(keys),
                }
            }
        })
        .unwrap();
    let both = |outcome: Outcome| [outcome.clone(), outcome];
    let wrong = |got| both(Err(BatchError::WrongCount { expected: 2, got }));
    for key in 1..=5 {
        let outcomes = run(&crew, &batcher, &[key, 9]);
        match key {
            1 => assert_eq!(
                outcomes.iter().map(message).collect::<Vec<_>>(),
                ["before the future"; 2]
            ),
            2 => assert_eq!(
                outcomes.iter().map(message).collect::<Vec<_>>(),
                ["inside the future"; 2]
            ),
            3 => assert_eq!(outcomes, both(Err(BatchError::Failed(Arc::new("refused"))))),
            4 => assert_eq!(outcomes, wrong(1)),
            _ => assert_eq!(outcomes, wrong(3)),
        }
        assert_eq!(run(&crew, &batcher, &[6, 7]), [Ok(6), Ok(7)]);
    }
    let stats = batcher.stats();
    assert_eq!((stats.batches, stats.failed, stats.in_flight), (10, 5, 0));
}

#[test]
fn a_panic_of_the_futures_destructor_is_told_like_any_other() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on the way out");
        }
    }
    let (crew, clock) = (Crew::default(), ManualClock::new());
    let batcher = lingering(&clock)
        .build(crew.spawner(), |keys: Vec<u32>| {
            let bomb = (keys[0] == 1).then(|| Bomb);
            async move {
                let _held = bomb;
                Ok(keys)
            }
        })
        .unwrap();
    assert_eq!(message(&run(&crew, &batcher, &[1])[0]), "on the way out");
    assert_eq!(run(&crew, &batcher, &[2]), [Ok(2)]);
}

#[test]
fn with_a_result_for_each_key_one_failure_is_one_callers() {
    let (crew, clock) = (Crew::default(), ManualClock::new());
    let batcher = lingering(&clock)
        .join_duplicates(true)
        .build_each(crew.spawner(), |keys: Vec<u32>| async move {
            let result = |key| if key % 2 == 1 { Err("odd") } else { Ok(key) };
            keys.into_iter().map(result).collect()
        })
        .unwrap();
    let odd = || Err(BatchError::Failed(Arc::new("odd")));
    let outcomes = run(&crew, &batcher, &[2, 3, 4, 3, 2]);
    assert_eq!(outcomes, [Ok(2), odd(), Ok(4), odd(), Ok(2)]);
    assert_eq!(batcher.stats().failed, 0);
}

#[test]
fn a_spawner_that_drops_its_tasks_leaves_nobody_waiting() {
    let (crew, clock) = (Crew::default(), ManualClock::new());
    let batcher = lingering(&clock)
        .max_size(2)
        .max_in_flight(1)
        .build(crew.spawner(), |keys: Vec<u32>| async move {
            std::future::pending::<()>().await;
            Ok(keys)
        })
        .unwrap();
    let started: Vec<_> = (0..2).map(|key| begun(batcher.submit(key))).collect();
    crew.run();
    let ready: Vec<_> = (2..4).map(|key| begun(batcher.submit(key))).collect();
    let open = begun(batcher.submit(4));
    let mut close = batcher.close();
    assert!(poll(&mut close, Waker::noop()).is_pending());
    crew.shut_down();
    for call in started.into_iter().chain(ready).chain([open]) {
        assert_eq!(outcome(call), Err(BatchError::Dropped));
    }
    assert!(poll(&mut close, Waker::noop()).is_ready());
    let stats = batcher.stats();
    assert_eq!(
        (stats.waiting, stats.in_flight, stats.open, stats.ready),
        (0, 0, 0, 0)
    );
}

#[test]
fn a_dropped_task_whose_batch_nobody_wanted_any_more_gives_nothing_back_twice() {
    let (crew, clock) = (Crew::default(), ManualClock::new());
    let batcher = lingering(&clock)
        .max_in_flight(1)
        .build(crew.spawner(), |keys: Vec<u32>| async move { Ok(keys) })
        .unwrap();
    drop(begun(batcher.submit(1)));
    assert_eq!(batcher.stats().abandoned, 1);
    crew.shut_down(); // before the task could look
    let stats = batcher.stats();
    assert_eq!((stats.in_flight, stats.failed, stats.waiting), (0, 0, 0));
    assert_eq!(run(&crew, &batcher, &[2]), [Ok(2)]);
    assert!(poll(&mut batcher.close(), Waker::noop()).is_ready());
}

#[test]
fn a_spawner_that_refuses_or_panics_is_an_error_of_that_batch() {
    for panics in [false, true] {
        let mut call = Batcher::builder()
            .build(
                move |_: Task| assert!(!panics, "no more threads"),
                |keys: Vec<u32>| async move { Ok::<_, &str>(keys) },
            )
            .unwrap()
            .submit(1);
        assert!(poll(&mut call, Waker::noop()).is_pending());
        assert_eq!(outcome(call), Err(BatchError::Dropped));
    }
}

#[test]
fn a_spawner_may_run_its_task_on_the_spot() {
    let batcher = Batcher::builder()
        .linger(Duration::ZERO)
        .build(
            |task: Task| brolly_sync::block_on(task),
            |keys: Vec<u32>| async move { Ok::<_, &str>(keys) },
        )
        .unwrap();
    assert_eq!(brolly_sync::block_on(batcher.submit(5)), Ok(5));
    assert_eq!(batcher.submit_blocking(6), Ok(6));
}

#[test]
fn a_weigher_or_partition_that_panics_harms_its_own_call() {
    let (crew, clock) = (Crew::default(), ManualClock::new());
    let batcher = lingering(&clock)
        .max_bytes(100)
        .weigher(|key| {
            assert!(*key != 1, "cannot weigh");
            1
        })
        .partition_by(|key| {
            assert!(*key != 2, "belongs nowhere");
        })
        .build(crew.spawner(), |keys: Vec<u32>| async move { Ok(keys) })
        .unwrap();
    let good = begun(batcher.submit(0));
    assert_eq!(message(&outcome(batcher.submit(1))), "cannot weigh");
    assert_eq!(message(&outcome(batcher.submit(2))), "belongs nowhere");
    assert_eq!(
        message(&outcome(batcher.try_submit(1).unwrap())),
        "cannot weigh"
    );
    batcher.flush();
    crew.run();
    assert_eq!(outcome(good), Ok(0));
    assert_eq!(batcher.stats().keys, 1);
}

thread_local! {
    static EQ_PANICS: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone)]
struct Touchy(u32);

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(self.0 != 666, "no hash");
        state.write_u32(1);
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        assert!(!EQ_PANICS.get(), "no equality");
        self.0 == other.0
    }
}

impl Eq for Touchy {}

#[test]
fn hash_and_eq_that_panic_harm_their_own_call() {
    let crew = Crew::default();
    let batcher = Batcher::builder()
        .join_duplicates(true)
        .linger(Duration::MAX)
        .capacity(3)
        .partition_by(Touchy::clone)
        .build(crew.spawner(), |keys: Vec<Touchy>| async move {
            Ok::<Vec<u32>, &'static str>(keys.iter().map(|key| key.0).collect())
        })
        .unwrap();
    let first = begun(batcher.submit(Touchy(1)));
    assert_eq!(message(&outcome(batcher.submit(Touchy(666)))), "no hash");
    EQ_PANICS.set(true);
    assert_eq!(message(&outcome(batcher.submit(Touchy(1)))), "no equality");
    let tried = batcher.try_submit(Touchy(2)).unwrap();
    assert_eq!(message(&outcome(tried)), "no equality");
    EQ_PANICS.set(false);
    let twin = begun(batcher.submit(Touchy(1)));
    let others: Vec<_> = (2..4)
        .map(|key| begun(batcher.submit(Touchy(key))))
        .collect();

    // One that was served in line and panics then gives its room to the next.
    let mut in_line: Vec<_> = (4..6)
        .map(|key| begun(batcher.submit(Touchy(key))))
        .collect();
    crew.run();
    EQ_PANICS.set(true);
    let panicked = message(&outcome(in_line.remove(0))).to_owned();
    EQ_PANICS.set(false);
    assert_eq!(panicked, "no equality");
    let last = begun(in_line.remove(0));
    batcher.flush();
    crew.run();
    assert_eq!(
        (outcome(first), outcome(twin), outcome(last)),
        (Ok(1), Ok(1), Ok(5))
    );
    assert!(others.into_iter().all(|call| outcome(call).is_ok()));
    assert_eq!(batcher.stats().waiting, 0);
}

#[test]
fn a_clone_that_panics_harms_its_own_call() {
    static CLONES: AtomicU32 = AtomicU32::new(0);
    #[derive(Debug)]
    struct Value(u32);
    impl Clone for Value {
        fn clone(&self) -> Self {
            assert!(CLONES.fetch_add(1, Ordering::SeqCst) != 1, "not this one");
            Self(self.0)
        }
    }
    let crew = Crew::default();
    let batcher = Batcher::builder()
        .join_duplicates(true)
        .linger(Duration::ZERO)
        .build(crew.spawner(), |keys: Vec<u32>| async move {
            Ok::<Vec<Value>, &'static str>(keys.into_iter().map(Value).collect())
        })
        .unwrap();
    let calls: Vec<_> = (0..4).map(|_| begun(batcher.submit(8))).collect();
    crew.run();
    let outcomes: Vec<_> = calls
        .into_iter()
        .map(|call| outcome(call).map(|value| value.0))
        .collect();
    assert_eq!(
        (&outcomes[0], &outcomes[1], &outcomes[3]),
        (&Ok(8), &Ok(8), &Ok(8))
    );
    assert_eq!(message(&outcomes[2]), "not this one");
}

#[test]
fn values_and_wakers_that_panic_when_dropped_or_woken_harm_nobody_else() {
    struct Bomb(u32);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 == 0 {
                panic!("a value that nobody took");
            }
        }
    }
    let crew = Crew::default();
    let batcher = Batcher::builder()
        .linger(Duration::ZERO)
        .build(crew.spawner(), |keys: Vec<u32>| async move {
            std::future::ready(()).await;
            Ok::<Vec<Bomb>, &'static str>(keys.into_iter().map(Bomb).collect())
        })
        .unwrap();
    struct Alarm;
    impl std::task::Wake for Alarm {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    let mut startled = batcher.submit(3);
    assert!(poll(&mut startled, &Waker::from(Arc::new(Alarm))).is_pending());
    let leaves = begun(batcher.submit(0));
    let stays = begun(batcher.submit(1));
    // The key is wanted by somebody else no more, but the batch has started by then.
    let late = std::sync::Mutex::new(Some(leaves));
    let leaver = Batcher::builder()
        .linger(Duration::ZERO)
        .build(crew.spawner(), move |keys: Vec<u32>| {
            drop(locked(&late).take());
            async move { Ok::<_, &'static str>(keys) }
        })
        .unwrap();
    let other = begun(leaver.submit(1));
    crew.run();
    assert!(outcome(stays).is_ok_and(|value| value.0 == 1));
    assert!(outcome(startled).is_ok_and(|value| value.0 == 3));
    assert_eq!(outcome(other), Ok(1));
    assert_eq!(batcher.stats().in_flight, 0);
}

#[test]
fn values_of_a_wrong_count_may_all_panic_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a value that belongs to nobody");
        }
    }
    for each in [false, true] {
        let crew = Crew::default();
        let settings = Batcher::builder().linger(Duration::ZERO);
        let batcher: Batcher<u32, Bomb, Bomb> = if each {
            settings.build_each(crew.spawner(), |_| async { vec![Ok(Bomb), Ok(Bomb)] })
        } else {
            settings.build(crew.spawner(), |_| async { Ok(vec![Bomb, Bomb]) })
        }
        .unwrap();
        let call = begun(batcher.submit(1));
        crew.run();
        assert!(matches!(
            outcome(call),
            Err(BatchError::WrongCount {
                expected: 1,
                got: 2
            })
        ));
        assert_eq!(batcher.stats().failed, 1);
    }
}
