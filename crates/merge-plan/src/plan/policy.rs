//! The policy as data: rules and limits that hold for every item.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use super::seconds;

/// The rules that hold for every item of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub(crate) required_gates: Vec<String>,
    pub(crate) optional_gates: Vec<String>,
    /// The optional gates that are not required, for asking about one.
    #[serde(skip)]
    pub(crate) only_optional: HashSet<String>,
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
            only_optional: HashSet::new(),
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
