//! The schema: which fields exist at each level, their types, ranges and defaults.

mod gate;
mod policy;

use std::collections::HashSet;

use super::document::Node;
use super::reader::{Fields, Findings, Path, Text, list, text};
use crate::error::ProblemCode;
use crate::plan::{Gate, Item, Plan, Policy};

const MAX_ITEMS: usize = 100_000;
const MAX_GATES_PER_ITEM: usize = 1_000;
const MAX_DEPS_PER_ITEM: usize = 100_000;

/// As much of a plan as could be read; complete if there was no problem.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) schema_version: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) policy: Policy,
    /// In the order of the document; `None` where the element is no object.
    pub(crate) items: Vec<Option<DraftItem>>,
    /// True if there is an item list that could be walked.
    pub(crate) items_read: bool,
}

/// As much of an item as could be read.
#[derive(Debug, Default)]
pub(crate) struct DraftItem {
    pub(crate) name: Option<String>,
    pub(crate) branch: Option<String>,
    /// In the order of the document, repeated ones included; `None` where the element is no name.
    pub(crate) deps: Vec<Option<String>>,
    /// The names of the gates in the order of the document.
    pub(crate) gate_names: Vec<Option<String>>,
    pub(crate) gates: Vec<Gate>,
    /// True if every gate's name could be read, so that a missing one is really missing.
    pub(crate) gate_names_known: bool,
}

impl Draft {
    /// The plan; only for a draft without problems.
    pub(crate) fn into_plan(self) -> Plan {
        let items = self
            .items
            .into_iter()
            .flatten()
            .map(DraftItem::into_item)
            .collect();
        Plan {
            schema_version: self
                .schema_version
                .expect("a plan without a version has a problem"),
            target: self.target.expect("a plan without a target has a problem"),
            policy: self.policy,
            items,
        }
    }
}

impl DraftItem {
    fn into_item(self) -> Item {
        let mut seen = HashSet::new();
        let deps = self
            .deps
            .into_iter()
            .flatten()
            .filter(|dep| seen.insert(dep.clone()))
            .collect();
        Item {
            name: self.name.expect("an item without a name has a problem"),
            branch: self.branch.expect("an item without a branch has a problem"),
            deps,
            gates: self.gates,
        }
    }
}

pub(crate) fn plan(node: &Node, findings: &mut Findings) -> Draft {
    let path = &Path::Root;
    let mut draft = Draft::default();
    let Some(fields) = Fields::open(
        node,
        path,
        &["schemaVersion", "target", "policy", "items"],
        findings,
    ) else {
        return draft;
    };
    draft.schema_version = match fields.get("schemaVersion") {
        Some(node) => schema_version(node, &path.key("schemaVersion"), findings),
        None => {
            let message = "missing; this field is required and holds a version such as \"1.0.0\"";
            findings.problem(
                &path.key("schemaVersion"),
                ProblemCode::SchemaVersion,
                message,
            );
            None
        }
    };
    draft.target = match fields.get("target") {
        Some(node) => text(node, Text::Revision, &path.key("target"), findings),
        None => Some("main".to_owned()),
    };
    if let Some(node) = fields.get("policy") {
        draft.policy = policy::read(node, &path.key("policy"), findings).unwrap_or_default();
    }
    match fields.get("items") {
        Some(node) => {
            if let Some(items) = list(node, MAX_ITEMS, &path.key("items"), findings, item) {
                draft.items = items;
                draft.items_read = true;
            }
        }
        None => draft.items_read = true,
    }
    draft
}

/// `1.x.y`, each a decimal number.
fn schema_version(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<String> {
    if let Node::Text(version) = node {
        let parts: Vec<&str> = version.split('.').collect();
        let numeric = |part: &&str| {
            (1..=10).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if parts.len() == 3 && parts[0] == "1" && parts.iter().all(numeric) {
            return Some(version.clone());
        }
    }
    let message = format!("expected a version 1.x.y such as \"1.0.0\", found {node}");
    findings.problem(path, ProblemCode::SchemaVersion, message);
    None
}

fn item(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<DraftItem> {
    let fields = Fields::open(node, path, &["name", "branch", "deps", "gates"], findings)?;
    let mut draft = DraftItem {
        gate_names_known: true,
        ..DraftItem::default()
    };
    if let Some(node) = fields.required("name", path, findings) {
        draft.name = text(node, Text::Name, &path.key("name"), findings);
    }
    draft.branch = match (fields.get("branch"), &draft.name) {
        (Some(node), _) => text(node, Text::Revision, &path.key("branch"), findings),
        (None, Some(name)) => match Text::Revision.fault(name) {
            None => Some(name.clone()),
            Some(fault) => {
                findings.invalid(
                    &path.key("name"),
                    format!("{fault}; give the item a branch"),
                );
                None
            }
        },
        (None, None) => None,
    };
    if let Some(node) = fields.get("deps") {
        let dep = |node: &Node, path: &Path<'_>, findings: &mut Findings| {
            text(node, Text::Name, path, findings)
        };
        draft.deps =
            list(node, MAX_DEPS_PER_ITEM, &path.key("deps"), findings, dep).unwrap_or_default();
    }
    if let Some(node) = fields.get("gates") {
        match list(
            node,
            MAX_GATES_PER_ITEM,
            &path.key("gates"),
            findings,
            |node, path, findings| Some(gate::read(node, path, findings)),
        ) {
            Some(gates) => {
                for (name, gate) in gates.into_iter().flatten() {
                    draft.gate_names_known &= name.is_some();
                    draft.gate_names.push(name);
                    draft.gates.extend(gate);
                }
            }
            None => draft.gate_names_known = false,
        }
    }
    Some(draft)
}
