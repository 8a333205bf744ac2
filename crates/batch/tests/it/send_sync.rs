//! Auto traits and sizes are part of the interface; this file fails to compile when one is lost.

use std::marker::PhantomPinned;
use std::time::Duration;

use brolly_batch::{
    AdaptiveBatchSize, BatchProcessor, CancelToken, Cancelled, ConfigError, Dag, DagErrors,
    DagRunner, DenseDag, DurationEstimates, FirstFailure, Flushed, GatherError, Gathered, Inserted,
    ItemError, LinearRetry, Map, Outcome, Panic, Permit, PriorityQueue, Progress, PushError,
    Rejected, SourceError, Stopped, Throttle, Throttled, WorkerPool,
};

fn is_send<T: Send>(_: &T) {}
fn is_unpin<T: Unpin>(_: &T) {}
const fn crosses_threads<T: Send + Sync + Unpin + 'static>() {}

#[test]
fn handles_and_errors_cross_threads() {
    crosses_threads::<BatchProcessor>();
    crosses_threads::<CancelToken>();
    crosses_threads::<Cancelled>();
    crosses_threads::<Stopped>();
    crosses_threads::<WorkerPool>();
    crosses_threads::<Permit>();
    crosses_threads::<brolly_batch::Acquire>();
    crosses_threads::<brolly_batch::AcquireMany>();
    crosses_threads::<brolly_batch::WaitForCapacity>();
    crosses_threads::<brolly_batch::WeightError>();
    crosses_threads::<brolly_batch::Limiter>();
    crosses_threads::<brolly_batch::LimiterPermit>();
    crosses_threads::<brolly_batch::AcquireLimiter>();
    crosses_threads::<brolly_batch::AdaptiveLimit>();
    crosses_threads::<brolly_batch::LimitSample>();
    crosses_threads::<brolly_batch::AcquireSample>();
    crosses_threads::<Dag<String>>();
    crosses_threads::<DenseDag>();
    crosses_threads::<ConfigError>();
    crosses_threads::<PriorityQueue<u8>>();
    crosses_threads::<PushError<u8>>();
    crosses_threads::<Throttle>();
    crosses_threads::<Throttled>();
    crosses_threads::<DagErrors<String>>();
    crosses_threads::<ItemError<String>>();
    crosses_threads::<Outcome<u8, String>>();
    crosses_threads::<Gathered<u8, String, String>>();
    crosses_threads::<GatherError<String>>();
    crosses_threads::<SourceError<String>>();
    crosses_threads::<Inserted<String>>();
    crosses_threads::<Flushed<String>>();
    crosses_threads::<Rejected>();
    crosses_threads::<DagRunner<'_, Dag<String>>>();
    crosses_threads::<DurationEstimates<String>>();
}

#[test]
fn futures_are_send_when_what_they_run_is() {
    let processor = BatchProcessor::builder().build().unwrap();
    let map = processor.map(0..3, |n| async move { Ok::<_, ()>(n) });
    is_send(&map);
    let dag = Dag::from_dependencies([("a", [])]).unwrap();
    is_send(&dag.run(1, |node| async move { Ok::<_, ()>(node.index) }));
    let estimates = DurationEstimates::builder().build().unwrap();
    let runner = dag.runner().cancel_with(&CancelToken::new());
    let runner = runner.estimates(&estimates).deadline(Duration::MAX);
    is_send(&runner.run(|node| async move { Ok::<_, ()>(node.index) }));
    let pool = WorkerPool::new(1).unwrap();
    is_send(&pool.acquire());
    let throttle = Throttle::builder().build().unwrap();
    is_send(&throttle.admit());
    let queue = PriorityQueue::<u8>::builder().build().unwrap();
    is_send(&queue.pop());
}

#[test]
fn forms_of_a_map_are_send_when_what_they_run_is() {
    let processor = BatchProcessor::builder().build().unwrap();
    let map = || processor.map(0..3, |n| async move { Ok::<_, ()>(n) });
    let once = LinearRetry::new(1, std::time::Duration::ZERO);
    let (progress, publish) = Progress::channel();
    is_send(&map().retry(once).on_progress(publish));
    is_send(&map().fail_fast());
    is_send(&map().collect_errors());
    let mut ordered = map().ordered();
    is_send(&ordered.next());
    let mut spawned = map().as_completed().spawned(&|task| drop(task));
    is_send(&spawned.next());
    let batches = processor.map_batches(0..3, |batch| async move { Ok::<_, ()>(batch) });
    is_send(&batches.retry(once).bisect());
    is_send(&progress);
    crosses_threads::<AdaptiveBatchSize>();
    crosses_threads::<Progress>();
    crosses_threads::<FirstFailure<String>>();
}

#[test]
fn a_map_can_be_moved_while_its_futures_cannot() {
    let processor = BatchProcessor::builder().build().unwrap();
    let map: Map<_, _, _, (), ()> = processor.map([()], |()| async {
        let pinned = PhantomPinned;
        std::future::ready(()).await;
        let _held_across_the_await = &pinned;
        Ok(())
    });
    is_unpin(&map);
}

#[test]
fn permits_stay_small() {
    assert_eq!(size_of::<Permit>(), 16);
    assert_eq!(size_of::<Option<Permit>>(), 16);
    assert!(size_of::<brolly_batch::LimiterPermit>() <= 64);
}

#[test]
fn results_stay_small() {
    assert_eq!(size_of::<Panic>(), size_of::<usize>());
    assert_eq!(size_of::<Result<u64, ItemError<()>>>(), 16);
    assert_eq!(size_of::<Result<String, ItemError<String>>>(), 32);
}
