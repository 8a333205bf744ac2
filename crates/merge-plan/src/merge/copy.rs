//! The working copy that merges happen in: one merge at a time, and every failed one undone before the next.

use brolly_repo_pool::process::Cancel;
use brolly_repo_pool::{Git, GitError, Lease};

use super::identity;

/// A leased working copy on a detached `HEAD`.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    git: Git,
    /// For putting things in order, which a cancellation must not cut short.
    repair: Git,
    head: String,
    /// What is wrong with the copy, once it could not be put in order again.
    broken: bool,
    lease: &'a Lease,
}

/// What came of a merge that git could decide.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The commit is part of `head`.
    Merged {
        head: String,
        /// True if it was before.
        was_part: bool,
    },
    /// It was not merged, and the working copy is as before.
    Conflict { files: Vec<String> },
}

/// Why a merge could neither be made nor ruled out.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("git refused the merge: {stderr}")]
    Refused { stderr: String },
    #[error("{commit:?} is no commit id")]
    NoCommit { commit: String },
    #[error("the working copy in slot {slot} could not be put in order after an earlier merge")]
    Broken { slot: u32 },
}

impl<'a> Copy<'a> {
    pub(super) fn new(lease: &'a Lease, head: &str, cancel: &Cancel) -> Self {
        let repair = identity::of_user()
            .variables()
            .into_iter()
            .fold(lease.git(), |git, (key, value)| git.env(key, value));
        Self {
            git: repair.clone().cancel(cancel),
            repair,
            head: head.to_owned(),
            broken: false,
            lease,
        }
    }

    pub(super) fn head(&self) -> &str {
        &self.head
    }

    /// The tree of the head.
    pub(super) fn tree(&self) -> Result<String, GitError> {
        let revision = format!("{}^{{tree}}", self.head);
        Ok(self
            .repair
            .run(["rev-parse", "--verify", "--end-of-options", &revision])?
            .stdout
            .trim()
            .to_owned())
    }

    /// Merges `commit` onto the head.
    pub(super) fn merge(&mut self, commit: &str, message: &str) -> Result<Attempt, CopyError> {
        if self.broken {
            return Err(CopyError::Broken {
                slot: self.lease.slot(),
            });
        }
        // Results may come from a file; nothing of it reaches git's command line but an id.
        if !matches!(commit.len(), 40 | 64) || !commit.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return Err(CopyError::NoCommit {
                commit: commit.to_owned(),
            });
        }
        let merged = self.try_merge(commit, message);
        if !matches!(merged, Ok(Attempt::Merged { .. })) {
            self.broken = !self.undo();
        }
        merged
    }

    fn try_merge(&mut self, commit: &str, message: &str) -> Result<Attempt, CopyError> {
        // Every setting that could change the result is given here, so that the same inputs give the same tree.
        let args = [
            "-c",
            "rerere.enabled=false",
            "-c",
            "merge.renames=true",
            "-c",
            "merge.conflictStyle=merge",
            "-c",
            "core.commentChar=;",
            "merge",
            "--strategy=ort",
            "--no-ff",
            "--no-edit",
            "--no-verify",
            "--no-gpg-sign",
            "--no-signoff",
            "--no-squash",
            "--no-autostash",
            "--no-rerere-autoupdate",
            "--cleanup=whitespace",
            "--quiet",
            "-m",
            message,
            commit,
        ];
        let output = self.git.try_run(args)?;
        if output.success() {
            let head = self.git.current_commit()?;
            let was_part = head == self.head;
            self.head.clone_from(&head);
            return Ok(Attempt::Merged { head, was_part });
        }
        let files = self
            .git
            .run(["diff", "--name-only", "-z", "--diff-filter=U"])?
            .stdout;
        let mut files: Vec<String> = files
            .split('\0')
            .filter(|file| !file.is_empty())
            .map(str::to_owned)
            .collect();
        files.sort_unstable();
        files.dedup();
        if files.is_empty() {
            return Err(CopyError::Refused {
                stderr: output.stderr.trim().to_owned(),
            });
        }
        Ok(Attempt::Conflict { files })
    }

    /// Puts the copy back to the head: an abort, and force where that is not enough. True if it is clean and at the head.
    fn undo(&self) -> bool {
        // Fails where no merge is in progress, and the check below decides anyway.
        let _ = self.repair.try_run(["merge", "--abort"]);
        if self.is_in_order() {
            return true;
        }
        let _ = self
            .repair
            .try_run(["reset", "--hard", "--quiet", &self.head]);
        let _ = self.repair.try_run(["clean", "-ffd", "--quiet"]);
        self.is_in_order()
    }

    fn is_in_order(&self) -> bool {
        let no_merge = |git: &Git| {
            git.try_run(["rev-parse", "--verify", "--quiet", "MERGE_HEAD"])
                .map(|output| !output.success())
        };
        self.repair.is_clean().unwrap_or(false)
            && self
                .repair
                .current_commit()
                .is_ok_and(|head| head == self.head)
            && no_merge(&self.repair).unwrap_or(false)
    }
}
