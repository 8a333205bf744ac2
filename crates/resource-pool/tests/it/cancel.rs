//! Callers that leave, at every point at which they can.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use brolly_resource_pool::{Check, CloseReason};

use crate::support::{Bench, Count, Mode, bench, is_pending, lone, look, ms, ready, secs};

#[test]
fn who_was_granted_one_and_leaves_passes_it_on() {
    let bench = bench(|it| it.max_size(1));
    let held = bench.take();
    let mut first = Box::pin(bench.pool.acquire());
    assert!(is_pending(first.as_mut()));
    let (woken, waker) = Count::new();
    let mut second = pin!(bench.pool.acquire());
    let mut cx = Context::from_waker(&waker);
    assert!(second.as_mut().poll(&mut cx).is_pending());
    drop(held); // granted to the first, who has not looked
    assert_eq!(woken.get(), 0);
    drop(first);
    assert_eq!(woken.get(), 1);
    drop(ready(second).unwrap());
    assert_eq!(bench.assert_conserved().acquisitions, 2);
}

#[test]
fn who_leaves_the_line_is_not_waited_for() {
    let bench = bench(|it| it.max_size(1));
    let held = bench.take();
    let mut futures: Vec<_> = (0..5).map(|_| Box::pin(bench.pool.acquire())).collect();
    for future in &mut futures {
        assert!(is_pending(future.as_mut()));
    }
    drop(futures.remove(4));
    drop(futures.remove(0));
    drop(futures.remove(1));
    assert_eq!(bench.assert_conserved().waiting, 2);
    drop(held);
    drop(ready(futures[0].as_mut()).unwrap());
    drop(ready(futures[1].as_mut()).unwrap());
    assert_eq!(bench.assert_conserved().waiting, 0);
}

#[test]
fn one_that_comes_back_after_all_have_left_is_idle() {
    let bench = bench(|it| it.max_size(1));
    let held = bench.take();
    {
        let mut leaving = pin!(bench.pool.acquire());
        assert!(is_pending(leaving.as_mut()));
    }
    drop(held);
    assert_eq!(bench.assert_conserved().idle, 1);
    drop(bench.pool.try_acquire().unwrap());
}

/// Runs an acquire with a creation and a check on its way, leaves it after so many looks, and asks
/// whether the pool is whole.
fn leave_after(looks: usize, has_spawner: bool, mode: Mode) -> bool {
    let settings = |it: crate::support::Fixed| {
        let it = it.max_size(2).check(Check::Always);
        it.acquire_timeout(secs(10))
    };
    let bench: Bench = if has_spawner {
        bench(settings)
    } else {
        lone(settings)
    };
    drop(bench.take());
    bench.clock.advance(secs(1));
    bench.plant.set_check(mode);
    bench.plant.set_create(mode);
    let mut left = looks;
    let mut has_ended = false;
    {
        let mut acquire = Box::pin(bench.pool.acquire());
        while left > 0 {
            left -= 1;
            if let Poll::Ready(guard) = look(acquire.as_mut()) {
                drop(guard);
                has_ended = true;
                break;
            }
            match left % 3 {
                0 => bench.tasks.run(),
                1 => bench.plant.open(1),
                _ => bench.clock.advance(ms(100)),
            }
        }
    }
    bench.plant.set_check(Mode::Ready);
    bench.plant.set_create(Mode::Ready);
    bench.plant.open(10);
    bench.pass(secs(60));
    let stats = bench.assert_conserved();
    assert_eq!((stats.waiting, stats.in_use), (0, 0), "{stats:?}");
    assert_eq!((stats.creating, stats.reserved), (0, 0), "{stats:?}");
    // Everything that there may be can be had.
    let guards = [bench.take(), bench.take()];
    assert!(bench.pool.try_acquire().is_err());
    drop(guards);
    assert!(bench.plant.most_live.load(SeqCst) <= 2);
    has_ended
}

#[test]
fn leaving_at_any_look_keeps_the_pool_whole() {
    for has_spawner in [true, false] {
        for mode in [
            Mode::Ready,
            Mode::Gated,
            Mode::Fail,
            Mode::Panic,
            Mode::Hang,
        ] {
            for looks in 0..12 {
                leave_after(looks, has_spawner, mode);
            }
        }
        assert!(leave_after(12, has_spawner, Mode::Gated));
    }
}

#[test]
fn a_check_that_a_caller_leaves_is_finished() {
    let bench = bench(|it| it.max_size(1).check(Check::Always));
    let id = bench.take().id;
    bench.plant.set_check(Mode::Gated);
    {
        let mut leaving = pin!(bench.pool.acquire());
        assert!(is_pending(leaving.as_mut()));
        bench.tasks.run();
        assert_eq!(bench.assert_conserved().reserved, 1);
    }
    bench.plant.open(1);
    bench.tasks.run();
    assert_eq!(bench.pool.try_acquire().unwrap().id, id);
}

#[test]
fn without_a_spawner_a_check_that_everybody_leaves_closes_the_resource() {
    let bench = lone(|it| it.max_size(1).check(Check::Always));
    drop(bench.take());
    bench.plant.set_check(Mode::Gated);
    {
        let mut leaving = pin!(bench.pool.acquire());
        assert!(is_pending(leaving.as_mut()));
    }
    assert_eq!(bench.plant.closed_for(CloseReason::Unhealthy), 1);
    assert_eq!(bench.assert_conserved().size, 0);
}

#[test]
fn a_future_that_was_never_looked_at_changes_nothing() {
    let bench = bench(|it| it.max_size(1));
    drop(bench.pool.acquire());
    assert_eq!(bench.assert_conserved().size, 0);
    assert_eq!(bench.plant.attempts.load(SeqCst), 0);
}

#[test]
fn maintenance_can_be_left() {
    let bench = lone(|it| it.max_size(2).health_interval(secs(10)));
    drop((bench.take(), bench.take()));
    bench.clock.advance(secs(11));
    bench.plant.set_check(Mode::Gated);
    {
        let mut maintain = pin!(bench.pool.maintain());
        assert!(is_pending(maintain.as_mut()));
        assert_eq!(bench.assert_conserved().reserved, 1);
    }
    assert_eq!(bench.assert_conserved().size, 1);
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    struct Rude;
    impl std::task::Wake for Rude {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("no");
        }
    }
    let bench = bench(|it| it.max_size(1));
    let held = bench.take();
    let rude = Waker::from(std::sync::Arc::new(Rude));
    let mut first = Box::pin(bench.pool.acquire());
    let mut cx = Context::from_waker(&rude);
    assert!(first.as_mut().poll(&mut cx).is_pending());
    drop(held);
    drop(first);
    drop(bench.pool.try_acquire().unwrap());
}
