//! What the crate promises, one module per topic.

mod adaptive_limit;
mod cancel;
mod cancel_token;
mod dag;
mod dag_estimates;
mod dag_model;
mod dag_runner;
mod gather;
mod limiter;
mod map;
mod panic;
mod priority_queue;
mod send_sync;
mod sink;
mod sink_model;
mod support;
mod throttle;
mod throttle_process;
mod throttle_runs;
mod worker_pool;
