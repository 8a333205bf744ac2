//! What is only seen from inside: how much is kept.

use crate::router::index::Index;
use crate::router::{Ejection, Fallback, Query, Router, Strategy, Target};

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use brolly_sync::NEVER;

use super::lock;

const SECOND: Duration = Duration::from_secs(1);

/// Entries of the order, slots, and room for choices.
fn kept(router: &Router<u32>) -> (usize, usize, usize) {
    let state = lock(&router.shared.state);
    let entries = match &state.index {
        Index::Levels(levels) => levels.lists(),
        Index::Heap(heap) => heap.entries().len(),
        Index::Flat(flat) => flat.listed().len(),
    };
    (entries, state.slots.len(), state.scratch.capacity())
}

/// The original's heap had 100,010 entries for 10 pools after 100,000 updates.
#[test]
fn memory_is_that_of_the_targets_after_a_million_updates() {
    const TARGETS: u32 = 10;
    for weight in [1, 2] {
        let router = Router::builder().build().expect("defaults are sensible");
        for id in 0..TARGETS {
            let target = Target::id(id).weight(weight);
            router.add(target).expect("it is new");
        }
        for update in 0..1_000_000_u64 {
            let id = (update % u64::from(TARGETS)) as u32;
            match update % 4 {
                0 => drop(router.pick().expect("there are targets")),
                1 => router.set_load(&id, update % 97).expect("it is known"),
                2 => router.set_load(&id, 0).expect("it is known"),
                _ => {
                    router.remove(&id).expect("it is known");
                    let target = Target::id(id).weight(weight).tags([format!("{update}")]);
                    router.add(target).expect("it is gone");
                }
            }
        }
        let (entries, slots, _) = kept(&router);
        assert!(entries <= 1024, "{entries}");
        assert!(weight == 1 || entries == TARGETS as usize);
        assert_eq!(slots, TARGETS as usize);
    }
}

#[test]
fn counts_that_lie_far_apart_are_kept_in_a_heap_and_others_are_not() {
    let router = Router::builder().build().expect("defaults are sensible");
    for id in 0..1000_u32 {
        router.add(Target::id(id)).expect("it is new");
    }
    let leases: Vec<_> = (0..5000).map(|_| router.pick()).collect();
    drop(leases);
    assert!(matches!(lock(&router.shared.state).index, Index::Levels(_)));
    for id in 0..1000 {
        router
            .set_load(&id, u64::from(id) * 7)
            .expect("it is known");
    }
    assert!(matches!(lock(&router.shared.state).index, Index::Heap(_)));
    assert_eq!(router.pick().expect("there are targets").id(), &0);
    assert_eq!(kept(&router).0, 1000);
}

#[test]
fn who_comes_late_to_a_round_robin_does_not_make_up_for_it() {
    for weight in [1, 3] {
        let router = Router::builder().strategy(Strategy::RoundRobin).build();
        let router = router.expect("it is sensible");
        router.add(Target::id(0).weight(weight)).expect("it is new");
        for _ in 0..1000 {
            router.pick().expect("there is one").succeed();
        }
        router.add(Target::id(1).weight(weight)).expect("it is new");
        for _ in 0..100 {
            router.pick().expect("there are two").succeed();
        }
        let picks: Vec<_> = router.targets().into_iter().map(|it| it.picks).collect();
        assert_eq!(picks, [1050, 50]);
    }
}

/// Which a pick may find that has read the hint before the trial fell due.
#[test]
fn a_hint_that_is_read_late_does_not_begin_a_trial_in_the_past() {
    let clock = brolly_sync::ManualClock::new();
    let ejection = Ejection::after(1).lasting(SECOND, SECOND);
    let router = Router::builder().ejection(ejection).clock(clock.clone());
    let router: Router<u32> = router.build().expect("it is sensible");
    for id in 0..2 {
        router.add(Target::id(id)).expect("it is new");
    }
    let first = || router.pick_for(&Query::new().id(&0, Fallback::Nobody));
    for is_query in [false, true] {
        first().expect("it is healthy").fail();
        clock.advance(SECOND * 100);
        drop(router.pick_for(&Query::new().id(&1, Fallback::Nobody)));
        router.shared.attention.store(NEVER, Relaxed);
        let trial = match is_query {
            true => first(),
            false => router.pick(),
        };
        let trial = trial.expect("it is due");
        assert_eq!(trial.id(), &0);
        assert!(first().is_err(), "one lease tries it");
        trial.succeed();
    }
}

#[test]
fn an_allow_list_of_any_length_leaves_no_room_behind() {
    let router = Router::builder().build().expect("defaults are sensible");
    for id in 0..10_u32 {
        router.add(Target::id(id)).expect("it is new");
    }
    let often = [3_u32; 100_000];
    for query in [Query::new(), Query::new().key("k", Fallback::Another)] {
        let lease = router.pick_for(&query.among(&often));
        assert_eq!(lease.expect("it is known").id(), &3);
        assert!(kept(&router).2 <= 20);
    }
}
