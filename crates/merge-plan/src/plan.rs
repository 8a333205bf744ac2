//! The plan as data: items, gates and policy, complete with defaults and already validated.

use std::collections::BTreeMap;
use std::time::Duration;

use brolly_batch::Dag;
use serde::{Serialize, Serializer};

use crate::error::PlanErrors;
use crate::parse;

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
    /// Things that are legal and still worth a look, in the order of the document.
    pub warnings: Vec<crate::Warning>,
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
        let listed = |names: &[String]| names.iter().any(|name| name == gate);
        listed(&self.policy.required_gates) || !listed(&self.policy.optional_gates)
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

/// One check: a command that must exit with 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    pub(crate) name: String,
    pub(crate) run: Script,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cwd: Option<String>,
    pub(crate) env: BTreeMap<String, String>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_seconds",
        rename = "timeoutSeconds"
    )]
    pub(crate) timeout: Option<Duration>,
    pub(crate) runtime: Runtime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<Container>,
    pub(crate) artifacts: Vec<String>,
}

impl Gate {
    /// The name, unique within its item.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the gate runs.
    pub fn run(&self) -> &Script {
        &self.run
    }

    /// The directory to run in, relative to the root of the working copy.
    pub fn cwd(&self) -> Option<&str> {
        self.cwd.as_deref()
    }

    /// Variables added to the environment.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The time limit of one attempt, where the plan sets one.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Where the gate wants to run.
    pub fn runtime(&self) -> Runtime {
        self.runtime
    }

    /// The container that the gate wants, if any.
    pub fn container(&self) -> Option<&Container> {
        self.container.as_ref()
    }

    /// Paths that the gate produces, relative to its directory.
    pub fn artifacts(&self) -> &[String] {
        &self.artifacts
    }
}

/// What a gate runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Script {
    /// A line for `sh -c`.
    Shell(String),
    /// A program and its arguments, without a shell.
    Argv(Vec<String>),
}

/// Where a gate wants to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Runtime {
    /// As a process on this machine.
    Local,
    /// In a container. Not available yet: the gate fails and is never run on the host instead.
    Container,
    /// In a service elsewhere. Not available yet: the gate fails and is never run on the host instead.
    CiService,
}

impl Runtime {
    /// The word used in plans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Container => "container",
            Self::CiService => "ci-service",
        }
    }
}

/// The container that a gate wants.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    pub(crate) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) mounts: Vec<Mount>,
}

impl Container {
    /// The image's name.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The command that replaces the image's entry point.
    pub fn entrypoint(&self) -> Option<&[String]> {
        self.entrypoint.as_deref()
    }

    /// What is mounted into the container.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }
}

/// A directory or volume seen inside a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    pub(crate) source: String,
    pub(crate) target: String,
    #[serde(rename = "type")]
    pub(crate) kind: MountKind,
}

impl Mount {
    /// The host path or the volume's name.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The path inside the container.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// A bind mount or a volume.
    pub fn kind(&self) -> MountKind {
        self.kind
    }
}

/// How a mount's source is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A path on the host.
    Bind,
    /// A named volume.
    Volume,
}

/// The rules that hold for every item of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub(crate) required_gates: Vec<String>,
    pub(crate) optional_gates: Vec<String>,
    pub(crate) max_workers: usize,
    pub(crate) retries: BTreeMap<String, Retry>,
    pub(crate) overrides: Overrides,
    pub(crate) block_on: Vec<String>,
    pub(crate) merge_rule: MergeRule,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) performance: Option<Performance>,
}

impl Policy {
    /// Gates that every item must have and pass.
    pub fn required_gates(&self) -> &[String] {
        &self.required_gates
    }

    /// Gates whose failure is only a warning, unless they are required as well.
    pub fn optional_gates(&self) -> &[String] {
        &self.optional_gates
    }

    /// Items worked on at once.
    pub fn max_workers(&self) -> usize {
        self.max_workers
    }

    /// How often each gate may be tried, by the gate's name.
    pub fn retries(&self) -> &BTreeMap<String, Retry> {
        &self.retries
    }

    /// Who may merge an item that did not pass.
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// Names or patterns (`*`, `?`) of gates that must not run and hold their item back.
    pub fn block_on(&self) -> &[String] {
        &self.block_on
    }

    /// What makes an item eligible.
    pub fn merge_rule(&self) -> MergeRule {
        self.merge_rule
    }

    /// Limits on memory and caching, where the plan sets them.
    pub fn performance(&self) -> Option<&Performance> {
        self.performance.as_ref()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            required_gates: Vec::new(),
            optional_gates: Vec::new(),
            max_workers: 1,
            retries: BTreeMap::new(),
            overrides: Overrides::default(),
            block_on: Vec::new(),
            merge_rule: MergeRule::StrictRequired,
            performance: None,
        }
    }
}

/// How often a gate is tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    pub(crate) max_attempts: u32,
    #[serde(serialize_with = "seconds", rename = "backoffSeconds")]
    pub(crate) backoff: Duration,
}

impl Retry {
    /// Attempts in all, at least 1.
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// The pause before each further attempt.
    pub fn backoff(&self) -> Duration {
        self.backoff
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            backoff: Duration::ZERO,
        }
    }
}

/// Ways around a failed gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admin_green: Option<AdminGreen>,
}

impl Overrides {
    /// Merging on somebody's word.
    pub fn admin_green(&self) -> Option<&AdminGreen> {
        self.admin_green.as_ref()
    }
}

/// Merging on somebody's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminGreen {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allowed_users: Option<Vec<String>>,
    pub(crate) require_reason: bool,
}

impl AdminGreen {
    /// Who may do so; everybody where this is absent.
    pub fn allowed_users(&self) -> Option<&[String]> {
        self.allowed_users.as_deref()
    }

    /// True if a reason must be given.
    pub fn require_reason(&self) -> bool {
        self.require_reason
    }
}

/// What makes an item eligible for merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MergeRule {
    /// Every required gate passed.
    StrictRequired,
}

/// Limits on memory and caching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Performance {
    #[serde(rename = "maxMemoryMB", skip_serializing_if = "Option::is_none")]
    pub(crate) max_memory_mb: Option<u64>,
    pub(crate) batch_size: u64,
    #[serde(rename = "cacheTTLSeconds")]
    pub(crate) cache_ttl_seconds: u64,
    pub(crate) enable_caching: bool,
    pub(crate) throttle_on_memory: bool,
    pub(crate) memory_threshold_percent: u64,
}

impl Default for Performance {
    fn default() -> Self {
        Self {
            max_memory_mb: None,
            batch_size: 50,
            cache_ttl_seconds: 3600,
            enable_caching: true,
            throttle_on_memory: true,
            memory_threshold_percent: 80,
        }
    }
}

impl Performance {
    /// Most memory to use, in MiB.
    pub fn max_memory_mb(&self) -> Option<u64> {
        self.max_memory_mb
    }

    /// Items handled together.
    pub fn batch_size(&self) -> u64 {
        self.batch_size
    }

    /// How long results are remembered, in seconds; 0 is not at all.
    pub fn cache_ttl_seconds(&self) -> u64 {
        self.cache_ttl_seconds
    }

    /// True if results are remembered.
    pub fn enable_caching(&self) -> bool {
        self.enable_caching
    }

    /// True if new work waits while memory is short.
    pub fn throttle_on_memory(&self) -> bool {
        self.throttle_on_memory
    }

    /// From which share of the memory on new work waits.
    pub fn memory_threshold_percent(&self) -> u64 {
        self.memory_threshold_percent
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

fn optional_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    seconds(&duration.unwrap_or_default(), serializer)
}
