//! One load for everybody who asks, whatever kind of loader and whoever asks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;

use brolly_lazy::{Guard, Lazy};

use crate::support::{Source, Tasks, boxed, look, now, with_time_limit};

#[test]
fn callers_at_the_same_time_share_one_load_and_one_value() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut callers: Vec<_> = (0..20).map(|_| boxed(lazy.get())).collect();
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    assert_eq!(source.starts(), 1);
    source.finish(7);
    let values: Vec<_> = callers.iter_mut().map(look).collect();
    let first = lazy.peek().map(Guard::into_arc).unwrap();
    for value in values {
        let Poll::Ready(value) = value else {
            panic!("one of them waits still")
        };
        assert!(Arc::ptr_eq(&Guard::into_arc(value), &first));
    }
    assert_eq!((source.starts(), lazy.load_count()), (1, 1));
}

#[test]
fn nothing_is_loaded_before_somebody_asks() {
    let source = Source::<u8>::new();
    let lazy = Lazy::new(source.loader());
    assert!(!lazy.is_loaded() && lazy.peek().is_none() && !lazy.is_loading());
    drop(lazy.get());
    assert_eq!((source.starts(), lazy.load_count()), (0, 0));
}

#[test]
fn a_value_that_is_there_needs_no_wait_and_no_load() {
    let lazy = Lazy::new(|| async { String::from("here") });
    for _ in 0..3 {
        assert_eq!(*now(lazy.get()), "here");
        assert_eq!(*lazy.get_blocking(), "here");
    }
    assert_eq!((lazy.load_count(), lazy.is_loaded()), (1, true));
}

/// Threads that ask at the same time; returns how often the loader was called.
fn stampede(lazy: &Lazy<usize>, calls: &AtomicUsize) {
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(*lazy.get_blocking(), 7);
            });
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(lazy.load_count(), 1);
}

#[test]
fn threads_share_one_run_of_a_synchronous_loader() {
    with_time_limit("eight threads", || {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let lazy = Lazy::new_sync(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            7
        });
        stampede(&lazy, &calls);
    });
}

#[test]
fn threads_share_one_run_of_a_blocking_loader() {
    with_time_limit("eight threads", || {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let lazy = Lazy::new_blocking(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            7
        });
        stampede(&lazy, &calls);
    });
}

#[test]
fn threads_share_one_run_of_an_async_loader_and_drive_it() {
    with_time_limit("eight threads", || {
        let source = Source::new();
        let lazy = Lazy::new(source.loader());
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| *lazy.get_blocking()))
                .collect();
            while source.polls() == 0 {
                thread::yield_now();
            }
            source.finish(7);
            for thread in waiting {
                assert_eq!(thread.join().unwrap(), 7);
            }
        });
        assert_eq!(source.starts(), 1);
    });
}

#[test]
fn tasks_and_threads_wait_for_the_same_load() {
    with_time_limit("a thread and a task", || {
        let source = Source::new();
        let lazy = Lazy::new(source.loader());
        let mut task = boxed(lazy.get());
        assert!(look(&mut task).is_pending());
        thread::scope(|scope| {
            let thread = scope.spawn(|| *lazy.get_blocking());
            while lazy.stats().joined == 0 {
                thread::yield_now();
            }
            source.finish(7);
            assert_eq!(thread.join().unwrap(), 7);
        });
        assert_eq!(look(&mut task).map(|value| *value), Poll::Ready(7));
        assert_eq!(source.starts(), 1);
    });
}

#[test]
fn a_blocking_loader_never_runs_on_the_thread_that_polls() {
    with_time_limit("a blocking loader", || {
        let here = thread::current().id();
        let lazy = Lazy::new_blocking(move || thread::current().id());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let there = runtime.block_on(async { *lazy.get().await });
        assert_ne!(here, there);
        lazy.reset();
        assert_ne!(here, *lazy.get_blocking());
    });
}

#[test]
fn a_blocking_loader_does_not_hold_up_the_executor() {
    with_time_limit("a blocking loader", || {
        let barrier = Arc::new(Barrier::new(2));
        let inside = Arc::clone(&barrier);
        let lazy = Lazy::new_blocking(move || {
            inside.wait();
            7
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let waits = tokio::spawn(async move { *lazy.get().await });
            // Other tasks of the only thread run while the loader blocks.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            barrier.wait();
            assert_eq!(waits.await.unwrap(), 7);
        });
    });
}

#[cfg(feature = "tokio")]
#[test]
fn within_tokio_a_blocking_loader_runs_on_a_thread_of_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .thread_name("of the runtime")
        .build()
        .unwrap();
    let lazy = Lazy::new_blocking(|| thread::current().name().map(str::to_owned));
    let name = runtime.block_on(async { lazy.get().await.clone() });
    assert_eq!(name.as_deref(), Some("of the runtime"));
}

#[test]
fn a_synchronous_loader_runs_on_the_thread_that_asks() {
    let lazy = Lazy::new_sync(|| thread::current().id());
    assert_eq!(*lazy.get_blocking(), thread::current().id());
    lazy.reset();
    assert_eq!(*now(lazy.get()), thread::current().id());
}

#[test]
fn with_a_spawner_a_waiting_thread_does_not_poll_the_loader() {
    with_time_limit("a spawned load", || {
        let tasks = Tasks::default();
        let lazy = Lazy::builder()
            .spawner(tasks.spawner())
            .build(|| async { thread::current().id() })
            .unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| *lazy.get_blocking());
            while tasks.len() == 0 {
                thread::yield_now();
            }
            tasks.run();
            assert_eq!(waits.join().unwrap(), thread::current().id());
        });
    });
}

#[test]
fn clones_are_handles_to_one_value() {
    let lazy = Lazy::new_sync(|| 7);
    let other = lazy.clone();
    assert_eq!(*other.get_blocking(), 7);
    assert!(lazy.is_loaded());
    drop(lazy);
    assert_eq!(other.load_count(), 1);
}

#[test]
fn values_need_not_be_clone_and_are_dropped_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&drops);
    let lazy = Lazy::new_sync(move || Counted(Arc::clone(&counted)));
    drop((lazy.get_blocking(), now(lazy.get())));
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    drop(lazy.reset());
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    drop(lazy.get_blocking());
    drop(lazy);
    assert_eq!(drops.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_of_a_runtime_get_the_same() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let lazy = Lazy::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            7
        }
    });
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let lazy = lazy.clone();
            tokio::spawn(async move { *lazy.get().await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 7);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_guard_keeps_its_value_whatever_becomes_of_the_handle() {
    let lazy = Lazy::new_sync(|| String::from("kept"));
    let guards: Vec<_> = (0..100).map(|_| lazy.get_blocking()).collect();
    lazy.reset();
    drop(lazy);
    let elsewhere = thread::spawn(move || guards.iter().all(|guard| **guard == "kept"));
    assert!(elsewhere.join().unwrap());
}
