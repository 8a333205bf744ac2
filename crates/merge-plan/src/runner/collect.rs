//! From what the graph says of each node to a result for each item.

use brolly_batch::{ItemError, Outcome};

use super::item::not_run;
use crate::event::{Event, Listener};
use crate::outcome::{Cause, ItemProblem, ItemProblemCode, ItemResult, ItemStatus};
use crate::plan::Plan;
use crate::verdict;

/// Results in the order of the plan; `order` names causes before what they block.
///
/// Items that ended here, because they never began or panicked, are told to the listener.
pub(super) fn results(
    plan: &Plan,
    listener: &Listener,
    outcomes: Vec<Outcome<ItemResult, Box<ItemResult>>>,
    order: &[u32],
) -> Vec<ItemResult> {
    let mut outcomes: Vec<_> = outcomes.into_iter().map(Some).collect();
    let mut results: Vec<Option<ItemResult>> = outcomes.iter().map(|_| None).collect();
    for &index in order {
        let index = usize::try_from(index).expect("an index of a vector");
        let outcome = outcomes[index]
            .take()
            .expect("a topological order names an item once");
        let (result, was_told) = match outcome {
            Outcome::Done(result) => (result, true),
            Outcome::Failed(ItemError::Failed(result)) => (*result, true),
            outcome => (without_result(plan, index, outcome, &results), false),
        };
        if !was_told {
            listener.tell(Event::ItemFinished {
                item: &result.name,
                status: result.status,
            });
        }
        results[index] = Some(result);
    }
    let every = |result: Option<ItemResult>| result.expect("a topological order names every item");
    results.into_iter().map(every).collect()
}

/// The result of an item that has none of its own; its causes have theirs in `results`.
fn without_result(
    plan: &Plan,
    index: usize,
    outcome: Outcome<ItemResult, Box<ItemResult>>,
    results: &[Option<ItemResult>],
) -> ItemResult {
    let item = &plan.items[index];
    let failed = |message: String| ItemResult {
        problem: Some(ItemProblem {
            code: ItemProblemCode::Panic,
            message,
        }),
        ..not_run(plan, item, ItemStatus::Fail)
    };
    match outcome {
        Outcome::Blocked { by } => {
            let causes = by.iter().filter_map(|&cause| results[cause].as_ref());
            let status = verdict::of_causes(causes.clone().map(|cause| cause.status));
            let names = causes.map(|cause| Cause::Dependency {
                item: cause.name.clone(),
            });
            let is_blocked = status == ItemStatus::Blocked;
            ItemResult {
                blocked_by: names.filter(|_| is_blocked).collect(),
                ..not_run(plan, item, status)
            }
        }
        Outcome::Failed(ItemError::Panicked(panic)) => failed(panic.message().to_owned()),
        _ => failed("the graph gave no result".to_owned()),
    }
}
