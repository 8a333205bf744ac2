//! What a map makes of failures: the first one ends it, or they are sorted out.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error;
use std::rc::Rc;
use std::task::Waker;

use brolly_batch::{BatchProcessor, CancelToken, Collected, ConfigError, ItemError, Limiter};
use brolly_sync::ManualClock;
use proptest::prelude::*;

use crate::support::{drop_after, poll, processor, run, yield_times};

#[test]
fn the_first_failure_says_which_item_and_how_many_had_succeeded() {
    let failure = run(processor(2)
        .map(0..10, |n| async move {
            yield_times(1).await;
            if n == 3 { Err("three") } else { Ok(n) }
        })
        .fail_fast())
    .unwrap_err();
    assert_eq!(failure.index, 3);
    assert_eq!(failure.error, ItemError::Failed("three"));
    assert_eq!(failure.completed, 3);
    assert_eq!(failure.to_string(), "item 3 failed, after 3 that succeeded");
}

#[test]
fn a_first_failure_leads_to_its_cause() {
    let map = processor(1).map([()], |()| async { Err::<(), _>(std::fmt::Error) });
    let failure = run(map.fail_fast()).unwrap_err();
    let item = failure.source().unwrap();
    assert_eq!(item.to_string(), std::fmt::Error.to_string());
}

#[test]
fn without_a_failure_all_results_come_in_order() {
    let map = processor(3).map(0..50_usize, |n| async move {
        yield_times(n % 4).await;
        Ok::<_, Infallible>(n)
    });
    let expected: Vec<_> = (0..50).collect();
    assert_eq!(run(map.fail_fast()).unwrap(), expected);
}

/// The first in time, not the first in line.
#[test]
fn a_failure_drops_what_runs_and_starts_nothing_more() {
    let alive = Rc::new(());
    let started = RefCell::new(Vec::new());
    let pulled = Cell::new(0);
    let items = (0..).inspect(|_| pulled.set(pulled.get() + 1));
    let map = processor(3).map(items, |n: usize| {
        started.borrow_mut().push(n);
        let alive = Rc::clone(&alive);
        async move {
            let _alive = alive;
            if n == 2 {
                yield_times(2).await;
                return Err("two");
            }
            std::future::pending::<()>().await;
            Ok(())
        }
    });
    let failure = run(map.fail_fast()).unwrap_err();
    assert_eq!((failure.index, failure.completed), (2, 0));
    assert_eq!(*started.borrow(), [0, 1, 2]);
    assert_eq!(pulled.get(), 3);
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn an_item_that_waits_for_a_permit_does_not_start_after_a_failure() {
    let processor = BatchProcessor::builder()
        .max_concurrent(2)
        .limiter(&Limiter::new(1).unwrap())
        .build()
        .unwrap();
    let started = Cell::new(0);
    let map = processor.map(0..10, |n| {
        started.set(started.get() + 1);
        async move {
            yield_times(1).await;
            Err::<(), _>(n)
        }
    });
    let failure = run(map.fail_fast()).unwrap_err();
    assert_eq!((failure.index, failure.error), (0, ItemError::Failed(0)));
    assert_eq!(started.get(), 1);
}

#[test]
fn a_drained_fail_fast_lets_what_runs_end() {
    let token = CancelToken::new();
    let ended = Cell::new(0);
    let map = processor(3).cancel_with(&token);
    let map = map.map(0..10, |n: usize| {
        let ended = &ended;
        async move {
            yield_times(2 + n).await;
            ended.set(ended.get() + 1);
            Ok::<_, Infallible>(n)
        }
    });
    let mut map = map.fail_fast();
    assert!(poll(&mut map, Waker::noop()).is_pending());
    token.drain();
    let failure = run(map).unwrap_err();
    assert_eq!(ended.get(), 3);
    assert_eq!(failure.error, ItemError::Cancelled);
    assert_eq!((failure.index, failure.completed), (3, 3));
}

#[test]
fn a_panic_is_a_failure_like_any_other() {
    let map = processor(2).map(0..5, |n| async move {
        assert_ne!(n, 1, "not one");
        Ok::<_, Infallible>(n)
    });
    let failure = run(map.fail_fast()).unwrap_err();
    assert!(failure.error.is_panic());
    assert_eq!(failure.index, 1);
}

#[test]
fn a_fail_fast_of_nothing_succeeds() {
    let never = |_: u8| -> std::future::Ready<Result<u8, u8>> { unreachable!("no item") };
    assert_eq!(run(processor(3).map([], never).fail_fast()), Ok(vec![]));
    let none = run(processor(3).map([], never).collect_errors());
    assert!(none.ok.is_empty() && none.failed.is_empty());
}

/// The originals returned exceptions among the results, for the caller to tell apart.
#[test]
fn an_error_is_never_mixed_into_the_results() {
    let odd = |n: usize| async move { if n % 2 == 1 { Err(n) } else { Ok(n) } };
    let collected: Collected<usize, usize> = run(processor(2).map(0..5, odd).collect_errors());
    assert_eq!(collected.ok, [(0, 0), (2, 2), (4, 4)]);
    let failed = [1, 3].map(|n| (n, ItemError::Failed(n)));
    assert_eq!(collected.failed, failed);

    let blocking = processor(2).map_blocking(0..5, |n| if n % 2 == 1 { Err(n) } else { Ok(n) });
    assert_eq!(Collected::from(blocking), collected);
}

#[test]
fn a_fail_fast_dropped_at_any_poll_drops_all_it_holds() {
    let clock = ManualClock::new();
    for times in 0.. {
        let token = Rc::new(());
        let items: Vec<_> = (0..20).map(|n| (n, Rc::clone(&token))).collect();
        let map = processor(4).map(items, |(n, token)| async move {
            yield_times(n % 3).await;
            if n == 15 { Err(()) } else { Ok(token) }
        });
        let ended = drop_after(&clock, map.fail_fast(), times);
        assert_eq!(Rc::strong_count(&token), 1, "dropped after {times} polls");
        if ended {
            assert!(times > 3, "the test has dropped it half way");
            return;
        }
    }
}

#[test]
#[should_panic(expected = "the form of a map cannot change once it was polled")]
fn the_form_of_a_running_map_cannot_change() {
    let mut map = processor(1).map([()], |()| std::future::pending::<Result<(), ()>>());
    assert!(poll(&mut map, Waker::noop()).is_pending());
    drop(map.fail_fast());
}

#[test]
fn a_batch_size_of_zero_is_refused_and_named() {
    let error = BatchProcessor::builder().batch_size(0).build().unwrap_err();
    assert!(matches!(
        error,
        ConfigError::OutOfRange {
            field: "batch_size",
            value: 0,
            min: 1,
            ..
        }
    ));
}

#[test]
fn batches_are_counted_without_overflow() {
    let sized = |size| {
        let processor = BatchProcessor::builder().batch_size(size).build();
        processor.unwrap()
    };
    assert_eq!(BatchProcessor::builder().build().unwrap().batch_size(), 10);
    for (size, items, batches) in [
        (10, 0, 0),
        (10, 1, 1),
        (10, 10, 1),
        (10, 11, 2),
        (1, usize::MAX, usize::MAX),
        (2, usize::MAX, usize::MAX / 2 + 1),
    ] {
        assert_eq!(sized(size).batch_count(items), batches, "{items} by {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// One at a time, the first in time is the first in line.
    #[test]
    fn a_fail_fast_one_at_a_time_is_the_sequential_one(
        items in prop::collection::vec((0_usize..3, prop::bool::weighted(0.9)), 0..40),
    ) {
        let sequential: Result<Vec<usize>, usize> = items
            .iter()
            .enumerate()
            .map(|(n, &(_, ok))| if ok { Ok(n) } else { Err(n) })
            .collect();
        let map = processor(1).map(items.iter().enumerate(), |(n, &(yields, ok))| async move {
            yield_times(yields).await;
            if ok { Ok(n) } else { Err(n) }
        });
        let ours = run(map.fail_fast()).map_err(|failure| {
            assert_eq!(failure.completed, failure.index);
            failure.index
        });
        prop_assert_eq!(ours, sequential);
    }
}
