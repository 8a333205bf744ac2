//! `map_batches`: whole batches in parallel, nothing dropped silently, poison isolated.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use brolly_batch::{
    AdaptiveBatchSize, BatchProcessor, Batched, ConfigError, ItemError, LinearRetry,
};
use brolly_sync::{Clock, ManualClock, Timer};
use proptest::prelude::*;

use crate::support::{Gauge, drop_after, poll, run, run_with, yield_times};

fn sized(max_concurrent: usize, batch_size: usize) -> BatchProcessor {
    BatchProcessor::builder()
        .max_concurrent(max_concurrent)
        .batch_size(batch_size)
        .build()
        .expect("tests use settings within range")
}

fn timed(clock: &ManualClock, max_concurrent: usize, batch_size: usize) -> BatchProcessor {
    BatchProcessor::builder()
        .max_concurrent(max_concurrent)
        .batch_size(batch_size)
        .timer(clock.clone())
        .build()
        .expect("tests use settings within range")
}

#[test]
fn batches_are_consecutive_and_only_the_last_is_shorter() {
    let seen = RefCell::new(Vec::new());
    let batched = run(sized(1, 4).map_batches(0..10, |batch: Vec<i32>| {
        seen.borrow_mut().push(batch.clone());
        async move { Ok::<_, Infallible>(batch) }
    }));
    assert_eq!(
        *seen.borrow(),
        [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]
    );
    let expected: Vec<_> = (0..10).collect();
    assert_eq!(batched.output, expected);
    assert!(batched.failed.is_empty());
}

#[test]
fn output_comes_in_order_whatever_its_length_and_whatever_order_batches_end_in() {
    let batched = run(
        sized(3, 2).map_batches(0..12, |batch: Vec<usize>| async move {
            yield_times(7 - batch[0] / 2).await;
            let copies = batch[0] % 4;
            Ok::<_, Infallible>(vec![batch[0]; copies])
        }),
    );
    assert_eq!(batched.output, [2, 2, 6, 6, 10, 10]);
}

/// In the originals batches ran one after the other, and the limit on concurrency had no effect.
#[test]
fn batches_run_beside_each_other_up_to_the_limit() {
    let gauge = Gauge::default();
    run(sized(3, 5).map_batches(0..100, |batch: Vec<usize>| {
        let gauge = &gauge;
        async move {
            let _guard = gauge.enter();
            yield_times(3).await;
            Ok::<_, Infallible>(batch)
        }
    }));
    assert_eq!(gauge.peak(), 3);
}

#[test]
fn a_slow_batch_holds_nobody_up() {
    let started = RefCell::new(Vec::new());
    let mut map = sized(2, 2).map_batches(0..8, |batch: Vec<i32>| {
        started.borrow_mut().push(batch[0]);
        poll_fn(move |_| match batch[0] {
            0 => Poll::Pending,
            first => Poll::Ready(Ok::<_, Infallible>(vec![first])),
        })
    });
    assert!(poll(&mut map, Waker::noop()).is_pending());
    assert_eq!(*started.borrow(), [0, 2, 4, 6]);
}

/// The originals left a batch that had failed out of the results, without a word.
#[test]
fn a_batch_that_failed_is_reported_with_its_items() {
    let batched: Batched<i32, &str> = run(sized(2, 3).map_batches(0..8, |batch: Vec<i32>| async {
        if batch.contains(&4) {
            Err("four")
        } else {
            Ok(batch)
        }
    }));
    assert_eq!(batched.output, [0, 1, 2, 6, 7]);
    assert_eq!(batched.failed.len(), 1);
    assert_eq!(batched.failed[0].items, 3..6);
    assert_eq!(batched.failed[0].error, ItemError::Failed("four"));
}

#[test]
fn a_batch_that_panics_is_reported_by_its_first_item() {
    for in_function in [false, true] {
        let batched: Batched<i32, ()> = run(sized(2, 3).map_batches(0..8, |batch: Vec<i32>| {
            assert!(!(in_function && batch.contains(&4)), "four");
            async move {
                yield_times(1).await;
                assert!(!batch.contains(&4), "four");
                Ok(batch)
            }
        }));
        assert_eq!(batched.output, [0, 1, 2, 6, 7]);
        assert_eq!(batched.failed[0].items, 3..6);
        let ItemError::Panicked(panic) = &batched.failed[0].error else {
            unreachable!("the batch panics");
        };
        assert_eq!(panic.index(), 3);
    }
}

#[test]
fn an_empty_input_makes_no_batch() {
    let never = |_: Vec<u8>| -> std::future::Ready<Result<Vec<u8>, u8>> { unreachable!() };
    let batched = run(sized(3, 3)
        .map_batches([], never)
        .on_progress(|_| unreachable!()));
    assert!(batched.output.is_empty() && batched.failed.is_empty());
    let never = |_: Vec<u8>| -> Result<Vec<u8>, u8> { unreachable!() };
    let batched = sized(3, 3).map_batches_blocking([], never);
    assert!(batched.output.is_empty() && batched.failed.is_empty());
}

#[test]
fn a_batch_is_cut_only_when_it_can_start() {
    let pulled = Cell::new(0);
    let items = (0..).inspect(|_| pulled.set(pulled.get() + 1));
    let mut map = sized(2, 5).map_batches(items, |_: Vec<i32>| {
        std::future::pending::<Result<Vec<()>, Infallible>>()
    });
    for _ in 0..3 {
        assert!(poll(&mut map, Waker::noop()).is_pending());
        assert_eq!(pulled.get(), 10);
    }
}

#[test]
fn a_huge_batch_size_reserves_nothing_for_items_that_are_not_there() {
    let batched = run(sized(1, 1 << 30)
        .map_batches((0..3).filter(|_| true), |batch: Vec<u64>| async move {
            Ok::<_, Infallible>(batch)
        }));
    assert_eq!(batched.output.len(), 3);
}

#[test]
fn batches_on_threads_come_in_order_with_failures_apart() {
    let batched = sized(3, 4).map_batches_blocking(0..50, |batch| match batch[0] {
        8 => Err("eight"),
        16 => panic!("sixteen"),
        _ => Ok(batch),
    });
    let expected: Vec<_> = (0..50)
        .filter(|n| !(8..12).contains(n) && !(16..20).contains(n))
        .collect();
    assert_eq!(batched.output, expected);
    assert_eq!(batched.failed[0].items, 8..12);
    assert_eq!(batched.failed[1].items, 16..20);
    assert!(batched.failed[1].error.is_panic());
}

#[test]
fn a_batch_is_tried_again_with_all_its_items() {
    let clock = ManualClock::new();
    let calls = RefCell::new(Vec::new());
    let batched = run_with(
        &clock,
        timed(&clock, 1, 2)
            .map_batches(0..4, |batch: Vec<i32>| {
                let mut calls = calls.borrow_mut();
                calls.push((batch.clone(), clock.now().as_secs()));
                let fails = calls.len() < 3;
                async move { if fails { Err("busy") } else { Ok(batch) } }
            })
            .retry(LinearRetry::new(3, Duration::from_secs(1))),
    );
    assert_eq!(batched.output, [0, 1, 2, 3]);
    let first = || vec![0, 1];
    let expected = [(first(), 0), (first(), 1), (first(), 3), (vec![2, 3], 3)];
    assert_eq!(*calls.borrow(), expected);
}

#[test]
fn a_batch_that_is_given_up_is_reported_with_its_last_error() {
    let clock = ManualClock::new();
    let calls = Cell::new(0);
    let map = timed(&clock, 1, 2).map_batches(0..2, |_: Vec<i32>| {
        calls.set(calls.get() + 1);
        let call = calls.get();
        async move { Err::<Vec<()>, _>(call) }
    });
    let batched = run_with(
        &clock,
        map.retry(LinearRetry::new(3, Duration::from_secs(1))),
    );
    assert_eq!(batched.failed[0].items, 0..2);
    assert_eq!(batched.failed[0].error, ItemError::Failed(3));
}

#[test]
fn bisecting_leaves_only_the_poison_without_output() {
    let poison = [3, 17, 18, 40];
    for panics in [false, true] {
        let calls = Cell::new(0);
        let batched = run(sized(2, 16)
            .map_batches(0..50, |batch: Vec<usize>| {
                calls.set(calls.get() + 1);
                async move {
                    yield_times(batch[0] % 2).await;
                    if let Some(bad) = batch.iter().find(|n| poison.contains(n)) {
                        assert!(!panics, "poison {bad}");
                        return Err(*bad);
                    }
                    Ok(batch)
                }
            })
            .bisect());
        let expected: Vec<_> = (0..50).filter(|n| !poison.contains(n)).collect();
        assert_eq!(batched.output, expected);
        let failed: Vec<_> = batched
            .failed
            .iter()
            .map(|failed| failed.items.clone())
            .collect();
        assert_eq!(failed, poison.map(|n| n..n + 1));
        assert!(calls.get() <= 4 + 4 * 2 * 4, "{} calls", calls.get());
    }
}

#[test]
fn errors_that_panic_when_they_are_dropped_cost_no_item() {
    #[derive(Debug)]
    struct Grenade(bool);

    impl Drop for Grenade {
        fn drop(&mut self) {
            assert!(!self.0, "boom");
        }
    }

    let batched = run(sized(2, 4)
        .map_batches(0..40, |batch: Vec<usize>| async move {
            yield_times(batch[0] % 3).await;
            if batch.len() > 1 {
                return Err(Grenade(true));
            }
            Ok(batch)
        })
        .bisect());
    assert_eq!(batched.output, Vec::from_iter(0..40));
    assert!(batched.failed.is_empty());
}

#[test]
fn a_batch_that_was_split_is_reported_as_one() {
    let mut seen = Vec::new();
    run(sized(1, 4)
        .map_batches(0..8, |batch: Vec<i32>| async move {
            if batch.contains(&2) {
                Err(())
            } else {
                Ok(batch)
            }
        })
        .bisect()
        .on_progress(|batch| seen.push((batch.index, batch.items, batch.failed, batch.done))));
    assert_eq!(seen, [(0, 0..4, 1, 4), (1, 4..8, 0, 8)]);
}

/// Parts of one batch run before the next one is cut, so that failures do not pile up.
#[test]
fn splitting_holds_no_more_items_than_the_batches_in_flight() {
    let pulled = Cell::new(0_usize);
    let ended = Cell::new(0_usize);
    let items = (0..400_usize).inspect(|_| {
        pulled.set(pulled.get() + 1);
        let held = pulled.get() - ended.get();
        assert!(held <= 2 * 16, "{held}");
    });
    let batched = run(sized(2, 16)
        .map_batches(items, |batch: Vec<usize>| {
            let ended = &ended;
            async move {
                yield_times(batch[0] % 3).await;
                if batch.len() > 1 {
                    return Err(());
                }
                ended.set(ended.get() + 1);
                if batch[0].is_multiple_of(2) {
                    Ok(batch)
                } else {
                    Err(())
                }
            }
        })
        .bisect());
    assert_eq!((batched.output.len(), batched.failed.len()), (200, 200));
}

#[test]
fn a_batched_map_dropped_at_any_poll_drops_all_it_holds() {
    for times in 0.. {
        let clock = ManualClock::new();
        let token = Rc::new(());
        let items: Vec<_> = (0..12).map(|n| (n, Rc::clone(&token))).collect();
        let map = timed(&clock, 2, 3)
            .map_batches(items, |batch: Vec<(usize, Rc<()>)>| async move {
                yield_times(batch[0].0 % 3).await;
                if batch.iter().any(|(n, _)| *n == 4) {
                    Err(())
                } else {
                    Ok(batch)
                }
            })
            .retry(LinearRetry::new(2, Duration::from_secs(1)))
            .bisect();
        let ended = drop_after(&clock, map, times);
        assert_eq!(Rc::strong_count(&token), 1, "dropped after {times} polls");
        if ended {
            assert!(times > 5, "the test has dropped it half way");
            return;
        }
    }
}

#[test]
fn sizes_that_cannot_be_are_refused_and_named() {
    let named = |built: Result<AdaptiveBatchSize, ConfigError>| match built.unwrap_err() {
        ConfigError::OutOfRange { field, .. } | ConfigError::DurationOutOfRange { field, .. } => {
            field
        }
        other => unreachable!("{other}"),
    };
    let builder = || AdaptiveBatchSize::builder(20);
    assert_eq!(named(AdaptiveBatchSize::new(0)), "initial");
    assert_eq!(named(builder().min(0).build()), "min");
    assert_eq!(named(builder().min(21).build()), "min");
    assert_eq!(named(builder().max(19).build()), "max");
    assert_eq!(named(builder().grow_by(0).build()), "grow_by");
    assert_eq!(named(builder().shrink_by(0).build()), "shrink_by");
    assert_eq!(named(builder().samples(0).build()), "samples");
    let below = builder().shrink_above(Duration::ZERO).build();
    assert_eq!(named(below), "shrink_above");
}

#[test]
fn the_size_grows_while_batches_are_quick_and_shrinks_while_they_are_slow() {
    let size = AdaptiveBatchSize::new(20).unwrap();
    assert_eq!((size.min(), size.current(), size.max()), (5, 20, 80));
    let ten = |millis| {
        for _ in 0..10 {
            size.record(size.current(), Duration::from_millis(millis));
        }
        size.current()
    };
    assert_eq!(ten(99), 22);
    assert_eq!(ten(100), 22);
    assert_eq!(ten(1_000), 22);
    assert_eq!(ten(1_001), 21);
    for _ in 0..9 {
        size.record(21, Duration::ZERO);
    }
    assert_eq!(size.current(), 21, "nine say nothing");
}

#[test]
fn batches_of_another_size_say_nothing() {
    let size = AdaptiveBatchSize::new(20).unwrap();
    for _ in 0..100 {
        size.record(19, Duration::ZERO);
    }
    assert_eq!(size.current(), 20);
}

/// A store that takes 20 ms a call and 0.2 ms an item, one call at a time.
fn store_time(items: usize) -> Duration {
    Duration::from_millis(20) + items as u32 * Duration::from_micros(200)
}

#[test]
fn an_adaptive_size_beats_the_fixed_one_it_starts_from() {
    let elapsed = |adaptive: Option<&AdaptiveBatchSize>| {
        let clock = ManualClock::new();
        let map = timed(&clock, 1, 20).map_batches(0..20_000_u32, |batch: Vec<u32>| {
            let sleep = clock.sleep(store_time(batch.len()));
            async move {
                sleep.await;
                Ok::<_, Infallible>(batch)
            }
        });
        let map = match adaptive {
            Some(size) => map.adaptive(size),
            None => map,
        };
        let batched = run_with(&clock, map);
        assert!(batched.output.into_iter().eq(0..20_000));
        clock.now()
    };
    let fixed = elapsed(None);
    let size = AdaptiveBatchSize::new(20).unwrap();
    let learning = elapsed(Some(&size));
    assert_eq!(size.current(), 80, "as far as it may");
    let learned = elapsed(Some(&size));
    assert_eq!(fixed, Duration::from_millis(24_000));
    assert!(
        learning.as_secs_f64() < 0.6 * fixed.as_secs_f64(),
        "{learning:?}"
    );
    assert!(
        learned.as_secs_f64() < 0.4 * fixed.as_secs_f64(),
        "{learned:?}"
    );
}

#[test]
fn an_adaptive_size_settles_where_batches_take_as_long_as_they_should() {
    let clock = ManualClock::new();
    let size = AdaptiveBatchSize::builder(40)
        .max(1_000)
        .grow_below(Duration::from_millis(28))
        .shrink_above(Duration::from_millis(32))
        .build()
        .unwrap();
    let map = timed(&clock, 1, 1).map_batches(0..20_000, |batch: Vec<i32>| {
        let sleep = clock.sleep(store_time(batch.len()));
        async move {
            sleep.await;
            Ok::<_, Infallible>(batch)
        }
    });
    run_with(&clock, map.adaptive(&size));
    assert!((40..=60).contains(&size.current()), "{}", size.current());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_adaptive_size_never_leaves_its_bounds(
        initial in 1_usize..50,
        grow_by in 1_usize..100,
        shrink_by in 1_usize..100,
        samples in 1_usize..4,
        durations in prop::collection::vec(0_u64..3_000, 0..300),
    ) {
        let size = AdaptiveBatchSize::builder(initial)
            .grow_by(grow_by)
            .shrink_by(shrink_by)
            .samples(samples)
            .build()
            .unwrap();
        for millis in durations {
            size.record(size.current(), Duration::from_millis(millis));
            let current = size.current();
            prop_assert!(((initial / 4).max(1)..=4 * initial).contains(&current), "{current}");
        }
    }

    /// Every item ends in the output or in a failed range, in order, exactly once.
    #[test]
    fn no_item_is_lost_or_doubled(
        items in 0_usize..120,
        limit in 1_usize..6,
        batch_size in 1_usize..20,
        poison in prop::collection::btree_set(0_usize..120, 0..8),
        bisect in any::<bool>(),
        retry in any::<bool>(),
    ) {
        let clock = ManualClock::new();
        let map = timed(&clock, limit, batch_size).map_batches(0..items, |batch: Vec<usize>| {
            let poison = &poison;
            async move {
                yield_times(batch[0] % 3).await;
                match batch.iter().find(|n| poison.contains(n)) {
                    Some(bad) if bad % 2 == 0 => panic!("poison {bad}"),
                    Some(bad) => Err(*bad),
                    None => Ok(batch),
                }
            }
        });
        let attempts = if retry { 2 } else { 1 };
        let map = map.retry(LinearRetry::new(attempts, Duration::from_secs(1)));
        let map = if bisect { map.bisect() } else { map };
        let batched = run_with(&clock, map);

        let failed: BTreeSet<usize> = batched.failed.iter().flat_map(|f| f.items.clone()).collect();
        let expected: BTreeSet<usize> = (0..items)
            .filter(|n| match bisect {
                true => poison.contains(n),
                false => (n / batch_size * batch_size..(n / batch_size + 1) * batch_size)
                    .any(|other| other < items && poison.contains(&other)),
            })
            .collect();
        prop_assert_eq!(&failed, &expected);
        let output: Vec<_> = (0..items).filter(|n| !failed.contains(n)).collect();
        prop_assert_eq!(batched.output, output);
        let starts: Vec<_> = batched.failed.iter().map(|f| f.items.start).collect();
        prop_assert!(starts.is_sorted());
    }
}

/// A function that was not asynchronous made the originals fail.
#[cfg(feature = "tokio")]
mod on_the_blocking_pool {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use brolly_batch::Limiter;

    use super::*;

    #[tokio::test]
    async fn a_function_that_blocks_may_be_mapped_from_a_task() {
        let peak = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let gauge = Arc::clone(&peak);
        let here = std::thread::current().id();
        let results = sized(3, 1)
            .map_on_blocking_pool(0..50, move |n| {
                assert_ne!(std::thread::current().id(), here);
                let now = gauge.0.fetch_add(1, Ordering::SeqCst) + 1;
                gauge.1.fetch_max(now, Ordering::SeqCst);
                std::thread::yield_now();
                gauge.0.fetch_sub(1, Ordering::SeqCst);
                match n % 10 {
                    3 => Err(n),
                    7 => panic!("seven"),
                    _ => Ok(n),
                }
            })
            .await;
        for (n, result) in results.iter().enumerate() {
            match n % 10 {
                3 => assert_eq!(*result, Err(ItemError::Failed(n))),
                7 => {
                    let Err(ItemError::Panicked(panic)) = result else {
                        unreachable!("it panics");
                    };
                    assert_eq!((panic.index(), panic.message()), (n, "seven"));
                }
                _ => assert_eq!(*result, Ok(n)),
            }
        }
        assert!(peak.1.load(Ordering::SeqCst) <= 3);
    }

    fn limited(limiter: &Limiter) -> BatchProcessor {
        let builder = BatchProcessor::builder().limiter(limiter);
        builder.build().expect("within range")
    }

    #[tokio::test]
    async fn what_nests_in_a_function_on_the_pool_runs_on_its_permit() {
        let limiter = Limiter::new(1).unwrap();
        let processor = limited(&limiter);
        let inner = processor.clone();
        let map = processor.map_on_blocking_pool(0..3_usize, move |n| {
            let results = inner.map_blocking(0..n, Ok::<_, Infallible>);
            Ok::<_, Infallible>(results.len())
        });
        let results = tokio::time::timeout(Duration::from_secs(20), map).await;
        assert_eq!(results.expect("it waits for itself"), [Ok(0), Ok(1), Ok(2)]);
        assert!(limiter.try_acquire().is_some());
    }

    #[tokio::test]
    async fn a_function_on_the_pool_keeps_its_permit_until_it_has_ended() {
        let limiter = Limiter::new(1).unwrap();
        let (started, runs) = tokio::sync::oneshot::channel();
        let (finish, finished) = std::sync::mpsc::channel();
        let both = std::sync::Mutex::new(Some((started, finished)));
        let map = limited(&limiter).map_on_blocking_pool([()], move |()| {
            let (started, finished) = both.lock().unwrap().take().unwrap();
            let _ = started.send(());
            let _ = finished.recv();
            Ok::<_, Infallible>(())
        });
        tokio::select! {
            _ = map => unreachable!("it waits"),
            ended = runs => ended.unwrap(),
        }
        assert!(limiter.try_acquire().is_none(), "it still runs");
        finish.send(()).unwrap();
        let _permit = limiter.acquire().await;
    }
}
