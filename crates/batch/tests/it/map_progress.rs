//! Progress: each batch once, in the order in which they end, whatever the callback does.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use brolly_batch::{BatchDone, BatchProcessor, CancelToken, Progress};
use proptest::prelude::*;

use crate::support::{Wakes, poll, run, yield_times};

fn sized(max_concurrent: usize, batch_size: usize) -> BatchProcessor {
    BatchProcessor::builder()
        .max_concurrent(max_concurrent)
        .batch_size(batch_size)
        .build()
        .expect("tests use settings within range")
}

#[test]
fn every_batch_is_reported_once() {
    let mut seen = Vec::new();
    let map = sized(1, 4).map(
        0..10,
        |n| async move { if n % 5 == 0 { Err(n) } else { Ok(n) } },
    );
    let results = run(map.on_progress(|batch| seen.push(batch)));
    assert_eq!(results.len(), 10);
    let plain: Vec<_> = seen
        .iter()
        .map(|batch| (batch.index, batch.items.clone(), batch.failed, batch.done))
        .collect();
    assert_eq!(plain, [(0, 0..4, 1, 4), (1, 4..8, 1, 8), (2, 8..10, 0, 10)]);
    assert!(seen.iter().all(|batch| batch.total == Some(10)));
}

#[test]
fn batches_are_reported_in_the_order_in_which_they_end() {
    let mut seen = Vec::new();
    let open = Cell::new(false);
    let map = sized(3, 2).map(0..6, |n| {
        let open = &open;
        poll_fn(move |cx| {
            if n == 0 && !open.replace(n == 0) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok::<_, Infallible>(n))
        })
    });
    run(map.on_progress(|batch| seen.push(batch.index)));
    assert_eq!(seen, [1, 2, 0]);
}

#[test]
fn nothing_is_reported_of_nothing() {
    let map = sized(3, 2).map([], |_: u8| async { Ok::<_, Infallible>(()) });
    run(map.on_progress(|batch| unreachable!("{batch:?}")));
}

#[test]
fn the_total_is_known_in_the_end_at_the_latest() {
    let mut seen = Vec::new();
    let items = (0..5).filter(|_| true); // promises nothing
    let map = sized(1, 2).map(items, |n| async move { Ok::<_, Infallible>(n) });
    run(map.on_progress(|batch| seen.push((batch.index, batch.total))));
    assert_eq!(seen, [(0, None), (1, None), (2, Some(5))]);
}

#[test]
fn a_callback_that_panics_harms_nothing_and_is_called_again() {
    let mut calls = 0;
    let map = sized(2, 1).map(0..5, |n| async move {
        yield_times(n % 2).await;
        Ok::<_, Infallible>(n)
    });
    let results = run(map.on_progress(|_| {
        calls += 1;
        panic!("not interested");
    }));
    assert_eq!(results, [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert_eq!(calls, 5);
}

#[test]
fn an_item_that_panics_counts_as_ended_and_failed() {
    for yields in [0, 1] {
        for in_function in [false, true] {
            let mut seen = Vec::new();
            let map = sized(2, 3).map(0..3, |n| {
                assert!(!(in_function && n == 1), "in the function");
                async move {
                    yield_times(yields).await;
                    assert_ne!(n, 1, "in the future");
                    Ok::<_, Infallible>(n)
                }
            });
            run(map.on_progress(|batch| seen.push((batch.failed, batch.done))));
            assert_eq!(seen, [(1, 3)]);
        }
    }
}

#[test]
fn batches_with_items_that_were_dropped_are_not_reported() {
    let token = CancelToken::new();
    let seen = RefCell::new(Vec::new());
    let processor = sized(2, 2).cancel_with(&token);
    let map = processor.map(0..10, |n| async move {
        if n >= 3 {
            pending::<()>().await;
        }
        Ok::<_, Infallible>(n)
    });
    let mut map = map.on_progress(|batch| seen.borrow_mut().push(batch.index));
    assert!(poll(&mut map, Waker::noop()).is_pending());
    token.cancel();
    assert_eq!(run(map).len(), 10);
    assert_eq!(*seen.borrow(), [0]);
}

#[test]
fn other_forms_of_a_map_report_progress_as_well() {
    let count = Rc::new(Cell::new(0));
    let add = || {
        let count = Rc::clone(&count);
        move |batch: BatchDone| count.set(count.get() + batch.items.len())
    };
    let map = || sized(3, 4).map(0..10, |n| async move { Ok::<_, Infallible>(n) });
    run(map().on_progress(add()).fail_fast()).unwrap();
    assert_eq!(count.take(), 10);
    run(async {
        let mut stream = map().on_progress(add()).ordered();
        while stream.next().await.is_some() {}
    });
    assert_eq!(count.take(), 10);
    run(sized(3, 4)
        .map_batches(0..10, |batch: Vec<i32>| async move {
            Ok::<_, Infallible>(batch)
        })
        .on_progress(add()));
    assert_eq!(count.take(), 10);
}

#[test]
fn a_watcher_is_woken_by_each_batch_and_hears_of_the_end() {
    let (mut progress, publish) = Progress::channel();
    let gate = RefCell::new(Vec::<Waker>::new());
    let open = Cell::new(0);
    let map = sized(1, 2).map(0..4, |n| {
        let (gate, open) = (&gate, &open);
        poll_fn(move |cx| {
            gate.borrow_mut().push(cx.waker().clone());
            match n < open.get() {
                true => Poll::Ready(Ok::<_, Infallible>(n)),
                false => Poll::Pending,
            }
        })
    });
    let mut map = map.on_progress(publish);
    let (wakes, waker) = Wakes::new();
    let mut watcher = progress.clone();
    let mut changed = Box::pin(watcher.changed());
    assert!(poll(&mut changed, &waker).is_pending());
    assert!(poll(&mut map, Waker::noop()).is_pending());
    assert_eq!(wakes.count(), 0);

    open.set(3);
    gate.take().into_iter().for_each(Waker::wake);
    assert!(poll(&mut map, Waker::noop()).is_pending());
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut changed, &waker), Poll::Ready(true));
    drop(changed);
    let snapshot = progress.snapshot();
    assert_eq!((snapshot.done, snapshot.batches), (2, 1));
    assert!(!snapshot.ended);

    let mut changed = Box::pin(watcher.changed());
    assert!(poll(&mut changed, &waker).is_pending());
    open.set(4);
    gate.take().into_iter().for_each(Waker::wake);
    assert!(poll(&mut map, Waker::noop()).is_ready());
    assert_eq!(poll(&mut changed, &waker), Poll::Ready(true));
    drop(changed);
    assert!(!run(watcher.changed()), "the run is over");
    assert!(progress.snapshot().ended);
    assert!(run(progress.changed()), "this handle has not been told yet");
    assert!(!run(progress.changed()));
}

#[test]
fn a_watcher_hears_of_a_run_that_was_dropped() {
    let (mut progress, publish) = Progress::channel();
    let map = sized(1, 1).map(0..3, |_| pending::<Result<(), Infallible>>());
    let mut map = map.on_progress(publish);
    assert!(poll(&mut map, Waker::noop()).is_pending());
    let (wakes, waker) = Wakes::new();
    let mut changed = Box::pin(progress.changed());
    assert!(poll(&mut changed, &waker).is_pending());
    drop(map);
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut changed, &waker), Poll::Ready(false));
}

#[test]
fn a_watcher_hears_of_a_stream_that_was_cancelled() {
    let (mut progress, publish) = Progress::channel();
    let token = CancelToken::new();
    let processor = sized(1, 1).cancel_with(&token);
    let map = processor.map(0.., |n: u32| async move { Ok::<_, Infallible>(n) });
    let mut stream = map.on_progress(publish).ordered();
    assert!(run(stream.next()).is_some());
    token.cancel();
    while run(stream.next()).is_some() {}
    while run(progress.changed()) {}
    assert!(progress.snapshot().ended, "though the stream still lives");
    drop(stream);
}

#[test]
fn a_wait_for_change_that_was_dropped_leaves_no_waker_behind() {
    let (mut progress, publish) = Progress::channel();
    let (wakes, waker) = Wakes::new();
    for _ in 0..3 {
        let mut changed = Box::pin(progress.changed());
        for _ in 0..2 {
            assert!(poll(&mut changed, &waker).is_pending());
        }
    }
    drop(waker);
    assert_eq!(std::sync::Arc::strong_count(&wakes), 1);
    drop(publish);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reports_add_up_to_the_run(
        items in prop::collection::vec((0_usize..4, 0_u8..10), 0..100),
        limit in 1_usize..20,
        batch_size in 1_usize..12,
    ) {
        let mut seen: Vec<BatchDone> = Vec::new();
        let ended = RefCell::new(Vec::new());
        let map = sized(limit, batch_size).map(items.iter().enumerate(), |(n, &(yields, fate))| {
            let ended = &ended;
            async move {
                yield_times(yields).await;
                ended.borrow_mut().push(n);
                assert_ne!(fate, 0, "one in ten");
                if fate < 3 { Err(n) } else { Ok(n) }
            }
        });
        run(map.on_progress(|batch| seen.push(batch)));

        // The batches complete when the last of their items ends, in that order.
        let ended = ended.into_inner();
        let mut left: Vec<usize> = items.chunks(batch_size).map(<[_]>::len).collect();
        let mut expected = Vec::new();
        for (done, n) in ended.iter().enumerate() {
            let batch = n / batch_size;
            left[batch] -= 1;
            if left[batch] == 0 {
                let range = batch * batch_size..((batch + 1) * batch_size).min(items.len());
                let failed = items[range.clone()].iter().filter(|(_, fate)| *fate < 3).count();
                expected.push((batch, range, failed, done + 1));
            }
        }
        let mut seen: Vec<_> = seen
            .into_iter()
            .map(|batch| (batch.index, batch.items, batch.failed, batch.done))
            .collect();
        if items.len() % batch_size != 0 {
            // That a short batch is complete is known when the iterator has ended.
            for reports in [&mut seen, &mut expected] {
                reports.sort_unstable_by_key(|report| report.0);
                reports.last_mut().expect("there is a short one").3 = 0;
            }
        }
        prop_assert_eq!(seen, expected);
    }
}
