//! What can be wrong with a plan, and what can stop a run or a merge as a whole.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

/// Everything that is wrong with a plan document.
///
/// Serializes as `{"valid": false, "errors": [{"path", "code", "message"}], "omitted": 0}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanErrors {
    valid: bool,
    errors: Vec<Problem>,
    omitted: usize,
}

impl PlanErrors {
    /// Problems listed at most; the rest is only counted.
    pub const MAX_LISTED: usize = 100;

    pub(crate) fn new(errors: Vec<Problem>, omitted: usize) -> Self {
        debug_assert!(!errors.is_empty(), "a rejected plan names a reason");
        Self {
            valid: false,
            errors,
            omitted,
        }
    }

    /// The problems: those of the document's shape in its order, then those between its parts.
    pub fn problems(&self) -> &[Problem] {
        &self.errors
    }

    /// How many more there were than are listed.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// The same as JSON, with a newline at the end.
    pub fn to_json(&self) -> String {
        crate::json::pretty(self)
    }
}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.errors.len().saturating_add(self.omitted);
        write!(
            f,
            "the plan has {all} {}",
            if all == 1 { "error" } else { "errors" }
        )?;
        for problem in &self.errors {
            write!(f, "\n  {problem}")?;
        }
        if self.omitted > 0 {
            write!(f, "\n  and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanErrors {}

/// One mistake in a plan document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where it is, for example `$.items[3].gates[0].run`.
    pub path: String,
    /// What kind of mistake it is.
    pub code: ProblemCode,
    /// What was found there and what is allowed, for people.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} [{}]",
            self.path,
            self.message,
            self.code.as_str()
        )
    }
}

/// The kinds of mistakes in a plan document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ProblemCode {
    /// The text is no JSON.
    JsonParse,
    /// A field is unknown, missing, given twice, of the wrong type or out of range.
    SchemaValidation,
    /// The format version is not `1.x.y`.
    SchemaVersion,
    /// Two items, or two gates of one item, share a name.
    DuplicateName,
    /// An item depends on something that is no item of the plan.
    UnknownDependency,
    /// Items depend on each other in a circle.
    PlanCycle,
    /// An item lacks a gate that the policy requires.
    GateMissing,
    /// The document, or a list in it, is larger than what is accepted.
    LimitExceeded,
}

impl ProblemCode {
    /// The stable spelling, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JsonParse => "JSON_PARSE",
            Self::SchemaValidation => "SCHEMA_VALIDATION",
            Self::SchemaVersion => "SCHEMA_VERSION",
            Self::DuplicateName => "DUPLICATE_NAME",
            Self::UnknownDependency => "UNKNOWN_DEPENDENCY",
            Self::PlanCycle => "PLAN_CYCLE",
            Self::GateMissing => "GATE_MISSING",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
        }
    }
}

/// Something in a valid plan that is worth a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Where it is.
    pub path: String,
    /// What kind of warning it is.
    pub code: WarningCode,
    /// What was found there and what follows from it, for people.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} [{}]",
            self.path,
            self.message,
            self.code.as_str()
        )
    }
}

/// The kinds of warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum WarningCode {
    /// The plan has no items.
    EmptyPlan,
    /// The policy names a gate that no item has.
    UnknownGate,
    /// A gate is called required and optional; it is required.
    RequiredAndOptional,
    /// An item names the same dependency more than once; it counts once.
    DuplicateDependency,
    /// The field is understood and has no effect yet.
    NotAvailable,
    /// The gate's runtime does not exist here yet, so the gate will fail.
    UnsupportedRuntime,
}

impl WarningCode {
    /// The stable spelling, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyPlan => "EMPTY_PLAN",
            Self::UnknownGate => "UNKNOWN_GATE",
            Self::RequiredAndOptional => "REQUIRED_AND_OPTIONAL",
            Self::DuplicateDependency => "DUPLICATE_DEPENDENCY",
            Self::NotAvailable => "NOT_AVAILABLE",
            Self::UnsupportedRuntime => "UNSUPPORTED_RUNTIME",
        }
    }
}

/// Why a run or a merge could not be done at all.
///
/// What befalls one item is no error of the whole: it stands in that item's result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The pool refused or failed.
    #[error("the working-copy pool {pool:?} failed")]
    Pool {
        /// The pool's name.
        pool: String,
        /// What it said.
        source: Box<brolly_repo_pool::Error>,
    },
    /// The plan's target branch does not exist.
    #[error("the target {target:?} is not a branch or revision of the pool {pool:?}")]
    UnknownTarget {
        /// The pool's name.
        pool: String,
        /// The plan's target.
        target: String,
        /// What the pool said.
        source: Box<brolly_repo_pool::Error>,
    },
    /// The gate results belong to another plan.
    #[error(
        "the gate results do not belong to this plan: {item:?} is in only one of them, or at another place"
    )]
    ForeignResults {
        /// An item that is in one and not in the other.
        item: String,
    },
    /// The log folder could not be made.
    #[error("the log folder {} cannot be made", path.display())]
    Logs {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused what every run needs.
    #[error("the operating system refused {what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

/// An error with all its sources in one line, for results that are data.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat their source in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
