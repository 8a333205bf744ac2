//! Settings of a run: joins, the first failure, tokens, deadlines.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use brolly_batch::{
    CancelToken, Causes, ConfigError, Dag, DenseDag, ItemError, Join, Limiter, OnFailure, Outcome,
    Reading, Stopped, Throttle,
};
use brolly_sync::ManualClock;

use crate::support::{Gauge, Wakes, run, within_a_minute, yield_times};

fn stopped<T, E>(started: bool, why: Stopped) -> Outcome<T, E> {
    Outcome::Stopped { started, why }
}

#[test]
fn a_node_that_waits_for_any_starts_with_the_first_success_and_the_others_still_run() {
    let dag = Dag::from_dependencies([
        ("slow", vec![]),
        ("fast", vec![]),
        ("either", vec!["slow", "fast"]),
    ]);
    let dag = dag.unwrap().with_joins(|&name| match name {
        "either" => Join::Any,
        _ => Join::All,
    });
    assert_eq!(dag.dense().join(2), Join::Any);
    assert_eq!(dag.dense().join(0), Join::All);
    let events = RefCell::new(Vec::new());
    let outcomes = run(dag.run(3, |node| {
        let events = &events;
        async move {
            let turns = if *node.key == "slow" { 20 } else { 1 };
            yield_times(turns).await;
            events.borrow_mut().push(*node.key);
            Ok::<_, Infallible>(())
        }
    }));
    assert!(outcomes.unwrap().iter().all(Outcome::is_done));
    assert_eq!(events.into_inner(), ["fast", "either", "slow"]);
}

#[test]
fn a_node_that_waits_for_any_runs_once_however_many_succeed() {
    let edges: Vec<_> = (0..9).map(|on| (on, 9)).chain([(0, 9), (0, 9)]).collect();
    let dag = DenseDag::from_edges(10, &edges).unwrap();
    let dag = dag.with_joins(|_| Join::Any);
    let runs = AtomicUsize::new(0);
    let outcomes = dag.run_blocking(2, |node| {
        if node == 9 {
            runs.fetch_add(1, Ordering::Relaxed);
        }
        if node == 3 { Err(node) } else { Ok(node) }
    });
    assert_eq!(runs.into_inner(), 1);
    assert_eq!(outcomes.unwrap()[9], Outcome::Done(9));
}

#[test]
fn a_node_that_waits_for_any_is_blocked_only_by_all() {
    let dag = DenseDag::from_edges(4, &[(0, 2), (1, 2), (2, 3)]).unwrap();
    let dag = dag.with_joins(|_| Join::Any);
    let run_with = |bad: &[usize]| {
        dag.run_blocking(1, |node| if bad.contains(&node) { Err(()) } else { Ok(()) })
            .unwrap()
    };
    assert!(run_with(&[0])[2..].iter().all(Outcome::is_done));
    assert!(run_with(&[1])[2..].iter().all(Outcome::is_done));
    let outcomes = run_with(&[0, 1]);
    assert_eq!(outcomes[2], Outcome::Blocked { by: [0, 1].into() });
    assert_eq!(outcomes[3], Outcome::Blocked { by: [2].into() });
}

/// Users of graph runners ask for both: only descendants skipped, and everything stopped.
#[test]
fn nothing_starts_after_a_failure_if_the_run_drains_and_what_runs_ends() {
    let dag = DenseDag::from_edges(5, &[(0, 3), (1, 4)]).unwrap();
    let dag = dag.with_weights(|node| if node == 2 { 0 } else { 1 });
    let outcomes = run(dag
        .runner()
        .limit(2)
        .on_failure(OnFailure::Drain)
        .run(|node| async move {
            yield_times(if node == 1 { 9 } else { 1 }).await;
            if node == 0 { Err("broken") } else { Ok(node) }
        }))
    .unwrap();
    let why = Stopped::Failed;
    assert_eq!(
        outcomes,
        [
            Outcome::Failed(ItemError::Failed("broken")),
            Outcome::Done(1),
            stopped(false, why),
            Outcome::Blocked { by: [0].into() },
            stopped(false, why),
        ]
    );
}

#[test]
fn what_runs_is_dropped_at_once_after_a_failure_if_the_run_is_to_be_cancelled() {
    let dag = DenseDag::from_edges(3, &[]).unwrap();
    let gauge = Gauge::default();
    let outcomes = run(dag
        .runner()
        .limit(3)
        .on_failure(OnFailure::Cancel)
        .run(|node| {
            let gauge = &gauge;
            async move {
                let _guard = gauge.enter();
                match node {
                    0 => Ok(()),
                    1 => {
                        yield_times(3).await;
                        panic!("broken")
                    }
                    _ => std::future::pending::<Result<(), Infallible>>().await,
                }
            }
        }))
    .unwrap();
    assert_eq!(gauge.now(), 0);
    assert_eq!(outcomes[0], Outcome::Done(()));
    assert!(
        matches!(&outcomes[1], Outcome::Failed(ItemError::Panicked(panic)) if panic.index() == 1)
    );
    assert_eq!(outcomes[2], stopped(true, Stopped::Failed));
}

#[test]
fn a_blocking_run_lets_what_runs_end_after_a_failure() {
    for on_failure in [OnFailure::Drain, OnFailure::Cancel] {
        let dag = DenseDag::from_edges(4, &[(1, 2)]).unwrap();
        let both_run = Barrier::new(2);
        let runner = dag.runner().limit(2).on_failure(on_failure);
        let outcomes = runner
            .run_blocking(|node| {
                if node < 2 {
                    both_run.wait();
                }
                if node == 0 { Err(()) } else { Ok(()) }
            })
            .unwrap();
        assert_eq!(outcomes[0], Outcome::Failed(ItemError::Failed(())));
        assert_eq!(outcomes[1], Outcome::Done(()));
        // The others start only if node 1 has ended before node 0.
    }
}

#[test]
fn a_run_is_the_same_with_all_settings_at_their_defaults() {
    let dag = DenseDag::from_edges(3, &[(0, 1)]).unwrap();
    let work = |node: usize| if node == 0 { Err(()) } else { Ok(node) };
    let short = dag.run_blocking(5, work).unwrap();
    assert_eq!(dag.runner().run_blocking(work).unwrap(), short);
    assert_eq!(
        run(dag.runner().run(|node| async move { work(node) })),
        Ok(short)
    );
}

#[test]
fn a_limit_out_of_range_is_refused_by_the_runner() {
    let dag = DenseDag::from_edges(1, &[]).unwrap();
    let refused = dag.runner().limit((1 << 20) + 1).run_blocking(Ok::<_, ()>);
    let expected = ConfigError::OutOfRange {
        field: "limit",
        value: (1 << 20) + 1,
        min: 1,
        max: 1 << 20,
    };
    assert_eq!(refused, Err(expected));
}

#[test]
fn a_cancelled_run_ends_at_once_and_says_how_far_each_node_came() {
    let dag = DenseDag::from_edges(4, &[(0, 1), (1, 3)]).unwrap();
    let token = CancelToken::new();
    let future = dag
        .runner()
        .limit(1)
        .cancel_with(&token)
        .run(|node| async move {
            match node {
                0 => Ok::<_, Infallible>(()),
                _ => std::future::pending().await,
            }
        });
    let mut future = pin!(future);
    let (wakes, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    assert!(future.as_mut().poll(&mut context).is_pending());
    let before = wakes.count();
    token.cancel();
    assert!(wakes.count() > before, "the run is woken");
    let Poll::Ready(outcomes) = future.as_mut().poll(&mut context) else {
        panic!("it does not wait for what runs");
    };
    let why = Stopped::Cancelled;
    let never = stopped(false, why);
    assert_eq!(
        outcomes.unwrap(),
        [Outcome::Done(()), stopped(true, why), never.clone(), never]
    );
}

#[test]
fn a_drained_run_lets_what_runs_end() {
    let dag = DenseDag::from_edges(3, &[(0, 1)]).unwrap();
    let token = CancelToken::new();
    let outcomes = run(dag.runner().limit(1).cancel_with(&token).run(|node| {
        let token = &token;
        async move {
            token.drain();
            yield_times(3).await;
            Ok::<_, Infallible>(node)
        }
    }));
    let never = stopped(false, Stopped::Cancelled);
    assert_eq!(outcomes.unwrap(), [Outcome::Done(0), never.clone(), never]);
}

#[test]
fn failures_before_a_cancellation_still_block() {
    let dag = DenseDag::from_edges(4, &[(0, 1), (1, 2)]).unwrap();
    let token = CancelToken::new();
    let outcomes = dag.runner().limit(1).cancel_with(&token).run_blocking(|_| {
        token.cancel();
        Err::<(), _>("broken")
    });
    assert_eq!(
        outcomes.unwrap(),
        [
            Outcome::Failed(ItemError::Failed("broken")),
            Outcome::Blocked { by: [0].into() },
            Outcome::Blocked { by: [1].into() },
            stopped(false, Stopped::Cancelled),
        ]
    );
}

#[test]
fn a_token_used_before_the_run_lets_nothing_start() {
    let dag = DenseDag::from_edges(2, &[(0, 1)]).unwrap();
    let token = CancelToken::new();
    token.drain();
    let never = [(); 2].map(|()| stopped(false, Stopped::Cancelled));
    let outcomes = dag.runner().cancel_with(&token).run_blocking(Ok::<_, ()>);
    assert_eq!(outcomes.unwrap(), never);
    let outcomes = run(dag
        .runner()
        .cancel_with(&token)
        .run(|node| async move { Ok::<_, ()>(node) }));
    assert_eq!(outcomes.unwrap(), never);
}

#[test]
fn a_blocking_run_is_cancelled_from_another_thread() {
    within_a_minute(|| {
        let dag = DenseDag::from_edges(100, &[]).unwrap();
        let token = CancelToken::new();
        let inside = Barrier::new(2);
        let cancelled = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                inside.wait();
                token.cancel();
                cancelled.wait();
            });
            let runner = dag.runner().limit(1).cancel_with(&token);
            let outcomes = runner.run_blocking(|node| {
                assert_eq!(node, 0, "nothing starts after the cancellation");
                inside.wait();
                cancelled.wait();
                Ok::<_, ()>(node)
            });
            let outcomes = outcomes.unwrap();
            assert_eq!(outcomes[0], Outcome::Done(0));
            let rest = &outcomes[1..];
            assert!(
                rest.iter()
                    .all(|end| *end == stopped(false, Stopped::Cancelled))
            );
        });
    });
}

#[test]
fn at_its_deadline_a_run_drops_what_runs() {
    let clock = Arc::new(ManualClock::new());
    let dag = DenseDag::from_edges(3, &[(0, 1), (1, 2)]).unwrap();
    let future = dag
        .runner()
        .timer(clock.clone())
        .deadline(Duration::from_secs(10))
        .run(|node| async move {
            match node {
                0 => Ok::<_, Infallible>(()),
                _ => std::future::pending().await,
            }
        });
    let mut future = pin!(future);
    let (wakes, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    assert!(future.as_mut().poll(&mut context).is_pending());
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(wakes.count(), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(wakes.count(), 1);
    let Poll::Ready(outcomes) = future.as_mut().poll(&mut context) else {
        panic!("the time is over");
    };
    let why = Stopped::DeadlineExceeded;
    let outcomes = outcomes.unwrap();
    assert_eq!(
        outcomes,
        [Outcome::Done(()), stopped(true, why), stopped(false, why)]
    );
}

#[test]
fn a_deadline_in_a_blocking_run_lets_what_runs_end() {
    let clock = Arc::new(ManualClock::new());
    let dag = DenseDag::from_edges(3, &[(0, 1), (1, 2)]).unwrap();
    let runner = dag.runner().limit(2).timer(clock.clone());
    let outcomes = runner
        .deadline(Duration::from_secs(10))
        .run_blocking(|node| {
            clock.advance(Duration::from_secs(6));
            Ok::<_, ()>(node)
        });
    let never = stopped(false, Stopped::DeadlineExceeded);
    assert_eq!(
        outcomes.unwrap(),
        [Outcome::Done(0), Outcome::Done(1), never]
    );
}

#[test]
fn a_deadline_of_zero_lets_nothing_start() {
    let dag = DenseDag::from_edges(1, &[]).unwrap();
    let runner = || dag.runner().deadline(Duration::ZERO);
    let never = [stopped(false, Stopped::DeadlineExceeded)];
    assert_eq!(runner().run_blocking(Ok::<_, ()>).unwrap(), never);
    let outcomes = run(runner().run(|node| async move { Ok::<_, ()>(node) }));
    assert_eq!(outcomes.unwrap(), never);
}

#[test]
fn runs_that_share_a_limiter_share_its_bound_and_may_nest() {
    let limiter = Limiter::new(3).unwrap();
    let dag = DenseDag::from_edges(5, &[(0, 4)]).unwrap();
    let gauge = Gauge::default();
    let outcomes = run(dag.runner().limit(5).limiter(&limiter).run(|_| {
        let (dag, gauge, limiter) = (&dag, &gauge, &limiter);
        async move {
            let inner = dag
                .runner()
                .limit(5)
                .limiter(limiter)
                .run(|node| async move {
                    let _guard = gauge.enter();
                    yield_times(3).await;
                    Ok::<_, Infallible>(node)
                });
            let inner = inner.await.unwrap();
            assert!(inner.iter().all(Outcome::is_done));
            Ok::<_, Infallible>(inner.len())
        }
    }));
    assert_eq!(outcomes.unwrap(), [5; 5].map(Outcome::Done));
    assert_eq!(gauge.peak(), 3);
}

/// A node whose turn it was, but which no limiter let in, has not started.
#[test]
fn a_node_that_waits_for_a_permit_when_the_run_ends_has_not_started() {
    let limiter = Limiter::new(2).unwrap();
    let _other = limiter.try_acquire().expect("it is free");
    for on_failure in [OnFailure::Drain, OnFailure::Cancel] {
        let dag = DenseDag::from_edges(3, &[]).unwrap();
        let runner = dag.runner().limiter(&limiter).on_failure(on_failure);
        let outcomes = run(runner.run(|node| async move {
            assert_eq!(node, 0, "nothing starts after the failure");
            yield_times(2).await;
            Err::<(), _>("broken")
        }));
        let never = stopped(false, Stopped::Failed);
        let failed = Outcome::Failed(ItemError::Failed("broken"));
        assert_eq!(
            outcomes.unwrap(),
            [failed.clone(), never.clone(), never.clone()]
        );

        let runner = dag.runner().limiter(&limiter).on_failure(on_failure);
        let outcomes = runner.run_blocking(|node| {
            assert_eq!(node, 0, "nothing starts after the failure");
            Err::<(), _>("broken")
        });
        assert_eq!(outcomes.unwrap(), [failed, never.clone(), never]);
    }
    let dag = DenseDag::from_edges(2, &[]).unwrap();
    let token = CancelToken::new();
    let runner = dag.runner().limiter(&limiter).cancel_with(&token);
    let outcomes = run(runner.run(|node| {
        let token = &token;
        async move {
            yield_times(1).await;
            token.cancel();
            yield_times(1).await;
            Ok::<_, Infallible>(node)
        }
    }));
    let why = Stopped::Cancelled;
    assert_eq!(outcomes.unwrap(), [stopped(true, why), stopped(false, why)]);
}

#[test]
fn a_throttled_run_goes_on_at_one_node_after_the_longest_wait() {
    let clock = Arc::new(ManualClock::new());
    let throttle = Throttle::builder()
        .source(|| Some(Reading::new(100, 100)))
        .max_wait(Duration::from_secs(30))
        .timer(clock.clone())
        .build()
        .unwrap();
    let dag = DenseDag::from_edges(4, &[]).unwrap();
    let gauge = Gauge::default();
    let future = dag.runner().throttle(&throttle).run(|node| {
        let gauge = &gauge;
        async move {
            let _guard = gauge.enter();
            yield_times(2).await;
            Ok::<_, Infallible>(node)
        }
    });
    let mut future = pin!(future);
    let (wakes, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    let mut polls = 0;
    let outcomes = loop {
        let before = wakes.count();
        polls += 1;
        match future.as_mut().poll(&mut context) {
            Poll::Ready(outcomes) => break outcomes.unwrap(),
            Poll::Pending if wakes.count() > before => {}
            Poll::Pending => clock.set(clock.next_deadline().expect("it waits for time to pass")),
        }
        assert!(polls < 10_000, "it goes on");
    };
    assert_eq!(outcomes, [0, 1, 2, 3].map(Outcome::Done));
    assert_eq!(gauge.peak(), 1);
    assert!(brolly_sync::Clock::now(&*clock) >= Duration::from_secs(30));
}

/// The original looked every 50 ms whether something had ended.
#[test]
fn a_waiting_run_is_polled_only_when_something_has_happened() {
    let dag = DenseDag::from_edges(2, &[(0, 1)]).unwrap();
    let token = CancelToken::new();
    let woken = RefCell::new(None::<Waker>);
    let open = Cell::new(false);
    let future = dag.runner().cancel_with(&token).run(|_| {
        std::future::poll_fn(|cx| match open.get() {
            true => Poll::Ready(Ok::<_, Infallible>(())),
            false => {
                *woken.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    });
    let mut future = pin!(future);
    let (wakes, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    assert!(future.as_mut().poll(&mut context).is_pending());
    let before = wakes.count();
    thread::yield_now();
    assert_eq!(wakes.count(), before, "nobody wakes a run that waits");
    open.set(true);
    woken.take().expect("node 0 waits").wake();
    assert_eq!(wakes.count(), before + 1);
    assert!(future.as_mut().poll(&mut context).is_ready());
}

#[test]
fn a_run_with_settings_dropped_at_any_poll_drops_all_it_holds() {
    let dag = Dag::from_dependencies([
        ("a", vec![]),
        ("b", vec!["a"]),
        ("c", vec!["a"]),
        ("d", vec!["b", "c"]),
    ]);
    let dag = dag.unwrap();
    let estimates = brolly_batch::DurationEstimates::builder().build().unwrap();
    let token = CancelToken::new();
    let clock = Arc::new(ManualClock::new());
    for times in 0.. {
        let held = Rc::new(());
        let ended = {
            let runner = dag.runner().limit(2).on_failure(OnFailure::Cancel);
            let runner = runner.cancel_with(&token).estimates(&estimates);
            let runner = runner.timer(clock.clone()).deadline(Duration::from_secs(1));
            let future = runner.run(|node| {
                let held = Rc::clone(&held);
                async move {
                    yield_times(2).await;
                    drop(held);
                    if *node.key == "c" { Err(()) } else { Ok(()) }
                }
            });
            let mut future = pin!(future);
            let mut context = Context::from_waker(Waker::noop());
            (0..times).any(|_| future.as_mut().poll(&mut context).is_ready())
        };
        assert_eq!(Rc::strong_count(&held), 1, "dropped after {times} polls");
        assert_eq!(clock.sleeping(), 0);
        if ended {
            assert!(times > 3, "the test has dropped it half way");
            return;
        }
    }
}

/// A destructor of a dropped node is foreign code.
#[test]
fn a_panic_while_a_node_is_dropped_harms_nobody_else() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("while it was dropped");
        }
    }
    let dag = DenseDag::from_edges(3, &[]).unwrap();
    let gauge = Gauge::default();
    let runner = dag.runner().limit(3).on_failure(OnFailure::Cancel);
    let outcomes = run(runner.run(|node| {
        let gauge = &gauge;
        async move {
            let _guard = gauge.enter();
            let _bomb = (node == 0).then(|| Bomb);
            match node {
                2 => Err("broken"),
                _ => std::future::pending::<Result<(), _>>().await,
            }
        }
    }));
    let why = Stopped::Failed;
    assert_eq!(
        outcomes.unwrap(),
        [
            stopped(true, why),
            stopped(true, why),
            Outcome::Failed(ItemError::Failed("broken")),
        ]
    );
    assert_eq!(gauge.now(), 0);
}

#[test]
fn causes_are_sorted_and_named_once() {
    let causes = Causes::from([3, 1, 3]);
    assert_eq!(*causes, [1, 3]);
    assert_eq!(causes, Causes::from(vec![1, 3]));
    assert_eq!(format!("{causes:?}"), "[1, 3]");
    assert!(Causes::from([]).is_empty());
    assert_eq!((&causes).into_iter().count(), 2);
}

#[test]
fn outcomes_stay_small() {
    assert_eq!(size_of::<Causes>(), size_of::<usize>());
    assert_eq!(size_of::<Outcome<u64, ()>>(), 16);
}
