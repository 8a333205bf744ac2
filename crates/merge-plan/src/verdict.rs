//! From gate results to an item's status: the rule alone, without a process or a clock.

use crate::outcome::{Cause, GateProblemCode, GateResult, GateStatus, ItemStatus};

/// The status of an item whose gates have all been dealt with.
///
/// A required failure outweighs a cancellation, which outweighs a gate that is held back; optional gates change nothing,
/// except that a gate held back by `blockOn` holds its item back even if it is optional.
pub(crate) fn of_gates(gates: &[GateResult]) -> ItemStatus {
    let any = |status: GateStatus, even_optional: bool| {
        gates
            .iter()
            .any(|gate| gate.status == status && (gate.required || even_optional))
    };
    if any(GateStatus::Fail, false) {
        ItemStatus::Fail
    } else if any(GateStatus::Cancelled, false) {
        ItemStatus::Cancelled
    } else if any(GateStatus::Blocked, true) {
        ItemStatus::Blocked
    } else {
        ItemStatus::Pass
    }
}

/// The status of an item that did not run because of these direct dependencies.
pub(crate) fn of_causes(causes: impl IntoIterator<Item = ItemStatus>) -> ItemStatus {
    let (mut blocked, mut cancelled) = (false, false);
    for cause in causes {
        blocked |= matches!(cause, ItemStatus::Fail | ItemStatus::Blocked);
        cancelled |= cause == ItemStatus::Cancelled;
    }
    match (blocked, cancelled) {
        (true, _) => ItemStatus::Blocked,
        (false, true) => ItemStatus::Cancelled,
        (false, false) => ItemStatus::Skipped,
    }
}

/// The gates that `blockOn` holds back, as causes.
pub(crate) fn block_on_causes(gates: &[GateResult], block_on: &[String]) -> Vec<Cause> {
    let held = gates.iter().filter(|gate| {
        gate.problem
            .as_ref()
            .is_some_and(|problem| problem.code == GateProblemCode::BlockOn)
    });
    held.map(|gate| {
        let pattern = blocking(block_on, &gate.name).unwrap_or_default();
        Cause::BlockOn {
            gate: gate.name.clone(),
            pattern: pattern.to_owned(),
        }
    })
    .collect()
}

/// The first entry of `blockOn` that matches the gate.
pub(crate) fn blocking<'a>(block_on: &'a [String], gate: &str) -> Option<&'a str> {
    block_on
        .iter()
        .map(String::as_str)
        .find(|pattern| crate::glob::matches(pattern, gate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(required: bool, status: GateStatus) -> GateResult {
        GateResult {
            name: "g".to_owned(),
            required,
            status,
            problem: None,
            attempts: Vec::new(),
        }
    }

    #[test]
    fn an_item_without_gates_passes() {
        assert_eq!(of_gates(&[]), ItemStatus::Pass);
    }

    #[test]
    fn an_optional_failure_leaves_the_item_passed() {
        assert_eq!(
            of_gates(&[gate(true, GateStatus::Pass), gate(false, GateStatus::Fail)]),
            ItemStatus::Pass
        );
    }

    #[test]
    fn a_gate_held_back_holds_its_item_back_even_if_it_is_optional() {
        let gates = [
            gate(true, GateStatus::Pass),
            gate(false, GateStatus::Blocked),
        ];
        assert_eq!(of_gates(&gates), ItemStatus::Blocked);
    }

    #[test]
    fn a_required_failure_outweighs_everything() {
        let gates = [
            gate(true, GateStatus::Blocked),
            gate(true, GateStatus::Cancelled),
            gate(true, GateStatus::Fail),
        ];
        assert_eq!(of_gates(&gates), ItemStatus::Fail);
        assert_eq!(of_gates(&gates[..2]), ItemStatus::Cancelled);
        assert_eq!(of_gates(&gates[..1]), ItemStatus::Blocked);
    }

    #[test]
    fn a_dependent_is_blocked_by_failures_and_cancelled_with_the_rest() {
        use ItemStatus::*;
        assert_eq!(of_causes([Skipped, Fail, Cancelled]), Blocked);
        assert_eq!(of_causes([Blocked]), Blocked);
        assert_eq!(of_causes([Skipped, Cancelled]), Cancelled);
        assert_eq!(of_causes([Skipped]), Skipped);
    }
}
