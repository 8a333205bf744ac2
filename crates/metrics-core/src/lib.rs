#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod buckets;
mod cells;
mod counter;
mod definition;
mod encode;
mod error;
mod family;
mod family_core;
mod gauge;
mod histogram;
mod histogram_snapshot;
mod index;
mod kind;
mod local;
mod log_linear;
mod metric;
mod name;
mod numbers;
mod page;
mod primitive;
mod recipe;
mod registry;
mod shards;
mod snapshot;
mod summary;
mod ticks;
mod timer;
mod tree;
mod unit;

pub use buckets::{Bounds, Buckets};
pub use counter::Counter;
pub use definition::{Definition, FamilyDefinition};
pub use encode::Format;
pub use family::Family;
pub use gauge::{Gauge, IntGauge, Tracked};
pub use histogram::Histogram;
pub use error::{
    BucketsError, MergeError, QuantileError, RegisterError, SnapshotMergeError,
};
pub use histogram_snapshot::HistogramSnapshot;
pub use kind::Kind;
pub use log_linear::Precision;
pub use metric::Instrument;
pub use registry::{Registry, RegistryBuilder, default_registry};
pub use snapshot::{
    FamilySnapshot, GaugeMerge, GaugeSnapshot, SeriesSnapshot, Snapshot, SummarySnapshot,
};
pub use summary::Summary;
pub use timer::{Outcome, Timer, TimerGuard};
pub use unit::Unit;
