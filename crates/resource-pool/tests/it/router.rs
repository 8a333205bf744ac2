//! Who is picked, and what is kept of it.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier, OnceLock};

use brolly_resource_pool::{
    AddTargetError, Lease, OwnedLease, PickError, Query, Router, RouterBuilder, RouterStats,
    Strategy, Target, TargetError, TargetStats,
};

/// A router of so many targets of weight 1, which are numbers.
pub(crate) fn router(strategy: Strategy, targets: u32) -> Router<u32> {
    let router = Router::builder()
        .strategy(strategy)
        .seed(7)
        .build()
        .unwrap();
    for id in 0..targets {
        router.add(Target::id(id)).unwrap();
    }
    router
}

fn all() -> [Strategy; 4] {
    [
        Strategy::LeastLoaded,
        Strategy::TwoChoices,
        Strategy::RoundRobin,
        Strategy::Random,
    ]
}

fn picks(router: &Router<u32>) -> Vec<u64> {
    router.targets().into_iter().map(|it| it.picks).collect()
}

/// The original looked at the lightest and reserved nothing: all who asked got the same.
#[test]
fn who_picks_before_others_are_done_gets_another() {
    let router = router(Strategy::LeastLoaded, 10);
    let leases: Vec<_> = (0..10).map(|_| router.pick().unwrap()).collect();
    let ids: HashSet<_> = leases.iter().map(|it| *it.id()).collect();
    assert_eq!(ids.len(), 10);
    assert!(router.targets().iter().all(|it| it.load == 1));
    drop(leases);
    assert!(router.targets().iter().all(|it| it.load == 0));
}

/// In the original all ten thousand went to one.
#[test]
fn ten_thousand_picks_go_to_a_hundred_targets_alike() {
    let held = router(Strategy::LeastLoaded, 100);
    let leases: Vec<_> = (0..10_000).map(|_| held.pick().unwrap()).collect();
    assert!(picks(&held).iter().all(|it| *it == 100));
    drop(leases);

    let ended = router(Strategy::LeastLoaded, 100);
    for _ in 0..10_000 {
        drop(ended.pick().unwrap());
    }
    assert!(picks(&ended).iter().all(|it| *it == 100));
}

/// The original broke ties by name.
#[test]
fn ties_go_round() {
    let router = Router::builder().build().unwrap();
    for id in ["c", "a", "b"] {
        router.add(Target::id(id)).unwrap();
    }
    let ids: Vec<_> = (0..6).map(|_| *router.pick().unwrap().id()).collect();
    assert_eq!(ids, ["c", "a", "b", "c", "a", "b"]);
}

/// In the original an old entry with a lower count won over the present one.
#[test]
fn a_load_that_has_grown_is_not_judged_by_what_it_was() {
    let router = router(Strategy::LeastLoaded, 3);
    for load in [9, 2, 5] {
        router.set_load(&0, load).unwrap();
        router.set_load(&1, load + 1).unwrap();
        router.set_load(&2, load + 1).unwrap();
    }
    router.set_load(&0, 100).unwrap();
    for _ in 0..50 {
        drop(router.pick().unwrap());
    }
    assert_eq!(picks(&router), [0, 25, 25]);
}

/// The original passed over them without a word.
#[test]
fn an_unknown_id_is_an_error_whatever_is_asked_for() {
    let router = router(Strategy::LeastLoaded, 1);
    let unknown = Err(TargetError::Unknown);
    assert_eq!(router.set_load(&9, 1), unknown);
    assert_eq!(router.remove(&9), unknown);
    assert_eq!(router.suspend(&9), unknown);
    assert_eq!(router.resume(&9), unknown);
    assert_eq!(router.len(), 1);
}

/// The load of the original was the number of workers: the smallest pool got everything.
#[test]
fn the_load_is_what_is_under_way_and_not_the_size() {
    let router = Router::builder().build().unwrap();
    router.add(Target::id("small")).unwrap();
    router.add(Target::id("large").weight(4)).unwrap();
    let leases: Vec<_> = (0..100).map(|_| router.pick().unwrap()).collect();
    let of = |id| leases.iter().filter(|it| *it.id() == id).count();
    assert_eq!((of("small"), of("large")), (20, 80));
}

#[test]
fn without_targets_there_is_a_typed_error() {
    for strategy in all() {
        let router = router(strategy, 0);
        let error = router.pick().unwrap_err();
        assert!(matches!(
            error,
            PickError::NoTargets {
                known: 0,
                retry_after: None,
                ..
            }
        ));
        assert_eq!(error, router.pick_for(&Query::new()).unwrap_err());
        assert!(router.is_empty());
        assert_eq!(router.stats().refusals, 2);
    }
}

#[test]
fn what_is_removed_is_never_picked_again_and_its_leases_go_on() {
    for strategy in all() {
        let router = router(strategy, 3);
        let mut lease = router.pick().unwrap();
        while *lease.id() != 1 {
            lease = router.pick().unwrap();
        }
        router.remove(&1).unwrap();
        assert_eq!(lease.id(), &1);
        for _ in 0..100 {
            assert_ne!(router.pick().unwrap().id(), &1);
        }
        // Its place is taken by another, to which the old lease means nothing.
        router.add(Target::id(1)).unwrap();
        lease.fail();
        let again = router.targets().into_iter().find(|it| it.id == 1).unwrap();
        assert_eq!((again.load, again.leases, again.failures), (0, 0, 0));
    }
}

#[test]
fn a_value_is_dropped_when_its_last_lease_ends() {
    let value = Arc::new(());
    let router = Router::builder().build().unwrap();
    router.add(Target::new("a", Arc::clone(&value))).unwrap();
    drop(router.pick().unwrap());
    let (first, second) = (router.pick_owned().unwrap(), router.pick().unwrap());
    router.remove(&"a").unwrap();
    assert_eq!(Arc::strong_count(&value), 2);
    drop(first);
    assert_eq!(Arc::strong_count(&*second), 2);
    drop(second);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn an_owned_lease_outlives_the_router() {
    let router = router(Strategy::LeastLoaded, 1);
    let lease = router.pick_owned().unwrap();
    assert_eq!(router.stats().picks, 1);
    drop(router);
    assert_eq!(lease.id(), &0);
    lease.succeed();
}

#[test]
fn what_is_not_taken_comes_back_with_the_reason() {
    let router = Router::builder().max_targets(1).build().unwrap();
    let refused = |target: Target<&'static str, u8>| -> (TargetError, (&'static str, u8)) {
        let AddTargetError { target, reason, .. } = router.add(target).unwrap_err();
        (reason, target.into_parts())
    };
    let (reason, parts) = refused(Target::new("a", 1).weight(0));
    assert_eq!(reason.to_string(), "weight is 0, allowed is 1 to 1000000");
    assert_eq!(parts, ("a", 1));
    router.add(Target::new("a", 1)).unwrap();
    assert_eq!(
        refused(Target::new("a", 2)),
        (TargetError::Duplicate, ("a", 2))
    );
    let (reason, _) = refused(Target::new("b", 2));
    assert_eq!(reason, TargetError::TooMany { max: 1 });
    assert_eq!(router.len(), 1);
}

#[test]
fn settings_out_of_range_are_named() {
    for max in [0, 1_000_001] {
        let built: Result<Router<u8>, _> = Router::builder().max_targets(max).build();
        assert_eq!(built.unwrap_err().field, "max_targets");
    }
}

#[test]
fn loads_at_the_end_of_their_range_do_no_harm() {
    let router = router(Strategy::LeastLoaded, 2);
    router.set_load(&0, u64::MAX).unwrap();
    router.set_load(&1, u64::MAX).unwrap();
    let leases: Vec<_> = (0..4).map(|_| router.pick().unwrap()).collect();
    drop(leases);
    assert!(router.targets().iter().all(|it| it.load == u64::MAX));
    router.set_load(&1, 0).unwrap();
    assert_eq!(router.pick().unwrap().id(), &1);
}

#[test]
fn threads_that_hold_their_leases_are_spread_evenly() {
    const THREADS: usize = 4;
    const LEASES: usize = 250;
    let router = router(Strategy::LeastLoaded, 10);
    // Nothing between two meetings may panic: the others would wait for ever.
    let all_hold = Barrier::new(THREADS);
    let loads = OnceLock::new();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let leases: Vec<_> = (0..LEASES).map(|_| router.pick()).collect();
                if all_hold.wait().is_leader() {
                    loads.get_or_init(|| router.targets());
                }
                all_hold.wait();
                assert!(leases.iter().all(Result::is_ok));
            });
        }
    });
    let loads: Vec<_> = loads.get().unwrap().iter().map(|it| it.load).collect();
    assert_eq!(loads, [100; 10]);
    assert!(
        router
            .targets()
            .iter()
            .all(|it| it.load == 0 && it.leases == 0)
    );
    assert_eq!(router.stats().picks, (THREADS * LEASES) as u64);
}

#[test]
fn round_robin_is_exact_however_many_pick() {
    let router = router(Strategy::RoundRobin, 7);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| drop(router.pick().unwrap())));
        }
    });
    let picks = picks(&router);
    let (least, most) = (picks.iter().min().unwrap(), picks.iter().max().unwrap());
    assert!(most - least <= 1, "{picks:?}");
    assert_eq!(picks.iter().sum::<u64>(), 4000);
}

#[test]
fn a_round_goes_on_where_it_was_after_all_were_out() {
    for weight in [1, 5] {
        let router = Router::builder().strategy(Strategy::RoundRobin).build();
        let router: Router<u32> = router.unwrap();
        (0..2).for_each(|id| router.add(Target::id(id).weight(weight)).unwrap());
        router.suspend(&0).unwrap();
        (0..2000).for_each(|_| drop(router.pick().unwrap()));
        router.suspend(&1).unwrap();
        router.resume(&0).unwrap();
        router.resume(&1).unwrap();
        (0..100).for_each(|_| drop(router.pick().unwrap()));
        assert_eq!(picks(&router), [50, 2050]);
    }
}

#[test]
fn round_robin_turns_by_weight() {
    let router = Router::builder()
        .strategy(Strategy::RoundRobin)
        .build()
        .unwrap();
    router.add(Target::id("a").weight(1)).unwrap();
    router.add(Target::id("b").weight(3)).unwrap();
    let ids: Vec<_> = (0..8).map(|_| *router.pick().unwrap().id()).collect();
    assert_eq!(ids.iter().filter(|it| **it == "b").count(), 6);
    // Never more than three of the heavier one between two of the lighter.
    assert_eq!(ids.concat().split('a').map(str::len).max(), Some(3));
}

#[test]
fn random_choices_are_repeated_by_their_seed() {
    for strategy in [Strategy::Random, Strategy::TwoChoices] {
        let sequence = |seed| {
            let router = Router::builder()
                .strategy(strategy)
                .seed(seed)
                .build()
                .unwrap();
            (0..10).for_each(|id| router.add(Target::id(id)).unwrap());
            let leases = (0..50).map(|_| router.pick().unwrap());
            leases.map(|it| *it.id()).collect::<Vec<u32>>()
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }
}

#[test]
fn random_choices_are_as_likely_as_the_weights() {
    let router = Router::builder()
        .strategy(Strategy::Random)
        .seed(3)
        .build()
        .unwrap();
    for id in 1..=4 {
        router.add(Target::id(id).weight(id)).unwrap();
    }
    for _ in 0..100_000 {
        drop(router.pick().unwrap());
    }
    for (share, id) in picks(&router).into_iter().zip(1_u64..) {
        assert!(share.abs_diff(id * 10_000) < 500, "{id}: {share}");
    }
}

#[test]
fn equal_weights_are_drawn_alike() {
    let router = router(Strategy::Random, 5);
    for _ in 0..100_000 {
        drop(router.pick().unwrap());
    }
    assert!(picks(&router).iter().all(|it| it.abs_diff(20_000) < 700));
}

#[test]
fn two_choices_stay_far_closer_to_the_mean_than_one() {
    let most = |strategy| {
        let router = router(strategy, 100);
        let leases: Vec<_> = (0..10_000).map(|_| router.pick().unwrap()).collect();
        let most = router
            .targets()
            .into_iter()
            .map(|it| it.load)
            .max()
            .unwrap();
        drop(leases);
        most
    };
    assert_eq!(most(Strategy::LeastLoaded), 100);
    assert!(most(Strategy::TwoChoices) <= 105);
    assert!(most(Strategy::Random) > 115);
}

#[test]
fn of_two_targets_two_choices_always_find_the_less_loaded() {
    let router = router(Strategy::TwoChoices, 2);
    router.set_load(&1, 1000).unwrap();
    let leases: Vec<_> = (0..900).map(|_| router.pick().unwrap()).collect();
    assert!(leases.iter().all(|it| *it.id() == 0));
}

#[test]
fn a_lease_ends_during_a_panic() {
    let router = router(Strategy::LeastLoaded, 1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _lease = router.pick().unwrap();
        panic!("at work");
    }));
    assert!(panicked.is_err());
    assert_eq!(router.targets()[0].load, 0);
}

/// An id whose comparison panics when it is told to.
#[derive(Debug)]
struct Touchy(u8, Arc<AtomicBool>);

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        assert!(!self.1.load(SeqCst), "touched");
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(0); // all are compared
    }
}

#[test]
fn a_comparison_that_panics_leaves_the_router_as_it_was() {
    let is_touchy = Arc::new(AtomicBool::new(false));
    let id = |number| Touchy(number, Arc::clone(&is_touchy));
    let router = Router::builder().build().unwrap();
    for number in 0..3 {
        router.add(Target::id(id(number))).unwrap();
    }
    is_touchy.store(true, SeqCst);
    let panics = |act: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(act)).is_err());
    panics(&|| drop(router.add(Target::id(id(4)))));
    panics(&|| router.remove(&id(1)).unwrap());
    panics(&|| router.set_load(&id(1), 1).unwrap());
    panics(&|| drop(router.pick_for(&Query::new().among(&[id(1)]))));
    panics(&|| drop(router.pick_for(&Query::new().except(&[id(1)]))));
    is_touchy.store(false, SeqCst);
    let leases: Vec<_> = (0..3).map(|_| router.pick().unwrap()).collect();
    let ids: HashSet<_> = leases.iter().map(|it| it.id().0).collect();
    assert_eq!((ids.len(), router.len()), (3, 3));
    // All have the same hash: any of them is found, and removed from among the others.
    router.remove(&id(1)).unwrap();
    assert_eq!(router.remove(&id(1)), Err(TargetError::Unknown));
    router.remove(&id(2)).unwrap();
    router.remove(&id(0)).unwrap();
    assert!(router.is_empty());
}

/// A value that uses the router when it is dropped, and panics.
struct Wicked(Router<u8, Option<Wicked>>);

impl Drop for Wicked {
    fn drop(&mut self) {
        assert_eq!(self.0.len(), 0, "the lock is free");
        panic!("wicked");
    }
}

#[test]
fn values_are_dropped_outside_the_lock_and_their_panics_end_there() {
    let router = Router::builder().build().unwrap();
    router
        .add(Target::new(0, Some(Wicked(router.clone()))))
        .unwrap();
    router.remove(&0).unwrap();
    router
        .add(Target::new(0, Some(Wicked(router.clone()))))
        .unwrap();
    let lease = router.pick().unwrap();
    router.remove(&0).unwrap();
    drop(lease);
    assert!(router.is_empty());
}

#[test]
fn everything_of_a_router_may_be_shared() {
    fn is_shared<T: Send + Sync + Unpin>() {}
    is_shared::<(
        Router<String>,
        RouterBuilder<String, u8>,
        Target<String, u8>,
    )>();
    is_shared::<(Lease<'_, String, u8>, OwnedLease<String, u8>)>();
    is_shared::<(PickError, TargetError, AddTargetError<String, u8>)>();
    is_shared::<(RouterStats, TargetStats<String>, Query<'_, String>)>();
    assert!(size_of::<Lease<'_, String, u8>>() <= 4 * size_of::<usize>());
    assert!(size_of::<Result<Lease<'_, String, u8>, PickError>>() <= 6 * size_of::<usize>());
}

#[test]
fn figures_add_up() {
    let router = router(Strategy::LeastLoaded, 4);
    router.set_load(&3, 5).unwrap();
    let leases: Vec<_> = (0..6).map(|_| router.pick().unwrap()).collect();
    let by_id: HashMap<_, _> = router.targets().into_iter().map(|it| (it.id, it)).collect();
    assert_eq!(
        (by_id[&3].load, by_id[&3].leases, by_id[&3].picks),
        (5, 0, 0)
    );
    assert_eq!(
        (by_id[&0].load, by_id[&0].leases, by_id[&0].picks),
        (2, 2, 2)
    );
    let stats = router.stats();
    assert_eq!((stats.targets, stats.available, stats.picks), (4, 4, 6));
    drop(leases);
}
