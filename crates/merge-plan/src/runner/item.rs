//! One item: a working copy, its gates in it one after another, and the working copy given back.

use std::time::Instant;

use brolly_repo_pool::Lease;

use crate::event::Event;
use crate::gate::{self, Setting, millis};
use crate::outcome::{
    GateProblem, GateProblemCode, GateStatus, ItemProblem, ItemProblemCode, ItemResult, ItemStatus,
};
use crate::plan::{Item, Plan};
use crate::verdict;

/// Runs the gates of `setting.plan.items[index]` at `commit` in the working copy that `lease` gets for it.
///
/// Without gates there is nothing to do in a working copy, so none is leased; an unknown branch fails its item all the same.
pub(super) fn run(
    setting: &Setting<'_>,
    index: usize,
    commit: &Result<String, ItemProblem>,
    lease: impl FnOnce(&str) -> Result<Lease, ItemProblem>,
) -> ItemResult {
    let start = Instant::now();
    let item = &setting.plan.items[index];
    let failed = |problem| ItemResult {
        problem: Some(problem),
        ..not_run(setting.plan, item, ItemStatus::Fail)
    };
    let mut result = match commit {
        Err(problem) => failed(problem.clone()),
        Ok(_) if item.gates.is_empty() => not_run(setting.plan, item, ItemStatus::Pass),
        Ok(commit) => match lease(commit) {
            Ok(lease) => in_working_copy(setting, index, lease),
            Err(_) if setting.cancel.is_cancelled() => {
                not_run(setting.plan, item, ItemStatus::Cancelled)
            }
            Err(problem) => failed(problem),
        },
    };
    result.duration_ms = millis(start.elapsed());
    result
}

fn in_working_copy(setting: &Setting<'_>, index: usize, lease: Lease) -> ItemResult {
    let item = &setting.plan.items[index];
    let (slot, warm) = (lease.slot(), lease.is_warm());
    setting.listener.tell(Event::ItemStarted {
        item: &item.name,
        slot,
        warm,
    });
    let mut gates = Vec::with_capacity(item.gates.len());
    for place in 0..item.gates.len() {
        let gate = gate::run(setting, item, index, place, &lease);
        setting.listener.tell(Event::GateFinished {
            item: &item.name,
            gate: &gate.name,
            status: gate.status,
        });
        gates.push(gate);
    }
    // The gates have spoken; a slot that cannot be cleaned is the pool's to repair and no reason to fail the item.
    let released = lease.release().map_err(|error| ItemProblem {
        code: ItemProblemCode::Release,
        message: crate::error::chain(&error),
    });
    ItemResult {
        status: verdict::of_gates(&gates),
        blocked_by: verdict::block_on_causes(&gates, &setting.plan.policy.block_on),
        problem: released.err(),
        gates,
        slot: Some(slot),
        warm: Some(warm),
        ..not_run(setting.plan, item, ItemStatus::Pass)
    }
}

/// The result of an item that did not run: its gates are listed, without an attempt.
pub(super) fn not_run(plan: &Plan, item: &Item, status: ItemStatus) -> ItemResult {
    let gate_status = if status == ItemStatus::Cancelled {
        GateStatus::Cancelled
    } else {
        GateStatus::Skipped
    };
    let problem = || {
        Some(GateProblem {
            code: GateProblemCode::ItemNotRun,
            message: "the item did not run".to_owned(),
        })
    };
    ItemResult {
        name: item.name.clone(),
        branch: item.branch.clone(),
        commit: None,
        status,
        blocked_by: Vec::new(),
        problem: None,
        gates: item
            .gates
            .iter()
            .map(|gate| gate::without_run(plan, gate, gate_status, problem()))
            .collect(),
        slot: None,
        warm: None,
        duration_ms: 0,
    }
}
