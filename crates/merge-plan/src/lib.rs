//! Gates and merges of many branches in dependency order, each in a pooled git working copy.
//!
//! A *plan* lists items: branches, what they depend on, and the gates (commands) they must pass. This crate validates a plan,
//! runs the gates of every item in a leased working copy of its own, dependencies first, and merges what passed onto an
//! integration branch.
//!
//! ```
//! use brolly_merge_plan::{Plan, ProblemCode};
//!
//! let parsed = Plan::from_json(r#"{
//!     "schemaVersion": "1.0.0",
//!     "target": "main",
//!     "policy": {"maxWorkers": 2, "retries": {"test": {"maxAttempts": 3}}},
//!     "items": [
//!         {"name": "api", "gates": [{"name": "test", "run": "make test"}]},
//!         {"name": "ui", "deps": ["api"], "gates": [{"name": "test", "run": ["make", "test-ui"]}]}
//!     ]
//! }"#)?;
//! assert_eq!(parsed.plan.order(), [["api"], ["ui"]]);
//! assert!(parsed.warnings.is_empty());
//!
//! let errors = Plan::from_json(r#"{"schemaVersion": "v1", "items": [{"name": "a", "deps": ["b"], "gate": []}]}"#).unwrap_err();
//! let found: Vec<_> = errors.problems().iter().map(|problem| (problem.path.as_str(), problem.code)).collect();
//! assert_eq!(found, [
//!     ("$.schemaVersion", ProblemCode::SchemaVersion),
//!     ("$.items[0].gate", ProblemCode::SchemaValidation),
//!     ("$.items[0].deps[0]", ProblemCode::UnknownDependency),
//! ]);
//! # Ok::<(), brolly_merge_plan::PlanErrors>(())
//! ```
//!
//! # How it works
//!
//! [`Plan::from_json`] walks the document once, records every problem with its path, and goes on; names, dependencies and
//! required gates are checked after that. [`Runner::run_gates`] resolves every branch to a commit and hands the items to a
//! dependency graph: an item begins as soon as its last dependency has passed and a worker is free, not when a whole level is
//! done. A gate is a real process in a process group of its own. [`Merger::run`] takes one working copy at the target and
//! merges the checked commits in [`Plan::order`] with `git merge --no-ff`; a conflict is aborted, proven to have left nothing
//! behind, and reported. [`Report`] joins both.
//!
//! # Guarantees
//!
//! - A dependent begins only after every dependency has passed and given back its working copy.
//! - Whether a gate passed is decided by its exit alone, never by what it wrote.
//! - A timeout or a cancellation ends the gate's whole process group; a process that leaves its group on purpose is out of reach.
//! - A gate that asks for a runtime that does not exist here fails; it never runs on the host instead.
//! - Nothing outside the pool is written, except the log folder where one is given, and one new branch on the remote where
//!   [`Merger::execute`] asks for it.
//! - The same plan and the same commits give the same merged tree.
//! - Documents, lists, listed problems, kept output and log files are bounded.
//! - A listener that panics harms only its own call.
//!
//! # Limitations
//!
//! - Blocking: there is no async interface. Call it from a thread made for blocking and keep a [`Cancel`].
//! - Retried gates run in the working copy as the attempt before left it.
//! - Merges only; neither squash nor rebase. Containers, artifacts, overrides and the performance section are validated,
//!   warned about and without effect.
//! - Gates can read and write whatever the user may: a working copy is no sandbox.
//! - Events of items that never began come at the end of the run.

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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
