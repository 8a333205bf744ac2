//! Panics of managers, hooks, destructors and holders stay where they belong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::{AcquireError, Check, CloseReason, CreateError};

use crate::support::{Mode, bench, is_pending, lone, ready, secs};

#[test]
fn a_create_that_panics_loses_no_place() {
    let bench = bench(|it| it.max_size(2));
    bench.plant.set_create(Mode::Panic);
    for _ in 0..4 {
        let mut acquire = pin!(bench.pool.acquire());
        assert!(is_pending(acquire.as_mut()));
        bench.pass(secs(6));
        let error = ready(acquire).unwrap_err();
        let AcquireError::Create(CreateError::Panicked { message }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(&*message, "create panics");
    }
    bench.plant.set_create(Mode::Ready);
    bench.pass(secs(6));
    let _both = (bench.take(), bench.take());
}

#[test]
fn a_check_that_panics_closes_the_resource_and_no_more() {
    let bench = lone(|it| it.max_size(1).check(Check::Always));
    drop(bench.take());
    bench.plant.set_check(Mode::Panic);
    assert_eq!(bench.take().id, 1);
    assert_eq!(bench.plant.closed_for(CloseReason::Unhealthy), 1);
}

#[test]
fn a_close_that_panics_leaves_the_place_free() {
    for bench in [bench(|it| it.max_size(1)), lone(|it| it.max_size(1))] {
        bench.plant.set_close(Mode::Panic);
        bench.take().is_broken = true;
        bench.tasks.run();
        drop(bench.take());
        assert_eq!(bench.assert_conserved().size, 1);
    }
}

#[test]
fn what_was_held_by_who_panicked_is_closed_unless_it_is_to_be_kept() {
    for keep in [false, true] {
        let bench = bench(|it| it.max_size(1).keep_after_panic(keep));
        let id = bench.take().id;
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = bench.take();
            panic!("while it is held");
        }));
        assert!(caught.is_err());
        bench.tasks.run();
        assert_eq!(bench.take().id == id, keep);
        assert_eq!(
            bench.plant.closed_for(CloseReason::Panicked),
            usize::from(!keep)
        );
    }
}

#[test]
fn what_is_acquired_while_a_panic_unwinds_is_no_victim_of_it() {
    struct Uses<'a>(&'a crate::support::Bench);
    impl Drop for Uses<'_> {
        fn drop(&mut self) {
            drop(self.0.take());
        }
    }
    let bench = bench(|it| it.max_size(1));
    drop(bench.take());
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _uses = Uses(&bench);
        panic!("somebody else's");
    }));
    assert!(caught.is_err());
    assert_eq!(bench.assert_conserved().idle, 1);
    assert_eq!(bench.plant.created.load(SeqCst), 1);
}

#[test]
fn hooks_that_panic_refuse() {
    let bench = lone(|it| {
        let it = it.max_size(1).after_release(|thing, _| {
            assert!(thing.id > 0, "the first one");
            true
        });
        it.before_acquire(|thing, _| {
            assert!(thing.id != 1, "the second one");
            true
        })
    });
    drop(bench.take());
    assert_eq!(bench.take().id, 2);
    assert_eq!(bench.assert_conserved().size, 1);
}

#[test]
fn a_listener_that_panics_harms_nobody() {
    let bench = bench(|it| it.max_size(1).on_event(|_| panic!("no")));
    bench.take().is_broken = true;
    bench.tasks.run();
    drop(bench.take());
    bench.assert_conserved();
}
