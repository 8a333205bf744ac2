//! Items that are tried again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use brolly_batch::{BatchProcessor, ItemError, LinearRetry, RetryPolicy};
use brolly_sync::{Clock, ManualClock};

use crate::support::{Gauge, drop_after, run_with, yield_times};

fn timed(clock: &ManualClock, max_concurrent: usize) -> BatchProcessor {
    BatchProcessor::builder()
        .max_concurrent(max_concurrent)
        .timer(clock.clone())
        .build()
        .expect("tests use settings within range")
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_item_is_tried_until_it_succeeds() {
    let clock = ManualClock::new();
    let tries = RefCell::new(HashMap::new());
    let results = run_with(
        &clock,
        timed(&clock, 2)
            .map(0..4_u32, |n| {
                let mut tries = tries.borrow_mut();
                let failures = tries.entry(n).or_insert(0);
                *failures += 1;
                let enough = *failures > n;
                async move { if enough { Ok(n) } else { Err("not yet") } }
            })
            .retry(LinearRetry::new(4, SECOND)),
    );
    assert_eq!(results, [Ok(0), Ok(1), Ok(2), Ok(3)]);
    let tries = tries.into_inner();
    assert_eq!((0..4).map(|n| tries[&n]).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn the_last_error_is_the_result_of_an_item_that_is_given_up() {
    let clock = ManualClock::new();
    let attempt = Cell::new(0);
    let map = timed(&clock, 1).map(["item"], |_| {
        attempt.set(attempt.get() + 1);
        let attempt = attempt.get();
        async move { Err::<(), _>(attempt) }
    });
    let results = run_with(&clock, map.retry(LinearRetry::new(3, SECOND)));
    assert_eq!(results, [Err(ItemError::Failed(3))]);
    assert_eq!(clock.now(), 3 * SECOND, "1 and then 2 seconds");
}

#[test]
fn an_item_that_waits_for_its_next_attempt_keeps_its_place() {
    let clock = ManualClock::new();
    let started = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&started);
    let now = clock.clone();
    let map = timed(&clock, 1).map(0..2, move |n| {
        log.borrow_mut().push((n, now.now().as_secs()));
        async move { if n == 0 { Err(()) } else { Ok(()) } }
    });
    run_with(&clock, map.retry(LinearRetry::new(2, SECOND)));
    assert_eq!(*started.borrow(), [(0, 0), (0, 1), (1, 1)]);
}

#[test]
fn a_panic_is_not_tried_again() {
    let clock = ManualClock::new();
    let attempts = Cell::new(0);
    let map = timed(&clock, 1).map([()], |()| {
        attempts.set(attempts.get() + 1);
        async { panic!("never again") }
    });
    let map = map.retry(LinearRetry::new(5, SECOND));
    let results: Vec<Result<(), ItemError<()>>> = run_with(&clock, map);
    assert!(results[0].as_ref().unwrap_err().is_panic());
    assert_eq!(attempts.get(), 1);
}

#[test]
fn a_policy_without_waits_and_without_end_leaves_others_their_turn() {
    let clock = ManualClock::new();
    let over = Cell::new(false);
    let map = timed(&clock, 2).map([false, true], |ends| {
        let over = &over;
        async move {
            if ends {
                yield_times(10).await;
                over.set(true);
            }
            if over.get() { Ok(()) } else { Err(()) }
        }
    });
    let endless = |_, (): &()| Some(Duration::ZERO);
    assert_eq!(run_with(&clock, map.retry(endless)), [Ok(()), Ok(())]);
}

#[test]
fn never_more_than_the_limit_is_in_flight_with_retries() {
    let clock = ManualClock::new();
    let gauge = Gauge::default();
    let map = timed(&clock, 3).map(0..40_usize, |n| {
        let gauge = &gauge;
        async move {
            let _guard = gauge.enter();
            yield_times(n % 3).await;
            Err::<(), _>(n)
        }
    });
    let results = run_with(&clock, map.retry(LinearRetry::new(3, SECOND)));
    assert!(gauge.peak() <= 3);
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result, Err(ItemError::Failed(n)));
    }
}

#[test]
fn a_retried_map_dropped_at_any_poll_drops_all_it_holds() {
    for times in 0.. {
        let clock = ManualClock::new();
        let token = Rc::new(());
        let items: Vec<_> = (0..6).map(|n| (n, Rc::clone(&token))).collect();
        let map = timed(&clock, 2).map(items, |(n, token)| async move {
            yield_times(n % 3).await;
            if n % 2 == 0 { Err(()) } else { Ok(token) }
        });
        let ended = drop_after(&clock, map.retry(LinearRetry::new(2, SECOND)), times);
        assert_eq!(Rc::strong_count(&token), 1, "dropped after {times} polls");
        assert_eq!(clock.sleeping(), 0, "no sleeper is left behind");
        if ended {
            assert!(times > 5, "the test has dropped it half way");
            return;
        }
    }
}

#[test]
fn waits_of_a_linear_policy_saturate() {
    let policy = LinearRetry::new(u32::MAX, Duration::MAX);
    assert_eq!(policy.delay(7, &()), Some(Duration::MAX));
    for attempts in [0, 1] {
        assert_eq!(LinearRetry::new(attempts, SECOND).delay(1, &()), None);
    }
}
