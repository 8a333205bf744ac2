//! What the schema cannot say: names that repeat, dependencies that lead nowhere or in a circle, gates that are missing.

use std::collections::{HashMap, HashSet};

use brolly_batch::{Dag, DagError};

use super::document::Shown;
use super::reader::{Findings, Path};
use super::schema::{Draft, DraftItem};
use crate::error::{ProblemCode, WarningCode};

/// Checks the parts of a draft against each other, as far as they could be read.
pub(crate) fn check(draft: &Draft, findings: &mut Findings) {
    let items = &Path::Key(&Path::Root, "items");
    if draft.items_read && draft.items.is_empty() {
        findings.warning(items, WarningCode::EmptyPlan, "the plan has no items");
    }
    let index_of = unique_names(draft, items, findings);
    dependencies(draft, &index_of, items, findings);
    cycles(draft, &index_of, items, findings);
    gates(draft, items, findings);
    policy(draft, findings);
}

/// Every readable item with its place in the document.
fn readable(draft: &Draft) -> impl Iterator<Item = (usize, &DraftItem)> {
    draft
        .items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| Some((index, item.as_ref()?)))
}

/// The first item of each name; later ones are problems.
fn unique_names<'a>(
    draft: &'a Draft,
    items: &Path<'_>,
    findings: &mut Findings,
) -> HashMap<&'a str, usize> {
    let mut index_of = HashMap::new();
    for (index, item) in readable(draft) {
        let Some(name) = item.name.as_deref() else {
            continue;
        };
        let first = *index_of.entry(name).or_insert(index);
        if first != index {
            let message = format!(
                "the item name {} is taken by {}",
                Shown(name),
                items.index(first)
            );
            findings.problem(
                &items.index(index).key("name"),
                ProblemCode::DuplicateName,
                message,
            );
        }
    }
    index_of
}

fn dependencies(
    draft: &Draft,
    index_of: &HashMap<&str, usize>,
    items: &Path<'_>,
    findings: &mut Findings,
) {
    for (index, item) in readable(draft) {
        let at = items.index(index);
        let at = at.key("deps");
        let mut seen = HashSet::new();
        for (place, dep) in item.deps.iter().enumerate() {
            let Some(dep) = dep.as_deref() else { continue };
            if !index_of.contains_key(dep) {
                let name = item.name.as_deref().unwrap_or("?");
                let message = format!(
                    "{} depends on {}, which is no item of this plan",
                    Shown(name),
                    Shown(dep)
                );
                findings.problem(&at.index(place), ProblemCode::UnknownDependency, message);
            } else if !seen.insert(dep) {
                let message = format!(
                    "the dependency {} is named more than once; it counts once",
                    Shown(dep)
                );
                findings.warning(&at.index(place), WarningCode::DuplicateDependency, message);
            }
        }
    }
}

/// One problem per cycle, naming the nodes in order; cycles that share a node are reported once.
fn cycles(
    draft: &Draft,
    index_of: &HashMap<&str, usize>,
    items: &Path<'_>,
    findings: &mut Findings,
) {
    let nodes = readable(draft).filter_map(|(index, item)| {
        let name = item.name.as_deref()?;
        // Of items that share a name only the first takes part: the others are problems already.
        let is_first = index_of.get(name) == Some(&index);
        let deps = item
            .deps
            .iter()
            .flatten()
            .map(String::as_str)
            .filter(|dep| index_of.contains_key(dep));
        is_first.then(|| (name, deps.collect::<Vec<_>>()))
    });
    let Err(errors) = Dag::from_dependencies(nodes) else {
        return;
    };
    for error in errors {
        match error {
            DagError::Cycle { path } => {
                // A plan's cycle is told from its bytewise smallest member on, whatever the order of the document.
                let start = (0..path.len())
                    .min_by_key(|&place| path[place])
                    .unwrap_or(0);
                let mut names: Vec<String> = (0..=path.len())
                    .map(|step| path[(start + step) % path.len()].to_owned())
                    .collect();
                shorten(&mut names);
                let index = index_of.get(path[start]).copied().unwrap_or(0);
                let message = format!(
                    "the items depend on each other in a circle: {}",
                    names.join(" -> ")
                );
                findings.problem(
                    &items.index(index).key("deps"),
                    ProblemCode::PlanCycle,
                    message,
                );
            }
            // Duplicates and unknown dependencies were kept out above; what is left is the graph's own bound on size.
            other => findings.problem(items, ProblemCode::LimitExceeded, other.to_string()),
        }
    }
}

/// Keeps a long cycle readable: both ends and the count of what lies between.
fn shorten(names: &mut Vec<String>) {
    const SHOWN: usize = 50;
    if names.len() > 2 * SHOWN {
        let between = names.len() - 2 * SHOWN;
        names.splice(SHOWN..names.len() - SHOWN, [format!("({between} more)")]);
    }
}

/// Gate names within each item, and the gates that the policy requires of all.
fn gates(draft: &Draft, items: &Path<'_>, findings: &mut Findings) {
    let mut seen = HashSet::new();
    let required: Vec<&str> = draft
        .policy
        .required_gates
        .iter()
        .map(String::as_str)
        .filter(|gate| seen.insert(*gate))
        .collect();
    let is_required = seen;
    for (index, item) in readable(draft) {
        let at_item = items.index(index);
        let at = at_item.key("gates");
        let mut first = HashMap::new();
        for (place, name) in item.gate_names.iter().enumerate() {
            let Some(name) = name.as_deref() else {
                continue;
            };
            let earlier = *first.entry(name).or_insert(place);
            if earlier != place {
                let message = format!(
                    "the gate name {} is taken by {}",
                    Shown(name),
                    at.index(earlier)
                );
                findings.problem(
                    &at.index(place).key("name"),
                    ProblemCode::DuplicateName,
                    message,
                );
            }
        }
        if !item.gate_names_known {
            continue;
        }
        // Counted by the item's own gates, so that many items times many required gates cost nothing.
        let present = first.keys().filter(|gate| is_required.contains(*gate));
        let mut missing = required.len() - present.count();
        for gate in required.iter().filter(|gate| !first.contains_key(*gate)) {
            if findings.is_full() {
                findings.omit(missing);
                break;
            }
            let name = item.name.as_deref().unwrap_or("?");
            let message = format!(
                "{} has no gate {}, which the policy requires of every item",
                Shown(name),
                Shown(gate)
            );
            findings.problem(&at, ProblemCode::GateMissing, message);
            missing -= 1;
        }
    }
}

/// Gates that the policy names and no item has, and gates named both ways.
fn policy(draft: &Draft, findings: &mut Findings) {
    let known: HashSet<&str> = readable(draft)
        .flat_map(|(_, item)| item.gate_names.iter().flatten())
        .map(String::as_str)
        .collect();
    let path = &Path::Key(&Path::Root, "policy");
    let retries = path.key("retries");
    for gate in draft
        .policy
        .retries
        .keys()
        .filter(|gate| !known.contains(gate.as_str()))
    {
        let message = format!("retries are set for {}, which no item has", Shown(gate));
        findings.warning(&retries.key(gate), WarningCode::UnknownGate, message);
    }
    let required: HashSet<&str> = draft
        .policy
        .required_gates
        .iter()
        .map(String::as_str)
        .collect();
    let optional = path.key("optionalGates");
    for (place, gate) in draft.policy.optional_gates.iter().enumerate() {
        if required.contains(gate.as_str()) {
            let message = format!("{} is required as well; it counts as required", Shown(gate));
            findings.warning(
                &optional.index(place),
                WarningCode::RequiredAndOptional,
                message,
            );
        } else if !known.contains(gate.as_str()) {
            let message = format!("{} is called optional, and no item has it", Shown(gate));
            findings.warning(&optional.index(place), WarningCode::UnknownGate, message);
        }
    }
}
