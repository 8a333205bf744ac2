//! What users of the store are promised.

#![cfg(unix)]

mod atomic;
mod bad_input;
mod behaviour;
mod cancel;
mod cost;
mod fresh;
mod locks;
mod model;
mod origins;
mod paths;
mod processes;
mod send_sync;
mod shared;
mod support;
