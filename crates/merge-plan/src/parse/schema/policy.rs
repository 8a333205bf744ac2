//! The schema of the policy.

use std::collections::HashSet;

use crate::error::WarningCode;
use crate::parse::document::Node;
use crate::parse::reader::{
    Fields, Findings, Path, Text, boolean, choice, integer, map, seconds, texts,
};
use crate::plan::{AdminGreen, MergeRule, Overrides, Performance, Policy, Retry};

const MAX_WORKERS: u64 = 1_024;
const MAX_ATTEMPTS: u64 = 100;
const MAX_BACKOFF_SECONDS: f64 = 3_600.0;
/// Of each list of names; an item has no more gates either, so more could not be met.
const MAX_NAMES: usize = super::MAX_GATES_PER_ITEM;

/// The policy, with defaults for what is missing or wrong.
pub(super) fn read(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Policy> {
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
            .and_then(|node| texts(node, Text::Name, MAX_NAMES, &path.key(key), findings))
            .unwrap_or_default()
    };
    policy.required_gates = names("requiredGates", findings);
    policy.optional_gates = names("optionalGates", findings);
    let required: HashSet<&String> = policy.required_gates.iter().collect();
    policy.only_optional = policy
        .optional_gates
        .iter()
        .filter(|gate| !required.contains(gate))
        .cloned()
        .collect();
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
    let users = fields.get("allowedUsers").and_then(|node| {
        texts(
            node,
            Text::Name,
            MAX_NAMES,
            &path.key("allowedUsers"),
            findings,
        )
    });
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
