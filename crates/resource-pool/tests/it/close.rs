//! The end of a pool.

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::{AcquireError, AddRefused, CloseReason, Guard, TryAcquireError};

use crate::support::{Mode, bench, is_pending, lone, ms, now, ready, secs};

#[test]
fn whoever_waits_or_comes_later_is_told() {
    let bench = bench(|it| it.max_size(2));
    let held = bench.take();
    drop(bench.take());
    let _other = bench.take();
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    bench.pool.close();
    bench.pool.close();
    assert!(matches!(ready(waiting), Err(AcquireError::Closed)));
    assert!(matches!(
        now(bench.pool.acquire()),
        Err(AcquireError::Closed)
    ));
    assert!(matches!(
        bench.pool.acquire_blocking(),
        Err(AcquireError::Closed)
    ));
    assert_eq!(
        bench.pool.try_acquire().unwrap_err(),
        TryAcquireError::Closed
    );
    let thing = crate::support::Thing::new(&bench.plant);
    assert_eq!(
        bench.pool.add(thing).unwrap_err().reason,
        AddRefused::Closed
    );
    assert!(bench.pool.is_closed());
    drop(held);
    bench.tasks.run();
    assert_eq!(bench.plant.closed_for(CloseReason::Closed), 1);
}

#[test]
fn what_is_idle_is_closed_at_once_and_the_rest_when_it_comes_back() {
    let bench = bench(|it| it.max_size(2));
    let held = bench.take();
    drop(bench.take());
    bench.pool.close();
    bench.tasks.run();
    assert_eq!(bench.plant.live.load(SeqCst), 1);
    drop(held);
    bench.tasks.run();
    assert_eq!(bench.plant.live.load(SeqCst), 0);
    assert_eq!(bench.assert_conserved().size, 0);
}

#[test]
fn what_is_being_made_when_the_pool_closes_is_closed() {
    let bench = bench(|it| it.max_size(2));
    bench.plant.set_create(Mode::Gated);
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    bench.tasks.run();
    bench.pool.close();
    assert!(ready(waiting).is_err());
    bench.plant.open(1);
    bench.tasks.run();
    assert_eq!(bench.plant.live.load(SeqCst), 0);
    assert_eq!(bench.plant.created.load(SeqCst), 1);
    assert_eq!(bench.assert_conserved().size, 0);
}

#[test]
fn a_drain_waits_for_all() {
    let bench = bench(|it| it.max_size(3));
    let held = [bench.take(), bench.take()];
    drop(bench.take());
    let mut drain = pin!(bench.pool.drain(secs(10)));
    assert!(is_pending(drain.as_mut()));
    bench.clock.advance(secs(3));
    let [first, second] = held;
    drop(first);
    bench.tasks.run();
    assert!(is_pending(drain.as_mut()));
    drop(second);
    bench.tasks.run();
    let report = ready(drain);
    assert!(report.is_complete());
    assert_eq!((report.returned, report.took), (2, secs(3)));
}

#[test]
fn a_drain_that_runs_out_of_time_names_who_still_holds() {
    let bench = bench(|it| it.max_size(3));
    let held = bench.take();
    let early = bench.take();
    let mut drain = pin!(bench.pool.drain(secs(10)));
    assert!(is_pending(drain.as_mut()));
    drop(early);
    bench.pass(secs(10));
    let report = ready(drain);
    assert!(!report.is_complete());
    assert_eq!((report.returned, report.left.len()), (1, 1));
    assert_eq!(Some(report.left[0].site), Guard::site(&held));
    assert_eq!(report.left[0].held_for, secs(10));
}

#[test]
fn a_drain_without_a_spawner_works_too() {
    let bench = lone(|it| it.max_size(2));
    let held = bench.take();
    let mut drain = pin!(bench.pool.drain(secs(1)));
    assert!(is_pending(drain.as_mut()));
    drop(held);
    assert!(ready(drain).is_complete());
    assert!(now(bench.pool.drain(secs(1))).is_complete());
}

#[test]
fn the_last_handle_closes_the_pool_and_a_guard_outlives_it() {
    let bench = bench(|it| it.max_size(2));
    drop((bench.take(), bench.take()));
    let owned = bench.pool.try_acquire_owned().unwrap();
    let crate::support::Bench {
        pool, plant, tasks, ..
    } = bench;
    let other = pool.clone();
    drop(pool);
    tasks.run();
    assert_eq!(plant.live.load(SeqCst), 2);
    drop(other);
    tasks.run();
    assert_eq!(plant.live.load(SeqCst), 1);
    drop(owned);
    tasks.run();
    assert_eq!(plant.live.load(SeqCst), 0);
    assert_eq!(tasks.len(), 0, "the tasks of the pool end with it");
}

#[test]
fn closing_that_hangs_gives_the_place_free_when_its_time_is_up() {
    let bench = bench(|it| it.max_size(1).close_timeout(secs(2)));
    bench.plant.set_close(Mode::Hang);
    let guard = bench.take();
    Guard::discard(guard);
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    bench.pass(ms(1999));
    // Until then it may still exist on the other side.
    assert!(is_pending(waiting.as_mut()));
    assert_eq!(bench.assert_conserved().reserved, 1);
    bench.pass(ms(1));
    drop(ready(waiting).unwrap());
    assert_eq!(bench.plant.most_live.load(SeqCst), 1);
}
