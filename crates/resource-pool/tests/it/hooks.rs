//! The user's functions at the turning points of a resource's life.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::Context;

use brolly_resource_pool::{CloseReason, Event};
use brolly_sync::block_on;

use crate::support::{Bench, Count, Mode, bench, is_pending, lone, now, ready, secs};

#[test]
fn hooks_see_each_resource_where_they_should() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let seen = Arc::clone(&seen);
        move |id: usize| seen.lock().unwrap().push(format!("{what} {id}"))
    };
    let (created, acquired, released) = (note("create"), note("acquire"), note("release"));
    let bench = lone(|it| {
        let it = it.max_size(1).after_create(move |thing| created(thing.id));
        let it = it.before_acquire(move |thing, usage| {
            assert!(usage.uses > 0);
            acquired(thing.id);
            true
        });
        it.after_release(move |thing, _| {
            released(thing.id);
            true
        })
    });
    drop(bench.take());
    drop(bench.take());
    let expected = [
        "create 0",
        "acquire 0",
        "release 0",
        "acquire 0",
        "release 0",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn what_a_hook_refuses_is_closed() {
    let bench = lone(|it| {
        let it = it.max_size(2).before_acquire(|thing, _| thing.id != 0);
        it.after_release(|thing, _| thing.id != 1)
    });
    assert_eq!(bench.take().id, 1);
    assert_eq!(bench.take().id, 2);
    assert_eq!(bench.take().id, 2);
    assert_eq!(bench.plant.closed_for(CloseReason::Unhealthy), 2);
}

#[test]
fn a_hook_that_refuses_one_of_several_leaves_room_for_another() {
    let bench = lone(|it| it.max_size(2).before_acquire(|thing, _| thing.id != 1));
    let guards = now(bench.pool.acquire_many(2)).unwrap();
    let ids: Vec<_> = guards.iter().map(|it| it.id).collect();
    assert_eq!(ids, [0, 2]);
    assert_eq!(bench.assert_conserved().in_use, 2);
}

#[test]
fn two_who_want_several_and_are_refused_some_do_not_wait_for_each_other() {
    let refuses = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&refuses);
    let bench = lone(|it| {
        it.max_size(2).before_acquire(move |_, _| {
            let left = hook.fetch_update(SeqCst, SeqCst, |it| it.checked_sub(1));
            left.is_err()
        })
    });
    let held = now(bench.pool.acquire_many(2)).unwrap();
    let mut first = Box::pin(bench.pool.acquire_many(2));
    let mut second = Box::pin(bench.pool.acquire_many(2));
    assert!(is_pending(first.as_mut()) && is_pending(second.as_mut()));
    refuses.store(1, SeqCst);
    drop(held);
    assert!(is_pending(first.as_mut()));
    drop(ready(second.as_mut()).unwrap());
    assert_eq!(ready(first.as_mut()).unwrap().len(), 2);
}

/// Refuses so often and then no more, so that who asks for ever fails rather than hangs.
fn refusing(times: usize) -> (Arc<AtomicUsize>, Bench) {
    let asked = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&asked);
    let bench = lone(|it| {
        it.max_size(2)
            .before_acquire(move |_, _| hook.fetch_add(1, SeqCst) >= times)
    });
    (asked, bench)
}

#[test]
fn who_does_not_wait_asks_a_hook_that_refuses_no_more_often_than_there_are_places() {
    let (asked, bench) = refusing(10_000);
    assert!(bench.pool.try_acquire().is_err());
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn a_hook_that_refuses_everything_does_not_keep_the_thread() {
    let (asked, bench) = refusing(10_000);
    let mut acquire = Box::pin(bench.pool.acquire());
    let (count, waker) = Count::new();
    let polled = acquire.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending() && count.get() > 0);
    assert!(asked.load(SeqCst) < 1000);
    drop(block_on(acquire).unwrap());
}

#[test]
fn a_hook_that_panics_fails_the_creation() {
    let bench = bench(|it| it.max_size(1).after_create(|_| panic!("no")));
    let mut acquire = std::pin::pin!(bench.pool.acquire());
    assert!(crate::support::is_pending(acquire.as_mut()));
    bench.tasks.run();
    assert!(crate::support::ready(acquire).is_err());
    assert_eq!(bench.assert_conserved().size, 0);
}

#[test]
fn the_listener_hears_what_happens() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let bench = bench(|it| {
        let it = it.max_size(1).acquire_timeout(secs(1));
        it.on_event(move |event| {
            let name = match event {
                Event::Created => "created",
                Event::CreateFailed { message } => {
                    assert_eq!(message, "the backend is down");
                    "failed"
                }
                Event::Closed { .. } => "closed",
                Event::TimedOut { .. } => "timed out",
                _ => "other",
            };
            listener.lock().unwrap().push(name);
        })
    });
    let guard = bench.take();
    let mut acquire = std::pin::pin!(bench.pool.acquire());
    assert!(crate::support::is_pending(acquire.as_mut()));
    bench.clock.advance(secs(1));
    assert!(crate::support::ready(acquire).is_err());
    brolly_resource_pool::Guard::discard(guard);
    bench.tasks.run();
    bench.plant.set_create(Mode::Fail);
    let mut acquire = std::pin::pin!(bench.pool.acquire());
    assert!(crate::support::is_pending(acquire.as_mut()));
    bench.tasks.run();
    assert_eq!(
        *heard.lock().unwrap(),
        ["created", "timed out", "closed", "failed"]
    );
}
