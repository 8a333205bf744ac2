#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

mod adaptive_ttl;
mod budget;
#[expect(unsafe_code, reason = "promises that data is plain")]
mod builder;
mod cache;
#[cfg(feature = "macros")]
mod cached;
mod check;
#[cfg(feature = "compress")]
mod compressed;
#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "serde")]
mod duration;
mod entry;
mod error;
mod hasher;
#[expect(unsafe_code, reason = "promises that readers are inside a lookup")]
mod inner;
mod iter;
mod limits;
mod load;
mod maintain;
mod memoize;
mod order;
mod policy;
mod pressure;
mod primitive;
#[expect(unsafe_code, reason = "each thread goes straight to its counts")]
mod readers;
mod removal;
#[expect(unsafe_code, reason = "passes on what the cache was promised")]
mod shard;
#[cfg(feature = "serde")]
mod snapshot;
mod stats;
#[expect(unsafe_code, reason = "the slab, and reading it without a lock")]
mod store;
mod str_key;
mod tags;
mod transaction;
mod watch;

pub use adaptive_ttl::{AdaptiveTtl, AdaptiveTtlStats};
#[cfg(feature = "macros")]
pub use brolly_macros::cached;
pub use builder::CacheBuilder;
pub use cache::Cache;
pub use check::CheckReport;
#[cfg(feature = "compress")]
pub use compressed::{CompressError, Compressed};
#[cfg(feature = "serde")]
pub use config::{Config, TimeToLive};
pub use entry::{Compute, Computed, Entry};
pub use error::{ConfigError, InsertError, Refusal};
pub use hasher::{DefaultHasher, RandomState};
pub use iter::{Iter, Keys};
pub use limits::{Limits, MemSize, weigh_bytes};
pub use load::{LoadError, LoadStats};
pub use maintain::{Maintainer, MaintainerError, Progress};
pub use memoize::{Memoized, MemoizedSync};
pub use policy::EvictionPolicy;
pub use pressure::Pressure;
pub use removal::RemovalCause;
#[cfg(feature = "serde")]
pub use snapshot::{RestoreError, Snapshot, SnapshotError};
pub use stats::{Stats, StatsWindow};
pub use store::Plain;
pub use str_key::{KeyError, StrKey};
pub use transaction::{Transaction, TransactionError};

/// What expansions of `#[cached]` name.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __macros {
    pub use crate::cached::*;
}
