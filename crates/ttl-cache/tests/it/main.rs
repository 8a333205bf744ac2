//! What the cache promises, one module per topic.

mod adaptive_ttl;
mod bad_input;
mod cached;
mod capacity;
mod check;
mod compressed;
mod config;
mod drops;
mod entry;
mod limits;
mod load;
mod load_cancel;
mod maintain;
mod memoize;
mod model;
mod optimistic;
mod peers_loading;
mod pressure;
mod refresh;
mod snapshot;
mod stats;
mod str_key;
mod support;
mod tags;
mod torn;
mod transaction;
