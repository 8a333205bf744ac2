//! Futures dropped at every point at which they wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use brolly_file_store::FileStore;

use crate::support::{PATIENCE, World, eventually, number, whole};

/// Polls a future until it has said so many times that it waits; then drops it.
struct Dropped<F> {
    future: Option<Pin<Box<F>>>,
    polls: usize,
}

impl<F: Future> Future for Dropped<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        self.polls -= 1;
        let future = self.future.as_mut().expect("not polled after its end");
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls == 0 => {
                self.future = None;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Runs an operation again and again, dropped after 0, 1, 2, … polls, until one gets through; and all
/// that several times, as a thread may be done before it is waited for. Returns after how many polls
/// the latest was dropped.
async fn at_every_point<F: Future>(operation: impl Fn() -> F, check: impl Fn()) -> usize {
    let mut latest = 0;
    for _ in 0..20 {
        for polls in 0.. {
            let future = Some(Box::pin(operation()));
            let outcome = Dropped { future, polls }.await;
            check();
            if outcome.is_some() {
                break;
            }
            latest = latest.max(polls);
        }
    }
    latest
}

/// As [`at_every_point`], until one was dropped that had waited. On a busy machine the other thread
/// may be done before its caller looks, for many times on end.
async fn at_every_point_of_waiting<F: Future>(operation: impl Fn() -> F, check: impl Fn()) {
    let start = Instant::now();
    while at_every_point(&operation, &check).await == 0 {
        assert!(start.elapsed() < PATIENCE, "it never waits");
    }
}

/// Both ways of looking at files: on the task, and on another thread.
fn worlds() -> [World; 2] {
    [true, false].map(|inline| World::with(|builder| builder.check_inline(inline)))
}

/// Whatever goes on in the background comes to its end and leaves nothing.
fn comes_to_rest(world: &World) {
    eventually(|| world.store.stats().locked_paths == 0);
    // A thread that waits for a lock among processes ends after its caller has gone.
    eventually(|| {
        let names = world.names("");
        names.iter().all(|name| !name.starts_with(".brolly"))
    });
}

#[tokio::test]
async fn a_read_can_be_dropped_anywhere() {
    for world in worlds() {
        world.put("a", whole(1, 1_000));
        let store = &world.store;
        let uncached = || {
            store.clear_cache();
            store.read("a")
        };
        at_every_point_of_waiting(uncached, || ()).await;
        assert_eq!(number(&store.read("a").await.expect("read")), 1);
        world.settle("a");
        at_every_point(|| store.read("a"), || ()).await;
        assert_eq!(number(&store.read("a").await.expect("read")), 1);
    }
}

#[tokio::test]
async fn a_reader_that_is_dropped_leaves_its_read_to_the_others() {
    let world = World::new();
    world.put("a", whole(1, 1 << 18));
    for polls in 1..4 {
        world.store.clear_cache();
        let first = Dropped {
            future: Some(Box::pin(world.store.read("a"))),
            polls,
        };
        let (first, second) = tokio::join!(first, world.store.read("a"));
        assert!(first.is_none_or(|read| read.is_ok()));
        assert_eq!(number(&second.expect("read")), 1);
    }
}

#[tokio::test]
async fn a_write_can_be_dropped_anywhere() {
    for world in worlds() {
        let store = &world.store;
        world.put("a", whole(0, 1_000));
        let operation = || store.write("a", whole(1, 50_000));
        let check = || {
            let content = std::fs::read(world.path("a")).expect("it is always there");
            assert!([1_000, 50_000].contains(&(content.len() / 8)));
            number(&content);
        };
        at_every_point_of_waiting(operation, check).await;
        comes_to_rest(&world);
        assert_eq!(number(&store.read("a").await.expect("read")), 1);
    }
}

#[tokio::test]
async fn a_removal_can_be_dropped_anywhere() {
    for world in worlds() {
        let store = &world.store;
        world.put("a", "one");
        let operation = || async {
            world.put("a", "one");
            store.remove("a").await
        };
        at_every_point(operation, || ()).await;
        comes_to_rest(&world);
        store.write("a", "two").await.expect("usable");
    }
}

#[tokio::test]
async fn a_wait_for_a_lock_can_be_dropped_anywhere() {
    for world in worlds() {
        let store = &world.store;
        let held = store.lock("a").await.expect("locked");
        for polls in 0..5 {
            let waiting = Dropped {
                future: Some(Box::pin(store.lock("a"))),
                polls,
            };
            let bounded = tokio::time::timeout(std::time::Duration::from_millis(5), waiting);
            assert!(!matches!(bounded.await, Ok(Some(_))), "both hold it");
        }
        drop(held);
        comes_to_rest(&world);
        at_every_point(|| store.lock("a"), || ()).await;
        comes_to_rest(&world);
    }
}

#[tokio::test]
async fn a_lock_among_processes_can_be_dropped_anywhere() {
    let world = World::with(|builder| builder.process_locks(true));
    let other = FileStore::builder(world.path(""))
        .process_locks(true)
        .build()
        .expect("a store");
    for polls in 0..6 {
        let held = other.lock("a").await.expect("locked");
        let waiting = Dropped {
            future: Some(Box::pin(world.store.lock("a"))),
            polls,
        };
        let bounded = tokio::time::timeout(std::time::Duration::from_millis(5), waiting);
        assert!(!matches!(bounded.await, Ok(Some(_))), "both hold it");
        drop(held);
        comes_to_rest(&world);
    }
    drop(world.store.lock("a").await.expect("locked"));
    assert!(world.names("").is_empty());
}

#[tokio::test]
async fn a_write_that_goes_on_alone_keeps_the_lock_and_is_not_overtaken() {
    let world = World::new();
    for round in 0..50 {
        let held = world.store.lock("a").await.expect("locked");
        // Dropped once it has been handed to its thread.
        let write = Dropped {
            future: Some(Box::pin(held.write(whole(1, 20_000)))),
            polls: 1,
        };
        write.await;
        if round % 2 == 0 {
            held.write(whole(2, 10)).await.expect("written");
            drop(held);
        } else {
            drop(held);
            world.store.write("a", whole(2, 10)).await.expect("written");
        }
        comes_to_rest(&world);
        let content = std::fs::read(world.path("a")).expect("read");
        assert_eq!(number(&content), 2, "round {round}");
    }
}
