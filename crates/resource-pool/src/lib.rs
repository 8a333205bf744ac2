#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

mod acquire;
mod builder;
#[expect(unsafe_code, reason = "a cell whose turn the bit of its place says")]
mod cell;
mod check;
mod close;
mod config;
mod core;
mod create;
mod crew;
mod error;
mod event;
mod guard;
mod holders;
#[expect(unsafe_code, reason = "whoever clears a bit is alone with the cell")]
mod idle_set;
mod janitor;
mod limit;
mod loan;
mod manager;
mod panics;
mod pool;
mod primitive;
mod queue;
mod record;
mod shared;
mod stats;
mod time;
mod wait;

pub use builder::PoolBuilder;
pub use config::{Check, OnCreateError, Order};
pub use error::{
    AcquireError, AddError, AddRefused, ConfigError, CreateError, RunError, Timeout,
    TryAcquireError, WarmUpError,
};
pub use event::Event;
pub use guard::{Guard, OwnedGuard};
pub use holders::{DrainReport, Holder, Site, SiteHolders};
pub use manager::{Blocking, BlockingManager, CloseReason, Manager, Usage};
pub use pool::Pool;
pub use stats::{HoldStats, Stats, WaitStats};
