//! Creations belong to the pool: bounded, with pauses, and never thrown away.

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::{AcquireError, CreateError, OnCreateError};

use crate::support::{Mode, bench, is_pending, is_timeout, lone, ms, ready, secs};

#[test]
fn so_many_run_at_once_and_no_more() {
    let bench = bench(|it| it.max_size(20).create_concurrency(3));
    bench.plant.set_create(Mode::Gated);
    let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    bench.tasks.run();
    assert_eq!(bench.plant.creating.load(SeqCst), 3);
    assert_eq!(bench.assert_conserved().creating, 3);
    bench.plant.open(10);
    bench.tasks.run();
    let guards: Vec<_> = waiting.iter_mut().map(|it| ready(it.as_mut())).collect();
    assert_eq!(guards.len(), 10);
    assert_eq!(bench.plant.most_creating.load(SeqCst), 3);
    assert_eq!(bench.plant.attempts.load(SeqCst), 10);
}

#[test]
fn whichever_comes_first_serves_who_waits() {
    let bench = bench(|it| it.max_size(2));
    let held = bench.take();
    bench.plant.set_create(Mode::Gated);
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    bench.tasks.run();
    let id = held.id;
    drop(held);
    assert_eq!(ready(waiting).unwrap().id, id);
    // What was being made is not lost.
    bench.plant.open(1);
    bench.tasks.run();
    assert_eq!(bench.assert_conserved().idle, 2);
}

#[test]
fn a_caller_that_gives_up_ends_no_creation() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(ms(50)));
    bench.plant.set_create(Mode::Gated);
    for _ in 0..4 {
        let mut acquire = pin!(bench.pool.acquire());
        assert!(is_pending(acquire.as_mut()));
        bench.tasks.run();
        bench.clock.advance(ms(50));
        assert!(is_timeout(&ready(acquire)));
    }
    bench.plant.open(1);
    bench.tasks.run();
    drop(bench.take());
    assert_eq!(bench.plant.attempts.load(SeqCst), 1);
}

#[test]
fn without_a_spawner_those_who_wait_go_on_with_it() {
    let bench = lone(|it| it.max_size(1));
    bench.plant.set_create(Mode::Gated);
    let mut first = Box::pin(bench.pool.acquire());
    let mut second = pin!(bench.pool.acquire());
    assert!(is_pending(first.as_mut()));
    assert!(is_pending(second.as_mut()));
    drop(first);
    bench.plant.open(1);
    drop(ready(second).unwrap());
    assert_eq!(bench.plant.attempts.load(SeqCst), 1);
}

#[test]
fn without_a_spawner_a_creation_that_nobody_waits_for_is_dropped() {
    let bench = lone(|it| it.max_size(1));
    bench.plant.set_create(Mode::Gated);
    {
        let mut only = pin!(bench.pool.acquire());
        assert!(is_pending(only.as_mut()));
        assert_eq!(bench.plant.creating.load(SeqCst), 1);
    }
    assert_eq!(bench.plant.creating.load(SeqCst), 0);
    assert_eq!(bench.assert_conserved().size, 0);
    // That was no failure: the next attempt begins at once.
    bench.plant.set_create(Mode::Ready);
    drop(bench.take());
    assert_eq!(bench.pool.stats().create_failures, 0);
}

#[test]
fn who_waits_is_told_at_once_that_none_can_be_made() {
    let bench = bench(|it| it.max_size(2));
    bench.plant.set_create(Mode::Fail);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.tasks.run();
    let error = ready(acquire).unwrap_err();
    let AcquireError::Create(CreateError::Failed(cause)) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(cause.to_string(), "the backend is down");
    assert_eq!(bench.pool.stats().errors, 1);
}

#[test]
fn where_nothing_exists_everybody_is_told() {
    let bench = bench(|it| it.max_size(9).create_concurrency(2));
    bench.plant.set_create(Mode::Fail);
    let mut waiting: Vec<_> = (0..9).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    bench.tasks.run();
    for acquire in &mut waiting {
        assert!(matches!(
            ready(acquire.as_mut()),
            Err(AcquireError::Create(_))
        ));
    }
    assert_eq!(bench.plant.attempts.load(SeqCst), 2);
}

#[test]
fn a_manager_that_fails_for_ever_is_asked_a_few_times_only() {
    for policy in [OnCreateError::FailFast, OnCreateError::RetryUntilDeadline] {
        let bench = bench(|it| {
            let it = it.max_size(16).acquire_timeout(secs(30));
            it.on_create_error(policy)
        });
        bench.plant.set_create(Mode::Fail);
        let mut waiting: Vec<_> = (0..64).map(|_| Box::pin(bench.pool.acquire())).collect();
        for _ in 0..1500 {
            // Callers that are told come again at once.
            for acquire in &mut waiting {
                if crate::support::look(acquire.as_mut()).is_ready() {
                    *acquire = Box::pin(bench.pool.acquire());
                }
            }
            bench.pass(ms(1));
        }
        let attempts = bench.plant.attempts.load(SeqCst);
        assert!((2..=20).contains(&attempts), "{policy:?}: {attempts}");
        // It recovers within one pause.
        bench.plant.set_create(Mode::Ready);
        bench.pass(secs(5));
        assert!(bench.pool.stats().in_use > 0, "{:?}", bench.pool);
    }
}

#[test]
fn attempts_go_on_until_the_deadline_where_that_is_asked_for() {
    let bench = bench(|it| {
        let it = it.max_size(1).acquire_timeout(secs(1));
        it.on_create_error(OnCreateError::RetryUntilDeadline)
    });
    bench.plant.set_create(Mode::Fail);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.pass(ms(500));
    assert!(is_pending(acquire.as_mut()));
    bench.pass(ms(500));
    let error = ready(acquire).unwrap_err();
    let report = error.timeout().unwrap();
    assert!(matches!(report.last_error, Some(CreateError::Failed(_))));
    assert!(error.to_string().contains("the backend is down"), "{error}");

    // A manager that says it is of no use is believed.
    bench.plant.set_create(Mode::FailForGood);
    let mut acquire = pin!(bench.pool.acquire_timeout(secs(60)));
    assert!(is_pending(acquire.as_mut()));
    bench.pass(secs(6));
    assert!(matches!(ready(acquire), Err(AcquireError::Create(_))));
}

#[test]
fn a_creation_that_hangs_is_ended() {
    let bench = bench(|it| it.max_size(1).create_timeout(secs(3)));
    bench.plant.set_create(Mode::Hang);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.pass(ms(2999));
    assert!(is_pending(acquire.as_mut()));
    bench.pass(ms(1));
    let error = ready(acquire).unwrap_err();
    assert!(matches!(
        error,
        AcquireError::Create(CreateError::Timeout { after }) if after == secs(3)
    ));
    assert_eq!(bench.plant.creating.load(SeqCst), 0);
}

#[test]
fn a_runtime_that_shuts_down_is_an_error_and_no_loop() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(1)));
    bench.plant.set_create(Mode::Hang);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.tasks.run();
    bench.tasks.shut_down();
    assert!(matches!(
        ready(acquire),
        Err(AcquireError::Create(CreateError::Dropped))
    ));
    assert_eq!(bench.assert_conserved().size, 0);
}

#[test]
fn warming_up_makes_the_minimum_at_once_and_once() {
    let bench = bench(|it| it.max_size(8).min_size(4));
    bench.plant.set_create(Mode::Gated);
    let mut warm_up = pin!(bench.pool.warm_up());
    assert!(is_pending(warm_up.as_mut()));
    bench.tasks.run();
    assert_eq!(bench.plant.creating.load(SeqCst), 4);
    bench.plant.open(4);
    bench.tasks.run();
    assert_eq!(ready(warm_up).unwrap(), 4);
    assert_eq!(crate::support::now(bench.pool.warm_up()).unwrap(), 4);
    assert_eq!(bench.plant.attempts.load(SeqCst), 4);
    // From now on the minimum is kept.
    drop(brolly_resource_pool::Guard::detach(bench.take()));
    bench.plant.open(1);
    bench.tasks.run();
    assert_eq!(bench.assert_conserved().size, 4);
}

#[test]
fn warming_up_without_a_spawner_works_for_itself() {
    let bench = lone(|it| it.max_size(8).min_size(5).create_concurrency(2));
    assert_eq!(crate::support::now(bench.pool.warm_up()).unwrap(), 5);
    assert_eq!(bench.assert_conserved().idle, 5);
}

#[test]
fn what_was_made_before_a_failure_is_kept() {
    let bench = bench(|it| it.max_size(8).min_size(4).create_concurrency(1));
    bench.plant.set_create(Mode::Gated);
    let mut warm_up = pin!(bench.pool.warm_up());
    assert!(is_pending(warm_up.as_mut()));
    bench.tasks.run();
    bench.plant.set_create(Mode::Fail);
    bench.plant.open(1);
    bench.tasks.run();
    let error = ready(warm_up).unwrap_err();
    assert_eq!(error.to_string(), "1 of 4 resources are ready");
    assert_eq!(bench.assert_conserved().idle, 1);
}
