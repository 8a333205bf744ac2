//! A cell is written once, by one initialiser at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;

use brolly_lazy::{LoadError, Once};

use crate::support::{Source, boxed, look, now, with_time_limit};

#[test]
fn a_cell_can_be_a_static_and_is_read_by_reference() {
    static CELL: Once<String> = Once::new();
    assert_eq!((CELL.get(), CELL.is_initialized()), (None, false));
    let first: &'static String = CELL.get_or_init_blocking(|| String::from("written"));
    let second = now(CELL.get_or_init(|| async { String::from("too late") }));
    assert!(std::ptr::eq(first, second));
    assert_eq!(CELL.get().map(String::as_str), Some("written"));
}

#[test]
fn callers_at_the_same_time_share_one_initialiser() {
    let source = Source::new();
    let once = Once::new();
    let calls = AtomicUsize::new(0);
    let mut callers: Vec<_> = (0..64)
        .map(|_| {
            boxed(once.get_or_init(|| {
                calls.fetch_add(1, Ordering::SeqCst);
                source.load()
            }))
        })
        .collect();
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    source.finish(7);
    for caller in &mut callers {
        assert_eq!(look(caller), Poll::Ready(&7));
    }
    assert_eq!((calls.load(Ordering::SeqCst), source.starts()), (1, 1));
}

#[test]
fn threads_share_one_initialiser_which_may_borrow() {
    with_time_limit("eight threads", || {
        let (once, calls) = (Once::new(), AtomicUsize::new(0));
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let value = once.get_or_init_blocking(|| {
                        thread::yield_now();
                        calls.fetch_add(1, Ordering::SeqCst)
                    });
                    assert_eq!(value, &0);
                });
            }
        });
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_task_waits_for_a_thread_and_a_thread_for_a_task() {
    with_time_limit("a thread and a task", || {
        let once = Once::new();
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            let inits = scope.spawn(|| {
                *once.get_or_init_blocking(|| {
                    barrier.wait();
                    barrier.wait();
                    7
                })
            });
            barrier.wait();
            let mut task = boxed(once.get_or_init(|| async { 8 }));
            assert!(look(&mut task).is_pending());
            barrier.wait();
            assert_eq!(inits.join().unwrap(), 7);
            assert_eq!(look(&mut task), Poll::Ready(&7));
        });

        let (once, source) = (Once::new(), Source::new());
        let mut task = boxed(once.get_or_init(|| source.load()));
        assert!(look(&mut task).is_pending());
        thread::scope(|scope| {
            let waits = scope.spawn(|| *once.get_or_init_blocking(|| 8));
            let polls = source.polls();
            while source.polls() == polls {
                source.stir();
                thread::yield_now();
            }
            source.finish(7);
            assert_eq!(waits.join().unwrap(), 7);
        });
        assert_eq!(look(&mut task), Poll::Ready(&7));
    });
}

#[test]
fn a_failure_is_told_to_all_who_waited_and_the_next_one_runs_its_own() {
    let (once, source) = (Once::<u32>::new(), Source::new());
    let mut callers: Vec<_> = (0..64)
        .map(|_| boxed(once.get_or_try_init(|| source.load())))
        .collect();
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    source.finish(Err("down"));
    for caller in &mut callers {
        let Poll::Ready(Err(LoadError::Failed(error))) = look(caller) else {
            panic!("not told")
        };
        assert_eq!(*error, "down");
    }
    assert_eq!((source.starts(), once.get()), (1, None));
    let value = now(once.get_or_try_init(|| async { Ok::<_, &str>(7) }));
    assert_eq!(value.unwrap(), &7);
}

#[test]
fn a_failure_on_a_thread_is_over_when_its_call_is() {
    let once = Once::<u32>::new();
    for attempt in 0..100 {
        let error = once.get_or_try_init_blocking(|| Err(attempt)).unwrap_err();
        assert_eq!(error.failure(), Some(&attempt));
    }
    assert_eq!(
        once.get_or_try_init_blocking(|| Ok::<_, u32>(7)).ok(),
        Some(&7)
    );
}

#[test]
fn who_has_errors_of_another_type_runs_its_own() {
    let (once, source) = (Once::<u32>::new(), Source::new());
    let mut first = boxed(once.get_or_try_init(|| source.load()));
    assert!(look(&mut first).is_pending());
    let mut other = boxed(once.get_or_try_init(|| async { Err::<u32, char>('x') }));
    let mut sure = boxed(once.get_or_init(|| async { 7 }));
    assert!(look(&mut other).is_pending() && look(&mut sure).is_pending());
    source.finish(Err("down"));
    let Poll::Ready(Err(LoadError::Failed(error))) = look(&mut other) else {
        panic!("not its own")
    };
    assert_eq!(*error, 'x');
    assert_eq!(look(&mut sure), Poll::Ready(&7));
    // It was told before the cell was written.
    assert_eq!(look(&mut first).map(Result::ok), Poll::Ready(Some(&7)));
}

#[test]
fn a_cell_that_is_written_meanwhile_keeps_what_was_written() {
    let (once, source) = (Once::new(), Source::new());
    let mut caller = boxed(once.get_or_init(|| source.load()));
    assert!(look(&mut caller).is_pending());
    assert_eq!(once.set(9), Ok(()));
    assert_eq!(once.set(10), Err(10));
    source.finish(7);
    assert_eq!(look(&mut caller), Poll::Ready(&9));
    assert_eq!(once.get(), Some(&9));

    let once = Once::new();
    let value = once.get_or_init_blocking(|| {
        once.set(9).unwrap();
        7
    });
    assert_eq!(value, &9);
}

#[test]
fn what_is_brought_to_a_cell_that_was_written_meanwhile_is_not_kept() {
    let (once, brought) = (Arc::new(Once::new()), Arc::new(7));
    let (inside, value) = (Arc::clone(&once), Arc::clone(&brought));
    let init = async move {
        inside.set(Arc::new(9)).unwrap();
        value
    };
    assert_eq!(**now(once.get_or_init(|| init)), 9);
    assert_eq!(Arc::strong_count(&brought), 1);
}

#[test]
fn the_owner_takes_the_value_out_and_the_cell_can_be_written_again() {
    let mut once = Once::from(7);
    assert_eq!(once.get_mut(), Some(&mut 7));
    assert_eq!((once.take(), once.take()), (Some(7), None));
    assert_eq!(once.get_or_init_blocking(|| 8), &8);
    assert_eq!(once.clone().into_inner(), Some(8));
    assert_eq!(once, Once::from(8));
    assert_eq!(
        format!("{once:?} {:?}", Once::<u8>::default()),
        "Once(8) Once(<empty>)"
    );
}

#[test]
fn what_is_brought_is_dropped_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = || Counted(Arc::clone(&drops));
    let once = Once::new();
    let (own, other) = (counted(), counted());
    let mut caller = boxed(once.get_or_init(|| async { own }));
    let mut late = boxed(once.get_or_init(|| async { other }));
    assert!(look(&mut caller).is_ready() && look(&mut late).is_ready());
    drop((caller, late));
    assert_eq!(
        drops.load(Ordering::SeqCst),
        1,
        "the one that was not needed"
    );
    drop(once);
    assert_eq!(drops.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_of_a_runtime_share_one_initialiser() {
    for _ in 0..20 {
        let once = Arc::new(Once::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (once, calls) = (Arc::clone(&once), Arc::clone(&calls));
                tokio::spawn(async move {
                    let init = || {
                        calls.fetch_add(1, Ordering::SeqCst);
                        async {
                            tokio::task::yield_now().await;
                            7
                        }
                    };
                    *once.get_or_init(init).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 7);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}
