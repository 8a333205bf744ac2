#![cfg(unix)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod builder;
mod content;
mod error;
mod guard;
mod inner;
mod locks;
mod primitive;
mod process_lock;
mod read;
mod relative;
mod root;
mod stamp;
mod stats;
mod steps;
mod store;
mod write;

pub use builder::FileStoreBuilder;
pub use content::Content;
pub use error::{BuildError, Error, FileKind, PathFault};
pub use guard::PathGuard;
pub use stats::Stats;
pub use store::{FileStore, Metadata};
