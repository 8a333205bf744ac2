#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod dag;
mod drive;
mod error;
mod map;
mod panic;
mod primitive;
mod processor;
mod slots;
mod threads;
mod woken;
mod work;
mod worker_pool;

pub use dag::{Dag, DagError, DagErrors, DenseDag, Levels, Node, Outcome};
pub use error::{ConfigError, ItemError};
pub use map::Map;
pub use panic::Panic;
pub use processor::{BatchProcessor, BatchProcessorBuilder};
pub use worker_pool::{Permit, WorkerPool};
