//! Targets that fail: left out, tried again, and how many at most.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use brolly_resource_pool::{Ejection, PickError, Query, Router, Strategy, Target, TargetHealth};
use brolly_sync::{Clock, ManualClock};

use crate::support::secs;

/// Left out after three failures, for 10 s at first and 40 s at most; all but the last may be out.
fn router(targets: u32) -> (Router<u32>, ManualClock) {
    let clock = ManualClock::new();
    let ejection = Ejection::after(3)
        .lasting(secs(10), secs(40))
        .max_share(0.99);
    let router = Router::builder().ejection(ejection).clock(clock.clone());
    let router = router.build().unwrap();
    (0..targets).for_each(|id| router.add(Target::id(id)).unwrap());
    (router, clock)
}

fn only(id: &u32) -> Query<'_, u32> {
    Query::new().among(std::slice::from_ref(id))
}

fn fail(router: &Router<u32>, id: u32, times: usize) {
    for _ in 0..times {
        router.pick_for(&only(&id)).unwrap().fail();
    }
}

fn health(router: &Router<u32>, id: u32) -> TargetHealth {
    let targets = router.targets();
    targets.into_iter().find(|it| it.id == id).unwrap().health
}

fn is_out(router: &Router<u32>, id: u32) -> bool {
    matches!(health(router, id), TargetHealth::Ejected { .. })
}

#[test]
fn who_fails_as_often_in_a_row_as_was_said_is_left_out() {
    let (router, _) = router(3);
    fail(&router, 1, 2);
    router.pick_for(&only(&1)).unwrap().succeed();
    fail(&router, 1, 2);
    drop(router.pick_for(&only(&1)).unwrap()); // says nothing
    assert_eq!(health(&router, 1), TargetHealth::Healthy);
    fail(&router, 1, 1);
    let retry_after = secs(10);
    assert_eq!(health(&router, 1), TargetHealth::Ejected { retry_after });
    for _ in 0..20 {
        assert_ne!(router.pick().unwrap().id(), &1);
    }
    let refused = router.pick_for(&only(&1)).unwrap_err();
    let PickError::NoTargets {
        ejected,
        retry_after,
        ..
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!((ejected, retry_after), (1, Some(secs(10))));
    let stats = router.stats();
    assert_eq!((stats.available, stats.ejected, stats.ejections), (2, 1, 1));
}

#[test]
fn it_is_tried_with_one_lease_when_its_time_is_over() {
    let (router, clock) = router(2);
    fail(&router, 0, 3);
    clock.advance(secs(10) - Duration::from_nanos(1));
    assert_eq!(router.pick().unwrap().id(), &1);
    clock.advance(Duration::from_nanos(1));
    // It is the lighter one by far, and yet gets one.
    let held: Vec<_> = (0..9).map(|_| router.pick().unwrap()).collect();
    assert_eq!(held.iter().filter(|it| *it.id() == 0).count(), 1);
    assert_eq!(health(&router, 0), TargetHealth::OnTrial);
    for lease in held {
        if *lease.id() == 0 {
            lease.succeed();
        }
    }
    assert_eq!(health(&router, 0), TargetHealth::Healthy);
    let ids: HashSet<_> = (0..4).map(|_| *router.pick().unwrap().id()).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn every_failed_trial_doubles_the_time_up_to_the_longest_and_a_passed_one_ends_that() {
    let (router, clock) = router(2);
    fail(&router, 0, 3);
    for time in [10, 20, 40, 40] {
        let retry_after = secs(time);
        assert_eq!(health(&router, 0), TargetHealth::Ejected { retry_after });
        clock.advance(retry_after);
        fail(&router, 0, 1);
    }
    clock.advance(secs(40));
    router.pick_for(&only(&0)).unwrap().succeed();
    fail(&router, 0, 3);
    let retry_after = secs(10);
    assert_eq!(health(&router, 0), TargetHealth::Ejected { retry_after });
}

#[test]
fn a_trial_that_ends_in_silence_is_made_again_and_a_forgotten_one_after_a_while() {
    let (router, clock) = router(2);
    fail(&router, 0, 3);
    clock.advance(secs(10));
    drop(router.pick_for(&only(&0)).unwrap());
    let lease = router.pick_for(&only(&0)).unwrap();
    assert!(router.pick_for(&only(&0)).is_err());
    std::mem::forget(lease);
    clock.advance(secs(39));
    assert!(router.pick_for(&only(&0)).is_err());
    clock.advance(secs(1));
    router.pick_for(&only(&0)).unwrap().succeed();
    assert_eq!(health(&router, 0), TargetHealth::Healthy);
}

#[test]
fn what_was_begun_before_does_not_decide_a_trial() {
    let (router, clock) = router(2);
    let early: Vec<_> = (0..3)
        .map(|_| router.pick_for(&only(&0)).unwrap())
        .collect();
    fail(&router, 0, 3);
    let mut early = early.into_iter();
    early.next().unwrap().succeed();
    assert!(is_out(&router, 0));
    clock.advance(secs(10));
    let trial = router.pick_for(&only(&0)).unwrap();
    early.next().unwrap().succeed();
    assert_eq!(health(&router, 0), TargetHealth::OnTrial);
    early.next().unwrap().fail();
    trial.succeed();
    assert_eq!(health(&router, 0), TargetHealth::Healthy);
}

#[test]
fn a_late_verdict_of_a_trial_counts_while_the_next_one_is_due() {
    let (router, clock) = router(2);
    fail(&router, 0, 3);
    clock.advance(secs(10));
    let late = router.pick_for(&only(&0)).unwrap();
    clock.advance(secs(40));
    drop(router.pick_for(&only(&1)).unwrap()); // somebody looks: it is due again
    late.succeed();
    assert_eq!(health(&router, 0), TargetHealth::Healthy);
    // It is an ordinary target: several at once may have it.
    let both = [
        router.pick_for(&only(&0)).unwrap(),
        router.pick_for(&only(&0)).unwrap(),
    ];
    drop(both);
    assert_eq!(router.stats().available, 2);
    // Nothing of the trial counts against the share of those who may be out.
    fail(&router, 1, 3);
    assert!(is_out(&router, 1));
}

#[test]
fn never_more_than_their_share_are_left_out() {
    let clock = ManualClock::new();
    let router = Router::builder()
        .ejection(Ejection::after(1))
        .clock(clock.clone());
    let router: Router<u32> = router.build().unwrap();
    (0..5).for_each(|id| router.add(Target::id(id)).unwrap());
    (0..5).for_each(|id| fail(&router, id, 1));
    let stats = router.stats();
    assert_eq!((stats.ejected, stats.available), (2, 3));
    // Those on trial count as left out.
    clock.advance(secs(30));
    let trial = router.pick_for(&only(&0)).unwrap();
    fail(&router, 3, 1);
    assert!(!is_out(&router, 3));
    trial.succeed();
    fail(&router, 3, 1);
    assert!(is_out(&router, 3));
}

#[test]
fn the_last_target_is_never_left_out_by_default() {
    let router: Router<u32> = Router::builder().build().unwrap();
    router.add(Target::id(0)).unwrap();
    fail(&router, 0, 100);
    assert_eq!(health(&router, 0), TargetHealth::Healthy);
}

#[test]
fn failures_are_only_counted_where_ejection_is_off() {
    let router: Router<u32> = Router::builder().ejection(None).build().unwrap();
    (0..2).for_each(|id| router.add(Target::id(id)).unwrap());
    fail(&router, 0, 100);
    assert_eq!(router.targets()[0].failures, 100);
    assert_eq!(health(&router, 0), TargetHealth::Healthy);
}

#[test]
fn results_are_settled_and_handed_through() {
    let (router, _) = router(2);
    for _ in 0..3 {
        let lease = router.pick_for(&only(&0)).unwrap();
        assert_eq!(lease.settle(Err::<(), _>("down")), Err("down"));
    }
    assert!(is_out(&router, 0));
    assert_eq!(router.pick().unwrap().settle(Ok::<_, ()>(7)), Ok(7));
    assert_eq!(router.pick_owned().unwrap().settle(Ok::<_, ()>(7)), Ok(7));
}

#[test]
fn a_suspended_target_stays_out_until_it_is_resumed() {
    for strategy in [
        Strategy::LeastLoaded,
        Strategy::TwoChoices,
        Strategy::RoundRobin,
        Strategy::Random,
    ] {
        let router = crate::router::router(strategy, 2);
        let held = router.pick_for(&only(&0)).unwrap();
        router.suspend(&0).unwrap();
        router.suspend(&0).unwrap();
        drop(held);
        router.set_load(&0, 3).unwrap();
        for _ in 0..20 {
            assert_eq!(router.pick().unwrap().id(), &1);
        }
        assert_eq!(health(&router, 0), TargetHealth::Suspended);
        router.suspend(&1).unwrap();
        let refused = router.pick().unwrap_err();
        assert!(matches!(refused, PickError::NoTargets { suspended: 2, .. }));
        router.resume(&0).unwrap();
        router.resume(&0).unwrap();
        assert_eq!(router.pick().unwrap().id(), &0);
        assert_eq!(router.stats().suspended, 1);
        router.remove(&1).unwrap();
        assert_eq!(router.stats().suspended, 0);
    }
}

#[test]
fn a_suspended_target_that_failed_comes_back_for_its_trial_only_once_both_are_over() {
    let (router, clock) = router(3);
    fail(&router, 0, 3);
    router.suspend(&0).unwrap();
    clock.advance(secs(10));
    assert!(router.pick_for(&only(&0)).is_err());
    router.resume(&0).unwrap();
    router.suspend(&0).unwrap();
    router.resume(&0).unwrap();
    let trial = router.pick_for(&only(&0)).unwrap();
    router.suspend(&0).unwrap();
    trial.succeed();
    assert!(router.pick_for(&only(&0)).is_err());
    router.resume(&0).unwrap();
    let both = [
        router.pick_for(&only(&0)).unwrap(),
        router.pick_for(&only(&0)).unwrap(),
    ];
    drop(both);
}

#[test]
fn one_that_is_removed_while_it_is_out_leaves_nothing_behind() {
    let (router, clock) = router(3);
    fail(&router, 0, 3);
    router.remove(&0).unwrap();
    assert_eq!(router.stats().ejected, 0);
    router.add(Target::id(0)).unwrap();
    assert_eq!(health(&router, 0), TargetHealth::Healthy);
    clock.advance(secs(10));
    assert_eq!(router.stats().available, 3);
    fail(&router, 1, 3);
    clock.advance(secs(10));
    let trial = router.pick_for(&only(&1)).unwrap();
    router.remove(&1).unwrap();
    router.add(Target::id(1)).unwrap();
    trial.fail();
    assert_eq!(health(&router, 1), TargetHealth::Healthy);
    assert_eq!(router.stats().available, 3);
}

#[test]
fn settings_of_ejection_out_of_range_are_named() {
    let field = |ejection| {
        let built: Result<Router<u8>, _> = Router::builder().ejection(ejection).build();
        built.map(drop).map_err(|it| it.field)
    };
    let ejection = || Ejection::after(1);
    assert_eq!(field(Ejection::after(0)), Err("ejection.failures"));
    assert_eq!(
        field(ejection().lasting(secs(0), secs(1))),
        Err("ejection.first")
    );
    assert_eq!(
        field(ejection().lasting(secs(2), secs(1))),
        Err("ejection.longest")
    );
    for share in [-0.1, 1.1, f64::NAN] {
        assert_eq!(
            field(ejection().max_share(share)),
            Err("ejection.max_share")
        );
    }
    assert_eq!(
        field(ejection().lasting(Duration::MAX, Duration::MAX)),
        Ok(())
    );
}

#[test]
fn one_that_is_left_out_for_ever_does_not_come_back() {
    let clock = ManualClock::new();
    let ejection = Ejection::after(1).lasting(Duration::MAX, Duration::MAX);
    let router = Router::builder().ejection(ejection).clock(clock.clone());
    let router: Router<u32> = router.build().unwrap();
    (0..2).for_each(|id| router.add(Target::id(id)).unwrap());
    fail(&router, 0, 1);
    clock.advance(secs(3_000_000_000));
    assert!(router.pick_for(&only(&0)).is_err());
}

#[test]
fn the_last_that_may_be_picked_is_not_left_out_while_others_are_suspended() {
    for share in [0.5, 0.99, 1.0] {
        let ejection = Ejection::after(1).max_share(share);
        let router: Router<u32> = Router::builder().ejection(ejection).build().unwrap();
        (0..3).for_each(|id| router.add(Target::id(id)).unwrap());
        router.suspend(&1).unwrap();
        router.suspend(&2).unwrap();
        fail(&router, 0, 1);
        assert_eq!(is_out(&router, 0), share == 1.0);
        assert_eq!(router.pick().is_ok(), share < 1.0);
    }
}

/// A clock that can be broken.
#[derive(Debug)]
struct Fragile(Arc<AtomicBool>);

impl Clock for Fragile {
    fn now(&self) -> Duration {
        assert!(!self.0.load(SeqCst), "the clock is broken");
        secs(1)
    }
}

#[test]
fn a_clock_that_panics_at_a_verdict_costs_no_load() {
    let is_broken = Arc::new(AtomicBool::new(false));
    let clock = Fragile(Arc::clone(&is_broken));
    let router: Router<u32> = Router::builder().clock(clock).build().unwrap();
    router.add(Target::id(0)).unwrap();
    let lease = router.pick().unwrap();
    is_broken.store(true, SeqCst);
    let failed = catch_unwind(AssertUnwindSafe(|| lease.fail()));
    is_broken.store(false, SeqCst);
    assert!(failed.is_err());
    assert_eq!(router.targets()[0].leases, 0);
}
