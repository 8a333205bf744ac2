//! Picks that ask for something: keys, ids, tags, allow lists.

use std::collections::HashMap;

use brolly_resource_pool::{
    Fallback, PickError, PickReason, Query, Router, Strategy, Target, TargetError,
};

use crate::router::router;

const KEYS: u32 = 2000;

fn tagged() -> Router<&'static str> {
    let router = Router::builder().build().unwrap();
    router.add(Target::id("cpu")).unwrap();
    router
        .add(Target::id("gpu").tags(["gpu"]).load(50))
        .unwrap();
    router
        .add(Target::id("big").tags(["gpu", "ram"]).load(90))
        .unwrap();
    router
}

/// Who has each key.
fn owners(router: &Router<u32>) -> Vec<u32> {
    let owner = |key| {
        let lease = router
            .pick_for(&Query::new().key(&key, Fallback::Nobody))
            .unwrap();
        assert_eq!(lease.reason(), PickReason::Affinity);
        *lease.id()
    };
    (0..KEYS).map(owner).collect()
}

#[test]
fn a_key_stays_with_its_target_and_only_keys_of_one_that_goes_move() {
    for strategy in [Strategy::LeastLoaded, Strategy::Random] {
        let router = router(strategy, 10);
        let before = owners(&router);
        assert_eq!(before, owners(&router));
        router.remove(&4).unwrap();
        for (was, is) in before.iter().zip(owners(&router)) {
            assert!(if *was == 4 { is != 4 } else { is == *was });
        }
        router.add(Target::id(4)).unwrap();
        assert_eq!(before, owners(&router));
    }
}

#[test]
fn keys_are_shared_out_by_weight() {
    let router = Router::builder().build().unwrap();
    for id in 1..=4_u32 {
        router.add(Target::id(id).weight(id)).unwrap();
    }
    let mut shares: HashMap<_, usize> = HashMap::new();
    for owner in owners(&router) {
        *shares.entry(owner).or_default() += 1;
    }
    for id in 1..=4 {
        let expected = id as usize * KEYS as usize / 10;
        assert!(shares[&id].abs_diff(expected) < 80, "{shares:?}");
    }
}

#[test]
fn a_weight_elsewhere_does_not_move_a_key() {
    let router = router(Strategy::LeastLoaded, 5);
    let before = owners(&router);
    router.add(Target::id(9).weight(2)).unwrap();
    for (was, is) in before.iter().zip(owners(&router)) {
        assert!(is == *was || is == 9);
    }
}

#[test]
fn a_key_whose_target_is_not_available_falls_back_or_fails_as_was_said() {
    let router = router(Strategy::LeastLoaded, 10);
    let before = owners(&router);
    router.suspend(&before[0]).unwrap();
    let strict = Query::new().key(&0_u32, Fallback::Nobody);
    assert_eq!(
        router.pick_for(&strict).unwrap_err(),
        PickError::Unavailable
    );
    let query = Query::new().key(&0_u32, Fallback::Another);
    let next = *router.pick_for(&query).unwrap().id();
    for _ in 0..20 {
        let lease = router.pick_for(&query).unwrap();
        assert_eq!(
            (*lease.id(), lease.reason()),
            (next, PickReason::Unavailable)
        );
    }
    assert_eq!(router.stats().fallbacks, 21);
    // It is who would have the key if the first were not there at all.
    router.remove(&before[0]).unwrap();
    assert_eq!(router.pick_for(&strict).unwrap().id(), &next);
}

#[test]
fn an_id_is_picked_however_loaded_it_is() {
    let router = router(Strategy::LeastLoaded, 3);
    router.set_load(&1, 1000).unwrap();
    let lease = router
        .pick_for(&Query::new().id(&1, Fallback::Another))
        .unwrap();
    assert_eq!((*lease.id(), lease.reason()), (1, PickReason::Affinity));
    assert!(!lease.reason().is_fallback());
}

#[test]
fn an_unknown_id_is_an_error_or_falls_back_with_the_reason() {
    let router = router(Strategy::LeastLoaded, 3);
    let strict = router.pick_for(&Query::new().id(&7, Fallback::Nobody));
    assert_eq!(strict.unwrap_err(), PickError::Unknown);
    let lease = router
        .pick_for(&Query::new().id(&7, Fallback::Another))
        .unwrap();
    assert_eq!(lease.reason(), PickReason::UnknownId);
    router.suspend(&1).unwrap();
    let lease = router
        .pick_for(&Query::new().id(&1, Fallback::Another))
        .unwrap();
    assert_eq!(lease.reason(), PickReason::Unavailable);
    let strict = router.pick_for(&Query::new().id(&1, Fallback::Nobody));
    assert_eq!(strict.unwrap_err(), PickError::Unavailable);
    let elsewhere = Query::new().id(&0, Fallback::Nobody).among(&[2]);
    assert_eq!(
        router.pick_for(&elsewhere).unwrap_err(),
        PickError::Unavailable
    );
}

#[test]
fn tags_asked_for_are_among_those_of_the_target() {
    let router = tagged();
    let id = |tags: &[&str]| {
        let query = Query::new().tags(tags, Fallback::Nobody);
        router.pick_for(&query).map(|it| *it.id())
    };
    assert_eq!(id(&[]), Ok("cpu"));
    assert_eq!(id(&["gpu"]), Ok("gpu"));
    assert_eq!(id(&["ram", "gpu", "ram"]), Ok("big"));
    assert!(matches!(
        id(&["tpu"]),
        Err(PickError::NoTargets { known: 3, .. })
    ));
    assert!(matches!(
        id(&["gpu", "tpu"]),
        Err(PickError::NoTargets { .. })
    ));
    router.suspend(&"gpu").unwrap();
    assert_eq!(id(&["gpu"]), Ok("big"));
}

#[test]
fn tags_that_cannot_be_had_are_ignored_only_where_that_was_said() {
    let router = tagged();
    for tags in [&["tpu"][..], &["gpu"]] {
        let lease = router
            .pick_for(&Query::new().tags(tags, Fallback::Another))
            .unwrap();
        let reason = if tags == ["gpu"] {
            PickReason::Strategy
        } else {
            PickReason::TagsIgnored
        };
        assert_eq!(lease.reason(), reason);
    }
    let query = Query::new().tags(&["gpu"], Fallback::Another);
    // Nobody but this one will do, and it is not asked to have the tag.
    let named = query.id(&"cpu", Fallback::Nobody);
    let lease = router.pick_for(&named).unwrap();
    assert_eq!(
        (*lease.id(), lease.reason()),
        ("cpu", PickReason::TagsIgnored)
    );
    router.remove(&"gpu").unwrap();
    router.remove(&"big").unwrap();
    let lease = router.pick_for(&query).unwrap();
    assert_eq!(
        (*lease.id(), lease.reason()),
        ("cpu", PickReason::TagsIgnored)
    );
    // Whoever nobody else would do for is not ignored along with the tags.
    let strict = query.id(&"gpu", Fallback::Nobody);
    assert_eq!(router.pick_for(&strict).unwrap_err(), PickError::Unknown);
}

#[test]
fn there_may_be_sixty_four_different_tags_at_once() {
    let router = Router::builder().build().unwrap();
    for id in 0..64 {
        let tags = [format!("tag {id}"), format!("tag {id}")];
        router.add(Target::id(id).tags(tags)).unwrap();
    }
    let extra = || Target::id(100).tags(["tag 0", "one more"]);
    let error = router.add(extra()).unwrap_err();
    assert_eq!(error.reason, TargetError::TooManyTags { max: 64 });
    assert_eq!(router.len(), 64);
    // The tag it shared with another has not been lost, and one that nobody has makes room.
    let of_first = Query::new().tags(&["tag 0"], Fallback::Nobody);
    assert_eq!(router.pick_for(&of_first).unwrap().id(), &0);
    router.remove(&63).unwrap();
    router.add(extra()).unwrap();
    let of_last = Query::new().tags(&["tag 63"], Fallback::Nobody);
    assert!(router.pick_for(&of_last).is_err());
    let of_both = Query::new().tags(&["one more", "tag 0"], Fallback::Nobody);
    assert_eq!(router.pick_for(&of_both).unwrap().id(), &100);
}

#[test]
fn nobody_is_picked_who_is_not_allowed() {
    for strategy in [
        Strategy::LeastLoaded,
        Strategy::TwoChoices,
        Strategy::RoundRobin,
        Strategy::Random,
    ] {
        let router = router(strategy, 10);
        router.suspend(&2).unwrap();
        let mut picks: HashMap<u32, u32> = HashMap::new();
        // Named twice, unknown, suspended: none of that counts.
        let query = Query::new().among(&[1, 1, 1, 2, 3, 77]);
        for _ in 0..200 {
            let lease = router.pick_for(&query).unwrap();
            *picks.entry(*lease.id()).or_default() += 1;
        }
        assert_eq!(picks.len(), 2, "{strategy:?}");
        assert!(
            picks[&1].abs_diff(picks[&3]) < 60,
            "{strategy:?}: {picks:?}"
        );
        for nobody in [&[][..], &[77], &[2]] {
            let refused = router.pick_for(&Query::new().among(nobody));
            assert!(matches!(
                refused.unwrap_err(),
                PickError::NoTargets { known: 10, .. }
            ));
        }
    }
}

#[test]
fn those_tried_already_are_not_picked_again() {
    for strategy in [Strategy::LeastLoaded, Strategy::Random] {
        let router = router(strategy, 4);
        let mut tried = Vec::new();
        while let Ok(lease) = router.pick_for(&Query::new().except(&tried)) {
            assert!(!tried.contains(lease.id()));
            let id = *lease.id();
            lease.fail();
            tried.push(id);
        }
        assert_eq!(tried.len(), 4);
    }
}

#[test]
fn a_star_in_an_allow_list_allows_all() {
    let router = tagged();
    let names = ["*"];
    let query = Query::new().allowed(&names);
    assert_eq!(router.pick_for(&query).unwrap().id(), &"cpu");
    let names = ["big", "gone"];
    let query = Query::new().allowed(&names);
    assert_eq!(router.pick_for(&query).unwrap().id(), &"big");
    let query = Query::new().allowed(&[]);
    assert!(router.pick_for(&query).is_err());
}

#[test]
fn everything_can_be_asked_for_together() {
    let router = tagged();
    let query = Query::new()
        .tags(&["gpu"], Fallback::Nobody)
        .among(&["cpu", "gpu", "big"])
        .except(&["gpu"])
        .key("user 7", Fallback::Another);
    let lease = router.pick_for(&query).unwrap();
    assert_eq!((*lease.id(), lease.reason()), ("big", PickReason::Affinity));
}
