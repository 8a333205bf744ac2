//! Maps that end early: by a token, or because their time is over.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use brolly_batch::{BatchProcessor, CancelToken, FailedBatch, ItemError, Limiter, Stopped};
use brolly_sync::{ManualClock, Timer};
use proptest::prelude::*;

use crate::support::{Wakes, poll, processor, run, run_with, yield_times};

fn timed(clock: &ManualClock, max_concurrent: usize, batch_size: usize) -> BatchProcessor {
    BatchProcessor::builder()
        .max_concurrent(max_concurrent)
        .batch_size(batch_size)
        .timer(clock.clone())
        .build()
        .expect("tests use settings within range")
}

/// Ends at once below `hangs_from`, and never from there on.
async fn hang_from(hangs_from: usize, n: usize) -> Result<usize, Infallible> {
    if n >= hangs_from {
        pending::<()>().await;
    }
    Ok(n)
}

#[test]
fn results_of_a_cancelled_map_stay_aligned_with_the_items() {
    let token = CancelToken::new();
    let map = processor(3).cancel_with(&token);
    let mut map = map.map(0..1_000, |n| hang_from(5, n));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut map, &waker).is_pending());
    token.cancel();
    assert_eq!(wakes.count(), 1, "nobody waits for a timer");
    let results = run(map);
    assert_eq!(results.len(), 1_000);
    for (n, result) in results.into_iter().enumerate() {
        let expected = if n < 5 {
            Ok(n)
        } else {
            Err(ItemError::Cancelled)
        };
        assert_eq!(result, expected);
    }
}

#[test]
fn the_rest_of_the_items_is_marked_in_bounded_steps() {
    let token = CancelToken::new();
    token.cancel();
    let pulled = Cell::new(0);
    let items = (0..10_000).inspect(|_| pulled.set(pulled.get() + 1));
    let processor = processor(3).cancel_with(&token);
    let mut map = processor.map(items, |n| hang_from(0, n));
    let mut before = 0;
    let results = loop {
        match poll(&mut map, Waker::noop()) {
            Poll::Ready(results) => break results,
            Poll::Pending => {}
        }
        assert!(pulled.get() - before <= 257, "{}", pulled.get() - before);
        before = pulled.get();
    };
    assert_eq!(results.len(), 10_000);
    assert!(
        results
            .iter()
            .all(|result| *result == Err(ItemError::Cancelled))
    );
}

/// Whatever else the same poll was woken for, and however many more polls there are.
#[test]
fn a_future_that_is_woken_when_its_time_is_over_is_dropped_all_the_same() {
    let clock = ManualClock::new();
    let limited = timed(&clock, 4, 1).deadline(Duration::from_secs(1));
    let asked = RefCell::new(Vec::new());
    let mut map = limited.map(0..2_000, |_| {
        poll_fn(|cx| {
            asked.borrow_mut().push(cx.waker().clone());
            Poll::<Result<(), Infallible>>::Pending
        })
    });
    let (_, waker) = Wakes::new();
    assert!(poll(&mut map, &waker).is_pending());
    clock.advance(Duration::from_secs(1));
    let wakers: Vec<_> = asked.borrow().clone();
    wakers.into_iter().for_each(Waker::wake);
    let results = loop {
        if let Poll::Ready(results) = poll(&mut map, &waker) {
            break results;
        }
    };
    assert_eq!(results.len(), 2_000);
    let late = |result: &Result<(), _>| *result == Err(ItemError::DeadlineExceeded);
    assert!(results.iter().all(late));
    assert_eq!(asked.borrow().len(), 4);
}

#[test]
fn a_drained_map_lets_what_runs_end() {
    let token = CancelToken::new();
    let processor = processor(2).cancel_with(&token);
    let results = run(processor.map(0..6, |n| {
        let token = token.clone();
        async move {
            if n == 1 {
                token.drain();
            }
            yield_times(3).await;
            Ok::<_, Infallible>(n)
        }
    }));
    let never = || Err(ItemError::Cancelled);
    assert_eq!(results, [Ok(0), Ok(1), never(), never(), never(), never()]);
}

#[test]
fn what_is_not_over_by_the_deadline_says_so() {
    let clock = ManualClock::new();
    let processor = timed(&clock, 2, 10).deadline(Duration::from_secs(3));
    let results = run_with(
        &clock,
        processor.map(1..=6, |n| {
            let sleep = clock.sleep(Duration::from_secs(n));
            async move {
                sleep.await;
                Ok::<_, Infallible>(n)
            }
        }),
    );
    let late = || Err(ItemError::DeadlineExceeded);
    // Two at a time: 1 ends at 1 s, 2 at 2 s; 3 would end at 4 s and 4 at 6 s.
    assert_eq!(results[..2], [Ok(1), Ok(2)]);
    assert_eq!(results[2..], [late(), late(), late(), late()]);
}

#[test]
fn a_deadline_of_zero_starts_nothing_and_one_without_end_never_comes() {
    let clock = ManualClock::new();
    let none = timed(&clock, 2, 10).deadline(Duration::ZERO);
    let results = run_with(&clock, none.map(0..3, |n| hang_from(0, n)));
    assert_eq!(results, vec![Err(ItemError::DeadlineExceeded); 3]);
    let endless = timed(&clock, 2, 10).deadline(Duration::MAX);
    let results = run_with(&clock, endless.map(0..3, |n| hang_from(3, n)));
    assert_eq!(results, [Ok(0), Ok(1), Ok(2)]);
}

#[test]
fn the_time_of_a_deadline_counts_from_the_first_poll() {
    let clock = ManualClock::new();
    let processor = timed(&clock, 1, 10).deadline(Duration::from_secs(1));
    let map = processor.map(0..3, |n| hang_from(3, n));
    clock.advance(Duration::from_secs(10));
    assert_eq!(run_with(&clock, map), [Ok(0), Ok(1), Ok(2)]);
}

#[test]
fn a_cancelled_fail_fast_names_the_first_item_that_did_not_end() {
    let token = CancelToken::new();
    let cancelled = processor(1).cancel_with(&token);
    let failure = run(cancelled
        .map(0..5, |n| {
            if n == 1 {
                token.cancel();
            }
            async move { Ok::<_, Infallible>(n) }
        })
        .fail_fast())
    .unwrap_err();
    assert_eq!(failure.error, ItemError::Cancelled);
    assert_eq!((failure.index, failure.completed), (2, 2));
}

#[test]
fn a_fail_fast_that_was_cancelled_after_its_last_item_has_succeeded() {
    let token = CancelToken::new();
    let cancelled = processor(1).cancel_with(&token);
    let all = run(cancelled
        .map(0..3, |n| {
            if n == 2 {
                token.cancel();
            }
            async move { Ok::<_, Infallible>(n) }
        })
        .fail_fast());
    assert_eq!(all.unwrap(), [0, 1, 2]);
}

#[test]
fn a_cancelled_stream_reports_what_it_drops_and_ends() {
    for ordered in [false, true] {
        let token = CancelToken::new();
        let cancelled = processor(2).cancel_with(&token);
        let map = cancelled.map(0_usize.., |n| hang_from(3, n));
        let mut stream = if ordered {
            map.ordered()
        } else {
            map.as_completed()
        };
        let results = run(async {
            let mut results = Vec::new();
            for _ in 0..3 {
                results.extend(stream.next().await);
            }
            assert_eq!(stream.stopped(), None);
            token.cancel();
            while let Some(result) = stream.next().await {
                results.push(result);
            }
            assert_eq!(stream.next().await, None, "it stays over");
            results
        });
        assert_eq!(results[..3], [(0, Ok(0)), (1, Ok(1)), (2, Ok(2))]);
        let mut dropped: Vec<_> = results[3..].to_vec();
        dropped.sort_by_key(|(index, _)| *index);
        let cancelled = || Err(ItemError::Cancelled);
        assert_eq!(dropped, [(3, cancelled()), (4, cancelled())]);
        assert_eq!(stream.stopped(), Some(Stopped::Cancelled));
    }
}

#[test]
fn batches_that_were_dropped_or_never_started_are_reported() {
    let token = CancelToken::new();
    let processor = BatchProcessor::builder()
        .max_concurrent(1)
        .batch_size(2)
        .build()
        .unwrap()
        .cancel_with(&token);
    let mut map = processor.map_batches(0..1_001, |batch: Vec<usize>| async move {
        if batch[0] == 4 {
            pending::<()>().await;
        }
        Ok::<_, Infallible>(batch)
    });
    assert!(poll(&mut map, Waker::noop()).is_pending());
    token.cancel();
    let batched = run(map);
    assert_eq!(batched.output, [0, 1, 2, 3]);
    let ranges: Vec<_> = batched
        .failed
        .iter()
        .map(|failed| failed.items.clone())
        .collect();
    assert_eq!(ranges, [4..6, 6..1_001]);
    let cancelled = |failed: &FailedBatch<_>| failed.error == ItemError::Cancelled;
    assert!(batched.failed.iter().all(cancelled));
}

/// Also those that had been cut and waited for a permit.
#[test]
fn batches_that_never_started_are_one_entry() {
    let token = CancelToken::new();
    let processor = BatchProcessor::builder()
        .max_concurrent(2)
        .batch_size(2)
        .limiter(&Limiter::new(1).unwrap())
        .build()
        .unwrap()
        .cancel_with(&token);
    let mut map = processor.map_batches(0..1_001, |_| pending::<Result<Vec<()>, Infallible>>());
    assert!(poll(&mut map, Waker::noop()).is_pending());
    token.cancel();
    let failed = run(map).failed.into_iter();
    let ranges: Vec<_> = failed.map(|failed| failed.items).collect();
    assert_eq!(ranges, [0..2, 2..1_001]);

    let blocking = processor.map_batches_blocking(0..1_001, Ok::<_, Infallible>);
    assert_eq!((blocking.output.len(), blocking.failed.len()), (0, 1));
    assert_eq!(blocking.failed[0].items, 0..1_001);
}

#[test]
fn an_item_of_a_stream_that_waits_for_a_permit_is_not_reported() {
    for ordered in [false, true] {
        let token = CancelToken::new();
        let processor = BatchProcessor::builder()
            .max_concurrent(2)
            .limiter(&Limiter::new(1).unwrap())
            .build()
            .unwrap()
            .cancel_with(&token);
        let map = processor.map(0_usize.., |n| hang_from(1, n));
        let mut stream = if ordered {
            map.ordered()
        } else {
            map.as_completed()
        };
        let results = run(async {
            let mut results = Vec::new();
            results.extend(stream.next().await);
            token.cancel();
            while let Some(result) = stream.next().await {
                results.push(result);
            }
            results
        });
        assert_eq!(results, [(0, Ok(0)), (1, Err(ItemError::Cancelled))]);
        assert_eq!(stream.stopped(), Some(Stopped::Cancelled));
    }
}

/// A function on a thread cannot be dropped, so it ends.
#[test]
fn a_cancelled_blocking_map_lets_what_runs_end() {
    let token = CancelToken::new();
    let calls = AtomicUsize::new(0);
    let results = processor(2).cancel_with(&token).map_blocking(0..100, |n| {
        token.cancel();
        calls.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(n)
    });
    let calls = calls.into_inner();
    assert!((1..=2).contains(&calls), "{calls}");
    assert_eq!(results.len(), 100);
    assert_eq!(
        results.iter().filter(|result| result.is_ok()).count(),
        calls
    );
    let blocking = processor(2).cancel_with(&token);
    let batched = blocking.map_batches_blocking(0..100, Ok::<_, Infallible>);
    assert!(batched.output.is_empty());
    let failed = batched.failed.into_iter().flat_map(|failed| failed.items);
    assert!(failed.eq(0..100));
}

#[test]
fn a_retry_ends_with_its_run() {
    let clock = ManualClock::new();
    let processor = timed(&clock, 1, 1).deadline(Duration::from_secs(5));
    let attempts = Rc::new(RefCell::new(0));
    let counted = Rc::clone(&attempts);
    let results = run_with(
        &clock,
        processor
            .map([()], move |()| {
                *counted.borrow_mut() += 1;
                async { Err::<(), _>("busy") }
            })
            .retry(|_, _: &&str| Some(Duration::from_secs(2))),
    );
    assert_eq!(results, [Err(ItemError::DeadlineExceeded)]);
    assert_eq!(*attempts.borrow(), 3, "at 0, 2 and 4 seconds");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whenever the token is used: what has ended has its result, the rest says why it has none.
    #[test]
    fn every_item_of_a_map_that_ends_early_is_accounted_for(
        items in prop::collection::vec(0_usize..5, 0..600),
        limit in 1_usize..20,
        polls in 0_usize..30,
        drain in any::<bool>(),
    ) {
        let token = CancelToken::new();
        let ended = RefCell::new(Vec::new());
        let (started, alive) = (Cell::new(0), Rc::new(()));
        let processor = processor(limit).cancel_with(&token);
        let mut map = processor.map(items.iter().enumerate(), |(n, &yields)| {
            started.set(n + 1);
            let (ended, alive) = (&ended, Rc::clone(&alive));
            async move {
                let _alive = alive;
                yield_times(yields).await;
                ended.borrow_mut().push(n);
                Ok::<_, Infallible>(n)
            }
        });
        let mut results = None;
        for _ in 0..polls {
            if let Poll::Ready(over) = poll(&mut map, Waker::noop()) {
                results = Some(over);
                break;
            }
        }
        let before = started.get();
        if drain { token.drain() } else { token.cancel() }
        let results = results.unwrap_or_else(|| run(map));
        prop_assert_eq!(started.get(), before, "nothing starts after that");
        prop_assert_eq!(Rc::strong_count(&alive), 1);
        prop_assert_eq!(results.len(), items.len());
        let mut ended = ended.into_inner();
        ended.sort_unstable();
        if drain {
            prop_assert!(ended.iter().copied().eq(0..before));
        }
        for (n, result) in results.into_iter().enumerate() {
            let expected = match ended.binary_search(&n) {
                Ok(_) => Ok(n),
                Err(_) => Err(ItemError::Cancelled),
            };
            prop_assert_eq!(result, expected);
        }
    }
}
