//! Results as they come: bounded whatever the consumer does, in either order, spawned or not.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Duration;

use brolly_batch::{ItemError, SpawnedStream, Stopped};
use brolly_sync::{ManualClock, Spawn, Task};
use proptest::prelude::*;

use crate::support::{
    Gauge, Wakes, drop_after, poll, processor, run, within_a_minute, yield_times,
};

type Ended<R, E> = (usize, Result<R, ItemError<E>>);
type Results<R, E> = Vec<Ended<R, E>>;

/// Takes all results of a stream that has `next`.
macro_rules! collect {
    ($stream:expr) => {{
        let mut stream = $stream;
        async move {
            let mut results = Vec::new();
            while let Some(result) = stream.next().await {
                results.push(result);
                yield_times(1).await;
            }
            results
        }
    }};
}

/// Counts items from their start until their result is dropped.
#[derive(Clone, Default)]
struct Living(Arc<(AtomicUsize, AtomicUsize)>);

impl Living {
    fn enter(&self) -> Alive {
        let (now, peak) = &*self.0;
        let now = now.fetch_add(1, Ordering::SeqCst) + 1;
        peak.fetch_max(now, Ordering::SeqCst);
        Alive(self.clone())
    }

    fn now(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    fn peak(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Alive(Living);

impl std::fmt::Debug for Living {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} alive", self.now())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn results_as_completed_come_in_the_order_in_which_items_end() {
    let map = processor(3).map([4, 0, 2], |yields| async move {
        yield_times(yields).await;
        Ok::<_, Infallible>(yields)
    });
    let results = run(collect!(map.as_completed()));
    assert_eq!(results, [(1, Ok(0)), (2, Ok(2)), (0, Ok(4))]);
}

#[test]
fn ordered_results_come_in_the_order_of_the_items() {
    let map = processor(4).map(0..60_usize, |n| async move {
        yield_times((n * 7) % 5).await;
        if n % 9 == 0 { Err(n) } else { Ok(n) }
    });
    let results = run(collect!(map.ordered()));
    for (n, (index, result)) in results.into_iter().enumerate() {
        let expected = if n % 9 == 0 {
            Err(ItemError::Failed(n))
        } else {
            Ok(n)
        };
        assert_eq!((index, result), (n, expected));
    }
}

#[test]
fn an_ordered_result_leaves_before_later_items_have_ended() {
    let map = processor(2).map(0..10, |n| async move {
        if n > 0 {
            pending::<()>().await;
        }
        Ok::<_, Infallible>(n)
    });
    assert_eq!(run(map.ordered().next()), Some((0, Ok(0))));
}

#[test]
fn a_slow_head_of_an_ordered_stream_holds_back_no_more_than_the_bound() {
    let open = Cell::new(false);
    let started = Cell::new(0);
    let map = processor(3).map(0.., |n: usize| {
        started.set(started.get() + 1);
        let open = &open;
        poll_fn(move |_| match n == 0 && !open.get() {
            true => Poll::Pending,
            false => Poll::Ready(Ok::<_, Infallible>(n)),
        })
    });
    let mut stream = map.ordered();
    for _ in 0..20 {
        assert!(poll(&mut Box::pin(stream.next()), Waker::noop()).is_pending());
    }
    assert_eq!(started.get(), 6, "three in flight, and as many that wait");
    drop(stream);
}

#[test]
fn with_a_slow_consumer_no_more_items_live_than_the_bound() {
    for (limit, buffer) in [(1, 0), (3, 0), (3, 2), (4, 4)] {
        for ordered in [false, true] {
            let living = Living::default();
            let map = processor(limit).map(0..200_usize, |n| {
                let alive = living.enter();
                async move {
                    yield_times(n % 3).await;
                    Ok::<_, Infallible>(alive)
                }
            });
            let stream = if ordered {
                map.ordered()
            } else {
                map.as_completed()
            };
            let mut stream = stream.buffer(buffer);
            let taken = run(async {
                let mut taken = 0;
                while let Some((_, result)) = stream.next().await {
                    drop(result);
                    taken += 1;
                    yield_times(3).await; // the consumer is busy, and nobody polls the stream
                }
                taken
            });
            assert_eq!(taken, 200);
            assert!(living.peak() <= limit + buffer, "{}", living.peak());
            assert_eq!(living.now(), 0);
        }
    }
}

#[test]
fn with_slow_work_no_more_futures_run_than_the_limit() {
    let gauge = Gauge::default();
    let map = processor(4).map(0..100_usize, |n| {
        let gauge = &gauge;
        async move {
            let _guard = gauge.enter();
            yield_times(1 + n % 7).await;
            Ok::<_, Infallible>(n)
        }
    });
    assert_eq!(run(collect!(map.as_completed())).len(), 100);
    assert_eq!(gauge.peak(), 4);
}

/// `buffered(0)` of futures waits for ever (#2939). Here no limit is zero, and a buffer of zero is
/// only the absence of a buffer.
#[test]
fn a_buffer_of_nothing_hangs_nobody() {
    for ordered in [false, true] {
        let map = processor(1).map(0..5, |n| async move {
            yield_times(1).await;
            Ok::<_, Infallible>(n)
        });
        let stream = if ordered {
            map.ordered()
        } else {
            map.as_completed()
        };
        let results = run(collect!(stream.buffer(0)));
        let expected: Results<i32, Infallible> = (0..5).map(|n| (n as usize, Ok(n))).collect();
        assert_eq!(results, expected);
    }
}

#[test]
fn a_huge_buffer_does_not_overflow() {
    let map = processor(2).map(0..5, |n| async move { Ok::<_, Infallible>(n) });
    assert_eq!(run(collect!(map.ordered().buffer(usize::MAX))).len(), 5);
}

#[test]
fn a_stream_of_nothing_calls_nothing_and_stays_over() {
    let never = |_: u8| -> std::future::Ready<Result<u8, u8>> { unreachable!("no item") };
    let mut stream = processor(3).map([], never).ordered();
    assert_eq!(run(stream.next()), None);
    assert_eq!(run(stream.next()), None);
    assert_eq!(stream.stopped(), None);
}

#[test]
fn a_panic_in_a_stream_is_the_result_of_its_item_alone() {
    let map = processor(2).map(0..4, |n| async move {
        yield_times(1).await;
        assert_ne!(n, 2, "not two");
        Ok::<_, Infallible>(n)
    });
    let results = run(collect!(map.ordered()));
    let panicked: Vec<_> = results.iter().map(|(_, result)| result.is_err()).collect();
    assert_eq!(panicked, [false, false, true, false]);
    let Err(ItemError::Panicked(panic)) = &results[2].1 else {
        unreachable!("item 2 panics");
    };
    assert_eq!(panic.index(), 2);
}

#[test]
fn a_stream_dropped_at_any_poll_drops_all_it_holds() {
    let clock = ManualClock::new();
    for ordered in [false, true] {
        for times in 0.. {
            let token = Rc::new(());
            let items: Vec<_> = (0..20).map(|n| (n, Rc::clone(&token))).collect();
            let map = processor(4).map(items, |(n, token)| async move {
                yield_times(n % 3).await;
                Ok::<_, Infallible>(token)
            });
            let stream = if ordered {
                map.ordered()
            } else {
                map.as_completed()
            };
            let ended = drop_after(&clock, collect!(stream), times);
            assert_eq!(Rc::strong_count(&token), 1, "dropped after {times} polls");
            if ended {
                assert!(times > 5, "the test has dropped it half way");
                break;
            }
        }
    }
}

#[test]
fn a_next_dropped_at_any_poll_loses_no_result() {
    let mut stream = processor(3)
        .map(0..30_usize, |n| async move {
            yield_times(n % 4).await;
            Ok::<_, Infallible>(n)
        })
        .ordered();
    let mut expected = 0;
    loop {
        // One poll each: a `next` that was not ready is dropped.
        let Poll::Ready(result) = poll(&mut Box::pin(stream.next()), Waker::noop()) else {
            continue;
        };
        let Some(result) = result else { break };
        assert_eq!(result, (expected, Ok(expected)));
        expected += 1;
    }
    assert_eq!(expected, 30);
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_sleeps_keeps_all_places_busy() {
    let start = tokio::time::Instant::now();
    let map = processor(100).map(0..1_000, |n| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Infallible>(n)
    });
    let mut stream = map.as_completed();
    let mut results = 0;
    while stream.next().await.is_some() {
        results += 1;
    }
    assert_eq!((results, start.elapsed().as_secs()), (1_000, 10));
}

/// Tasks that run when they are told to.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<Task>>>);

impl Spawn for Tasks {
    fn spawn(&self, task: Task) {
        self.list().push(task);
    }
}

impl Tasks {
    /// Polls every task once.
    fn go(&self, waker: &Waker) {
        let mut tasks = std::mem::take(&mut *self.list());
        tasks.retain_mut(|task| poll(task, waker).is_pending());
        self.list().extend(tasks);
    }

    fn len(&self) -> usize {
        self.list().len()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Task>> {
        self.0.lock().expect("no test panics with the lock held")
    }
}

fn next<R, E>(stream: &mut SpawnedStream<R, E>) -> Poll<Option<Ended<R, E>>> {
    poll(&mut Box::pin(stream.next()), Waker::noop())
}

/// Work of `buffer_unordered` stands still while its consumer does something else (futures #2387,
/// #2961). Without spawning that cannot be otherwise; spawned, it goes on.
#[test]
fn spawned_work_goes_on_while_the_consumer_is_busy() {
    let tasks = Tasks::default();
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let map = processor(2).map(0..100_usize, move |n| {
        let count = Arc::clone(&count);
        async move {
            yield_times(3).await;
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(n)
        }
    });
    let mut stream = map.ordered().buffer(6).spawned(&tasks);
    for _ in 0..100 {
        tasks.go(Waker::noop()); // and nobody looks at the stream
    }
    assert_eq!(
        ended.load(Ordering::SeqCst),
        8,
        "the buffer, and two whose results wait"
    );
    for n in 0..100 {
        let result = loop {
            match next(&mut stream) {
                Poll::Ready(result) => break result,
                Poll::Pending => tasks.go(Waker::noop()),
            }
        };
        assert_eq!(result, Some((n, Ok(n))));
    }
    tasks.go(Waker::noop());
    assert_eq!(next(&mut stream), Poll::Ready(None));
    assert_eq!((stream.stopped(), tasks.len()), (None, 0));
}

#[test]
fn no_more_items_of_a_spawned_stream_live_than_the_bound() {
    for (limit, buffer) in [(1, 0), (3, 1), (3, 5)] {
        let (tasks, living) = (Tasks::default(), Living::default());
        let count = living.clone();
        let map = processor(limit).map(0..300_usize, move |n| {
            let alive = count.enter();
            async move {
                yield_times(n % 2).await;
                Ok::<_, Infallible>(alive)
            }
        });
        let mut stream = map.as_completed().buffer(buffer).spawned(&tasks);
        let mut taken = 0;
        for round in 0.. {
            tasks.go(Waker::noop());
            if round % 3 == 0 {
                match next(&mut stream) {
                    Poll::Ready(Some(_)) => taken += 1,
                    Poll::Ready(None) => break,
                    Poll::Pending => {}
                }
            }
        }
        assert_eq!((taken, living.now()), (300, 0));
        assert!(living.peak() <= limit + buffer.max(1), "{}", living.peak());
    }
}

#[test]
fn dropping_a_spawned_stream_wakes_its_task_which_drops_what_runs() {
    let (tasks, living) = (Tasks::default(), Living::default());
    let count = living.clone();
    let map = processor(3).map(0.., move |n: usize| {
        let alive = count.enter();
        async move {
            if n > 5 {
                pending::<()>().await;
            }
            Ok::<_, Infallible>(alive)
        }
    });
    let stream = map.as_completed().spawned(&tasks);
    let (wakes, waker) = Wakes::new();
    tasks.go(&waker);
    assert!(living.now() > 0);
    let before = wakes.count();
    drop(stream);
    assert_eq!(wakes.count(), before + 1);
    tasks.go(&waker);
    assert_eq!((living.now(), tasks.len()), (0, 0));
}

#[test]
fn a_spawner_that_drops_the_task_cancels_the_run() {
    let tasks = Tasks::default();
    let map = processor(1).map(0..5, |_| pending::<Result<(), Infallible>>());
    let mut stream = map.as_completed().spawned(&tasks);
    tasks.go(Waker::noop());
    assert!(next(&mut stream).is_pending());
    tasks.list().clear();
    assert_eq!(next(&mut stream), Poll::Ready(None));
    assert_eq!(stream.stopped(), Some(Stopped::Cancelled));
}

#[test]
fn a_panic_of_the_iterator_reaches_the_consumer_of_a_spawned_stream() {
    let tasks = Tasks::default();
    let items = (0..5).inspect(|n| assert_ne!(*n, 3, "no more items"));
    let map = processor(1).map(items, |n| async move { Ok::<_, Infallible>(n) });
    let mut stream = map.ordered().spawned(&tasks);
    tasks.go(Waker::noop());
    let mut results = 0;
    let caught = catch_unwind(AssertUnwindSafe(|| {
        while let Poll::Ready(Some(_)) = next(&mut stream) {
            results += 1;
            tasks.go(Waker::noop());
        }
    }));
    let message = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("no more items"), "{message}");
    assert!(results <= 3);
    assert_eq!(next(&mut stream), Poll::Ready(None), "it is told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spawned_stream_loses_no_wake_up_between_threads() {
    let map = processor(16).map(0..5_000_u64, |n| async move {
        if n % 3 == 0 {
            tokio::task::yield_now().await;
        }
        Ok::<_, Infallible>(n)
    });
    let spawner = |task: Task| drop(tokio::spawn(task));
    let mut stream = map.as_completed().buffer(7).spawned(&spawner);
    let mut sum = 0;
    while let Some((_, result)) = stream.next().await {
        sum += result.unwrap();
    }
    assert_eq!(sum, 4_999 * 5_000 / 2);
}

#[test]
fn a_consumer_on_a_thread_may_take_what_a_thread_makes() {
    within_a_minute(|| {
        let spawner = |task: Task| {
            std::thread::spawn(move || brolly_sync::block_on(task));
        };
        let map = processor(4).map(0..2_000, |n| async move {
            yield_times(n % 2).await;
            Ok::<_, Infallible>(n)
        });
        let stream = map.ordered().buffer(3).spawned(&spawner);
        let results = brolly_sync::block_on(collect!(stream));
        assert!(results.into_iter().map(|(index, _)| index).eq(0..2_000));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams_hold_the_same_results_as_the_sequential_map(
        items in prop::collection::vec((0_usize..4, any::<bool>()), 0..80),
        limit in 1_usize..20,
        buffer in 0_usize..20,
        ordered in any::<bool>(),
        pause in 0_usize..3,
    ) {
        let sequential: Results<usize, usize> = items.iter().enumerate().map(|(n, &(_, ok))| {
            (n, if ok { Ok(n) } else { Err(ItemError::Failed(n)) })
        }).collect();
        let living = Living::default();
        let order = RefCell::new(Vec::new());
        let map = processor(limit).map(items.iter().enumerate(), |(n, &(yields, ok))| {
            let alive = living.enter();
            let order = &order;
            async move {
                yield_times(yields).await;
                order.borrow_mut().push(n);
                if ok { Ok((n, alive)) } else { Err((n, alive)) }
            }
        });
        let stream = if ordered { map.ordered() } else { map.as_completed() };
        let mut stream = stream.buffer(buffer);
        let mut results = run(async {
            let mut results = Vec::new();
            while let Some((index, result)) = stream.next().await {
                let plain = result.map(|(n, _)| n).map_err(|error| {
                    ItemError::Failed(error.into_failed().expect("nothing panics").0)
                });
                results.push((index, plain));
                yield_times(pause).await;
            }
            results
        });
        prop_assert!(living.peak() <= limit + buffer);
        if ordered {
            prop_assert_eq!(&results, &sequential);
        } else {
            let indexes: Vec<_> = results.iter().map(|(index, _)| *index).collect();
            prop_assert_eq!(&indexes, &*order.borrow());
            results.sort_by_key(|(index, _)| *index);
            prop_assert_eq!(&results, &sequential);
        }
    }
}

#[cfg(feature = "futures-core")]
mod of_streams {
    use std::pin::Pin;
    use std::task::Context;

    use brolly_batch::{BatchProcessor, Limiter};
    use futures_core::Stream;

    use super::*;

    /// Numbers from 0, with a pause of some polls before each, counting those that were taken.
    struct Numbers<'a> {
        next: usize,
        end: usize,
        pause: usize,
        paused: usize,
        taken: &'a Cell<usize>,
    }

    impl<'a> Numbers<'a> {
        fn new(end: usize, pause: usize, taken: &'a Cell<usize>) -> Self {
            Self {
                next: 0,
                end,
                pause,
                paused: 0,
                taken,
            }
        }
    }

    impl Stream for Numbers<'_> {
        type Item = usize;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<usize>> {
            assert!(self.next <= self.end, "polled again after its end");
            if self.paused < self.pause {
                self.paused += 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.paused = 0;
            self.next += 1;
            if self.next > self.end {
                return Poll::Ready(None);
            }
            self.taken.set(self.taken.get() + 1);
            Poll::Ready(Some(self.next - 1))
        }
    }

    #[test]
    fn a_stream_is_mapped_like_an_iterator() {
        for (ordered, pause) in [(false, 0), (false, 2), (true, 0), (true, 2)] {
            let taken = Cell::new(0);
            let stream = processor(3).map_stream(Numbers::new(50, pause, &taken), |n| async move {
                yield_times(n % 4).await;
                if n % 7 == 6 { Err(n) } else { Ok(n) }
            });
            let stream = if ordered { stream.ordered() } else { stream };
            let mut results = run(collect!(stream));
            if !ordered {
                results.sort_by_key(|(index, _)| *index);
            }
            assert_eq!(results.len(), 50);
            for (n, (index, result)) in results.into_iter().enumerate() {
                let expected = if n % 7 == 6 {
                    Err(ItemError::Failed(n))
                } else {
                    Ok(n)
                };
                assert_eq!((index, result), (n, expected));
            }
        }
    }

    #[test]
    fn an_input_stream_is_polled_only_for_items_that_can_start() {
        let taken = Cell::new(0);
        let started = Cell::new(0);
        let stream = processor(3).map_stream(Numbers::new(1_000, 0, &taken), |_| {
            started.set(started.get() + 1);
            pending::<Result<(), Infallible>>()
        });
        let mut stream = stream.as_completed();
        for _ in 0..10 {
            assert!(poll(&mut Box::pin(stream.next()), Waker::noop()).is_pending());
            assert_eq!((taken.get(), started.get()), (3, 3));
        }
    }

    #[test]
    fn a_limit_above_what_one_poll_fetches_is_reached() {
        let taken = Cell::new(0);
        let mut stream = processor(1_000).map_stream(Numbers::new(5_000, 0, &taken), |_| {
            pending::<Result<(), Infallible>>()
        });
        let (wakes, waker) = Wakes::new();
        let mut polls = 0;
        while wakes.count() >= polls {
            assert!(poll(&mut Box::pin(stream.next()), &waker).is_pending());
            polls += 1;
            assert!(taken.get() <= polls * 256);
        }
        assert_eq!(taken.get(), 1_000);
    }

    /// As `buffer_unordered` leaves it to the input and to what runs to wake the task.
    #[test]
    fn who_waits_for_a_silent_input_is_not_woken_meanwhile() {
        let (wakes, waker) = Wakes::new();
        let silent = Box::pin(Silent);
        let mut stream =
            processor(1_000).map_stream(silent, |()| pending::<Result<(), Infallible>>());
        assert!(poll(&mut Box::pin(stream.next()), &waker).is_pending());
        assert_eq!(wakes.count(), 0, "the input has promised to wake it");
    }

    #[test]
    fn who_waits_for_the_last_items_is_not_woken_meanwhile() {
        let (wakes, waker) = Wakes::new();
        let map = processor(1_000).map(0..3, |_| pending::<Result<(), Infallible>>());
        let mut stream = map.as_completed();
        assert!(poll(&mut Box::pin(stream.next()), &waker).is_pending());
        assert_eq!(wakes.count(), 0, "nothing more can start");
    }

    #[test]
    fn who_waits_for_a_permit_is_not_woken_meanwhile() {
        let limiter = Limiter::new(1).unwrap();
        let _taken = limiter.try_acquire().unwrap();
        let processor = BatchProcessor::builder()
            .max_concurrent(1_000)
            .limiter(&limiter)
            .build()
            .unwrap();
        let taken = Cell::new(0);
        let mut stream = processor.map_stream(Numbers::new(5_000, 0, &taken), |_| {
            pending::<Result<(), Infallible>>()
        });
        let (wakes, waker) = Wakes::new();
        assert!(poll(&mut Box::pin(stream.next()), &waker).is_pending());
        assert_eq!(wakes.count(), 0, "the limiter has promised to wake it");
    }

    struct Silent;

    impl Stream for Silent {
        type Item = ();

        fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<()>> {
            Poll::Pending
        }
    }

    /// Where the first item waits for the others, it would wait for ever.
    #[test]
    fn a_place_that_falls_free_behind_a_slow_head_is_filled_from_the_input() {
        for buffer in [0, 2, 5] {
            let ended = Rc::new(Cell::new(0));
            let count = Rc::clone(&ended);
            let taken = Cell::new(0);
            let mut stream = processor(2)
                .map_stream(Numbers::new(100, 0, &taken), move |n| {
                    let ended = Rc::clone(&count);
                    async move {
                        if n == 0 {
                            pending::<()>().await;
                        }
                        yield_times(1).await;
                        ended.set(ended.get() + 1);
                        Ok::<_, Infallible>(n)
                    }
                })
                .ordered()
                .buffer(buffer);
            let (wakes, waker) = Wakes::new();
            let mut polls = 0;
            while wakes.count() >= polls {
                assert!(poll(&mut Box::pin(stream.next()), &waker).is_pending());
                polls += 1;
            }
            assert_eq!(ended.get(), 1 + buffer, "up to the bound on live items");
        }
    }

    #[test]
    fn results_are_a_stream_themselves() {
        let map = processor(2).map(0..3, |n| async move { Ok::<_, Infallible>(n) });
        let mut stream = map.ordered();
        let mut results = Vec::new();
        run(poll_fn(|cx| {
            while let Poll::Ready(result) = Pin::new(&mut stream).poll_next(cx) {
                match result {
                    Some(result) => results.push(result),
                    None => return Poll::Ready(()),
                }
            }
            Poll::Pending
        }));
        assert_eq!(results, [(0, Ok(0)), (1, Ok(1)), (2, Ok(2))]);
    }

    #[test]
    fn a_mapped_stream_dropped_at_any_poll_drops_all_it_holds() {
        let clock = ManualClock::new();
        let held = Rc::new(());
        for times in 0.. {
            let taken = Cell::new(0);
            let stream = processor(3).map_stream(Numbers::new(12, 1, &taken), |n| {
                let held = Rc::clone(&held);
                async move {
                    yield_times(n % 3).await;
                    Ok::<_, Infallible>(held)
                }
            });
            let ended = drop_after(&clock, collect!(stream), times);
            assert_eq!(Rc::strong_count(&held), 1, "dropped after {times} polls");
            if ended {
                assert!(times > 5, "the test has dropped it half way");
                return;
            }
        }
    }
}
