//! What the crate promises, one module per topic.

mod adaptive_limit;
mod cancel;
mod cancel_token;
mod dag;
mod dag_model;
mod limiter;
mod map;
mod panic;
mod priority_queue;
mod send_sync;
mod support;
mod throttle;
mod worker_pool;
