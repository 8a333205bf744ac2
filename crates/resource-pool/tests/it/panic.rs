//! Panics of managers, hooks, destructors and holders stay where they belong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use brolly_resource_pool::{AcquireError, Check, CloseReason, CreateError, Pool};
use brolly_sync::{Clock, ManualClock, Sleep, Timer};

use crate::support::{Factory, Mode, bench, is_pending, lone, look, now, ready, secs};

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

/// A clock that is out of order when it is told to be.
#[derive(Clone, Debug, Default)]
struct Fragile(ManualClock, Arc<AtomicBool>);

impl Clock for Fragile {
    fn now(&self) -> Duration {
        assert!(!self.1.load(SeqCst), "out of order");
        self.0.now()
    }
}

impl Timer for Fragile {
    fn sleep_until(&self, deadline: Duration) -> Sleep {
        self.0.sleep_until(deadline)
    }
}

#[test]
fn a_clock_that_panics_loses_no_resource() {
    let clock = Fragile::default();
    let factory = Factory::new();
    let builder = Pool::builder(factory).min_size(0).max_size(1);
    let builder = builder.clock(clock.clone()).timer(clock.clone());
    let pool = builder.acquire_timeout(secs(10)).build().unwrap();
    let quietly = |work: &mut dyn FnMut()| {
        clock.1.store(true, SeqCst);
        let _ = catch_unwind(AssertUnwindSafe(work));
        clock.1.store(false, SeqCst);
    };
    drop(now(pool.acquire()).unwrap());
    // Taking from the idle ones.
    quietly(&mut || drop(pool.try_acquire()));
    // Giving back.
    let mut held = Some(now(pool.acquire()).unwrap());
    quietly(&mut || drop(held.take()));
    // Handing over to somebody in line, who looks.
    let mut held = Some(now(pool.acquire()).unwrap());
    let mut waiting = Box::pin(pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    quietly(&mut || drop(held.take()));
    quietly(&mut || drop(look(waiting.as_mut())));
    drop(waiting);
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
    drop(now(pool.acquire()).unwrap());
}
