//! Checks: when they are made, how long they may take, and what one that fails means for others.

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::{Check, CloseReason};

use crate::support::{Mode, bench, is_pending, ms, now, ready, secs};

#[test]
fn a_check_is_made_when_the_rule_says_so() {
    for (rule, idle, checks) in [
        (Check::Always, ms(0), 1),
        (Check::IfIdleFor(secs(1)), ms(999), 0),
        (Check::IfIdleFor(secs(1)), ms(1000), 1),
        (Check::Never, secs(200), 0),
    ] {
        let bench = bench(|it| it.max_size(1).check(rule).health_interval(None));
        drop(bench.take());
        bench.clock.advance(idle);
        drop(bench.take());
        assert_eq!(bench.plant.checks.load(SeqCst), checks, "{rule:?} {idle:?}");
    }
}

#[test]
fn what_fails_a_check_is_closed_and_replaced() {
    let bench = bench(|it| it.max_size(1).check(Check::Always));
    drop(bench.take());
    bench.clock.advance(secs(1));
    bench.plant.set_check(Mode::Fail);
    assert_eq!(bench.take().id, 1);
    assert_eq!(bench.plant.closed_for(CloseReason::Unhealthy), 1);
    assert_eq!(bench.pool.stats().check_failures, 1);
}

#[test]
fn a_check_that_hangs_costs_one_limit_and_not_one_for_each() {
    let bench = bench(|it| it.max_size(3).check(Check::Always).check_timeout(secs(2)));
    drop((bench.take(), bench.take(), bench.take()));
    bench.plant.set_check(Mode::Hang);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.pass(ms(1999));
    assert!(is_pending(acquire.as_mut()));
    bench.pass(ms(1));
    assert_eq!(ready(acquire).unwrap().id, 3);
}

#[test]
fn what_comes_back_during_a_check_serves_who_waits() {
    let bench = bench(|it| it.max_size(2).check(Check::IfIdleFor(secs(1))));
    let (held, idle) = (bench.take(), bench.take());
    drop(idle);
    bench.clock.advance(secs(1));
    bench.plant.set_check(Mode::Gated);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.tasks.run();
    let id = held.id;
    drop(held);
    assert_eq!(ready(acquire).unwrap().id, id);
    bench.plant.open(1);
    bench.tasks.run();
    assert_eq!(bench.assert_conserved().idle, 2);
}

#[test]
fn idle_ones_are_checked_once_an_interval_and_those_in_use_never() {
    let bench = bench(|it| {
        let it = it.max_size(3).health_interval(secs(60)).idle_timeout(None);
        it.check(Check::Never)
    });
    let held = bench.take();
    drop((bench.take(), bench.take()));
    bench.pass(secs(59));
    assert_eq!(bench.plant.checks.load(SeqCst), 0);
    bench.pass(secs(2));
    assert_eq!(bench.plant.checks.load(SeqCst), 2);
    bench.pass(secs(60));
    assert_eq!(bench.plant.checks.load(SeqCst), 4);
    drop(held);
    let stats = bench.pool.stats();
    assert!(stats.last_health_check.unwrap() < secs(60));
}

#[test]
fn three_failures_in_a_row_are_told_and_the_end_of_them_too() {
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = std::sync::Arc::clone(&told);
    let bench = bench(|it| {
        let it = it.max_size(4).check(Check::Always);
        it.on_event(move |event| {
            use brolly_resource_pool::Event::{Degraded, Recovered};
            if matches!(event, Degraded | Recovered) {
                listener.lock().unwrap().push(format!("{event:?}"));
            }
        })
    });
    drop((0..4).map(|_| bench.take()).collect::<Vec<_>>());
    bench.clock.advance(secs(1));
    bench.plant.set_check(Mode::Fail);
    drop(bench.take());
    bench.pass(secs(120));
    assert!(bench.pool.stats().is_degraded);
    bench.plant.set_check(Mode::Ready);
    bench.pass(secs(10));
    drop(bench.take());
    bench.clock.advance(secs(1));
    drop(bench.take());
    assert!(!bench.pool.stats().is_degraded);
    assert_eq!(*told.lock().unwrap(), ["Degraded", "Recovered"]);
}

#[test]
fn new_ones_that_pass_no_check_are_not_made_without_a_pause() {
    let bench = bench(|it| it.max_size(8).check(Check::Always));
    drop((0..8).map(|_| bench.take()).collect::<Vec<_>>());
    bench.plant.set_check(Mode::Fail);
    let mut waiting = Box::pin(bench.pool.acquire());
    for _ in 0..1500 {
        if let std::task::Poll::Ready(guard) = crate::support::look(waiting.as_mut()) {
            drop(guard);
            waiting = Box::pin(bench.pool.acquire());
        }
        bench.pass(ms(1));
    }
    let attempts = bench.plant.attempts.load(SeqCst) - 8;
    assert!((1..=20).contains(&attempts), "{attempts}");
}

#[test]
fn maintenance_by_hand_checks_too() {
    let bench = crate::support::lone(|it| it.max_size(2).health_interval(secs(10)));
    drop((bench.take(), bench.take()));
    bench.clock.advance(secs(11));
    bench.plant.set_check(Mode::Fail);
    now(bench.pool.maintain());
    assert_eq!(bench.assert_conserved().size, 0);
}
