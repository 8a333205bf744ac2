#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bell;
mod clock;
mod config;
mod error;
mod git;
mod lease;
mod lock;
mod mirror;
mod mount;
mod name;
mod owner;
mod pool;
mod presence;
pub mod process;
mod seal;
mod slot;
mod state;
mod status;
mod store;
mod trash;

pub use config::{Freshness, Options, PoolConfig, Request, SlotPolicy};
pub use error::{DatabaseError, Error};
pub use git::{DEFAULT_GIT_TIMEOUT, Git, GitError, Output};
pub use lease::{Lease, Token};
pub use name::{MAX_SLOTS, check_revision};
pub use owner::Owner;
pub use pool::RepoPool;
pub use state::{SlotState, UnknownState};
pub use status::{LeaseStatus, PoolStatus, PoolSummary, SlotStatus};
