#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod buckets;
mod cells;
mod counter;
#[cfg(feature = "serde")]
mod dashboard;
mod definition;
mod encode;
mod error;
mod ewma;
mod family;
mod family_core;
mod gauge;
mod histogram;
mod histogram_snapshot;
mod index;
#[cfg(feature = "serde")]
mod json;
mod key;
mod kind;
mod local;
mod log_linear;
mod metric;
#[cfg(feature = "metrics")]
mod metrics_bridge;
#[cfg(brolly_loom)]
#[doc(hidden)]
pub mod model;
mod name;
mod numbers;
mod page;
mod primitive;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "process")]
mod profiler;
mod recipe;
mod registry;
mod rows;
mod shards;
mod snapshot;
mod summary;
mod ticks;
#[cfg(feature = "macros")]
mod timed_site;
mod timer;
#[cfg(feature = "tracing")]
mod tracing_layer;
mod tree;
mod typed;
mod unit;
mod window;

#[cfg(feature = "macros")]
pub use brolly_macros::timed;
pub use buckets::{Bounds, Buckets};
pub use counter::Counter;
pub use definition::{Definition, FamilyDefinition, TypedDefinition};
pub use encode::Format;
pub use error::{
    BucketsError, MergeError, QuantileError, RegisterError, SnapshotMergeError, WindowsError,
};
pub use ewma::Ewma;
pub use family::Family;
pub use gauge::{Gauge, IntGauge, Tracked};
pub use histogram::Histogram;
pub use histogram_snapshot::HistogramSnapshot;
#[cfg(feature = "serde")]
pub use json::{JsonError, WriteError};
pub use kind::Kind;
pub use log_linear::Precision;
pub use metric::Instrument;
#[cfg(feature = "metrics")]
pub use metrics_bridge::{BridgeStats, MetricsBridge};
#[cfg(feature = "process")]
pub use process::{
    DiskReading, MemoryPressure, ProcessMonitor, ProcessReader, ProcessReading, ReadError,
};
#[cfg(feature = "process")]
pub use profiler::{Profile, Profiler, Profiling, RunningOperation};
pub use registry::{Registry, RegistryBuilder, default_registry};
pub use snapshot::{
    FamilySnapshot, GaugeMerge, GaugeSnapshot, SeriesSnapshot, Snapshot, SummarySnapshot,
};
pub use summary::Summary;
pub use timer::{Outcome, Timer, TimerGuard};
#[cfg(feature = "tracing")]
pub use tracing_layer::{SpanTime, TracingLayer};
pub use typed::{StaticLabel, StaticLabels, TypedFamily};
pub use unit::Unit;
pub use window::Windows;

/// What expansions of `#[timed]` name.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use crate::timed_site::*;
}
