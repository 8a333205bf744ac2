//! Acquiring: idle first, new ones up to the maximum, then in line.

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::{AcquireError, Guard, Order, TryAcquireError};

use crate::support::{Mode, bench, is_pending, is_timeout, lone, look, ms, ready, secs};

#[test]
fn what_comes_back_is_handed_out_again() {
    let bench = bench(|it| it.max_size(2));
    let first = bench.take().id;
    assert_eq!(bench.take().id, first);
    assert_eq!(bench.plant.created.load(SeqCst), 1);
}

#[test]
fn never_more_than_the_maximum_exist() {
    let bench = bench(|it| it.max_size(3).acquire_timeout(None));
    let guards: Vec<_> = (0..3).map(|_| bench.take()).collect();
    let mut fourth = pin!(bench.pool.acquire());
    assert!(is_pending(fourth.as_mut()));
    bench.tasks.run();
    assert!(is_pending(fourth.as_mut()));
    drop(guards);
    drop(ready(fourth).unwrap());
    assert_eq!(bench.plant.most_live.load(SeqCst), 3);
}

#[test]
fn those_who_wait_are_served_in_the_order_of_their_arrival() {
    let bench = bench(|it| it.max_size(1));
    let held = bench.take();
    let mut first = pin!(bench.pool.acquire());
    let mut second = pin!(bench.pool.acquire());
    assert!(is_pending(first.as_mut()));
    assert!(is_pending(second.as_mut()));
    drop(held);
    assert!(is_pending(second.as_mut()));
    let guard = ready(first).unwrap();
    assert!(is_pending(second.as_mut()));
    drop(guard);
    drop(ready(second).unwrap());
}

#[test]
fn a_newcomer_does_not_overtake() {
    let bench = bench(|it| it.max_size(1));
    let held = bench.take();
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    drop(held);
    // The one that came back belongs to who waits, although nobody has looked yet.
    let mut newcomer = pin!(bench.pool.acquire());
    assert!(is_pending(newcomer.as_mut()));
    assert_eq!(
        bench.pool.try_acquire().unwrap_err(),
        TryAcquireError::Exhausted { in_use: 1, max: 1 }
    );
    drop(ready(waiting).unwrap());
    drop(ready(newcomer).unwrap());
}

#[test]
fn the_time_limit_is_kept_and_names_the_holder() {
    let bench = bench(|it| it.name("db").max_size(1).acquire_timeout(secs(2)));
    let held = bench.take();
    bench.clock.advance(secs(5));
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.clock.advance(ms(1999));
    assert!(is_pending(acquire.as_mut()));
    bench.clock.advance(ms(1));
    let error = ready(acquire).unwrap_err();
    let report = error.timeout().unwrap();
    assert_eq!(report.waited, secs(2));
    assert_eq!((report.max, report.in_use, report.waiting), (1, 1, 0));
    assert_eq!(report.holders.len(), 1);
    assert_eq!(report.holders[0].longest, secs(7));
    assert_eq!(Some(report.holders[0].site), Guard::site(&held));
    let text = error.to_string();
    assert!(
        text.starts_with("no resource of `db` after 2.0s: 1 of 1 in use"),
        "{text}"
    );
    assert!(text.contains("support.rs:"), "{text}");
}

#[test]
fn the_time_limit_is_for_acquiring_and_not_for_using() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(1)));
    let mut guard = bench.take();
    bench.clock.advance(secs(1000));
    guard.is_broken = false;
    assert_eq!(bench.pool.stats().timeouts, 0);
}

#[test]
fn a_limit_of_its_own_beats_the_one_of_the_pool() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(30)));
    let _held = bench.take();
    let mut acquire = pin!(bench.pool.acquire_timeout(ms(5)));
    assert!(is_pending(acquire.as_mut()));
    bench.clock.advance(ms(5));
    assert!(is_timeout(&ready(acquire)));
}

#[test]
fn an_owned_guard_may_have_a_limit_of_its_own_and_names_its_caller() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(30)));
    drop(bench.take());
    let line = line!() + 1;
    let held = ready(pin!(bench.pool.acquire_owned_timeout(ms(5)))).unwrap();
    assert_eq!(bench.pool.holders()[0].site.line, line);
    let mut acquire = pin!(bench.pool.acquire_owned_timeout(ms(5)));
    assert!(is_pending(acquire.as_mut()));
    bench.clock.advance(ms(5));
    assert!(ready(acquire).unwrap_err().timeout().is_some());
    drop(held);
}

#[test]
fn what_is_there_at_the_deadline_is_not_turned_down() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(1)));
    let held = bench.take();
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    drop(held);
    bench.clock.advance(secs(2));
    drop(ready(acquire).unwrap());
}

#[test]
fn try_acquire_takes_what_is_idle_and_never_waits() {
    let bench = lone(|it| it.max_size(2));
    // Without a spawner, one that is made at once counts.
    let first = bench.pool.try_acquire().unwrap();
    let second = bench.pool.try_acquire().unwrap();
    let refused = bench.pool.try_acquire().unwrap_err();
    assert_eq!(refused, TryAcquireError::Exhausted { in_use: 2, max: 2 });
    assert_eq!(refused.to_string(), "no resource is idle: 2 of 2 in use");
    drop(first);
    drop(bench.pool.try_acquire().unwrap());
    drop(second);
    assert_eq!(bench.pool.stats().refusals, 1);
}

#[test]
fn try_acquire_of_an_empty_pool_causes_a_creation() {
    let bench = bench(|it| it.max_size(2));
    assert!(bench.pool.try_acquire().is_err());
    bench.tasks.run();
    drop(bench.pool.try_acquire().unwrap());
    assert_eq!(bench.plant.created.load(SeqCst), 1);
}

#[test]
fn try_acquire_without_a_spawner_leaves_nothing_behind() {
    let bench = lone(|it| it.max_size(2));
    bench.plant.set_create(Mode::Gated);
    assert!(bench.pool.try_acquire().is_err());
    let stats = bench.assert_conserved();
    assert_eq!((stats.size, stats.waiting), (0, 0));
    assert_eq!(bench.plant.creating.load(SeqCst), 0);
}

#[test]
fn guards_may_be_owned() {
    let bench = bench(|it| it.max_size(1));
    drop(bench.take());
    let owned = crate::support::now(bench.pool.acquire_owned()).unwrap();
    let pool = bench.pool.clone();
    std::thread::spawn(move || drop(owned)).join().unwrap();
    let borrowed = pool.try_acquire().unwrap();
    let owned = Guard::into_owned(borrowed);
    assert!(pool.try_acquire_owned().is_err());
    drop(owned);
    assert_eq!(bench.assert_conserved().idle, 1);
}

#[test]
fn what_is_detached_leaves_room() {
    let bench = bench(|it| it.max_size(1));
    let thing = Guard::detach(bench.take());
    assert_eq!(bench.assert_conserved().size, 0);
    let other = bench.take();
    assert_ne!(other.id, thing.id);
    assert_eq!(bench.pool.stats().detached, 1);
    assert!(bench.plant.closed.lock().unwrap().is_empty());
}

#[test]
fn what_is_discarded_is_closed() {
    let bench = bench(|it| it.max_size(1));
    let guard = bench.take();
    let id = guard.id;
    Guard::discard(guard);
    bench.tasks.run();
    assert_ne!(bench.take().id, id);
    assert_eq!(bench.plant.live.load(SeqCst), 1);
}

#[test]
fn what_the_manager_calls_broken_is_closed() {
    let bench = bench(|it| it.max_size(1));
    bench.take().is_broken = true;
    bench.tasks.run();
    assert_eq!(bench.take().id, 1);
}

#[test]
fn a_resource_made_elsewhere_can_be_added() {
    let bench = bench(|it| it.max_size(1));
    let thing = crate::support::Thing::new(&bench.plant);
    bench.pool.add(thing).unwrap();
    let other = crate::support::Thing::new(&bench.plant);
    let error = bench.pool.add(other).unwrap_err();
    assert_eq!(error.to_string(), "the pool is full");
    assert_eq!(error.resource.id, 1);
    assert_eq!(bench.take().id, 0);
    assert_eq!(bench.plant.attempts.load(SeqCst), 0);
}

#[test]
fn what_is_added_serves_who_waits() {
    let bench = bench(|it| it.max_size(1));
    bench.plant.set_create(Mode::Fail);
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.tasks.run();
    assert!(matches!(ready(acquire), Err(AcquireError::Create(_))));
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench
        .pool
        .add(crate::support::Thing::new(&bench.plant))
        .unwrap();
    drop(ready(acquire).unwrap());
}

#[test]
fn the_hottest_goes_first_or_each_in_turn() {
    let bench_of = |order| {
        let bench = bench(|it| it.max_size(3).order(order));
        let guards: Vec<_> = (0..3).map(|_| bench.take()).collect();
        drop(guards);
        let ids: Vec<_> = (0..4).map(|_| bench.take().id).collect();
        ids
    };
    let hot = bench_of(Order::HotFirst);
    assert!(hot.iter().all(|it| *it == hot[0]), "{hot:?}");
    let turns = bench_of(Order::RoundRobin);
    assert_ne!(turns[0], turns[1]);
    assert_ne!(turns[1], turns[2]);
    assert_eq!(turns[0], turns[3]);
}

#[test]
fn a_pool_of_many_words_hands_out_each_place_once() {
    for shards in [1, 3] {
        let bench = lone(|it| it.max_size(500).shards(shards));
        let guards: Vec<_> = (0..500).map(|_| bench.take()).collect();
        let mut ids: Vec<_> = guards.iter().map(|it| it.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 500);
        assert!(bench.pool.try_acquire().is_err());
        assert_eq!(bench.pool.holders().len(), 500);
        drop(guards);
        let stats = bench.assert_conserved();
        assert_eq!((stats.idle, stats.peak), (500, 500));
    }
}

#[test]
fn work_gets_a_resource_and_gives_it_back() {
    let bench = lone(|it| it.max_size(1));
    let id = crate::support::now(bench.pool.with(async |thing| thing.id)).unwrap();
    let same = crate::support::now(bench.pool.run(async |thing| Ok(thing.id))).unwrap();
    assert_eq!(id, same);
    // Only what the manager calls fatal closes the resource.
    let passing = crate::support::now(
        bench
            .pool
            .run(async |_| Err::<(), _>(crate::support::Broken::Passing)),
    );
    assert_eq!(
        passing.unwrap_err().to_string(),
        "the work with the resource failed"
    );
    assert_eq!(bench.take().id, id);
    let fatal = crate::support::now(
        bench
            .pool
            .run(async |_| Err::<(), _>(crate::support::Broken::ForGood)),
    );
    assert!(fatal.is_err());
    assert_ne!(bench.take().id, id);
}

#[test]
fn a_finished_acquire_may_not_be_asked_again_but_harms_nothing() {
    let bench = bench(|it| it.max_size(1));
    drop(bench.take());
    let mut acquire = Box::pin(bench.pool.acquire());
    drop(ready(acquire.as_mut()).unwrap());
    let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(look(acquire.as_mut()));
    }));
    assert!(again.is_err());
    assert_eq!(bench.assert_conserved().idle, 1);
}
