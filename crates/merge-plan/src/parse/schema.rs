//! The schema: which fields exist at each level, their types, ranges and defaults.

use super::document::{Node, Shown};
use super::reader::{
    Fields, Findings, Path, Text, boolean, choice, integer, list, map, seconds, text, texts,
};
use crate::error::{ProblemCode, WarningCode};
use crate::plan::{
    AdminGreen, Container, Gate, Item, MergeRule, Mount, MountKind, Overrides, Performance, Plan,
    Policy, Retry, Runtime, Script,
};

const MAX_ITEMS: usize = 100_000;
const MAX_GATES_PER_ITEM: usize = 1_000;
const MAX_DEPS_PER_ITEM: usize = 100_000;
const MAX_WORKERS: u64 = 1_024;
const MAX_ATTEMPTS: u64 = 100;
const MAX_BACKOFF_SECONDS: f64 = 3_600.0;
const MIN_TIMEOUT_SECONDS: f64 = 0.001;
const MAX_TIMEOUT_SECONDS: f64 = 604_800.0;

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
        let mut seen = std::collections::HashSet::new();
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
        draft.policy = policy(node, &path.key("policy"), findings).unwrap_or_default();
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
            |node, path, findings| Some(gate(node, path, findings)),
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

/// The gate's name, and the gate if it is sound.
fn gate(node: &Node, path: &Path<'_>, findings: &mut Findings) -> (Option<String>, Option<Gate>) {
    const KNOWN: [&str; 8] = [
        "name",
        "run",
        "cwd",
        "env",
        "timeoutSeconds",
        "runtime",
        "container",
        "artifacts",
    ];
    let Some(fields) = Fields::open(node, path, &KNOWN, findings) else {
        return (None, None);
    };
    let name = fields
        .required("name", path, findings)
        .and_then(|node| text(node, Text::Name, &path.key("name"), findings));
    let run = fields
        .required("run", path, findings)
        .and_then(|node| script(node, &path.key("run"), findings));
    let cwd = fields
        .get("cwd")
        .and_then(|node| text(node, Text::RelativePath, &path.key("cwd"), findings));
    let env = fields
        .get("env")
        .and_then(|node| environment(node, &path.key("env"), findings))
        .unwrap_or_default();
    let allowed = MIN_TIMEOUT_SECONDS..=MAX_TIMEOUT_SECONDS;
    let timeout = fields
        .get("timeoutSeconds")
        .and_then(|node| seconds(node, allowed, &path.key("timeoutSeconds"), findings));
    let runtime = fields.get("runtime").map_or(Some(Runtime::Local), |node| {
        const RUNTIMES: [Runtime; 3] = [Runtime::Local, Runtime::Container, Runtime::CiService];
        choice(
            node,
            &RUNTIMES.map(|runtime| (runtime.as_str(), runtime)),
            &path.key("runtime"),
            findings,
        )
    });
    let container = fields
        .get("container")
        .and_then(|node| container(node, &path.key("container"), findings));
    let artifacts = fields
        .get("artifacts")
        .and_then(|node| texts(node, Text::RelativePath, &path.key("artifacts"), findings));
    warn_about_gate(runtime, &fields, path, findings);
    let gate = name
        .clone()
        .zip(run)
        .zip(runtime)
        .map(|((name, run), runtime)| Gate {
            name,
            run,
            cwd,
            env,
            timeout,
            runtime,
            container,
            artifacts: artifacts.unwrap_or_default(),
        });
    (name, gate)
}

fn warn_about_gate(
    runtime: Option<Runtime>,
    fields: &Fields<'_>,
    path: &Path<'_>,
    findings: &mut Findings,
) {
    match runtime {
        Some(Runtime::Local) | None if fields.get("container").is_some() => findings.warning(
            &path.key("container"),
            WarningCode::NotAvailable,
            "the gate's runtime is local, so its container has no effect",
        ),
        Some(other) if other != Runtime::Local => findings.warning(
            &path.key("runtime"),
            WarningCode::UnsupportedRuntime,
            format!("the runtime {} is not available yet; the gate will fail and is not run on this machine", other.as_str()),
        ),
        _ => {}
    }
    if let Some(Node::Array(paths)) = fields.get("artifacts")
        && !paths.is_empty()
    {
        findings.warning(
            &path.key("artifacts"),
            WarningCode::NotAvailable,
            "artifacts are not collected yet",
        );
    }
}

fn script(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Script> {
    match node {
        Node::Text(_) => {
            let line = text(node, Text::Content, path, findings)?;
            if line.trim().is_empty() {
                findings.invalid(path, format!("{} runs nothing", Shown(&line)));
                return None;
            }
            Some(Script::Shell(line))
        }
        Node::Array(words) if words.is_empty() => {
            findings.invalid(
                path,
                "the array is empty; it holds a program and its arguments",
            );
            None
        }
        Node::Array(words) => {
            let program_is_empty = matches!(&words[0], Node::Text(program) if program.is_empty());
            if program_is_empty {
                findings.invalid(&path.index(0), "the program's name is empty");
            }
            let argv = texts(node, Text::Free, path, findings)?;
            (argv.len() == words.len() && !program_is_empty).then_some(Script::Argv(argv))
        }
        _ => {
            findings.invalid(
                path,
                format!("expected a string for the shell or an array of strings, found {node}"),
            );
            None
        }
    }
}

fn environment(
    node: &Node,
    path: &Path<'_>,
    findings: &mut Findings,
) -> Option<std::collections::BTreeMap<String, String>> {
    let env = map(node, Text::Name, path, findings, |node, path, findings| {
        text(node, Text::Free, path, findings)
    })?;
    for key in env.keys().filter(|key| key.contains('=')) {
        findings.invalid(
            &path.key(key),
            format!("{} holds '='; a variable's name cannot", Shown(key)),
        );
    }
    Some(env)
}

fn container(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Container> {
    let fields = Fields::open(node, path, &["image", "entrypoint", "mounts"], findings)?;
    let image = fields
        .required("image", path, findings)
        .and_then(|node| text(node, Text::Name, &path.key("image"), findings));
    let entrypoint = fields
        .get("entrypoint")
        .and_then(|node| texts(node, Text::Content, &path.key("entrypoint"), findings));
    let mounts = fields
        .get("mounts")
        .and_then(|node| list(node, 1_000, &path.key("mounts"), findings, mount));
    Some(Container {
        image: image?,
        entrypoint,
        mounts: mounts.unwrap_or_default().into_iter().flatten().collect(),
    })
}

fn mount(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Mount> {
    let fields = Fields::open(node, path, &["source", "target", "type"], findings)?;
    let source = fields
        .required("source", path, findings)
        .and_then(|node| text(node, Text::Content, &path.key("source"), findings));
    let target = fields
        .required("target", path, findings)
        .and_then(|node| text(node, Text::Content, &path.key("target"), findings));
    let kinds = [("bind", MountKind::Bind), ("volume", MountKind::Volume)];
    let kind = fields
        .required("type", path, findings)
        .and_then(|node| choice(node, &kinds, &path.key("type"), findings));
    Some(Mount {
        source: source?,
        target: target?,
        kind: kind?,
    })
}

fn policy(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Policy> {
    const KNOWN: [&str; 8] = [
        "requiredGates",
        "optionalGates",
        "maxWorkers",
        "retries",
        "overrides",
        "blockOn",
        "mergeRule",
        "performance",
    ];
    let fields = Fields::open(node, path, &KNOWN, findings)?;
    let mut policy = Policy::default();
    let names = |key: &'static str, findings: &mut Findings| {
        fields
            .get(key)
            .and_then(|node| texts(node, Text::Name, &path.key(key), findings))
            .unwrap_or_default()
    };
    policy.required_gates = names("requiredGates", findings);
    policy.optional_gates = names("optionalGates", findings);
    policy.block_on = names("blockOn", findings);
    if let Some(node) = fields.get("maxWorkers")
        && let Some(workers) = integer(node, 1..=MAX_WORKERS, &path.key("maxWorkers"), findings)
    {
        policy.max_workers = usize::try_from(workers).expect("the range ends far below usize::MAX");
    }
    if let Some(node) = fields.get("retries") {
        policy.retries =
            map(node, Text::Name, &path.key("retries"), findings, retry).unwrap_or_default();
    }
    if let Some(node) = fields.get("overrides") {
        policy.overrides = overrides(node, &path.key("overrides"), findings).unwrap_or_default();
    }
    if let Some(node) = fields.get("mergeRule") {
        policy.merge_rule =
            merge_rule(node, &path.key("mergeRule"), findings).unwrap_or(policy.merge_rule);
    }
    if let Some(node) = fields.get("performance") {
        let at = path.key("performance");
        policy.performance = performance(node, &at, findings);
        findings.warning(
            &at,
            WarningCode::NotAvailable,
            "limits on memory and caching have no effect yet",
        );
    }
    Some(policy)
}

fn retry(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Retry> {
    let fields = Fields::open(node, path, &["maxAttempts", "backoffSeconds"], findings)?;
    let mut retry = Retry::default();
    if let Some(node) = fields.get("maxAttempts")
        && let Some(attempts) = integer(node, 1..=MAX_ATTEMPTS, &path.key("maxAttempts"), findings)
    {
        retry.max_attempts = u32::try_from(attempts).expect("the range ends far below u32::MAX");
    }
    if let Some(node) = fields.get("backoffSeconds") {
        retry.backoff = seconds(
            node,
            0.0..=MAX_BACKOFF_SECONDS,
            &path.key("backoffSeconds"),
            findings,
        )
        .unwrap_or_default();
    }
    Some(retry)
}

fn overrides(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Overrides> {
    let fields = Fields::open(node, path, &["adminGreen"], findings)?;
    let Some(node) = fields.get("adminGreen") else {
        return Some(Overrides::default());
    };
    let path = &path.key("adminGreen");
    findings.warning(
        path,
        WarningCode::NotAvailable,
        "overrides have no effect yet; a failed item stays failed",
    );
    let fields = Fields::open(node, path, &["allowedUsers", "requireReason"], findings)?;
    let users = fields
        .get("allowedUsers")
        .and_then(|node| texts(node, Text::Name, &path.key("allowedUsers"), findings));
    let reason = fields
        .get("requireReason")
        .and_then(|node| boolean(node, &path.key("requireReason"), findings));
    Some(Overrides {
        admin_green: Some(AdminGreen {
            allowed_users: users,
            require_reason: reason.unwrap_or(false),
        }),
    })
}

fn merge_rule(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<MergeRule> {
    let fields = Fields::open(node, path, &["type"], findings)?;
    let node = fields.required("type", path, findings)?;
    choice(
        node,
        &[("strict-required", MergeRule::StrictRequired)],
        &path.key("type"),
        findings,
    )
}

fn performance(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Performance> {
    const KNOWN: [&str; 6] = [
        "maxMemoryMB",
        "batchSize",
        "cacheTTLSeconds",
        "enableCaching",
        "throttleOnMemory",
        "memoryThresholdPercent",
    ];
    let fields = Fields::open(node, path, &KNOWN, findings)?;
    let mut performance = Performance::default();
    let number = |key: &'static str, low: u64, high: u64, findings: &mut Findings| {
        fields
            .get(key)
            .and_then(|node| integer(node, low..=high, &path.key(key), findings))
    };
    // The upper ends are what a double holds exactly, so that every JSON reader agrees on the value.
    const MAX_EXACT: u64 = 1 << 53;
    performance.max_memory_mb = number("maxMemoryMB", 128, MAX_EXACT, findings);
    performance.batch_size =
        number("batchSize", 1, MAX_EXACT, findings).unwrap_or(performance.batch_size);
    performance.cache_ttl_seconds =
        number("cacheTTLSeconds", 0, MAX_EXACT, findings).unwrap_or(performance.cache_ttl_seconds);
    performance.memory_threshold_percent = number("memoryThresholdPercent", 0, 100, findings)
        .unwrap_or(performance.memory_threshold_percent);
    let flag = |key: &'static str, default: bool, findings: &mut Findings| {
        fields
            .get(key)
            .and_then(|node| boolean(node, &path.key(key), findings))
            .unwrap_or(default)
    };
    performance.enable_caching = flag("enableCaching", performance.enable_caching, findings);
    performance.throttle_on_memory =
        flag("throttleOnMemory", performance.throttle_on_memory, findings);
    Some(performance)
}
