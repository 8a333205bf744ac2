//! A tenant's hold on a slot, and the token that proves it.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::git::Git;
use crate::name;
use crate::pool::RepoPool;
use crate::process::Command;
use crate::slot::Slot;
use crate::state::SlotState;

/// A fencing token: it grows with every lease of a root and is never used twice.
///
/// Whoever acts for a tenant presents the token; once the slot has gone to somebody else, the older
/// token is refused. Tools outside can compare tokens to the same end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(i64);

impl Token {
    pub(crate) fn new(token: i64) -> Self {
        Self(token)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Token {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A slot in the hands of a tenant: a clean working copy at the commit that was asked for.
///
/// Dropping the lease releases the slot and cleans it, and blocks meanwhile; what goes wrong then is
/// recorded in the slot's state. [`Lease::release`] says it.
#[must_use = "a dropped lease is released at once"]
pub struct Lease {
    pools: RepoPool,
    token: Token,
    slot: Slot,
    commit: String,
    warm: bool,
    held: bool,
}

impl Lease {
    pub(crate) fn new(
        pools: RepoPool,
        token: Token,
        slot: Slot,
        commit: String,
        warm: bool,
    ) -> Self {
        Self {
            pools,
            token,
            slot,
            commit,
            warm,
            held: true,
        }
    }

    /// The working copy.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.slot.tree
    }

    /// The fencing token.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// The slot's number in its pool, from 1.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.slot.number
    }

    /// The commit the working copy was prepared at: `HEAD`, detached.
    #[must_use]
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Whether the slot was at the commit already, so that nothing had to be checked out.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.warm
    }

    /// A command that runs in the working copy. It finds the slot's number, the lease's token and the
    /// commit in `BROLLY_SLOT`, `BROLLY_LEASE` and `BROLLY_COMMIT`, and no variable that would lead git
    /// to another repository or bind it to a hook that this process runs in.
    pub fn command(&self, program: impl Into<std::ffi::OsString>) -> Command {
        let command = Command::new(program)
            .current_dir(&self.slot.tree)
            .env("BROLLY_SLOT", self.slot.number.to_string())
            .env("BROLLY_LEASE", self.token.to_string())
            .env("BROLLY_COMMIT", &self.commit);
        LOCAL.into_iter().fold(command, Command::env_remove)
    }

    /// git for the working copy, with the pool's fixed environment.
    #[must_use]
    pub fn git(&self) -> Git {
        self.slot.git()
    }

    /// Pushes a commit of this slot to the pool's remote as a new ref, given by its full name, with the
    /// user's own credentials. A ref that exists is refused by the remote itself.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRef`] for a name that does not begin with `refs/` or breaks git's rules,
    /// [`Error::Git`] when the remote refuses.
    pub fn push_new(&self, commit: &str, reference: &str) -> Result<(), Error> {
        name::check_revision(commit)?;
        name::check_revision(reference)?;
        if !reference.starts_with("refs/") {
            let rule = "expected a full name that begins with \"refs/\"";
            return Err(Error::InvalidRef {
                name: reference.to_owned(),
                rule,
            });
        }
        // An empty expectation after the colon means that the ref must not exist.
        let lease = format!("--force-with-lease={reference}:");
        let refspec = format!("{commit}:{reference}");
        self.git()
            .networked()
            .run(["push", "--quiet", &lease, "--", &self.slot.url, &refspec])?;
        Ok(())
    }

    /// Moves the end of a durable lease to `ttl` from now. A process lease needs no renewal, and this changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::StaleLease`] if the slot was taken back.
    pub fn renew(&self, ttl: Duration) -> Result<(), Error> {
        self.pools.renew(self.token, ttl)
    }

    /// Ends the lease and makes the slot fit for the next tenant.
    ///
    /// # Errors
    ///
    /// [`Error::StaleLease`] if the slot was taken back, [`Error::Cleanup`] if it could not be cleaned;
    /// the lease is over in every case.
    pub fn release(mut self) -> Result<(), Error> {
        self.held = false;
        self.pools.release(self.token)
    }

    /// Ends the lease and leaves the slot as it is; the next tenant's allocation cleans it.
    ///
    /// # Errors
    ///
    /// [`Error::StaleLease`] if the slot was taken back.
    pub fn release_uncleaned(mut self) -> Result<(), Error> {
        self.held = false;
        self.pools
            .begin_release(self.token, SlotState::Dirty)
            .map(drop)
    }

    /// Gives up the guard and keeps the lease: for a durable lease that is released by its token, by
    /// this process or another. A process lease kept like this ends with the process.
    pub fn keep(mut self) -> Token {
        self.held = false;
        self.token
    }
}

/// What git sets, or is told, for one repository and must not carry into another: what
/// `git rev-parse --local-env-vars` prints, and what hooks and discovery add to it.
const LOCAL: [&str; 19] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// What a log may show: the pool's URL can hold a password.
impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("token", &self.token)
            .field("slot", &self.slot.number)
            .field("path", &self.slot.tree)
            .field("commit", &self.commit)
            .field("warm", &self.warm)
            .finish_non_exhaustive()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.held {
            // The slot's state says what went wrong.
            let _ = self.pools.release(self.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LOCAL;

    #[test]
    fn every_variable_that_git_calls_local_to_a_repository_is_cleared() {
        let output = std::process::Command::new("git")
            .args(["rev-parse", "--local-env-vars"])
            .output()
            .expect("git");
        let listed = String::from_utf8(output.stdout).expect("UTF-8");
        let missing: Vec<_> = listed.lines().filter(|key| !LOCAL.contains(key)).collect();
        assert!(listed.contains("GIT_DIR"), "git lists none: {listed:?}");
        assert!(missing.is_empty(), "{missing:?}");
    }
}
