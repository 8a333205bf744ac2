//! Leased, clean, warm git working copies over one mirror.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let url = dir.path().join("upstream");
//! # for args in [
//! #     vec!["init", "-q", "-b", "main", url.to_str().unwrap()],
//! #     vec!["-C", url.to_str().unwrap(), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "first"],
//! # ] {
//! #     assert!(std::process::Command::new("git").args(args).status()?.success());
//! # }
//! # let (root, url) = (dir.path().join("pools"), url.to_str().unwrap().to_owned());
//! use brolly_repo_pool::{PoolConfig, RepoPool, Request};
//!
//! let pools = RepoPool::open(root)?;
//! pools.create_pool(&PoolConfig::new("app", url).slots(2))?;
//!
//! let lease = pools.allocate(&Request::new("app").at("main"))?;
//! std::fs::write(lease.path().join("note"), "mine")?;
//! lease.release()?;
//!
//! let next = pools.allocate(&Request::new("app").at("main"))?;
//! assert!(next.is_warm());
//! assert!(!next.path().join("note").exists());
//! # Ok(()) }
//! ```
//!
//! # How it works
//!
//! A pool keeps one bare mirror of a repository and a fixed number of slots. A slot is a linked
//! worktree of the mirror whose refs, configuration, hooks, stash and new objects are its own, so a
//! new slot costs no network and little disk, and tenants never see each other through git. When a
//! slot is clean, the pool seals it: it records what `lstat` says of every file. Cleaning puts right
//! what differs from the seal and nothing else; an allocation at a commit that a slot is at already
//! runs no git at all, only a look at the seal.
//!
//! Who holds which slot is decided by one SQLite database under the root, and by nothing else. Every
//! lease has a fencing token. A lease belongs to its process, or, if it is durable, lasts for a time;
//! when the process dies or the time is over, the slot is cleaned and given out again.
//!
//! # Guarantees
//!
//! - No slot is held twice, by any number of threads and processes; an older token opens nothing.
//! - A tenant finds the tree of its commit and nothing of the last tenant: no file, ignored file,
//!   nested repository, branch, stash, configuration, hook, or half-done operation.
//! - A slot becomes available only after it was cleaned; one that cannot be cleaned is in error and
//!   is not given out.
//! - Killing a process at any point loses no slot: it is found dirty and cleaned before its next lease.
//! - No command waits for a prompt, runs longer than its limit, or outlives the call that started it.
//!
//! # Limitations
//!
//! - Isolation is meant against accidents and against all that a tenant does in its slot or through
//!   git. It is no wall against a hostile program that runs as the same user, which could edit the
//!   pool's own files.
//! - Submodules are left empty, LFS and other filter drivers do not run, sparse and partial clones
//!   are not supported.
//! - Waiting tenants are woken together, not in the order in which they came.
//! - Linux is tested. On other Unix systems dead owners are found by their process id alone, and
//!   waiters look for free slots every 20 ms. On Windows the crate is meant to compile; running a
//!   command reports that it is not supported.
#![forbid(unsafe_code)]

mod bell;
mod clock;
mod config;
mod error;
mod git;
mod lease;
mod lock;
mod mirror;
mod name;
mod owner;
mod pool;
pub mod process;
mod seal;
mod slot;
mod state;
mod status;
mod store;

pub use config::{Freshness, Options, PoolConfig, Request, SlotPolicy};
pub use error::{DatabaseError, Error};
pub use git::{DEFAULT_GIT_TIMEOUT, Git, GitError, Output};
pub use lease::{Lease, Token};
pub use name::MAX_SLOTS;
pub use owner::Owner;
pub use pool::RepoPool;
pub use state::{SlotState, UnknownState};
pub use status::{LeaseStatus, PoolStatus, PoolSummary, SlotStatus};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
