#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

mod acquire;
mod admit;
mod attempts;
mod builder;
#[expect(unsafe_code, reason = "a cell whose turn the bit of its place says")]
mod cell;
mod check;
mod close;
mod config;
mod controller;
mod core;
mod create;
mod crew;
mod demand;
mod error;
mod event;
mod file;
mod gate;
mod guard;
mod health;
mod holders;
#[expect(unsafe_code, reason = "whoever clears a bit is alone with the cell")]
mod idle_set;
mod janitor;
mod label;
mod limit;
mod loan;
mod managed;
mod manager;
mod offload;
mod panics;
mod pool;
mod pools;
mod primitive;
mod queue;
mod record;
mod report;
mod router;
mod scope;
mod shared;
mod spawn;
mod stats;
#[cfg(feature = "tcp")]
mod tcp;
mod time;
mod wait;
mod workers;

pub use builder::PoolBuilder;
pub use config::{Check, OnCreateError, Order};
pub use controller::{Controller, ControllerBuilder, Resized};
pub use demand::{Demand, Scale, Signal, scaling_signal};
pub use error::{
    AcquireError, AddError, AddRefused, ConfigError, CreateError, RunError, Timeout,
    TryAcquireError, WarmUpError,
};
pub use event::Event;
pub use file::{FileError, FileManager};
pub use gate::{Gate, Made, Pass, Refused};
pub use guard::{Guard, OwnedGuard};
pub use health::HealthError;
pub use holders::{DrainReport, Holder, Site, SiteHolders};
pub use managed::{Close, Managed};
pub use manager::{Blocking, BlockingManager, CloseReason, Manager, Usage};
pub use offload::{Away, BlockingJob, Offloaded, RunBlocking, Threads};
pub use pool::Pool;
pub use pools::{AnyPool, Pools, RegisterError};
pub use router::{
    AddTargetError, Ejection, Fallback, Lease, OwnedLease, PickError, PickReason, Query, Router,
    RouterBuilder, RouterStats, Strategy, Target, TargetError, TargetHealth, TargetStats,
};
pub use scope::{
    Cleanup, CleanupCause, CleanupError, CleanupErrors, Kept, ManageError, ManageRefused,
    ResourceScope, ResourceScopeBuilder, ScopeEntry, ScopeError,
};
pub use stats::{HoldStats, Stats, WaitStats};
#[cfg(feature = "tcp")]
#[cfg_attr(docsrs, doc(cfg(feature = "tcp")))]
pub use tcp::{TcpError, TcpManager, TcpManagerBuilder};
pub use workers::{
    Job, JobError, ScaleError, StopReport, SubmitError, SubmitRefused, WorkerState, WorkerStats,
    Workers, WorkersBuilder,
};
