//! Those who pick at the same time are spread, and what is removed or left out stays consistent.

use std::sync::Arc;

use brolly_resource_pool::{Ejection, Fallback, Query, Router, Target};
use loom::thread;

use crate::bounded;

fn router(targets: u8) -> Router<u8, Arc<()>> {
    let router = Router::builder().seed(1);
    let router = router.ejection(Ejection::after(1)).build().unwrap();
    for id in 0..targets {
        router.add(Target::new(id, Arc::new(()))).unwrap();
    }
    router
}

#[test]
fn two_who_pick_at_the_same_time_get_different_targets() {
    bounded(3, || {
        let router = router(2);
        let other = router.clone();
        let picks = thread::spawn(move || other.pick_owned().unwrap());
        let mine = router.pick().unwrap();
        let theirs = picks.join().unwrap();
        assert_ne!(mine.id(), theirs.id());
        drop((mine, theirs));
        assert!(router.targets().iter().all(|it| it.load == 0));
    });
}

#[test]
fn a_lease_that_ends_while_its_target_is_replaced_takes_nothing_from_the_new_one() {
    bounded(3, || {
        let router = router(1);
        let old = router.pick_owned().unwrap();
        let value = Arc::clone(&old);
        let ends = thread::spawn(move || drop(old));
        router.remove(&0).unwrap();
        router.add(Target::new(0, Arc::new(()))).unwrap();
        let lease = router.pick().unwrap();
        ends.join().unwrap();
        assert_eq!(router.targets()[0].load, 1);
        drop(lease);
        assert_eq!(router.targets()[0].load, 0);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn a_failure_beside_a_pick_leaves_nobody_out_twice_and_loses_no_load() {
    bounded(3, || {
        let router = router(2);
        let other = router.clone();
        let first = router.pick_owned().unwrap();
        let id = *first.id();
        let fails = thread::spawn(move || first.fail());
        let strict = Query::new().id(&id, Fallback::Nobody);
        if let Ok(lease) = other.pick_for(&strict) {
            lease.fail();
        }
        fails.join().unwrap();
        let stats = router.stats();
        assert_eq!((stats.ejected, stats.ejections, stats.available), (1, 1, 1));
        assert!(router.targets().iter().all(|it| it.load == 0));
        assert_ne!(router.pick().unwrap().id(), &id);
    });
}
