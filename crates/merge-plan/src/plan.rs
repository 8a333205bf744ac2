//! The plan as data: items, gates and policy, complete with defaults and already validated.

mod gate;
mod policy;

use std::time::Duration;

use brolly_batch::Dag;
use serde::{Serialize, Serializer};

use crate::error::PlanErrors;
use crate::parse;

pub use gate::{Container, Gate, Mount, MountKind, Runtime, Script};
pub use policy::{AdminGreen, MergeRule, Overrides, Performance, Policy, Retry};

/// A validated merge plan: which items exist, what they depend on, and which gates they must pass.
///
/// A value of this type is always valid: names are unique, every dependency is an item of the plan, and there is no cycle.
/// The only way to make one is [`Plan::from_json`].
///
/// # Examples
///
/// ```
/// use brolly_merge_plan::Plan;
///
/// let parsed = Plan::from_json(
///     r#"{"schemaVersion": "1.0.0", "items": [{"name": "ui", "deps": ["api"]}, {"name": "api"}]}"#,
/// )?;
/// assert_eq!(parsed.plan.order(), [["api"], ["ui"]]);
/// assert_eq!(parsed.plan.target(), "main");
/// # Ok::<(), brolly_merge_plan::PlanErrors>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub(crate) schema_version: String,
    pub(crate) target: String,
    pub(crate) policy: Policy,
    pub(crate) items: Vec<Item>,
}

/// A plan that passed validation, and what the reader of it should know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Validated {
    /// The plan, with every default filled in.
    pub plan: Plan,
    /// Things that are legal and still worth a look, up to 1,000: those of single fields first, then those between parts.
    pub warnings: Vec<crate::Warning>,
    /// How many more there were than are listed.
    pub warnings_omitted: usize,
}

impl Plan {
    /// Reads and validates a plan from JSON text.
    ///
    /// # Errors
    ///
    /// Every mistake of the document at once, up to [`PlanErrors::MAX_LISTED`]; more are counted.
    pub fn from_json(text: &str) -> Result<Validated, PlanErrors> {
        parse::plan(text)
    }

    /// The plan as JSON: fixed key order, defaults written out, a newline at the end.
    ///
    /// [`Plan::from_json`] reads it back to an equal plan.
    pub fn to_json(&self) -> String {
        crate::json::pretty(self)
    }

    /// The version of the plan format that the document names, `1.x.y`.
    pub fn schema_version(&self) -> &str {
        &self.schema_version
    }

    /// The branch that everything is merged into.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The rules that hold for every item.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The items in the order of the document.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The item of this name.
    pub fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }

    /// The merge order: level by level, an item one level above the highest of its dependencies, names sorted bytewise within a level.
    ///
    /// Costs `O(items + dependencies)` for the levels and a sort of each level.
    #[doc(alias = "computeMergeOrder")]
    pub fn order(&self) -> Vec<Vec<&str>> {
        self.dag().levels()
    }

    /// The dependencies as a graph; node indexes are item indexes.
    pub(crate) fn dag(&self) -> Dag<&str> {
        let nodes = self
            .items
            .iter()
            .map(|item| (item.name.as_str(), item.deps.iter().map(String::as_str)));
        Dag::from_dependencies(nodes)
            .expect("a validated plan has unique names, known dependencies and no cycle")
    }

    /// True if a failure of `gate` fails its item: the policy requires it, or does not call it optional.
    pub fn is_required(&self, gate: &str) -> bool {
        !self.policy.only_optional.contains(gate)
    }
}

/// One branch to check and merge.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    pub(crate) name: String,
    pub(crate) branch: String,
    pub(crate) deps: Vec<String>,
    pub(crate) gates: Vec<Gate>,
}

impl Item {
    /// The name, unique in the plan.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The branch or other revision that holds the item's work; the item's name unless the plan says otherwise.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// The items that must pass and be merged before this one, each once.
    pub fn deps(&self) -> &[String] {
        &self.deps
    }

    /// The item's checks, in the order in which they run.
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }
}

/// Whole seconds as an integer, others as a fraction, so that a plan reads back as it was written.
fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    if duration.subsec_nanos() == 0 {
        serializer.serialize_u64(duration.as_secs())
    } else {
        serializer.serialize_f64(duration.as_secs_f64())
    }
}
