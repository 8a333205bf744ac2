//! How long resources live: idle, used up, of an old generation, and on a clock that jumps.

use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::{Check, CloseReason};

use crate::support::{Mode, bench, lone, secs};

#[test]
fn what_is_idle_for_too_long_is_closed_down_to_the_minimum() {
    let bench = bench(|it| {
        let it = it.max_size(6).min_size(2).idle_timeout(secs(300));
        it.health_interval(None)
            .max_lifetime(None)
            .evictions_per_tick(100)
    });
    drop((0..6).map(|_| bench.take()).collect::<Vec<_>>());
    bench.pass(secs(300));
    assert_eq!(bench.plant.live.load(SeqCst), 6);
    bench.pass(secs(1));
    assert_eq!(bench.plant.live.load(SeqCst), 2);
    bench.pass(secs(10_000));
    assert_eq!(bench.plant.live.load(SeqCst), 2);
    assert_eq!(bench.plant.closed_for(CloseReason::Idle), 4);
}

#[test]
fn what_was_made_together_does_not_go_together() {
    for (limit, at_once) in [(None, 4), (Some(1), 1), (Some(15), 15)] {
        let bench = bench(|it| {
            let it = it.max_size(40).idle_timeout(secs(300));
            let it = it.max_lifetime(None).evictions_per_tick(limit);
            it.health_interval(None)
        });
        drop((0..40).map(|_| bench.take()).collect::<Vec<_>>());
        bench.pass(secs(300));
        let mut before = 40;
        let mut ticks = 0;
        while before > 0 {
            bench.pass(secs(1));
            let live = bench.plant.live.load(SeqCst);
            assert!(before - live <= at_once, "{limit:?}: {before} to {live}");
            assert!(live < before, "{limit:?}: it goes on every second");
            before = live;
            ticks += 1;
        }
        assert!(ticks >= 40 / at_once, "{limit:?}");
    }
}

#[test]
fn a_life_that_is_over_is_followed_by_another_before_a_wave_can_form() {
    let bench = bench(|it| {
        let it = it.max_size(40).min_size(20).max_lifetime(secs(1000));
        let it = it.lifetime_jitter(0.0).idle_timeout(None);
        it.health_interval(None)
    });
    let mut warm_up = std::pin::pin!(bench.pool.warm_up());
    assert!(crate::support::is_pending(warm_up.as_mut()));
    bench.tasks.run();
    let mut least = 20;
    for _ in 0..2500 {
        bench.pass(secs(1));
        least = least.min(bench.plant.live.load(SeqCst));
    }
    assert_eq!(least, 20);
    assert!(bench.plant.created.load(SeqCst) >= 60);
}

#[test]
fn so_many_are_kept_idle_beside_those_in_use() {
    let bench = bench(|it| {
        let it = it.max_size(8).min_size(2).min_idle(3);
        it.idle_timeout(secs(10)).max_lifetime(None)
    });
    bench.pass(secs(10));
    assert_eq!(bench.assert_conserved().size, 0, "lazy until it is warm");
    let mut warm_up = std::pin::pin!(bench.pool.warm_up());
    assert!(crate::support::is_pending(warm_up.as_mut()));
    bench.tasks.run();
    assert_eq!(crate::support::ready(warm_up).unwrap(), 3);
    let mut held = Vec::new();
    for taken in 1..=8 {
        held.push(bench.take());
        bench.pass(secs(1));
        let stats = bench.assert_conserved();
        assert_eq!(stats.in_use, taken);
        assert_eq!(stats.idle, 3.min(8 - taken), "{stats:?}");
    }
    // Idleness undercuts neither.
    drop(held);
    bench.pass(secs(1000));
    let stats = bench.assert_conserved();
    assert_eq!((stats.idle, stats.size, stats.min_idle), (3, 3, 3));
    assert_eq!(bench.plant.closed_for(CloseReason::Idle), 5, "and no more");
    // A smaller maximum is a bound for it too.
    bench.pool.resize(0, 2).unwrap();
    bench.pass(secs(10));
    assert_eq!(bench.assert_conserved().size, 2);
}

#[test]
fn warming_up_ends_where_there_is_no_room_for_the_idle_minimum() {
    let bench = bench(|it| it.max_size(3).min_size(0).min_idle(3));
    let _held = (bench.take(), bench.take());
    let mut warm_up = std::pin::pin!(bench.pool.warm_up());
    assert!(crate::support::is_pending(warm_up.as_mut()));
    bench.tasks.run();
    assert_eq!(crate::support::ready(warm_up).unwrap(), 3);
}

#[test]
fn an_idle_minimum_is_kept_beside_those_who_wait() {
    let bench = bench(|it| {
        let it = it.max_size(8).min_size(0).min_idle(2);
        it.health_interval(None)
    });
    let mut warm_up = std::pin::pin!(bench.pool.warm_up());
    assert!(crate::support::is_pending(warm_up.as_mut()));
    bench.tasks.run();
    let _held = (bench.take(), bench.take());
    bench.plant.set_create(Mode::Gated);
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(crate::support::is_pending(acquire.as_mut()));
    }
    bench.tasks.run();
    // Two for those who wait and two to be idle, at once.
    assert_eq!(bench.assert_conserved().creating, 4);
    bench.plant.open(4);
    bench.tasks.run();
    let stats = bench.assert_conserved();
    assert_eq!((stats.in_use, stats.idle), (4, 2));
}

#[test]
fn those_in_use_all_the_time_stay_and_the_rest_goes() {
    let bench = bench(|it| {
        let it = it.max_size(4).idle_timeout(secs(10)).max_lifetime(None);
        it.health_interval(None)
    });
    drop((0..4).map(|_| bench.take()).collect::<Vec<_>>());
    for _ in 0..60 {
        drop(bench.take());
        bench.pass(secs(1));
    }
    assert_eq!(bench.plant.live.load(SeqCst), 1);
}

#[test]
fn a_life_that_is_over_ends_when_it_comes_back_and_not_before() {
    let bench = bench(|it| it.max_size(1).max_lifetime(secs(100)).leak_after(None));
    let guard = bench.take();
    bench.pass(secs(1000));
    assert_eq!(guard.id, 0);
    assert_eq!(bench.plant.live.load(SeqCst), 1);
    drop(guard);
    bench.tasks.run();
    assert_eq!(bench.plant.closed_for(CloseReason::Expired), 1);
}

#[test]
fn nothing_expired_is_handed_out() {
    let bench = lone(|it| it.max_size(1).max_lifetime(secs(100)).lifetime_jitter(0.0));
    drop(bench.take());
    bench.clock.advance(secs(99));
    assert_eq!(bench.take().id, 0);
    bench.clock.advance(secs(1));
    assert_eq!(bench.take().id, 1);
}

#[test]
fn those_made_together_do_not_end_together() {
    let bench = bench(|it| {
        let it = it.max_size(50).max_lifetime(secs(1000)).idle_timeout(None);
        it.health_interval(None)
    });
    drop((0..50).map(|_| bench.take()).collect::<Vec<_>>());
    bench.pass(secs(899));
    assert_eq!(bench.plant.closed_for(CloseReason::Expired), 0);
    let mut worst = 0;
    let mut before = 0;
    for _ in 0..202 {
        bench.pass(secs(1));
        let closed = bench.plant.closed_for(CloseReason::Expired);
        worst = worst.max(closed - before);
        before = closed;
    }
    assert!(before >= 50, "{before}");
    assert!(worst <= 6, "{worst} in one second");
}

#[test]
fn a_successor_is_there_before_the_end() {
    let bench = bench(|it| {
        let it = it.max_size(2).min_size(1).max_lifetime(secs(100));
        it.lifetime_jitter(0.0).health_interval(None)
    });
    drop(bench.take());
    bench.pass(secs(94));
    assert_eq!(bench.plant.created.load(SeqCst), 1);
    bench.pass(secs(2));
    assert_eq!(bench.plant.created.load(SeqCst), 2);
    assert_eq!(bench.plant.live.load(SeqCst), 2);
    // The end comes when the successor is there already.
    bench.plant.set_create(Mode::Fail);
    bench.pass(secs(4));
    assert_eq!(bench.plant.live.load(SeqCst), 1);
    assert_eq!(bench.take().id, 1);
}

#[test]
fn without_room_for_a_successor_the_maximum_holds() {
    let bench = bench(|it| {
        let it = it.max_size(1).min_size(1).max_lifetime(secs(100));
        it.lifetime_jitter(0.0)
    });
    drop(bench.take());
    bench.pass(secs(350));
    drop(bench.take());
    assert_eq!(bench.plant.most_live.load(SeqCst), 1);
    assert_eq!(bench.plant.live.load(SeqCst), 1);
}

#[test]
fn a_resource_is_handed_out_so_often_and_no_more() {
    let bench = bench(|it| it.max_size(1).max_uses(3));
    let ids: Vec<_> = (0..7)
        .map(|_| {
            bench.tasks.run();
            bench.take().id
        })
        .collect();
    assert_eq!(ids, [0, 0, 0, 1, 1, 1, 2]);
    bench.tasks.run();
    assert_eq!(bench.plant.closed_for(CloseReason::WornOut), 2);
}

#[test]
fn after_a_reset_nothing_older_is_handed_out() {
    let bench = bench(|it| it.max_size(3));
    let held = bench.take();
    drop(bench.take());
    bench.pool.reset();
    bench.tasks.run();
    assert_eq!(bench.plant.closed_for(CloseReason::Reset), 1);
    assert_eq!(bench.take().id, 2);
    drop(held);
    assert_eq!(bench.take().id, 2);
    let _both = (bench.take(), bench.take());
    assert_eq!(bench.plant.closed_for(CloseReason::Reset), 2);
}

#[test]
fn what_is_older_than_a_reset_is_closed_when_it_comes_back() {
    let bench = bench(|it| it.max_size(1));
    let held = bench.take();
    bench.pool.reset();
    assert_eq!(bench.plant.closed_for(CloseReason::Reset), 0);
    drop(held);
    bench.tasks.run();
    assert_eq!(bench.plant.closed_for(CloseReason::Reset), 1);
    assert_eq!(bench.assert_conserved().size, 0);
}

#[test]
fn what_was_begun_before_a_reset_is_of_before_the_reset() {
    let bench = bench(|it| it.max_size(1));
    bench.plant.set_create(Mode::Gated);
    let mut acquire = std::pin::pin!(bench.pool.acquire());
    assert!(crate::support::is_pending(acquire.as_mut()));
    bench.tasks.run();
    bench.pool.reset();
    bench.plant.open(2);
    bench.tasks.run();
    let guard = crate::support::ready(acquire).unwrap();
    assert_eq!(guard.id, 1);
    assert_eq!(bench.plant.closed_for(CloseReason::Reset), 1);
}

#[test]
fn a_clock_that_jumps_to_its_end_ends_nothing_too_early_and_panics_nowhere() {
    let bench = bench(|it| {
        it.max_size(2)
            .check(Check::IfIdleFor(std::time::Duration::MAX))
    });
    let held = bench.take();
    drop(bench.take());
    bench.clock.advance(std::time::Duration::MAX);
    bench.tasks.run();
    drop(held);
    drop(bench.take());
    bench.assert_conserved();
}

#[test]
fn durations_without_end_are_for_ever() {
    let forever = std::time::Duration::MAX;
    let bench = bench(|it| {
        let it = it.acquire_timeout(forever).create_timeout(forever);
        let it = it.check_timeout(forever).close_timeout(forever);
        let it = it.health_interval(forever).idle_timeout(forever);
        let it = it.max_lifetime(forever).leak_after(forever);
        it.lease_timeout(forever).max_size(1).check(Check::Always)
    });
    let guard = bench.take();
    let mut waiting = std::pin::pin!(bench.pool.acquire());
    assert!(crate::support::is_pending(waiting.as_mut()));
    bench.pass(secs(1_000_000_000));
    assert_eq!(guard.id, 0);
    drop(guard);
    bench.pass(secs(1_000_000_000));
    assert_eq!(crate::support::ready(waiting).unwrap().id, 0);
}

#[test]
fn ten_years_of_use_lose_nothing() {
    let days = |days: u64| secs(86_400 * days);
    let bench = bench(|it| {
        let it = it.max_size(4).min_size(1).health_interval(days(30));
        let it = it.idle_timeout(days(7)).max_lifetime(days(60));
        it.leak_after(days(90))
    });
    for _ in 0..200 {
        drop((bench.take(), bench.take()));
        bench.pass(secs(10 * 365 * 86_400 / 200));
    }
    let stats = bench.assert_conserved();
    assert_eq!(stats.closed as usize + stats.size, stats.created as usize);
    assert!(bench.plant.most_live.load(SeqCst) <= 4);
}
