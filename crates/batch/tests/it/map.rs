//! `map` and `map_blocking`: bounded over all items, ordered, lazy, each item on its own.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use brolly_batch::{BatchProcessor, ConfigError, ItemError};
use proptest::prelude::*;

use crate::support::{Gauge, Wakes, poll, processor, run, within_a_minute, yield_times};

#[test]
fn a_limit_of_zero_is_refused_and_named() {
    let error = BatchProcessor::builder().max_concurrent(0).build();
    let expected = ConfigError::OutOfRange {
        field: "max_concurrent",
        value: 0,
        min: 1,
        max: 1 << 20,
    };
    assert_eq!(error.unwrap_err(), expected);
    assert_eq!(
        expected.to_string(),
        "max_concurrent is 0, allowed are 1 to 1048576"
    );
    assert!(
        BatchProcessor::builder()
            .max_concurrent(usize::MAX)
            .build()
            .is_err()
    );
}

#[test]
fn the_default_is_five_at_a_time() {
    let processor = BatchProcessor::builder().build().unwrap();
    assert_eq!(processor.max_concurrent(), 5);
}

#[test]
fn an_empty_input_calls_nothing() {
    let never = |_: u8| -> std::future::Ready<Result<u8, u8>> { unreachable!("no item") };
    assert!(run(processor(3).map([], never)).is_empty());
    let never = |_: u8| -> Result<u8, u8> { unreachable!("no item") };
    assert!(processor(3).map_blocking([], never).is_empty());
}

#[test]
fn results_come_in_the_order_of_the_items_whatever_order_they_end_in() {
    let results = run(processor(4).map(0..100_usize, |n| async move {
        yield_times((n * 7) % 5).await;
        Ok::<_, Infallible>(n)
    }));
    let expected: Vec<_> = (0..100).map(Ok).collect();
    assert_eq!(results, expected);
}

#[test]
fn an_error_is_the_result_of_its_item_alone() {
    let results = run(processor(2).map(0..4, |n| async move {
        yield_times(1).await;
        if n == 1 { Err("odd one") } else { Ok(n) }
    }));
    let failed = Err(ItemError::Failed("odd one"));
    assert_eq!(results, [Ok(0), failed, Ok(2), Ok(3)]);
}

#[test]
fn never_more_than_the_limit_is_in_flight() {
    for limit in [1, 2, 7, 64, 65, 5_000] {
        let gauge = Gauge::default();
        let results = run(processor(limit).map(0..1_000_usize, |n| {
            let gauge = &gauge;
            async move {
                let _guard = gauge.enter();
                yield_times(n % 3).await;
                Ok::<_, Infallible>(())
            }
        }));
        assert_eq!(results.len(), 1_000);
        assert!(gauge.peak() <= limit, "{} at limit {limit}", gauge.peak());
        assert_eq!(gauge.now(), 0);
        if limit < 256 {
            let reachable = if limit == 1 { 1 } else { limit * 2 / 3 };
            assert!(gauge.peak() >= reachable, "the limit is used");
        }
    }
}

/// The originals cut the input into groups and waited for the slowest item of each.
#[test]
fn batches_do_not_serialise() {
    let started = RefCell::new(Vec::new());
    let gate = Cell::new(false);
    let mut map = processor(2).map(0..6, |n| {
        started.borrow_mut().push(n);
        let gate = &gate;
        std::future::poll_fn(move |_| match n == 0 && !gate.get() {
            true => Poll::Pending,
            false => Poll::Ready(Ok::<_, Infallible>(n)),
        })
    });
    assert!(poll(&mut map, Waker::noop()).is_pending());
    assert_eq!(
        *started.borrow(),
        [0, 1, 2, 3, 4, 5],
        "item 0 held nobody up"
    );
}

#[test]
fn the_iterator_is_never_pulled_ahead_of_the_limit() {
    let pulled = Cell::new(0_usize);
    let ended = Cell::new(0_usize);
    let items = (0..50_usize).inspect(|_| {
        pulled.set(pulled.get() + 1);
        assert!(pulled.get() - ended.get() <= 3);
    });
    run(processor(3).map(items, |n| {
        let ended = &ended;
        async move {
            yield_times(n % 4).await;
            ended.set(ended.get() + 1);
            Ok::<_, Infallible>(())
        }
    }));
    assert_eq!(pulled.get(), 50);
}

#[test]
fn an_iterator_is_not_asked_again_after_its_end() {
    let mut left = 3;
    let mut over = false;
    let items = std::iter::from_fn(|| {
        assert!(!over, "asked again after the end");
        over = left == 0;
        left -= i32::from(!over);
        (!over).then_some(left)
    });
    let results = run(processor(10).map(items, |n| async move {
        yield_times(2).await;
        Ok::<_, Infallible>(n)
    }));
    assert_eq!(results, [Ok(2), Ok(1), Ok(0)]);
}

#[test]
fn a_wrong_size_hint_does_no_harm() {
    struct Liar(u8);
    impl Iterator for Liar {
        type Item = u8;
        fn next(&mut self) -> Option<u8> {
            self.0 = self.0.checked_sub(1)?;
            Some(self.0)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, None)
        }
    }
    let identity = |n| async move { Ok::<_, Infallible>(n) };
    assert_eq!(
        run(processor(9).map(Liar(3), identity)),
        [Ok(2), Ok(1), Ok(0)]
    );
    let blocking = processor(9).map_blocking(Liar(3), Ok::<_, Infallible>);
    assert_eq!(blocking, [Ok(2), Ok(1), Ok(0)]);
}

/// An iterator whose size hint panics when it is asked for a second time.
struct AskedOnce(u8, Cell<bool>);

impl Iterator for AskedOnce {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        assert!(!self.1.replace(true), "asked again");
        (0, None)
    }
}

#[test]
fn a_size_hint_that_panics_once_items_run_hangs_nobody() {
    within_a_minute(|| {
        let expected: Vec<_> = (0..50).rev().map(Ok::<u8, ItemError<Infallible>>).collect();
        let items = || AskedOnce(50, Cell::new(false));
        assert_eq!(processor(4).map_blocking(items(), Ok), expected);
        let asynchronous = processor(4).map(items(), |n| async move {
            yield_times(1).await;
            Ok(n)
        });
        assert_eq!(run(asynchronous), expected);
    });
}

#[test]
fn a_size_hint_below_the_truth_starves_no_item() {
    struct Modest(u8);
    impl Iterator for Modest {
        type Item = u8;
        fn next(&mut self) -> Option<u8> {
            self.0 = self.0.checked_sub(1)?;
            Some(self.0)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (0, Some(1))
        }
    }
    let expected: Vec<_> = (0..9).rev().map(Ok::<u8, ItemError<Infallible>>).collect();
    assert_eq!(processor(3).map_blocking(Modest(9), Ok), expected);
    let asynchronous = processor(3).map(Modest(9), |n| async move {
        yield_times(1).await;
        Ok(n)
    });
    assert_eq!(run(asynchronous), expected);
}

/// A gibibyte for each of a million results is more than any address space has to give.
#[test]
fn large_results_are_not_reserved_on_the_word_of_a_size_hint() {
    let pending = |_| std::future::pending::<Result<[u8; 1 << 30], Infallible>>();
    drop(processor(5).map(0..1 << 20, pending));
}

#[test]
fn an_exact_size_hint_leaves_no_room_unused() {
    let items = 0..300_000_u32;
    let results = processor(1).map_blocking(items.clone(), Ok::<_, Infallible>);
    assert_eq!(results.capacity(), items.len());
    let results = run(processor(3).map(items.clone(), |n| async move {
        yield_times(n as usize % 3).await;
        Ok::<_, Infallible>(n)
    }));
    assert_eq!(results.capacity(), items.len());
}

#[test]
fn only_the_futures_that_were_woken_are_polled() {
    let polls = RefCell::new([0; 100]);
    let wakers = RefCell::new(vec![None; 100]);
    let mut map = processor(100).map(0..100_usize, |n| {
        let (polls, wakers) = (&polls, &wakers);
        std::future::poll_fn(move |cx| {
            polls.borrow_mut()[n] += 1;
            wakers.borrow_mut()[n] = Some(cx.waker().clone());
            Poll::<Result<(), Infallible>>::Pending
        })
    });
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut map, &waker).is_pending());
    for index in [3, 70, 71] {
        let waker = wakers.borrow_mut()[index].take();
        waker.unwrap().wake();
    }
    assert_eq!(wakes.count(), 1, "one wake-up of the task serves them all");
    assert!(poll(&mut map, &waker).is_pending());
    let expected: Vec<_> = (0..100)
        .map(|n| 1 + i32::from([3, 70, 71].contains(&n)))
        .collect();
    assert_eq!(polls.borrow().as_slice(), expected);
}

#[test]
fn futures_that_wake_together_are_polled_in_the_order_of_their_items() {
    let polls = RefCell::new(Vec::new());
    run(processor(3).map(0..9, |n| {
        let polls = &polls;
        let mut waits = true;
        std::future::poll_fn(move |cx| {
            polls.borrow_mut().push(n);
            if std::mem::take(&mut waits) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok::<_, Infallible>(()))
        })
    }));
    let rounds = [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8, 6, 7, 8];
    assert_eq!(*polls.borrow(), rounds);
}

#[test]
fn the_task_is_woken_through_the_waker_of_its_latest_poll() {
    let inner = RefCell::new(None);
    let mut map = processor(1).map([()], |()| {
        let inner = &inner;
        std::future::poll_fn(move |cx| {
            *inner.borrow_mut() = Some(cx.waker().clone());
            Poll::<Result<(), Infallible>>::Pending
        })
    });
    let (old_wakes, old) = Wakes::new();
    let (new_wakes, new) = Wakes::new();
    assert!(poll(&mut map, &old).is_pending());
    assert!(poll(&mut map, &new).is_pending());
    inner.borrow().as_ref().unwrap().wake_by_ref();
    assert_eq!((old_wakes.count(), new_wakes.count()), (0, 1));
}

#[test]
fn one_poll_ends_after_a_bounded_number_of_items() {
    let started = Cell::new(0);
    let mut map = processor(10).map(0..10_000, |n| {
        started.set(started.get() + 1);
        async move { Ok::<_, Infallible>(n) }
    });
    let (wakes, waker) = Wakes::new();
    let mut polls = 1;
    while poll(&mut map, &waker).is_pending() {
        assert!(
            started.get() <= polls * 256,
            "{} after {polls}",
            started.get()
        );
        assert_eq!(wakes.count(), polls, "it asks for the next poll itself");
        polls += 1;
    }
    assert_eq!(started.get(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_sleeps_at_a_hundred_a_time_take_ten_sleeps() {
    let start = tokio::time::Instant::now();
    let second = std::time::Duration::from_secs(1);
    let results = processor(100)
        .map(0..1_000, |n| async move {
            tokio::time::sleep(second).await;
            Ok::<_, Infallible>(n)
        })
        .await;
    assert_eq!(results.len(), 1_000);
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wake_ups_from_other_threads_are_not_lost() {
    let task = tokio::spawn(processor(32).map(0..2_000_u64, |n| async move {
        let there = tokio::spawn(async move {
            tokio::task::yield_now().await;
            n
        });
        there.await
    }));
    let results = task.await.unwrap();
    let sum: u64 = results.into_iter().map(Result::unwrap).sum();
    assert_eq!(sum, 1_999_000);
}

#[test]
fn blocking_results_come_in_order_with_errors_in_place() {
    let results = processor(4).map_blocking(0..200, |n| match n % 10 {
        3 => Err(n),
        _ => Ok(n * 2),
    });
    for (n, result) in results.into_iter().enumerate() {
        let expected = if n % 10 == 3 {
            Err(ItemError::Failed(n))
        } else {
            Ok(n * 2)
        };
        assert_eq!(result, expected);
    }
}

#[test]
fn blocking_items_run_on_as_many_threads_as_the_limit_and_no_more() {
    // All three must be inside at once, or the barrier never opens.
    let barrier = Barrier::new(3);
    let inside = AtomicUsize::new(0);
    let threads = Mutex::new(HashSet::new());
    processor(3).map_blocking(0..30, |_| {
        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
        threads.lock().unwrap().insert(thread::current().id());
        barrier.wait();
        inside.fetch_sub(1, Ordering::SeqCst);
        Ok::<_, Infallible>(())
    });
    let threads = threads.into_inner().unwrap();
    assert_eq!(threads.len(), 3);
    assert!(
        threads.contains(&thread::current().id()),
        "the caller works too"
    );
}

#[test]
fn a_blocking_limit_of_one_stays_on_the_calling_thread() {
    let here = thread::current().id();
    let results = processor(1).map_blocking(0..10, |_| match thread::current().id() == here {
        true => Ok(()),
        false => Err("elsewhere"),
    });
    assert!(results.iter().all(Result::is_ok));
}

#[test]
fn a_blocking_map_pulls_only_what_it_can_start() {
    let ended = AtomicUsize::new(0);
    let mut pulled = 0;
    let items = (0..100).inspect(|_| {
        pulled += 1;
        assert!(pulled - ended.load(Ordering::SeqCst) <= 4);
    });
    let results = processor(4).map_blocking(items, |n| {
        ended.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(n)
    });
    assert_eq!(results.len(), 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_maps_equal_the_sequential_one(
        items in prop::collection::vec((0_usize..4, any::<bool>()), 0..150),
        limit in 1_usize..80,
    ) {
        let sequential: Vec<_> = items.iter().enumerate().map(|(n, &(_, ok))| {
            if ok { Ok(n) } else { Err(ItemError::Failed(n)) }
        }).collect();
        let ordered = run(processor(limit).map(items.iter().enumerate(), |(n, &(yields, ok))| async move {
            yield_times(yields).await;
            if ok { Ok(n) } else { Err(n) }
        }));
        prop_assert_eq!(&ordered, &sequential);
        let blocking = processor(limit.min(4))
            .map_blocking(items.iter().enumerate(), |(n, &(_, ok))| if ok { Ok(n) } else { Err(n) });
        prop_assert_eq!(&blocking, &sequential);
    }
}
