#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

mod builder;
mod config;
mod controller;
mod core;
mod error;
mod event;
mod file;
mod gate;
mod guard;
mod line;
mod managed;
mod manager;
mod offload;
mod panics;
mod places;
mod pool;
mod pools;
mod primitive;
mod reports;
mod router;
mod scope;
mod shared;
mod spawn;
#[cfg(feature = "tcp")]
mod tcp;
mod time;
mod upkeep;
mod workers;

pub use builder::PoolBuilder;
pub use config::{Check, OnCreateError, Order};
pub use controller::{Controller, ControllerBuilder, Resized};
pub use error::{
    AcquireError, AddError, AddRefused, ConfigError, CreateError, RunError, Timeout,
    TryAcquireError, WarmUpError,
};
pub use event::Event;
pub use file::{FileError, FileManager};
pub use gate::{Gate, Made, Pass, Refused};
pub use guard::{Guard, OwnedGuard};
pub use managed::{Close, Managed};
pub use manager::{Blocking, BlockingManager, CloseReason, Manager, Usage};
pub use offload::{Away, BlockingJob, Offloaded, RunBlocking, Threads};
pub use pool::Pool;
pub use pools::{AnyPool, Pools, RegisterError};
pub use reports::demand::{Demand, Scale, Signal, scaling_signal};
pub use reports::health::HealthError;
pub use reports::holders::{DrainReport, Holder, Site, SiteHolders};
pub use reports::stats::{HoldStats, Stats, WaitStats};
pub use router::{
    AddTargetError, Ejection, Fallback, Lease, OwnedLease, PickError, PickReason, Query, Router,
    RouterBuilder, RouterStats, Strategy, Target, TargetError, TargetHealth, TargetStats,
};
pub use scope::{
    Cleanup, CleanupCause, CleanupError, CleanupErrors, Kept, ManageError, ManageRefused,
    ResourceScope, ResourceScopeBuilder, ScopeEntry, ScopeError,
};
#[cfg(feature = "tcp")]
#[cfg_attr(docsrs, doc(cfg(feature = "tcp")))]
pub use tcp::{TcpError, TcpManager, TcpManagerBuilder};
pub use workers::{
    Job, JobError, ScaleError, StopReport, SubmitError, SubmitRefused, WorkerState, WorkerStats,
    Workers, WorkersBuilder,
};
