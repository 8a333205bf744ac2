//! The working copy that merges happen in: one merge at a time, and every failed one undone before the next.

use std::fs;
use std::io;

use brolly_repo_pool::process::{Cancel, Exit};
use brolly_repo_pool::{Git, GitError, Lease};

use super::{conflicts, identity};

/// Files in the working copy are the blobs byte for byte.
///
/// With conversions there are commits whose fresh checkout never counts as clean (a blob with CRLF that is called `text`),
/// and then nothing can be told from the copy's status. `merge` and all other attributes stay in force.
const NO_CONVERSION: &str = "* -text !filter !ident !working-tree-encoding\n";

/// A leased working copy on a detached `HEAD`.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    git: Git,
    /// For putting things in order, which a cancellation must not cut short.
    repair: Git,
    /// The commit that everything is merged onto.
    base: String,
    /// The commit that holds all merges so far.
    head: String,
    /// True once the copy could not be put in order again.
    broken: bool,
    lease: &'a Lease,
}

/// What came of a merge that git could decide.
#[derive(Debug)]
pub(super) enum Attempt {
    /// It was merged into `head`.
    Merged { head: String },
    /// It was part of `head` before.
    Part { head: String, of: PartOf },
    /// It was not merged, and the working copy is as before.
    Conflict {
        files: conflicts::Files,
        /// What git says of it.
        sentences: Vec<String>,
    },
}

/// What a commit was part of before it was to be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartOf {
    /// The commit that everything is merged onto.
    Target,
    /// An earlier merge.
    Integration,
}

/// Why a merge could neither be made nor ruled out.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("the working copy's attributes cannot be written")]
    Attributes(#[from] io::Error),
    #[error("git refused the merge: {stderr}")]
    Refused { stderr: String },
    #[error("{commit:?} is no commit id")]
    NoCommit { commit: String },
    #[error("the working copy in slot {slot} could not be put in order after an earlier merge")]
    Broken { slot: u32 },
}

impl<'a> Copy<'a> {
    /// The copy of a lease that was taken at `base`, made ready for merges.
    pub(super) fn new(lease: &'a Lease, base: &str, cancel: &Cancel) -> Result<Self, CopyError> {
        let repair = identity::of_user()
            .variables()
            .into_iter()
            .fold(lease.git(), |git, (key, value)| git.env(key, value));
        let path = ["--path-format=absolute", "--git-path", "info/attributes"];
        let path = repair.run(["rev-parse"].iter().chain(&path))?.stdout;
        // In the slot's own git directory, which the pool makes anew for the next tenant.
        fs::write(path.trim_end_matches('\n'), NO_CONVERSION)?;
        repair.run(["reset", "--hard", "--quiet", base])?;
        Ok(Self {
            git: repair.clone().cancel(cancel),
            repair,
            base: base.to_owned(),
            head: base.to_owned(),
            broken: false,
            lease,
        })
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
        if !matches!(merged, Ok(Attempt::Merged { .. } | Attempt::Part { .. })) {
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
            if head == self.head {
                let of = self.part_of(commit)?;
                return Ok(Attempt::Part { head, of });
            }
            self.head.clone_from(&head);
            return Ok(Attempt::Merged { head });
        }
        let listing = ["diff", "--name-only", "--diff-filter=U"];
        let quoted = ["-c", "core.quotePath=true"];
        let unmerged = self.git.run(quoted.iter().chain(&listing))?;
        let files = conflicts::files(&unmerged.stdout, unmerged.truncated);
        let sentences = conflicts::sentences(&output.stdout);
        // Some conflicts leave no path unmerged: a folder's files that went two ways, for one.
        let is_conflict = !files.names.is_empty() || files.more || !sentences.is_empty();
        if output.exit == Exit::Code(1) && is_conflict {
            return Ok(Attempt::Conflict { files, sentences });
        }
        Err(CopyError::Refused {
            stderr: output.stderr.trim().to_owned(),
        })
    }

    /// Where a commit that is part of the head belongs.
    fn part_of(&self, commit: &str) -> Result<PartOf, GitError> {
        let args = ["merge-base", "--is-ancestor", commit, &self.base];
        let is_ancestor = self.git.try_run(args)?.success();
        Ok(if is_ancestor {
            PartOf::Target
        } else {
            PartOf::Integration
        })
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

#[cfg(all(test, unix))]
mod tests;
