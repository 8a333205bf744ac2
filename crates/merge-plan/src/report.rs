//! One document about a run: what every item came to, counts, and how the work was done.

mod markdown;

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::outcome::{
    GateRun, GateStatus, ItemResult, ItemStatus, MergeResult, MergeRun, MergeStatus,
};
use crate::plan::Plan;

/// Gates and merges of a plan in one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// True if every item passed and, where merges were tried, was merged and pushed as asked. Never true of a cancelled run.
    pub ok: bool,
    /// The pool whose slots were used.
    pub pool: String,
    /// The plan's target.
    pub target: String,
    /// The merge order by level.
    pub order: Vec<Vec<String>>,
    /// One entry for each item, in the order of the plan.
    pub items: Vec<ItemReport>,
    /// The integration branch, where merges were tried.
    pub integration: Option<Integration>,
    /// The counts.
    pub totals: Totals,
    /// How the working copies were used.
    pub slots: SlotUse,
    /// True if the run was cancelled before its end.
    pub cancelled: bool,
    /// Gates and merges together, in milliseconds.
    pub wall_ms: u64,
}

/// What one item came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ItemReport {
    /// Its gates and the rest of [`ItemResult`].
    #[serde(flatten)]
    pub gates: ItemResult,
    /// Its merge, where merges were tried.
    pub merge: Option<MergeResult>,
}

/// The branch that the items were merged onto.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Integration {
    /// The commit of the target that everything was merged onto.
    pub base: String,
    /// The commit that holds all merges.
    pub head: String,
    /// The tree of `head`.
    pub tree: String,
    /// True if nothing was to leave the slot.
    pub dry_run: bool,
    /// The branch that was pushed, if one was.
    pub branch: Option<String>,
    /// Why the branch could not be pushed, where that is so.
    pub push_problem: Option<String>,
}

/// Counts over all items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Totals {
    /// Items in the plan.
    pub items: usize,
    /// Items that passed.
    pub passed: usize,
    /// Items that failed.
    pub failed: usize,
    /// Items that a dependency or `blockOn` held back.
    pub blocked: usize,
    /// Items left out because an earlier failure stopped the run.
    pub skipped: usize,
    /// Items that a cancellation came before.
    pub cancelled: usize,
    /// Gates that passed.
    pub gates_passed: usize,
    /// Gates that failed, optional ones included.
    pub gates_failed: usize,
    /// Gates that passed only after a further attempt.
    pub gates_flaky: usize,
    /// Attempts of all gates.
    pub attempts: usize,
    /// Optional gates that failed: the warnings of a run.
    pub optional_failures: usize,
    /// Items merged.
    pub merged: usize,
    /// Items whose merge conflicted.
    pub conflicts: usize,
    /// Items not merged because a dependency was not.
    pub merges_blocked: usize,
    /// Items not merged for another reason.
    pub not_merged: usize,
}

/// How the pool's slots were used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SlotUse {
    /// Items worked on at once at most.
    pub workers: usize,
    /// The slots that were used, by number.
    pub used: Vec<u32>,
    /// Leases taken.
    pub leases: usize,
    /// Leases whose slot was at the right commit already.
    pub warm_hits: usize,
}

impl Report {
    /// The report of a run, with its merges if there were any.
    ///
    /// `gates` and `merges` are results of `plan`: the order and the target come from the plan, all else from the results.
    pub fn new(plan: &Plan, gates: &GateRun, merges: Option<&MergeRun>) -> Self {
        let by_name: HashMap<&str, &MergeResult> = merges
            .iter()
            .flat_map(|run| &run.items)
            .map(|result| (result.name.as_str(), result))
            .collect();
        let item = |result: &ItemResult| ItemReport {
            gates: result.clone(),
            merge: by_name
                .get(result.name.as_str())
                .map(|&merge| merge.clone()),
        };
        let items: Vec<ItemReport> = gates.items.iter().map(item).collect();
        Self {
            ok: gates.is_pass() && merges.is_none_or(MergeRun::is_merged),
            pool: gates.pool.clone(),
            target: plan.target().to_owned(),
            order: plan
                .order()
                .into_iter()
                .map(|level| level.into_iter().map(str::to_owned).collect())
                .collect(),
            integration: merges.map(|run| Integration {
                base: run.base.clone(),
                head: run.head.clone(),
                tree: run.tree.clone(),
                dry_run: run.dry_run,
                branch: run.branch.clone(),
                push_problem: run.push_problem.clone(),
            }),
            totals: totals(&items),
            slots: slot_use(gates, merges),
            cancelled: gates.cancelled || merges.is_some_and(|run| run.cancelled),
            wall_ms: gates
                .wall_ms
                .saturating_add(merges.map_or(0, |run| run.wall_ms)),
            items,
        }
    }

    /// The report as JSON: fixed key order, a newline at the end.
    ///
    /// Durations and captured output differ from run to run, everything else only with what happened.
    pub fn to_json(&self) -> String {
        crate::json::pretty(self)
    }

    /// The report as Markdown: a summary, a table of all items, details of what did not go well.
    pub fn to_markdown(&self) -> String {
        markdown::render(self)
    }
}

fn totals(items: &[ItemReport]) -> Totals {
    let mut totals = Totals {
        items: items.len(),
        ..Totals::default()
    };
    for item in items {
        *match item.gates.status {
            ItemStatus::Pass => &mut totals.passed,
            ItemStatus::Fail => &mut totals.failed,
            ItemStatus::Blocked => &mut totals.blocked,
            ItemStatus::Skipped => &mut totals.skipped,
            ItemStatus::Cancelled => &mut totals.cancelled,
        } += 1;
        for gate in &item.gates.gates {
            let (passed, failed) = (
                gate.status == GateStatus::Pass,
                gate.status == GateStatus::Fail,
            );
            totals.gates_passed += usize::from(passed);
            totals.gates_failed += usize::from(failed);
            totals.gates_flaky += usize::from(passed && gate.attempts.len() > 1);
            totals.optional_failures += usize::from(failed && !gate.required);
            totals.attempts += gate.attempts.len();
        }
        if let Some(merge) = &item.merge {
            *match merge.status {
                MergeStatus::Merged => &mut totals.merged,
                MergeStatus::Conflict => &mut totals.conflicts,
                MergeStatus::Blocked => &mut totals.merges_blocked,
                _ => &mut totals.not_merged,
            } += 1;
        }
    }
    totals
}

fn slot_use(gates: &GateRun, merges: Option<&MergeRun>) -> SlotUse {
    let of_gates = gates
        .items
        .iter()
        .filter_map(|item| Some((item.slot?, item.warm?)));
    let of_merges = merges.map(|run| (run.slot, run.warm));
    let leases: Vec<(u32, bool)> = of_gates.chain(of_merges).collect();
    SlotUse {
        workers: gates.workers,
        used: leases
            .iter()
            .map(|(slot, _)| *slot)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        leases: leases.len(),
        warm_hits: leases.iter().filter(|(_, warm)| *warm).count(),
    }
}
