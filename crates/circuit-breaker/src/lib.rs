#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod breaker;
mod builder;
#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "serde")]
mod duration;
mod error;
mod error_class;
mod event;
mod gate;
mod name;
mod outcome;
mod permit;
mod primitive;
mod registry;
mod retry;
mod saved;
mod settings;
mod snapshot;
mod state;
mod template;
mod totals;
#[cfg(feature = "tower")]
pub mod tower;
mod window;

pub use brolly_sync::Jitter;

pub use breaker::CircuitBreaker;
pub use builder::CircuitBreakerBuilder;
#[cfg(feature = "serde")]
pub use config::{Config, OpenBackoff, SlowCallRate, SuccessRate};
pub use error::{CallError, ConfigError, Rejection};
pub use error_class::{ByErrorClass, Classify, ErrorClass, ErrorCode, Severity};
pub use event::{Event, Reason};
pub use name::Name;
pub use outcome::{AnyError, Classifier, ErrorsBy, Outcome};
pub use permit::Permit;
pub use registry::{Registry, RegistryError};
pub use retry::{Decision, GaveUp, Retry, RetryBudget, RetryBuilder, RetryError};
pub use saved::{ImportError, SavedSlice, SavedState, SavedWindow};
pub use snapshot::{Snapshot, TotalCounts, WindowCounts};
pub use state::State;
pub use template::Template;
