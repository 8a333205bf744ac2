#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adaptive_limit;
mod batcher;
mod cancel;
mod config;
mod control;
mod dag;
mod drive;
mod error;
mod gather;
mod limiter;
mod map;
mod panic;
mod primitive;
mod priority_queue;
mod processor;
mod retry;
mod sink;
mod slots;
mod threads;
mod throttle;
mod woken;
mod work;
mod worker_pool;

pub use batcher::{
    BatchError, Batcher, BatcherBuilder, BatcherStats, Close, Submit, TrySubmitError,
};
pub use cancel::{CancelToken, Cancelled, Stopped};
pub use dag::{Dag, DagError, DagErrors, DenseDag, Levels, Node, Outcome};
pub use error::{ConfigError, ItemError};
pub use map::Map;
pub use panic::Panic;
pub use priority_queue::{Popped, PriorityQueue, PriorityQueueBuilder, PushError, Urgency};
pub use processor::{BatchProcessor, BatchProcessorBuilder};
pub use retry::RetryPolicy;
pub use worker_pool::{Permit, WorkerPool};
