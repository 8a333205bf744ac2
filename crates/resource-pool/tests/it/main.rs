//! What the pool promises, one module per topic.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod abuse;
mod acquire;
mod blocking;
mod cancel;
mod check;
mod close;
mod config;
mod controller;
mod create;
mod demand;
mod edges;
mod file;
mod gate;
mod health;
mod holders;
mod hooks;
mod lifetime;
mod limits;
mod managed;
mod many;
mod model;
mod offload;
mod origin;
mod panic;
mod peers;
mod resize;
mod router;
mod router_health;
mod router_model;
mod router_query;
mod scope;
mod scope_cancel;
mod scope_model;
mod send_sync;
mod sizes;
mod stats;
mod support;
#[cfg(feature = "tcp")]
mod tcp;
mod threads;
mod workers;
