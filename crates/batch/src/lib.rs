#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adaptive_limit;
mod batcher;
mod batches;
#[cfg(feature = "tokio")]
mod blocking_pool;
mod cancel;
mod config;
mod control;
mod dag;
mod drive;
mod error;
mod gather;
mod herd;
mod limiter;
mod map;
mod modes;
mod panic;
mod planned;
mod primitive;
mod priority_queue;
mod processor;
mod progress;
mod retry;
mod shared_fn;
mod sink;
mod slots;
mod stream;
#[cfg(all(test, brolly_loom))]
mod task_model;
mod threads;
mod throttle;
mod woken;
mod work;
mod worker_pool;

pub use adaptive_limit::{
    AcquireSample, AdaptiveLimit, AdaptiveLimitBuilder, AdaptiveStats, Aimd, Gradient,
    LimitAlgorithm, LimitDecision, LimitReason, LimitSample, Verdict,
};
pub use batcher::{
    BatchError, Batcher, BatcherBuilder, BatcherStats, Close, Submit, TrySubmitError,
};
pub use batches::{
    AdaptiveBatchSize, AdaptiveBatchSizeBuilder, Batched, FailedBatch, MapBatches, NoRetry,
};
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use blocking_pool::OnBlockingPool;
pub use cancel::{CancelToken, Cancelled, Stopped};
pub use dag::{
    Causes, Dag, DagError, DagErrors, DagRunner, DenseDag, DurationEstimates,
    DurationEstimatesBuilder, EstimatesSnapshot, Join, Levels, Node, NodeEstimate, OnFailure,
    Outcome,
};
pub use error::{ConfigError, ItemError};
pub use gather::{Gather, GatherError, Gathered, Gathering, SourceError, gather};
pub use limiter::{AcquireLimiter, Limiter, LimiterPermit};
pub use map::Map;
pub use modes::{CollectErrors, Collected, FailFast, FirstFailure};
pub use panic::Panic;
pub use priority_queue::{Popped, PriorityQueue, PriorityQueueBuilder, PushError, Urgency};
pub use processor::{BatchProcessor, BatchProcessorBuilder};
pub use progress::{BatchDone, Counted, Numbered, Progress, ProgressSnapshot, Watched};
pub use retry::{Attempts, LinearRetry, RetryPolicy};
pub use sink::{
    BatchOutcome, BulkGate, BulkPass, BulkSink, BulkSinkBuilder, BulkStore, Flushed, Inserted,
    Receipt, Rejected, SinkError, SinkStats,
};
#[cfg(feature = "futures-core")]
#[cfg_attr(docsrs, doc(cfg(feature = "futures-core")))]
pub use stream::FromStream;
pub use stream::{FromIter, MapStream, Source, SpawnedStream};
#[cfg(feature = "memory")]
#[cfg_attr(docsrs, doc(cfg(feature = "memory")))]
pub use throttle::{LoadAverage, ProcessMemory, Stalls};
pub use throttle::{
    Pressure, Reading, Throttle, ThrottleBuilder, ThrottleChange, ThrottleEvent, ThrottleStats,
    Throttled,
};
pub use worker_pool::{Acquire, AcquireMany, Permit, WaitForCapacity, WeightError, WorkerPool};
