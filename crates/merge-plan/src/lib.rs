#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod event;
mod gate;
mod glob;
mod json;
mod merge;
mod outcome;
mod parse;
mod plan;
mod report;
mod runner;
mod verdict;
mod visible;

pub use error::{PlanErrors, Problem, ProblemCode, RunError, Warning, WarningCode};
pub use event::Event;
pub use merge::Merger;
pub use outcome::{
    Attempt, Cause, GateProblem, GateProblemCode, GateResult, GateRun, GateStatus, ItemProblem,
    ItemProblemCode, ItemResult, ItemStatus, MergeResult, MergeRun, MergeStatus, Stream,
};
pub use plan::{
    AdminGreen, Container, Gate, Item, MergeRule, Mount, MountKind, Overrides, Performance, Plan,
    Policy, Retry, Runtime, Script, Validated,
};
pub use report::{Integration, ItemReport, Report, SlotUse, Totals};
pub use runner::Runner;

pub use brolly_repo_pool::process::{Cancel, Exit};
