#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bridge;
#[cfg(feature = "serde")]
mod dashboard;
mod encode;
mod error;
mod family;
mod instrument;
#[cfg(feature = "serde")]
mod json;
mod kind;
mod primitive;
#[cfg(feature = "process")]
mod process;
mod recording;
mod registry;
mod snapshot;
mod unit;
mod window;

#[cfg(feature = "metrics")]
pub use bridge::metrics_bridge::{BridgeStats, MetricsBridge};
#[cfg(feature = "tracing")]
pub use bridge::tracing_layer::{SpanTime, TracingLayer};
#[cfg(feature = "macros")]
pub use brolly_macros::timed;
pub use encode::Format;
pub use error::{
    BucketsError, MergeError, QuantileError, RegisterError, SnapshotMergeError, WindowsError,
};
pub use family::Family;
pub use family::typed::{StaticLabel, StaticLabels, TypedFamily};
pub use instrument::counter::Counter;
pub use instrument::gauge::{Gauge, IntGauge, Tracked};
pub use instrument::histogram::Histogram;
pub use instrument::metric::Instrument;
pub use instrument::summary::Summary;
pub use instrument::timer::{Outcome, Timer, TimerGuard};
#[cfg(feature = "serde")]
pub use json::{JsonError, WriteError};
pub use kind::Kind;
#[cfg(feature = "process")]
pub use process::profiler::{Profile, Profiler, Profiling, RunningOperation};
#[cfg(feature = "process")]
pub use process::{
    DiskReading, LoadReading, MemoryPressure, MemoryReading, ProcessMonitor, ProcessReader,
    ProcessReading, ReadError, StallKind,
};
#[cfg(brolly_loom)]
#[doc(hidden)]
pub use recording::model;
pub use registry::definition::{Definition, FamilyDefinition, TypedDefinition};
pub use registry::{Registry, RegistryBuilder, default_registry};
pub use snapshot::buckets::{Bounds, Buckets};
pub use snapshot::histogram::HistogramSnapshot;
pub use snapshot::log_linear::Precision;
pub use snapshot::{
    FamilySnapshot, GaugeMerge, GaugeSnapshot, SeriesSnapshot, Snapshot, SummarySnapshot,
};
pub use unit::Unit;
pub use window::Windows;
pub use window::ewma::Ewma;

/// What expansions of `#[timed]` name.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use crate::bridge::timed_site::*;
}
