//! What [`BulkSink`] promises: a call per batch, bounds, and no item lost on any way out.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::time::Duration;

use brolly_batch::{
    BatchOutcome, BulkGate, BulkPass, BulkSink, BulkStore, CancelToken, ConfigError, Limiter,
    Receipt, Rejected, SinkError,
};
use brolly_sync::{Clock, ManualClock, Timer};

use crate::support::{drop_after, run, run_with, within_a_minute, yield_times};

const SECOND: Duration = Duration::from_secs(1);

/// What a call of the store does.
#[derive(Clone, Debug)]
enum Does {
    Succeed,
    /// Refuses the items whose numbers are listed.
    Refuse(Vec<u32>),
    Fail,
    Panic,
    /// Answers for this many items.
    Answer(usize),
    Hang,
}

/// A store that does as it is told, call by call, and succeeds when it was told nothing.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    script: VecDeque<Does>,
    calls: Vec<Vec<u32>>,
    confirmed: Vec<u32>,
    now: usize,
    peak: usize,
}

impl Store {
    fn new(script: impl IntoIterator<Item = Does>) -> Self {
        let store = Self::default();
        store.tell(script);
        store
    }

    fn tell(&self, script: impl IntoIterator<Item = Does>) {
        self.log().script.extend(script);
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().expect("nothing panics while it is locked")
    }

    fn calls(&self) -> Vec<Vec<u32>> {
        self.log().calls.clone()
    }

    fn confirmed(&self) -> Vec<u32> {
        self.log().confirmed.clone()
    }

    fn peak(&self) -> usize {
        self.log().peak
    }
}

struct InCall<'a>(&'a Store);

impl Drop for InCall<'_> {
    fn drop(&mut self) {
        self.0.log().now -= 1;
    }
}

impl BulkStore<u32> for Store {
    type Error = &'static str;

    async fn store(&self, batch: &[u32]) -> Result<Receipt<&'static str>, &'static str> {
        let does = {
            let mut log = self.log();
            log.calls.push(batch.to_vec());
            log.now += 1;
            log.peak = log.peak.max(log.now);
            log.script.pop_front().unwrap_or(Does::Succeed)
        };
        let _in_call = InCall(self);
        yield_times(2).await;
        match does {
            Does::Succeed => {
                self.log().confirmed.extend(batch);
                Ok(Receipt::All)
            }
            Does::Refuse(refused) => {
                let is_refused = |item: &&u32| refused.contains(item);
                let taken = batch.iter().filter(|item| !is_refused(item));
                self.log().confirmed.extend(taken);
                let result = |item| {
                    if is_refused(&item) {
                        Err("refused")
                    } else {
                        Ok(())
                    }
                };
                Ok(Receipt::Each(batch.iter().map(result).collect()))
            }
            Does::Fail => Err("is down"),
            Does::Panic => panic!("is broken"),
            Does::Answer(count) => Ok(Receipt::Each(vec![Ok(()); count])),
            Does::Hang => pending().await,
        }
    }
}

fn sink(batch_size: usize, max_concurrent: usize, store: &Store) -> BulkSink<u32, Store> {
    BulkSink::builder()
        .batch_size(batch_size)
        .max_concurrent(max_concurrent)
        .build(store.clone())
        .expect("sizes within range")
}

fn strict(batch_size: usize, store: &Store) -> BulkSink<u32, Store> {
    BulkSink::builder()
        .batch_size(batch_size)
        .strict_order(true)
        .build(store.clone())
        .expect("sizes within range")
}

/// The counts always add up.
fn assert_adds_up<S: BulkStore<u32>>(sink: &BulkSink<u32, S>) {
    let stats = sink.stats();
    let sum = stats.stored + stats.buffered + stats.in_flight + stats.dropped + stats.taken;
    assert_eq!(stats.given, sum, "{stats:?}");
}

/// The original sent the twenty items of a "batch" as twenty requests, and all batches at once:
/// five hundred connections.
#[test]
fn a_batch_is_one_call_and_few_are_under_way() {
    let store = Store::default();
    let sink = sink(20, 4, &store);
    let inserted = run(sink.insert((0..500).collect()));
    assert!(inserted.is_complete());
    assert_eq!((inserted.stored, inserted.results.len()), (500, 500));
    assert_eq!((sink.stats().calls, store.peak()), (25, 4));
    let calls = store.calls();
    assert!(calls.iter().all(|batch| batch.len() == 20));
    let mut all: Vec<u32> = calls.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..500));
}

#[test]
fn the_bound_holds_over_all_callers() {
    within_a_minute(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build();
        let store = Store::default();
        let sink = sink(3, 2, &store);
        runtime.unwrap().block_on(async {
            let inserts: Vec<_> = (0..10)
                .map(|n| tokio::spawn(sink.insert((n * 10..n * 10 + 10).collect())))
                .collect();
            for insert in inserts {
                assert!(insert.await.unwrap().is_complete());
            }
        });
        assert_eq!(store.peak(), 2);
        assert_eq!(sink.stats().stored, 100);
        assert_adds_up(&sink);
    });
}

#[test]
fn the_last_batch_is_what_is_left_and_nothing_is_no_call() {
    let store = Store::default();
    let sink = sink(4, 1, &store);
    let inserted = run(sink.insert(Vec::new()));
    assert!(inserted.is_complete() && inserted.results.is_empty());
    assert_eq!(run(sink.flush()).flushed, 0);
    assert_eq!(store.calls().len(), 0);
    run(sink.insert((0..9).collect()));
    assert_eq!(store.calls(), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8]]);
}

/// The original reported as stored whatever it had collected.
#[test]
fn each_item_has_its_own_result() {
    let store = Store::new([Does::Refuse(vec![1]), Does::Fail, Does::Succeed]);
    let sink = sink(3, 1, &store);
    let inserted = run(sink.insert((0..8).collect()));
    let down = || Err(SinkError::CallFailed(Arc::new("is down")));
    let expected = [
        Ok(()),
        Err(SinkError::Refused("refused")),
        Ok(()),
        down(),
        down(),
        down(),
        Ok(()),
        Ok(()),
    ];
    assert_eq!(inserted.results, expected);
    assert_eq!((inserted.stored, inserted.failed), (4, 4));
    assert_eq!(
        (inserted.buffered, inserted.dropped, inserted.displaced),
        (4, 0, 0)
    );
    assert_eq!(
        inserted.results[3].as_ref().unwrap_err().store_error(),
        Some(&"is down")
    );
    assert_eq!(sink.take_buffered(), [1, 3, 4, 5]);
    assert_adds_up(&sink);
}

#[test]
fn only_what_failed_is_sent_again() {
    let clock = ManualClock::new();
    let store = Store::new([
        Does::Refuse(vec![1, 3]),
        Does::Refuse(vec![3]),
        Does::Succeed,
    ]);
    let sink = BulkSink::builder()
        .batch_size(5)
        .retry(|failures, _: &&str| (failures < 3).then_some(SECOND * failures))
        .timer(clock.clone())
        .build(store.clone())
        .unwrap();
    let inserted = run_with(&clock, sink.insert((0..5).collect()));
    assert!(inserted.is_complete());
    assert_eq!(store.calls(), [vec![0, 1, 2, 3, 4], vec![1, 3], vec![3]]);
    assert_eq!(clock.now(), SECOND * 3);
    assert_eq!(sink.stats().calls, 3);
}

#[test]
fn the_next_attempt_waits_for_the_longest_delay_of_its_items() {
    let clock = ManualClock::new();
    let sink = BulkSink::builder()
        .retry(|failures, seconds: &u32| (failures < 2).then_some(SECOND * *seconds))
        .timer(clock.clone())
        .build({
            let calls = AtomicUsize::new(0);
            move |batch: &[u32]| {
                let refuses = calls.fetch_add(1, Ordering::Relaxed) == 0;
                let answer = |&seconds: &u32| if refuses { Err(seconds) } else { Ok(()) };
                std::future::ready(Ok::<Vec<_>, u32>(batch.iter().map(answer).collect()))
            }
        })
        .unwrap();
    assert!(run_with(&clock, sink.insert(vec![2, 5, 1])).is_complete());
    assert_eq!(clock.now(), SECOND * 5);
}

#[test]
fn an_error_that_will_not_pass_is_not_tried_again() {
    let clock = ManualClock::new();
    let store = Store::new([Does::Refuse(vec![0]), Does::Fail, Does::Fail, Does::Fail]);
    let sink = BulkSink::builder()
        .batch_size(2)
        .max_concurrent(1)
        .retry(|failures, error: &&str| (*error == "is down" && failures < 3).then_some(SECOND))
        .timer(clock.clone())
        .build(store.clone())
        .unwrap();
    let inserted = run_with(&clock, sink.insert((0..4).collect()));
    assert_eq!(
        store.calls(),
        [vec![0, 1], vec![2, 3], vec![2, 3], vec![2, 3]]
    );
    assert_eq!((inserted.stored, inserted.buffered), (1, 3));
    assert_eq!(clock.now(), SECOND * 2);
}

#[test]
fn a_store_that_answers_for_another_number_of_items_has_stored_none() {
    for answered in [0, 2, 4] {
        let store = Store::new([Does::Answer(answered)]);
        let sink = sink(3, 1, &store);
        let inserted = run(sink.insert((0..3).collect()));
        let error = SinkError::WrongCount { given: 3, answered };
        assert_eq!(inserted.results, vec![Err(error); 3]);
        assert_eq!(sink.take_buffered(), [0, 1, 2]);
    }
}

#[test]
fn a_store_that_panics_costs_its_batch_only() {
    let store = Store::new([Does::Panic]);
    let sink = sink(2, 1, &store);
    let inserted = run(sink.insert((0..4).collect()));
    let message = Arc::from("is broken");
    assert_eq!(inserted.results[1], Err(SinkError::Panicked { message }));
    assert_eq!((inserted.stored, inserted.buffered), (2, 2));
    assert_eq!(run(sink.flush()).flushed, 2);
    assert_adds_up(&sink);

    let sink = BulkSink::builder()
        .build(|_: &[u32]| -> std::future::Ready<Result<(), ()>> { panic!("at once") })
        .unwrap();
    let inserted = run(sink.insert(vec![1]));
    assert!(matches!(
        inserted.results[0],
        Err(SinkError::Panicked { .. })
    ));
    assert_eq!(sink.buffered(), 1);
}

/// Writes down what it is asked and told.
#[derive(Clone, Default)]
struct Breaker(Arc<Mutex<BreakerLog>>);

#[derive(Default)]
struct BreakerLog {
    answers: VecDeque<Result<bool, Rejected>>,
    admitted: usize,
    outcomes: Vec<BatchOutcome>,
    /// Passes that went without an outcome.
    unseen: usize,
}

impl Breaker {
    fn log(&self) -> MutexGuard<'_, BreakerLog> {
        self.0.lock().expect("nothing panics while it is locked")
    }
}

struct Pass {
    breaker: Breaker,
    may_retry: bool,
    ended: bool,
}

impl BulkGate for Breaker {
    fn admit(&self) -> Result<Box<dyn BulkPass>, Rejected> {
        let mut log = self.log();
        let may_retry = log.answers.pop_front().unwrap_or(Ok(true))?;
        log.admitted += 1;
        let breaker = self.clone();
        let ended = false;
        Ok(Box::new(Pass {
            breaker,
            may_retry,
            ended,
        }))
    }
}

impl BulkPass for Pass {
    fn may_retry(&self) -> bool {
        self.may_retry
    }

    fn end(mut self: Box<Self>, outcome: BatchOutcome) {
        self.ended = true;
        self.breaker.log().outcomes.push(outcome);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.breaker.log().unseen += usize::from(!self.ended);
    }
}

/// The original's breaker counted a failure for each of the items, so that one failed batch of five
/// opened it.
#[test]
fn a_batch_is_one_outcome_however_many_items_and_attempts_it_has() {
    let clock = ManualClock::new();
    let breaker = Breaker::default();
    let store = Store::new(vec![Does::Fail; 3]);
    store.tell([Does::Refuse(vec![25, 26]), Does::Succeed]);
    store.tell(vec![Does::Refuse(vec![41]); 3]);
    let sink = BulkSink::builder()
        .max_concurrent(1)
        .retry(|failures, _: &&str| (failures < 3).then_some(SECOND))
        .gate(breaker.clone())
        .timer(clock.clone())
        .build(store.clone())
        .unwrap();
    let inserted = run_with(&clock, sink.insert((0..60).collect()));
    assert_eq!((inserted.stored, inserted.failed), (39, 21));
    let log = breaker.log();
    let partly = BatchOutcome::Partly {
        stored: 19,
        failed: 1,
    };
    assert_eq!(
        log.outcomes,
        [BatchOutcome::Failed, BatchOutcome::Stored, partly]
    );
    assert_eq!((log.admitted, log.unseen), (3, 0));
}

#[test]
fn a_rejected_batch_is_buffered_without_a_call() {
    let breaker = Breaker::default();
    let rejected = Rejected::new(Some(SECOND));
    breaker
        .0
        .lock()
        .unwrap()
        .answers
        .extend([Err(rejected), Ok(true)]);
    let store = Store::default();
    let sink = BulkSink::builder()
        .batch_size(2)
        .max_concurrent(1)
        .gate(breaker.clone())
        .build(store.clone())
        .unwrap();
    let inserted = run(sink.insert((0..4).collect()));
    assert_eq!(inserted.results[0], Err(SinkError::Rejected(rejected)));
    assert_eq!(store.calls(), [vec![2, 3]]);
    assert_eq!(sink.buffered(), 2);
    assert_eq!(breaker.log().outcomes, [BatchOutcome::Stored]);
}

#[test]
fn a_gate_that_has_closed_meanwhile_ends_the_attempts() {
    let clock = ManualClock::new();
    let breaker = Breaker::default();
    breaker.log().answers.push_back(Ok(false));
    let store = Store::new([Does::Fail]);
    let sink = BulkSink::builder()
        .retry(|_, _: &&str| Some(SECOND))
        .gate(breaker.clone())
        .timer(clock.clone())
        .build(store.clone())
        .unwrap();
    let inserted = run_with(&clock, sink.insert(vec![1]));
    assert_eq!(
        inserted.results,
        [Err(SinkError::CallFailed(Arc::new("is down")))]
    );
    assert_eq!((store.calls().len(), clock.now()), (1, Duration::ZERO));
    assert_eq!(breaker.log().outcomes, [BatchOutcome::Failed]);
}

#[test]
fn a_flush_stops_asking_a_closed_gate() {
    let breaker = Breaker::default();
    let rejected = Rejected::new(None);
    breaker
        .log()
        .answers
        .extend([Err(rejected), Err(rejected), Ok(true), Err(rejected)]);
    let sink = BulkSink::builder()
        .batch_size(2)
        .max_concurrent(1)
        .gate(breaker.clone())
        .build(Store::default())
        .unwrap();
    run(sink.insert((0..4).collect()));
    run(sink.insert((4..10).collect()));
    assert_eq!(sink.buffered(), 6);
    breaker
        .0
        .lock()
        .unwrap()
        .answers
        .extend([Ok(true), Err(rejected)]);
    let flushed = run(sink.flush());
    assert_eq!((flushed.flushed, flushed.remaining), (2, 4));
    assert_eq!(flushed.failure, Some(SinkError::Rejected(rejected)));
    assert_eq!(breaker.log().answers.len(), 0);
    assert_eq!(run(sink.flush()).flushed, 4);
    assert_eq!(run(sink.flush()).failure, None);
}

#[test]
fn hooks_that_panic_lose_nothing() {
    struct Wild(&'static str);
    struct WildPass(&'static str);
    impl BulkGate for Wild {
        fn admit(&self) -> Result<Box<dyn BulkPass>, Rejected> {
            assert_ne!(self.0, "admit");
            Ok(Box::new(WildPass(self.0)))
        }
    }
    impl BulkPass for WildPass {
        fn may_retry(&self) -> bool {
            assert_ne!(self.0, "may_retry");
            true
        }
        fn end(self: Box<Self>, _: BatchOutcome) {
            assert_ne!(self.0, "end");
        }
    }
    for wild in ["admit", "may_retry", "end", "retry"] {
        let store = Store::new([Does::Fail]);
        let sink = BulkSink::builder()
            .batch_size(2)
            .max_concurrent(1)
            .retry(move |failures, _: &&str| {
                assert_ne!(wild, "retry");
                (failures < 2).then_some(Duration::ZERO)
            })
            .gate(Wild(wild))
            .timer(ManualClock::new())
            .build(store.clone())
            .unwrap();
        let inserted = run(sink.insert((0..4).collect()));
        let expected = match wild {
            "admit" => 4,
            "end" => 0,
            _ => 2,
        };
        assert_eq!(
            (inserted.failed, sink.buffered()),
            (expected, expected),
            "{wild}"
        );
        assert_adds_up(&sink);
    }
}

#[test]
fn a_full_buffer_drops_its_oldest_items_and_counts_them() {
    let store = Store::new([Does::Fail, Does::Fail, Does::Fail]);
    let sink = BulkSink::builder()
        .batch_size(10)
        .buffer(5)
        .build(store.clone())
        .unwrap();
    let first = run(sink.insert((0..3).collect()));
    assert_eq!((first.buffered, first.dropped, first.displaced), (3, 0, 0));
    let second = run(sink.insert((3..7).collect()));
    assert_eq!(
        (second.buffered, second.dropped, second.displaced),
        (4, 0, 2)
    );
    let third = run(sink.insert((7..15).collect()));
    assert_eq!((third.buffered, third.dropped, third.displaced), (5, 3, 5));
    assert_eq!(third.stored + third.buffered + third.dropped, 8);
    assert_eq!(sink.stats().dropped, 10);
    assert_adds_up(&sink);
    assert_eq!(sink.take_buffered(), [10, 11, 12, 13, 14]);
}

#[test]
fn the_buffer_is_in_order_of_age_whichever_batch_fails_first() {
    let store = Store::default();
    let clock = ManualClock::new();
    // The first batch fails last.
    let sink = BulkSink::builder()
        .batch_size(2)
        .max_concurrent(3)
        .build({
            let clock = clock.clone();
            move |batch: &[u32]| {
                let sleep = clock.sleep(SECOND * (10 - batch[0]));
                async move {
                    sleep.await;
                    Err::<(), _>("is down")
                }
            }
        })
        .unwrap();
    run_with(&clock, sink.insert((0..6).collect()));
    assert_eq!(sink.take_buffered(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(store.calls().len(), 0);
}

#[test]
fn what_a_flush_cannot_store_keeps_its_place() {
    let store = Store::new([Does::Fail, Does::Fail]);
    let sink = sink(3, 1, &store);
    run(sink.insert((0..6).collect()));
    store.tell([Does::Fail, Does::Refuse(vec![4])]);
    let flushed = run(sink.flush());
    assert_eq!(
        (flushed.flushed, flushed.remaining, flushed.dropped),
        (2, 4, 0)
    );
    assert_eq!(
        flushed.failure,
        Some(SinkError::CallFailed(Arc::new("is down")))
    );
    assert_eq!(
        sink.clone().take_buffered(),
        [0, 1, 2, 4],
        "a clone is the same sink"
    );
    assert_eq!(store.calls()[2..], [vec![0, 1, 2], vec![3, 4, 5]]);
}

#[test]
fn what_comes_during_a_flush_is_left_to_the_next() {
    let store = Store::default();
    let sink = sink(2, 1, &store);
    drop(sink.insert((0..4).collect()));
    let mut flush = Box::pin(sink.flush());
    let mut context = Context::from_waker(Waker::noop());
    assert!(flush.as_mut().poll(&mut context).is_pending());
    drop(sink.insert(vec![4, 5]));
    let flushed = run(flush);
    assert_eq!((flushed.flushed, flushed.remaining), (4, 2));
    assert_eq!(sink.take_buffered(), [4, 5]);
}

#[test]
fn two_flushes_at_a_time_send_no_item_twice() {
    let store = Store::new(vec![Does::Fail; 10]);
    let sink = sink(5, 4, &store);
    run(sink.insert((0..50).collect()));
    let calls = store.calls().len();
    let (first, second) = run(async { tokio::join!(sink.flush(), sink.flush()) });
    assert!(first.flushed > 0 && second.flushed > 0);
    let sum = first.flushed + second.flushed;
    assert_eq!((sum, store.calls().len() - calls), (50, 10));
}

#[test]
fn strict_order_stops_at_the_first_failure() {
    let store = Store::new([Does::Succeed, Does::Fail]);
    let sink = strict(2, &store);
    let inserted = run(sink.insert((0..8).collect()));
    assert_eq!(store.calls(), [vec![0, 1], vec![2, 3]]);
    assert_eq!(
        inserted.results[2],
        Err(SinkError::CallFailed(Arc::new("is down")))
    );
    assert_eq!(inserted.results[4..], vec![Err(SinkError::NotTried); 4]);
    assert_eq!((inserted.stored, inserted.buffered), (2, 6));

    // What is older goes first.
    let inserted = run(sink.insert(vec![8, 9]));
    assert_eq!((inserted.flushed, inserted.stored), (6, 2));
    assert_eq!(store.confirmed(), Vec::from_iter(0..10));
    assert_eq!(store.peak(), 1);

    store.tell([Does::Fail]);
    let inserted = run(sink.insert((10..13).collect()));
    assert_eq!(inserted.failed, 3);
    store.tell([Does::Fail]);
    let flushed = run(sink.flush());
    assert_eq!((flushed.flushed, flushed.remaining), (0, 3));
    assert_eq!(store.calls().len(), 8, "one failed call each");
    assert_eq!(run(sink.flush()).flushed, 3);
    assert_eq!(store.confirmed(), Vec::from_iter(0..13));
}

#[test]
fn strict_order_holds_between_inserts_that_wait_for_each_other() {
    let store = Store::default();
    let sink = strict(2, &store);
    let mut first = Box::pin(sink.insert((0..3).collect()));
    let mut second = Box::pin(sink.insert((3..5).collect()));
    let mut third = Box::pin(sink.insert((5..9).collect()));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
    }
    drop(first); // while its first batch is under way
    drop(second); // while it waits
    let inserted = run(third);
    assert_eq!((inserted.flushed, inserted.stored), (5, 4));
    assert_eq!(store.confirmed(), Vec::from_iter(0..9));
}

#[test]
fn an_insert_that_is_never_polled_is_in_the_buffer() {
    let store = Store::default();
    let sink = sink(2, 1, &store);
    let future = sink.insert((0..3).collect());
    assert_eq!(sink.stats().in_flight, 3);
    drop(future);
    assert_eq!(sink.stats().in_flight, 0);
    assert_eq!(sink.take_buffered(), [0, 1, 2]);
    assert_adds_up(&sink);
}

/// Drops an insert and a flush at every poll; each item is confirmed or in the buffer, in order.
#[test]
fn a_call_dropped_at_any_poll_loses_no_item() {
    for strict_order in [false, true] {
        for flushes in [false, true] {
            let mut halves = 0;
            for times in 0.. {
                let clock = ManualClock::new();
                let store = Store::default();
                let sink = BulkSink::builder()
                    .batch_size(2)
                    .max_concurrent(2)
                    .strict_order(strict_order)
                    .retry(|failures, _: &&str| (failures < 3).then_some(SECOND))
                    .timer(clock.clone())
                    .build(store.clone())
                    .unwrap();
                if flushes {
                    drop(sink.insert((0..12).collect()));
                }
                store.tell([
                    Does::Refuse(vec![1]),
                    Does::Fail,
                    Does::Succeed,
                    Does::Refuse(vec![5]),
                ]);
                let ended = match flushes {
                    true => drop_after(&clock, sink.flush(), times),
                    false => drop_after(&clock, sink.insert((0..12).collect()), times),
                };
                let confirmed = store.confirmed();
                let stats = sink.stats();
                assert_eq!(
                    (stats.in_flight, stats.given),
                    (0, 12),
                    "dropped after {times} polls"
                );
                assert_eq!(stats.stored, confirmed.len() as u64);
                assert_adds_up(&sink);
                let buffered = sink.take_buffered();
                assert!(buffered.is_sorted());
                let all: BTreeSet<u32> = confirmed.iter().chain(&buffered).copied().collect();
                assert_eq!((all.len(), confirmed.len() + buffered.len()), (12, 12));
                assert_eq!(clock.sleeping(), 0);
                halves += usize::from(!confirmed.is_empty() && !buffered.is_empty());
                if ended {
                    break;
                }
            }
            assert!(halves > 5, "the test has dropped it half way");
        }
    }
}

#[test]
fn a_dropped_insert_frees_its_turn_and_reports_no_outcome() {
    let breaker = Breaker::default();
    let store = Store::new([Does::Hang]);
    let sink = BulkSink::builder()
        .max_concurrent(1)
        .gate(breaker.clone())
        .build(store.clone())
        .unwrap();
    let mut stuck = Box::pin(sink.insert(vec![1]));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..5 {
        assert!(stuck.as_mut().poll(&mut context).is_pending());
    }
    drop(stuck);
    assert!(run(sink.insert(vec![2])).is_complete());
    let log = breaker.log();
    assert_eq!((log.admitted, log.unseen), (2, 1));
    assert_eq!(log.outcomes, [BatchOutcome::Stored]);
    drop(log);
    assert_eq!(sink.take_buffered(), [1]);
}

#[test]
fn a_cancelled_sink_buffers_what_it_has_and_what_comes() {
    for cancels in [true, false] {
        let token = CancelToken::new();
        let store = Store::default();
        let sink = BulkSink::builder()
            .batch_size(2)
            .max_concurrent(2)
            .buffer(5)
            .cancel_with(&token)
            .build(store.clone())
            .unwrap();
        let mut insert = Box::pin(sink.insert((0..10).collect()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(insert.as_mut().poll(&mut context).is_pending());
        if cancels {
            token.cancel()
        } else {
            token.drain()
        }
        let inserted = run(insert);
        let stored = if cancels { 0 } else { 4 };
        assert_eq!((inserted.stored, inserted.buffered), (stored, 5));
        assert_eq!(inserted.dropped, 5 - stored);
        let cancelled = |result: &Result<_, _>| *result == Err(SinkError::Cancelled);
        assert!(inserted.results[stored..].iter().all(cancelled));
        let later = run(sink.insert(vec![10]));
        assert!(cancelled(&later.results[0]));
        assert_eq!(run(sink.flush()).flushed, 0);
        assert_eq!(sink.take_buffered(), [6, 7, 8, 9, 10]);
        assert_adds_up(&sink);
    }
}

#[test]
fn zero_is_refused_for_every_size() {
    let builder = || BulkSink::<u32, Store>::builder();
    for (field, builder) in [
        ("batch_size", builder().batch_size(0)),
        ("max_concurrent", builder().max_concurrent(0)),
        ("buffer", builder().buffer(0)),
    ] {
        let expected = ConfigError::OutOfRange {
            field,
            value: 0,
            min: 1,
            max: 1 << 20,
        };
        assert_eq!(builder.build(Store::default()).unwrap_err(), expected);
    }
}

#[test]
fn items_whose_destructors_panic_are_counted_all_the_same() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let sink = BulkSink::builder()
        .batch_size(2)
        .max_concurrent(1)
        .buffer(1)
        .build({
            let calls = AtomicUsize::new(0);
            move |_: &[Bomb]| {
                let succeeds = calls.fetch_add(1, Ordering::Relaxed) == 0;
                async move { succeeds.then_some(()).ok_or(()) }
            }
        })
        .unwrap();
    let inserted = run(sink.insert(vec![Bomb, Bomb, Bomb, Bomb]));
    assert_eq!(
        (inserted.stored, inserted.buffered, inserted.dropped),
        (2, 1, 1)
    );
    std::mem::forget(sink.take_buffered());
}

#[test]
fn sinks_and_their_calls_cross_threads() {
    fn crosses<T: Send + 'static>(_: &T) {}
    fn shared<T: Sync>(_: &T) {}
    let sink = BulkSink::builder().build(|batch: &[String]| {
        let body = batch.concat();
        async move { if body.is_empty() { Err(body) } else { Ok(()) } }
    });
    let sink = sink.unwrap();
    shared(&sink);
    crosses(&sink.insert(vec![String::new()]));
    crosses(&sink.flush());
}

/// Many tasks on several threads, some of them dropped: the counts add up in the end.
#[test]
fn counts_add_up_when_threads_insert_flush_and_drop() {
    within_a_minute(|| {
        let store = Store::new((0..200).map(|n| match n % 3 {
            0 => Does::Fail,
            1 => Does::Refuse(vec![n, n + 1, n + 2]),
            _ => Does::Succeed,
        }));
        let sink = BulkSink::builder()
            .batch_size(3)
            .max_concurrent(2)
            .buffer(20)
            .build(store.clone())
            .unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let sink = sink.clone();
                scope.spawn(move || {
                    for n in 0..50_u32 {
                        let items = (n * 10..n * 10 + n % 10).collect();
                        let insert = sink.insert(items);
                        if n % 5 == thread {
                            drop_after(&ManualClock::new(), insert, n as usize % 4);
                        } else {
                            block_on(insert);
                        }
                        if n % 7 == 0 {
                            block_on(sink.flush());
                        }
                        assert_adds_up(&sink);
                    }
                });
            }
        });
        let stats = sink.stats();
        assert_eq!((stats.given, stats.in_flight), (4 * 5 * 45, 0));
        assert_eq!(stats.stored, store.confirmed().len() as u64);
        assert_eq!(sink.take_buffered().len() as u64, stats.buffered);
    });
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without threads").block_on(future)
}

#[cfg(feature = "serde")]
#[test]
fn counts_are_data_and_refuse_unknown_fields() {
    let sink = sink(2, 1, &Store::new([Does::Fail]));
    run(sink.insert(vec![1, 2, 3]));
    let text = serde_json::to_string(&sink.stats()).unwrap();
    let expected =
        r#"{"given":3,"stored":1,"buffered":2,"in_flight":0,"dropped":0,"taken":0,"calls":2}"#;
    assert_eq!(text, expected);
    let back: brolly_batch::SinkStats = serde_json::from_str(&text).unwrap();
    assert_eq!(back, sink.stats());
    let more = text.replace("given", "got");
    assert!(serde_json::from_str::<brolly_batch::SinkStats>(&more).is_err());
}

#[test]
fn sinks_that_share_a_limiter_share_its_bound() {
    let store = Store::default();
    let limiter = Limiter::new(3).unwrap();
    let sinks: Vec<_> = (0..3)
        .map(|_| {
            let builder = BulkSink::builder().batch_size(2).max_concurrent(2);
            builder.limiter(&limiter).build(store.clone()).unwrap()
        })
        .collect();
    let items = || (0..20).collect();
    let (first, second, third) = run(async {
        tokio::join!(
            sinks[0].insert(items()),
            sinks[1].insert(items()),
            sinks[2].insert(items())
        )
    });
    assert!(first.is_complete() && second.is_complete() && third.is_complete());
    assert_eq!(store.peak(), 3);

    // What waits for the limiter when it is dropped is in the buffer.
    let _all = [(); 3].map(|()| limiter.try_acquire().unwrap());
    drop_after(&ManualClock::new(), sinks[0].insert(items()), 3);
    assert_eq!(sinks[0].buffered(), 20);
    assert_eq!(limiter.pool().waiting(), 0);
}

/// The item holds the permit and waits for its turn; the other call must not hold the turn and
/// wait for the permit.
#[test]
fn an_item_of_the_limiter_and_another_call_do_not_wait_for_each_other() {
    for strict_order in [false, true] {
        let store = Store::default();
        let limiter = Limiter::new(1).unwrap();
        let sink = BulkSink::builder()
            .max_concurrent(1)
            .strict_order(strict_order)
            .limiter(&limiter)
            .build(store.clone())
            .unwrap();
        let item = limiter.run(async {
            yield_times(2).await;
            sink.insert(vec![1]).await
        });
        let (within, beside) = run(async { tokio::join!(item, sink.insert(vec![2])) });
        assert!(within.is_complete() && beside.is_complete());
        assert_eq!(store.peak(), 1);
        assert_eq!(limiter.pool().active(), 0);
    }
}

#[test]
fn batches_that_wait_for_their_turn_keep_no_permit() {
    let store = Store::new([Does::Hang]);
    let limiter = Limiter::new(4).unwrap();
    let builder = BulkSink::builder().batch_size(1).max_concurrent(1);
    let sink = builder.limiter(&limiter).build(store).unwrap();
    let mut calls: Vec<_> = (0..4).map(|n| Box::pin(sink.insert(vec![n]))).collect();
    let mut context = Context::from_waker(Waker::noop());
    for call in &mut calls {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(limiter.pool().active(), 1);
}

#[test]
fn a_drained_sink_starts_no_batch_that_was_in_line() {
    let token = CancelToken::new();
    let store = Store::default();
    let sink = BulkSink::builder()
        .max_concurrent(1)
        .cancel_with(&token)
        .build(store.clone())
        .unwrap();
    let mut first = Box::pin(sink.insert(vec![1]));
    let mut second = Box::pin(sink.insert(vec![2]));
    let mut context = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    token.drain();
    let (first, second) = run(async { tokio::join!(first, second) });
    assert!(first.is_complete());
    assert_eq!(second.results, [Err(SinkError::Cancelled)]);
    assert_eq!(store.calls(), [[1]]);
    assert_eq!(sink.take_buffered(), [2]);
    assert_adds_up(&sink);
}

#[test]
fn what_was_confirmed_before_a_cancellation_is_reported_as_stored() {
    for strict_order in [false, true] {
        let clock = ManualClock::new();
        let token = CancelToken::new();
        let store = Store::new([Does::Fail, Does::Refuse(vec![3]), Does::Fail]);
        let sink = BulkSink::builder()
            .batch_size(4)
            .strict_order(strict_order)
            .retry(|_: u32, error: &&str| (*error == "refused").then_some(SECOND))
            .timer(clock.clone())
            .cancel_with(&token)
            .build(store.clone())
            .unwrap();
        assert_eq!(run(sink.insert((1..5).collect())).buffered, 4);

        // The flush is cancelled while the item that was refused waits for its next attempt.
        let mut flush = Box::pin(sink.flush());
        let mut context = Context::from_waker(Waker::noop());
        while clock.next_deadline().is_none() {
            assert!(flush.as_mut().poll(&mut context).is_pending());
        }
        token.cancel();
        let flushed = run(flush);
        assert_eq!((flushed.flushed, flushed.remaining), (3, 1));
        assert_eq!(flushed.failure, Some(SinkError::Cancelled));
        assert_adds_up(&sink);
    }
    let clock = ManualClock::new();
    let token = CancelToken::new();
    let sink = BulkSink::builder()
        .batch_size(4)
        .max_concurrent(1)
        .retry(|_: u32, _: &&str| Some(SECOND))
        .timer(clock.clone())
        .cancel_with(&token)
        .build(Store::new([Does::Succeed, Does::Refuse(vec![5, 7])]))
        .unwrap();
    let mut insert = Box::pin(sink.insert((0..12).collect()));
    let mut context = Context::from_waker(Waker::noop());
    while clock.next_deadline().is_none() {
        assert!(insert.as_mut().poll(&mut context).is_pending());
    }
    token.cancel();
    let inserted = run(insert);
    let stored = |n| [0, 1, 2, 3, 4, 6].contains(&n);
    for (n, result) in inserted.results.iter().enumerate() {
        assert_eq!(result.is_ok(), stored(n), "{n}");
    }
    assert_eq!(
        (inserted.stored, inserted.failed, inserted.buffered),
        (6, 6, 6)
    );
    assert_eq!(sink.stats().stored, 6);
    assert_eq!(sink.take_buffered(), [5, 7, 8, 9, 10, 11]);
}

#[test]
fn a_waker_of_another_call_that_panics_costs_a_batch_nothing() {
    struct Bomb;

    impl std::task::Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }

    let sink = sink(1, 1, &Store::default());
    let mut first = Box::pin(sink.insert(vec![1]));
    let mut second = Box::pin(sink.insert(vec![2]));
    let mut context = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    let bomb = Waker::from(Arc::new(Bomb));
    let mut bombed = Context::from_waker(&bomb);
    assert!(second.as_mut().poll(&mut bombed).is_pending());
    assert!(run(first).is_complete());
    assert!(run(second).is_complete());
}

#[test]
fn the_youngest_of_many_that_come_back_stay() {
    let sink = sink(10, 1, &Store::default());
    drop(sink.insert((0..100_000).collect()));
    let stats = sink.stats();
    assert_eq!((stats.buffered, stats.dropped), (500, 99_500));
    assert!(sink.take_buffered().into_iter().eq(99_500..100_000));
}

/// Who has them may never give them back.
#[test]
fn a_call_in_line_for_a_turn_or_a_permit_ends_when_its_sink_is_stopped() {
    for (strict_order, cancels, has_limiter) in [false, true]
        .map(|a| [false, true].map(|b| [false, true].map(|c| (a, b, c))))
        .into_iter()
        .flatten()
        .flatten()
    {
        let token = CancelToken::new();
        let limiter = Limiter::new(1).unwrap();
        let mut builder = BulkSink::builder().max_concurrent(1).cancel_with(&token);
        if has_limiter {
            builder = builder.limiter(&limiter);
        }
        let builder = builder.strict_order(strict_order);
        let sink = builder.build(Store::new([Does::Hang])).unwrap();
        let mut stuck = Box::pin(sink.insert(vec![1]));
        let mut second = Box::pin(sink.insert(vec![2]));
        let mut context = Context::from_waker(Waker::noop());
        assert!(stuck.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        match cancels {
            true => token.cancel(),
            false => token.drain(),
        }
        assert_eq!(run(second).results, [Err(SinkError::Cancelled)]);
        drop(stuck);
        assert_eq!(sink.take_buffered(), [1, 2]);
        assert_eq!(limiter.pool().active(), 0);
        assert_adds_up(&sink);
    }
}

#[test]
fn a_call_dropped_at_any_poll_leaves_turns_and_permits_to_others() {
    for strict_order in [false, true] {
        for polls in 0..30 {
            let store = Store::default();
            let limiter = Limiter::new(1).unwrap();
            let sink = BulkSink::builder()
                .batch_size(2)
                .max_concurrent(1)
                .strict_order(strict_order)
                .limiter(&limiter)
                .build(store.clone())
                .unwrap();
            let other = limiter.try_acquire().unwrap();
            let mut first = Box::pin(sink.insert((0..5).collect()));
            let mut second = Box::pin(sink.insert((5..10).collect()));
            let mut context = Context::from_waker(Waker::noop());
            let mut other = Some(other);
            let mut is_over = false;
            for poll in 0..polls {
                if poll == 3 {
                    other = None;
                }
                is_over = is_over || first.as_mut().poll(&mut context).is_ready();
                assert!(second.as_mut().poll(&mut context).is_pending() || is_over);
                if is_over {
                    break;
                }
            }
            drop(other);
            drop(first);
            match is_over {
                true => drop(second),
                false => assert!(run(second).is_complete()),
            }
            assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
            assert!(run(sink.insert(vec![10])).is_complete());
            assert_adds_up(&sink);
        }
    }
}
