//! Locks of paths: one for all ways to a file, first come, first served, gone when unused.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_file_store::Error;
use tokio::time::timeout;

use crate::support::{PATIENCE, World, eventually};

/// Whether a future waits when it is polled once; it is dropped then.
fn waits(future: impl Future) -> bool {
    let mut future = std::pin::pin!(future);
    let poll = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    matches!(poll, Poll::Pending)
}

#[tokio::test]
async fn all_ways_to_a_file_are_one_lock() {
    let world = World::new();
    let store = &world.store;
    world.put("d/a", "one");
    std::os::unix::fs::symlink("d", world.path("e")).expect("linked");
    std::os::unix::fs::symlink("e/a", world.path("link")).expect("linked");
    let absolute = world.path("d/a");
    let held = store.lock("d/a").await.expect("locked");
    assert_eq!(held.path(), std::path::Path::new("d/a"));
    for path in ["d/a", "e/a", "./d//a", "d/../e/a", "link"] {
        assert!(waits(store.lock(path)), "{path}");
    }
    assert!(waits(store.lock(absolute)));
    assert!(!waits(store.lock("d/b")));
    assert_eq!(store.stats().locked_paths, 1);
    drop(held);
    assert!(!waits(store.lock("link")));
    assert_eq!(store.stats().locked_paths, 0);
}

#[tokio::test]
async fn a_path_has_the_same_lock_before_and_after_its_directories_are_made() {
    let world = World::new();
    let held = world.store.lock("new/dir/a").await.expect("locked");
    assert!(waits(world.store.lock("new/dir/a")));
    world.put("new/dir/b", "one");
    assert!(waits(world.store.lock("new/dir/a")));
    held.write("one").await.expect("written");
    assert!(waits(world.store.lock("new/dir/a")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_goes_round_in_the_order_of_arrival() {
    let world = World::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let held = world.store.lock("a").await.expect("locked");
    let mut tasks = Vec::new();
    for number in 0..20 {
        let (store, order) = (world.store.clone(), Arc::clone(&order));
        let mut waiting = Box::pin(async move { store.lock("a").await.expect("locked") });
        assert!(waits_once(&mut waiting));
        tasks.push(tokio::spawn(async move {
            let held = waiting.await;
            order.lock().expect("no panic").push(number);
            tokio::task::yield_now().await;
            drop(held);
        }));
    }
    drop(held);
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(
        *order.lock().expect("no panic"),
        (0..20).collect::<Vec<_>>()
    );
    assert_eq!(world.store.stats().locked_paths, 0);
}

fn waits_once(future: &mut (impl Future + Unpin)) -> bool {
    let poll = std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()));
    poll.is_pending()
}

#[tokio::test]
async fn locks_of_many_paths_leave_nothing_behind() {
    let world = World::new();
    for number in 0..10_000 {
        drop(
            world
                .store
                .lock(format!("file{number}"))
                .await
                .expect("locked"),
        );
    }
    assert_eq!(world.store.stats().locked_paths, 0);
    let all: Vec<_> = (0..100)
        .map(|number| {
            world
                .store
                .lock_blocking(format!("file{number}"))
                .expect("locked")
        })
        .collect();
    assert_eq!(world.store.stats().locked_paths, 100);
    drop(all);
    assert_eq!(world.store.stats().locked_paths, 0);
}

#[test]
fn tasks_and_threads_exclude_each_other() {
    let world = World::new();
    let inside = AtomicU32::new(0);
    let rounds = AtomicU32::new(0);
    let enter = || {
        assert_eq!(inside.fetch_add(1, SeqCst), 0);
        std::thread::yield_now();
        assert_eq!(inside.fetch_sub(1, SeqCst), 1);
        rounds.fetch_add(1, SeqCst);
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let _held = world.store.lock_blocking("a").expect("locked");
                    enter();
                }
            });
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("a runtime");
                runtime.block_on(async {
                    for _ in 0..200 {
                        let _held = world.store.lock("a").await.expect("locked");
                        enter();
                    }
                });
            });
        }
    });
    assert_eq!(rounds.load(SeqCst), 800);
    assert_eq!(world.store.stats().locked_paths, 0);
}

#[tokio::test]
async fn writes_and_removals_wait_for_the_lock_and_reads_do_not() {
    let world = World::new();
    world.put("a", "one");
    let held = world.store.lock("a").await.expect("locked");
    assert!(waits(world.store.write("a", "two")));
    assert!(waits(world.store.remove("a")));
    assert_eq!(world.store.read("a").await.expect("read"), "one");
    held.write("three").await.expect("written");
    assert_eq!(held.read().await.expect("read"), "three");
    drop(held);
    assert_eq!(world.store.read("a").await.expect("read"), "three");
    world.store.write("a", "four").await.expect("written");
}

#[tokio::test]
async fn a_guard_does_all_that_needs_the_lock() {
    let world = World::new();
    let held = world.store.lock("d/a").await.expect("locked");
    assert!(held.read().await.expect_err("missing").is_not_found());
    assert!(held.remove().await.expect_err("missing").is_not_found());
    held.write("one").await.expect("written");
    held.write_blocking("two").expect("written");
    assert_eq!(held.read_blocking().expect("read"), "two");
    held.remove().await.expect("removed");
    held.write_blocking("three").expect("written");
    held.remove_blocking().expect("removed");
    assert!(!world.path("d/a").exists());
    assert_eq!(format!("{held:?}"), "PathGuard { path: \"d/a\", .. }");
}

#[tokio::test]
async fn a_lock_whose_path_leads_elsewhere_by_now_writes_nothing() {
    let world = World::new();
    world.put("d/a", "one");
    world.put("e/a", "other");
    let held = world.store.lock("d/a").await.expect("locked");
    std::fs::rename(world.path("d"), world.path("f")).expect("moved");
    std::os::unix::fs::symlink("e", world.path("d")).expect("linked");
    assert!(matches!(held.write("two").await, Err(Error::Moved { .. })));
    assert!(matches!(held.remove().await, Err(Error::Moved { .. })));
    assert_eq!(std::fs::read(world.path("e/a")).expect("read"), b"other");
    assert_eq!(std::fs::read(world.path("f/a")).expect("read"), b"one");
}

#[test]
fn a_holder_that_panics_gives_the_lock_back() {
    let world = World::new();
    let store = world.store.clone();
    let holder = std::thread::spawn(move || {
        let _held = store.lock_blocking("a").expect("locked");
        panic!("on purpose");
    });
    holder.join().expect_err("it panics");
    drop(world.store.lock_blocking("a").expect("locked"));
    assert_eq!(world.store.stats().locked_paths, 0);
}

#[tokio::test]
async fn no_update_is_lost_under_the_lock() {
    let world = World::new();
    world.put("count", "0");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    let held = store.lock("count").await.expect("locked");
                    let content = held.read().await.expect("read");
                    let count: u32 = content.to_str().expect("text").parse().expect("a number");
                    held.write((count + 1).to_string()).await.expect("written");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(world.store.read("count").await.expect("read"), "200");
}

#[tokio::test]
async fn two_stores_exclude_each_other_with_process_locks() {
    let world = World::with(|builder| builder.process_locks(true));
    let other = brolly_file_store::FileStore::builder(world.path(""))
        .process_locks(true)
        .build()
        .expect("a store");
    let held = world.store.lock("d/a").await.expect("locked");
    let waiting = timeout(Duration::from_millis(50), other.lock("d/a")).await;
    assert!(waiting.is_err(), "both hold it");
    // Given up, the wait goes on in a thread, which keeps its place in line.
    assert_eq!(other.stats().locked_paths, 1);
    drop(held);
    eventually(|| other.stats().locked_paths == 0);
    let held = other.lock("d/a").await.expect("locked");
    drop(held);
    let held = world.store.lock("d/a").await.expect("locked");
    held.write("one").await.expect("written");
    drop(held);
    assert_eq!(world.names("d"), ["a"], "the lock file is gone");
}

#[test]
fn two_stores_take_turns_with_process_locks() {
    let world = World::with(|builder| builder.process_locks(true));
    let is_inside = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let store = brolly_file_store::FileStore::builder(world.path(""))
                    .process_locks(true)
                    .build()
                    .expect("a store");
                for _ in 0..200 {
                    let held = store.lock_blocking("a").expect("locked");
                    assert!(!is_inside.swap(true, SeqCst), "two hold it");
                    std::thread::yield_now();
                    assert!(is_inside.swap(false, SeqCst));
                    drop(held);
                }
            });
        }
    });
    assert!(world.names("").is_empty());
}

#[test]
fn a_pipe_in_the_place_of_the_lock_file_is_refused_and_not_waited_for() {
    let world = World::with(|builder| builder.process_locks(true));
    let made = std::process::Command::new("mkfifo")
        .arg(world.path(".brolly-lock.a"))
        .status();
    assert!(made.expect("it runs").success());
    let (sender, receiver) = std::sync::mpsc::channel();
    let store = world.store.clone();
    std::thread::spawn(move || sender.send(store.lock_blocking("a").map(drop)));
    let locked = receiver.recv_timeout(PATIENCE);
    assert!(locked.expect("nothing is waited for").is_err());
    assert_eq!(world.names(""), [".brolly-lock.a"], "it is not ours");
}

#[test]
fn a_lock_whose_file_was_cleared_away_leaves_that_of_the_next_holder() {
    let world = World::with(|builder| builder.process_locks(true));
    let other = brolly_file_store::FileStore::builder(world.path(""))
        .process_locks(true)
        .build()
        .expect("a store");
    let first = world.store.lock_blocking("a").expect("locked");
    std::fs::remove_file(world.path(".brolly-lock.a")).expect("cleared away");
    let second = other.lock_blocking("a").expect("locked");
    drop(first);
    assert_eq!(world.names(""), [".brolly-lock.a"], "somebody holds it");
    drop(second);
    assert!(world.names("").is_empty());
}

#[test]
fn a_file_with_the_name_of_a_lock_file_is_not_taken_away() {
    let world = World::with(|builder| builder.process_locks(true));
    world.put(".brolly-lock.a", "of somebody else");
    assert!(world.store.lock_blocking("a").is_err());
    assert_eq!(world.names(""), [".brolly-lock.a"]);
    assert_eq!(world.store.stats().locked_paths, 0);
}

#[test]
fn a_lock_whose_directory_was_replaced_writes_nothing() {
    let world = World::with(|builder| builder.process_locks(true));
    let other = brolly_file_store::FileStore::builder(world.path(""))
        .process_locks(true)
        .build()
        .expect("a store");
    let first = world.store.lock_blocking("d/a").expect("locked");
    first.write_blocking("one").expect("written");
    std::fs::rename(world.path("d"), world.path("f")).expect("moved");
    let second = other.lock_blocking("d/a").expect("another directory");
    second.write_blocking("two").expect("written");
    let written = first.write_blocking("three");
    assert!(matches!(written, Err(Error::Moved { .. })), "{written:?}");
    let removed = first.remove_blocking();
    assert!(matches!(removed, Err(Error::Moved { .. })), "{removed:?}");
    assert_eq!(other.read_blocking("d/a").expect("read"), "two");
    drop((first, second));
    assert_eq!(
        (world.names("d"), world.names("f")),
        (vec!["a".into()], vec!["a".into()])
    );
}
