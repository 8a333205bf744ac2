//! What the cache promises, one module per topic.

mod adaptive_ttl;
mod bad_input;
mod cached;
mod check;
mod compressed;
mod config;
mod entry;
mod limits;
mod load;
mod load_cancel;
mod maintain;
mod memoize;
mod model;
mod peers_loading;
mod pressure;
mod refresh;
mod snapshot;
mod stats;
mod str_key;
mod support;
mod tags;
mod transaction;
