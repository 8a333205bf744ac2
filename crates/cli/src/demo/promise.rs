//! One promise of the demo: what was expected, what was seen, and whether the two agree.

use std::fmt::Display;

use brolly_merge_plan::{ItemReport, Report};
use brolly_repo_pool::PoolStatus;
use serde::Serialize;

/// A promise and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Promise {
    pub(super) name: &'static str,
    pub(super) expected: String,
    pub(super) seen: String,
    pub(super) ok: bool,
}

impl Promise {
    /// Kept if both are the same.
    pub(super) fn same<T: PartialEq + Display>(name: &'static str, expected: T, seen: T) -> Self {
        let ok = expected == seen;
        Self {
            name,
            expected: expected.to_string(),
            seen: seen.to_string(),
            ok,
        }
    }

    /// Kept if `ok`.
    pub(super) fn judged(
        name: &'static str,
        expected: impl Display,
        seen: impl Display,
        ok: bool,
    ) -> Self {
        Self {
            name,
            expected: expected.to_string(),
            seen: seen.to_string(),
            ok,
        }
    }
}

/// After everything, no slot is held, broken or half-way.
pub(super) fn slots_are_back(status: &PoolStatus) -> Promise {
    let summary = &status.summary;
    let seen = format!(
        "{} of {} free, {} leased, {} in error",
        summary.available, summary.total, summary.leased, summary.error
    );
    Promise::judged(
        "every slot is given back",
        format!("{0} of {0} free", summary.total),
        seen,
        summary.available == summary.total,
    )
}

/// The names of the items that fit, in order.
pub(super) fn names(report: &Report, fits: impl Fn(&ItemReport) -> bool) -> String {
    let names: Vec<_> = report
        .items
        .iter()
        .filter(|item| fits(item))
        .map(|item| item.gates.name.as_str())
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
