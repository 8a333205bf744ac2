//! What can go wrong, with the facts a caller needs to act on it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::git::GitError;
use crate::lease::Token;
use crate::state::SlotState;

/// Why an operation of a [`RepoPool`](crate::RepoPool) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pool's name is not one that can name a folder everywhere.
    #[error("invalid pool name {name:?}: {rule}")]
    InvalidName {
        /// The name that was given.
        name: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The number of slots is out of range.
    #[error("invalid number of slots {slots}: expected 1 to {max}")]
    InvalidSlots {
        /// The number that was given.
        slots: u32,
        /// The largest number allowed.
        max: u32,
    },
    /// The URL is none that git may be given.
    #[error("invalid repository URL {url:?}: {rule}")]
    InvalidUrl {
        /// The URL that was given, credentials removed.
        url: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The ref is none that git may be given.
    #[error("invalid ref {name:?}: {rule}")]
    InvalidRef {
        /// The ref that was given.
        name: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A pool of that name exists.
    #[error("pool {name:?} exists")]
    PoolExists {
        /// The pool.
        name: String,
    },
    /// No pool of that name exists.
    #[error("no pool is named {name:?}")]
    PoolNotFound {
        /// The pool.
        name: String,
    },
    /// The pool has no slot of that number.
    #[error("pool {pool:?} has no slot {slot}")]
    SlotNotFound {
        /// The pool.
        pool: String,
        /// The slot.
        slot: u32,
    },
    /// The ref names no commit of the repository, even after a fetch where one was allowed.
    #[error("{name:?} names no commit in pool {pool:?}")]
    UnknownRef {
        /// The pool.
        pool: String,
        /// The ref that was asked for.
        name: String,
    },
    /// The remote repository holds no commit, so there is nothing to check out.
    #[error("the repository at {url:?} has no branch with a commit")]
    EmptyRepository {
        /// The repository, credentials removed.
        url: String,
    },
    /// Every slot was busy until the request's time was up.
    #[error(
        "pool {pool:?} has no slot to give: {leased} leased, {busy} being prepared or cleaned, {failed} in error"
    )]
    NoAvailableSlot {
        /// The pool.
        pool: String,
        /// Slots held by others.
        leased: u32,
        /// Slots that change state.
        busy: u32,
        /// Slots that wait for [`RepoPool::recover`](crate::RepoPool::recover).
        failed: u32,
    },
    /// The slot was given to somebody else since, or taken back: the token is worth nothing any more.
    #[error("lease {token} is stale: its slot was taken back")]
    StaleLease {
        /// The token that was presented.
        token: Token,
    },
    /// The lease was released before; nothing was changed.
    #[error("lease {token} was released before")]
    AlreadyReleased {
        /// The token that was presented.
        token: Token,
    },
    /// No lease has this token.
    #[error("no lease has the token {token}")]
    UnknownLease {
        /// The token that was presented.
        token: Token,
    },
    /// The slot's state does not allow what was asked.
    #[error("slot {slot} cannot go from {from} to {to}")]
    InvalidState {
        /// The slot's number.
        slot: u32,
        /// The state it is in.
        from: SlotState,
        /// The state that was asked for.
        to: SlotState,
    },
    /// The slot could not be made fit for the next tenant; it is in state `error`, the lease is ended.
    #[error("slot {slot} could not be cleaned")]
    Cleanup {
        /// The slot's number.
        slot: u32,
        /// What stood in the way.
        source: Box<Error>,
    },
    /// The request's cancel handle was cancelled; nothing is held.
    #[error("the request was cancelled")]
    Cancelled,
    /// Something is mounted in a slot. Nothing was deleted; unmount it and recover the slot.
    #[error("something is mounted at {path:?} in slot {slot}: unmount it first")]
    Mounted {
        /// The slot's number.
        slot: u32,
        /// Where.
        path: PathBuf,
    },
    /// Another process held the lock for too long.
    #[error("lock {path:?} was not free within {timeout:?}{}", held_by(.holder.as_deref()))]
    LockTimeout {
        /// The lock's file.
        path: PathBuf,
        /// How long was waited.
        timeout: Duration,
        /// Who held it, as far as the file tells.
        holder: Option<String>,
    },
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The pool's database cannot be used.
    #[error("the pool database {path:?} cannot be used: {reason}")]
    Database {
        /// The database.
        path: PathBuf,
        /// What is wrong and what to do about it.
        reason: String,
        /// What SQLite said, if it was SQLite.
        source: Option<DatabaseError>,
    },
    /// The root is a directory of another user, who could replace everything in it.
    #[error("the root {path:?} belongs to another user: choose a directory of your own")]
    ForeignRoot {
        /// The root.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A setting is out of range.
    #[error("invalid {field} {value}: expected {expected}")]
    InvalidSetting {
        /// The setting.
        field: &'static str,
        /// The value that was given.
        value: String,
        /// The range allowed.
        expected: &'static str,
    },
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

fn held_by(holder: Option<&str>) -> String {
    holder
        .map(|holder| format!(": held by {holder}"))
        .unwrap_or_default()
}

/// What SQLite said; its own type stays out of this crate's interface.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DatabaseError(pub(crate) rusqlite::Error);
