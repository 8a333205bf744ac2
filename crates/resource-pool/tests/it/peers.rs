//! What other pools were found to do wrong, probe by probe; here it may not happen.

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::{AcquireError, Check, CreateError};

use crate::support::{Mode, bench, is_pending, look, ms, ready, secs};

/// A: a fresh pool made smaller still gave out as many as before.
#[test]
fn a_fresh_pool_made_smaller_gives_out_the_smaller_number() {
    let bench = bench(|it| it.max_size(8));
    bench.pool.resize(0, 2).unwrap();
    let _both = (bench.take(), bench.take());
    assert!(bench.pool.try_acquire().is_err());
    bench.tasks.run();
    assert_eq!(bench.plant.live.load(SeqCst), 2);
}

/// A, with two in use.
#[test]
fn a_pool_made_as_small_as_what_is_in_use_gives_out_no_more() {
    let bench = bench(|it| it.max_size(4));
    drop((0..4).map(|_| bench.take()).collect::<Vec<_>>());
    let _both = (bench.take(), bench.take());
    bench.pool.resize(0, 2).unwrap();
    bench.tasks.run();
    assert!(bench.pool.try_acquire().is_err());
}

/// B: a panic in a user's function poisoned the pool for ever.
#[test]
fn a_panic_of_the_users_code_poisons_nothing() {
    let bench = bench(|it| {
        it.max_size(1)
            .after_release(|_, _| panic!("in the user's code"))
    });
    for _ in 0..3 {
        drop(bench.take());
        bench.tasks.run();
    }
}

/// C: creations that panicked took capacity away for ever.
#[test]
fn creations_that_panic_take_no_capacity_away() {
    let bench = bench(|it| it.max_size(2));
    bench.plant.set_create(Mode::Panic);
    for _ in 0..4 {
        let mut acquire = pin!(bench.pool.acquire());
        let _ = look(acquire.as_mut());
        bench.pass(secs(6));
        assert!(ready(acquire).is_err());
    }
    bench.plant.set_create(Mode::Ready);
    let _both = (bench.take(), bench.take());
}

/// D: a creation that failed at once was told after the whole timeout, and without its cause.
#[test]
fn a_failure_is_told_at_once_and_with_its_cause() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(2)));
    bench.plant.set_create(Mode::Fail);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.tasks.run();
    let error = ready(acquire).unwrap_err();
    assert!(matches!(
        error,
        AcquireError::Create(CreateError::Failed(_))
    ));
}

/// E: callers less patient than a creation takes got nothing, ever.
#[test]
fn impatient_callers_get_what_the_first_of_them_caused() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(ms(50)));
    bench.plant.set_create(Mode::Gated);
    let mut tries = 0;
    loop {
        tries += 1;
        let mut acquire = pin!(bench.pool.acquire());
        assert!(is_pending(acquire.as_mut()));
        if tries == 4 {
            // 200 ms are over.
            bench.plant.open(1);
            bench.tasks.run();
            drop(ready(acquire).unwrap());
            break;
        }
        bench.pass(ms(50));
        assert!(ready(acquire).is_err());
    }
    assert_eq!(bench.plant.created.load(SeqCst), 1);
}

/// F: with a check that went on failing, resources were made by the hundred thousand.
#[test]
fn a_check_that_goes_on_failing_makes_few_resources() {
    let bench = bench(|it| it.max_size(8).check(Check::Always).acquire_timeout(secs(2)));
    drop((0..8).map(|_| bench.take()).collect::<Vec<_>>());
    bench.plant.set_check(Mode::Fail);
    let before = bench.plant.attempts.load(SeqCst);
    let mut waiting: Vec<_> = (0..8).map(|_| Box::pin(bench.pool.acquire())).collect();
    for _ in 0..1500 {
        for acquire in &mut waiting {
            if let std::task::Poll::Ready(result) = look(acquire.as_mut()) {
                drop(result);
                *acquire = Box::pin(bench.pool.acquire());
            }
        }
        bench.pass(ms(1));
    }
    let made = bench.plant.attempts.load(SeqCst) - before;
    assert!(made <= 20, "{made}");
}

/// G: three idle ones whose check hangs cost three limits, or the whole patience.
#[test]
fn hanging_checks_cost_one_limit() {
    let bench = bench(|it| {
        let it = it.max_size(3).check(Check::Always).check_timeout(secs(2));
        it.acquire_timeout(secs(10))
    });
    drop((0..3).map(|_| bench.take()).collect::<Vec<_>>());
    bench.plant.set_check(Mode::Hang);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.pass(secs(2));
    drop(ready(acquire).unwrap());
}

/// H: so many callers at once make as many resources as there may be, at once.
#[test]
fn a_burst_makes_as_many_as_there_may_be() {
    let bench = bench(|it| it.max_size(16).create_concurrency(16));
    bench.plant.set_create(Mode::Gated);
    let mut waiting: Vec<_> = (0..64).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    bench.tasks.run();
    assert_eq!(bench.plant.creating.load(SeqCst), 16);
    bench.plant.open(16);
    bench.tasks.run();
    for acquire in &mut waiting {
        drop(ready(acquire.as_mut()).unwrap());
    }
    assert_eq!(bench.plant.attempts.load(SeqCst), 16);
}

/// I: what came back while another was being made was not handed to who waited.
#[test]
fn a_return_during_a_slow_creation_serves_who_waits() {
    let bench = bench(|it| it.max_size(2));
    let held = bench.take();
    bench.plant.set_create(Mode::Gated);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.tasks.run();
    drop(held);
    drop(ready(acquire).unwrap());
    assert_eq!(bench.plant.creating.load(SeqCst), 1);
}

/// J: a guard that was forgotten blocked the pool without a hint.
#[test]
fn a_forgotten_guard_is_named_by_its_line() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(1)));
    drop(bench.take());
    let line = line!() + 1;
    std::mem::forget(bench.pool.try_acquire().unwrap());
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.pass(secs(1));
    let error = ready(acquire).unwrap_err();
    let text = error.to_string();
    let site = format!("held by {}:{line}:", file!());
    assert!(text.contains(&site), "{text}");
}

/// The minimum was undercut by closing what was idle.
#[test]
fn idleness_never_undercuts_the_minimum() {
    let bench = bench(|it| {
        it.max_size(5)
            .min_size(3)
            .idle_timeout(secs(10))
            .max_lifetime(None)
    });
    drop((0..5).map(|_| bench.take()).collect::<Vec<_>>());
    bench.pass(secs(1000));
    assert_eq!(bench.plant.live.load(SeqCst), 3);
}

/// When all that came back were broken, callers ran out of time though new ones could be made.
#[test]
fn a_storm_of_broken_ones_is_survived() {
    let bench = bench(|it| it.max_size(4).acquire_timeout(secs(2)));
    for _ in 0..10 {
        let mut guards: Vec<_> = (0..4).map(|_| bench.take()).collect();
        for guard in &mut guards {
            guard.is_broken = true;
        }
        drop(guards);
        bench.tasks.run();
    }
    assert_eq!(bench.pool.stats().timeouts, 0);
    assert!(bench.plant.most_live.load(SeqCst) <= 4);
}

/// Giving back asked the backend and started a task: a dead peer kept the place for ever.
#[test]
fn giving_back_asks_nobody_and_starts_nothing() {
    let bench = bench(|it| it.max_size(1).check(Check::Always));
    let guard = bench.take();
    bench.tasks.run();
    let tasks = bench.tasks.len();
    let checks = bench.plant.checks.load(SeqCst);
    bench.plant.set_check(Mode::Hang);
    drop(guard);
    assert_eq!(bench.tasks.len(), tasks);
    assert_eq!(bench.plant.checks.load(SeqCst), checks);
    assert_eq!(bench.assert_conserved().idle, 1);
}
