//! The user's functions at the turning points of a resource's life.

use std::sync::{Arc, Mutex};

use brolly_resource_pool::{CloseReason, Event};

use crate::support::{Mode, bench, lone, secs};

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
