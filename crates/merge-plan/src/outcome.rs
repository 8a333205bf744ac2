//! What came of a run: results of attempts, gates, items and merges, as plain data.

use std::fmt;

use brolly_repo_pool::process::Exit;
use serde::{Deserialize, Serialize};

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// Every required gate passed, or there was none.
    Pass,
    /// A required gate failed, or the item could not be worked on at all.
    Fail,
    /// A dependency did not pass, or the policy holds one of its gates back.
    Blocked,
    /// It was left out because an earlier failure stopped the run.
    Skipped,
    /// The run was cancelled first.
    Cancelled,
}

/// How a gate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateStatus {
    /// The last attempt exited with 0.
    Pass,
    /// No attempt exited with 0, or none could be made.
    Fail,
    /// The policy forbids running it.
    Blocked,
    /// Its item did not run.
    Skipped,
    /// The run was cancelled first.
    Cancelled,
}

/// How the merge of an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MergeStatus {
    /// Its commit is part of the integration branch.
    Merged,
    /// It conflicts with what was merged before it; nothing of it was kept.
    Conflict,
    /// A dependency was not merged.
    Blocked,
    /// Its branch does not exist.
    BranchNotFound,
    /// Its gates did not pass.
    NotEligible,
    /// git failed for another reason.
    Error,
    /// The merge was cancelled first.
    Cancelled,
}

macro_rules! spelled {
    ($($name:ident { $($variant:ident => $word:literal),* $(,)? })*) => {$(
        impl $name {
            /// The stable spelling, as in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

spelled! {
    ItemStatus { Pass => "pass", Fail => "fail", Blocked => "blocked", Skipped => "skipped", Cancelled => "cancelled" }
    GateStatus { Pass => "pass", Fail => "fail", Blocked => "blocked", Skipped => "skipped", Cancelled => "cancelled" }
    MergeStatus {
        Merged => "merged", Conflict => "conflict", Blocked => "blocked", BranchNotFound => "branch_not_found",
        NotEligible => "not_eligible", Error => "error", Cancelled => "cancelled",
    }
}

/// What the gates of a whole plan came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GateRun {
    /// The pool whose slots were used.
    pub pool: String,
    /// One result for each item, in the order of the plan.
    pub items: Vec<ItemResult>,
    /// How many items could be worked on at once.
    pub workers: usize,
    /// True if the run was cancelled before its end.
    pub cancelled: bool,
    /// From start to end by the monotonic clock, in milliseconds.
    pub wall_ms: u64,
}

impl GateRun {
    /// True if every item passed and nothing cut the run short: a cancelled optional gate fails no item, and still was not run.
    pub fn is_pass(&self) -> bool {
        !self.cancelled
            && self
                .items
                .iter()
                .all(|item| item.status == ItemStatus::Pass)
    }
}

/// What came of one item's gates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ItemResult {
    /// The item.
    pub name: String,
    /// The branch or revision it stands for.
    pub branch: String,
    /// The commit that the branch was at when the run began; absent if there is no such branch.
    pub commit: Option<String>,
    /// How it ended.
    pub status: ItemStatus,
    /// The direct causes of [`ItemStatus::Blocked`].
    pub blocked_by: Vec<Cause>,
    /// Why the item could not be worked on, where that is so.
    pub problem: Option<ItemProblem>,
    /// One result for each gate, in the order of the plan.
    pub gates: Vec<GateResult>,
    /// The slot it ran in.
    pub slot: Option<u32>,
    /// True if that slot was at the commit already.
    pub warm: Option<bool>,
    /// From asking for a slot to giving it back, in milliseconds.
    pub duration_ms: u64,
}

/// What holds an item back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// A direct dependency did not pass, or was not merged.
    Dependency {
        /// The dependency.
        item: String,
    },
    /// The policy's `blockOn` names one of the item's gates.
    BlockOn {
        /// The gate.
        gate: String,
        /// The entry of `blockOn` that matches it.
        pattern: String,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency { item } => f.write_str(item),
            Self::BlockOn { gate, pattern } => write!(f, "gate {gate} (blockOn {pattern})"),
        }
    }
}

/// Why an item could not be worked on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ItemProblem {
    /// The kind of reason.
    pub code: ItemProblemCode,
    /// The reason, for people.
    pub message: String,
}

/// The kinds of reasons why an item could not be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ItemProblemCode {
    /// The branch does not exist.
    BranchNotFound,
    /// No working copy could be had.
    NoWorkingCopy,
    /// The working copy could not be given back in order.
    Release,
    /// A panic in this process.
    Panic,
}

/// What came of one gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GateResult {
    /// The gate.
    pub name: String,
    /// True if its failure fails the item.
    pub required: bool,
    /// How it ended.
    pub status: GateStatus,
    /// Why, unless it passed.
    pub problem: Option<GateProblem>,
    /// Every attempt, in order; only the last one can have passed.
    pub attempts: Vec<Attempt>,
}

/// Why a gate did not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GateProblem {
    /// The kind of reason.
    pub code: GateProblemCode,
    /// The reason, for people.
    pub message: String,
}

/// The kinds of reasons why a gate did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum GateProblemCode {
    /// The command ended with another exit code than 0, or by a signal.
    GateFailure,
    /// The command ran longer than it may.
    GateTimeout,
    /// The command could not be started.
    SpawnFailed,
    /// The gate's directory does not exist.
    CwdMissing,
    /// The gate's directory lies outside the working copy.
    CwdOutside,
    /// The gate's runtime does not exist here.
    Unsupported,
    /// The policy's `blockOn` matches the gate.
    BlockOn,
    /// The item did not run.
    ItemNotRun,
    /// The run was cancelled.
    Cancelled,
}

/// One try of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Attempt {
    /// How the command ended.
    pub exit: Exit,
    /// From start to end by the monotonic clock, in milliseconds.
    pub duration_ms: u64,
    /// What it wrote to standard output.
    pub stdout: Stream,
    /// What it wrote to standard error.
    pub stderr: Stream,
}

/// What a command wrote to one of its streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stream {
    /// The text: its beginning and end where it is truncated, unreadable bytes replaced.
    pub text: String,
    /// Bytes written in all.
    pub total_bytes: u64,
    /// True if `text` is not all of it.
    pub truncated: bool,
    /// The file that holds the stream, relative to the log folder, where one was given.
    pub log: Option<String>,
    /// Why that file lacks what it should hold, where it could not be written to the end: a full disk, for one.
    pub log_problem: Option<String>,
}

/// What the merges of a plan came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MergeRun {
    /// The plan's target.
    pub target: String,
    /// The commit of the target that everything was merged onto.
    pub base: String,
    /// The commit that holds all merges; `base` if there were none.
    pub head: String,
    /// The tree of `head`; the same plan and commits always give the same tree.
    pub tree: String,
    /// One result for each item, in the order in which they were merged.
    pub items: Vec<MergeResult>,
    /// The branch that was pushed; absent after a dry run and where there was nothing to push.
    pub branch: Option<String>,
    /// Why the branch could not be pushed, where that is so.
    pub push_problem: Option<String>,
    /// True if nothing was to leave the slot.
    pub dry_run: bool,
    /// True if the run was cancelled before its end; then nothing was pushed.
    pub cancelled: bool,
    /// The slot it ran in.
    pub slot: u32,
    /// True if that slot was at the commit already.
    pub warm: bool,
    /// From start to end by the monotonic clock, in milliseconds.
    pub wall_ms: u64,
}

impl MergeRun {
    /// True if every item was merged and, unless this was a dry run or nothing was new, the branch was pushed.
    ///
    /// Never true of a cancelled run.
    pub fn is_merged(&self) -> bool {
        let is_out = self.dry_run || self.head == self.base || self.branch.is_some();
        !self.cancelled
            && is_out
            && self
                .items
                .iter()
                .all(|item| item.status == MergeStatus::Merged)
    }
}

/// What came of one item's merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MergeResult {
    /// The item.
    pub name: String,
    /// How it ended.
    pub status: MergeStatus,
    /// The commit of the integration branch after the merge.
    pub sha: Option<String>,
    /// The files in conflict, sorted; a name that is not UTF-8 as git quotes it. Empty where git names none: `message` tells more.
    pub conflicts: Vec<String>,
    /// The items that hold it back.
    pub blocked_by: Vec<Cause>,
    /// What happened, for people.
    pub message: String,
}
