//! What the crate promises, one module per topic.

mod batcher;
mod cancel;
mod cancel_token;
mod dag;
mod dag_model;
mod map;
mod panic;
mod priority_queue;
mod send_sync;
mod support;
mod worker_pool;
