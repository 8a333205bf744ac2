#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod buckets;
mod encode;
mod error;
mod histogram_snapshot;
mod kind;
mod log_linear;
mod snapshot;
mod unit;

pub use buckets::{Bounds, Buckets};
pub use encode::Format;
pub use error::{BucketsError, MergeError, QuantileError, SnapshotMergeError};
pub use histogram_snapshot::HistogramSnapshot;
pub use kind::Kind;
pub use log_linear::Precision;
pub use snapshot::{
    FamilySnapshot, GaugeMerge, GaugeSnapshot, SeriesSnapshot, Snapshot, SummarySnapshot,
};
pub use unit::Unit;
