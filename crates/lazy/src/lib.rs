#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod builder;
mod config;
mod error;
mod get;
mod lazy;
mod load;
mod loader;
#[cfg(feature = "macros")]
mod macros;
mod map;
mod once;
mod panics;
mod primitive;
mod published;
mod reader;
mod recursion;
mod shared;
mod slot;
mod standing;
mod stats;
mod with_lazy;

#[cfg(feature = "macros")]
pub use brolly_macros::with_lazy;
pub use builder::LazyBuilder;
pub use error::{ConfigError, LoadError};
pub use lazy::Lazy;
pub use map::{LazyMap, LazyMapBuilder};
pub use once::Once;
pub use published::Guard;
pub use reader::Reader;
pub use stats::Stats;
pub use with_lazy::{IntoLazy, WithLazy, with_lazy, with_lazy_blocking};

/// What expansions of `#[with_lazy]` name.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __macros {
    pub use crate::macros::*;
}
