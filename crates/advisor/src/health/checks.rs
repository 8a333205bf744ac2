//! [`Check`]s of a process and the [`HealthReport`] they add up to.

use std::time::{Duration, SystemTime};

use crate::level::Level;
use crate::numbers::share;

/// How a check went, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum CheckStatus {
    /// As it should be.
    Pass,
    /// Someone should look at it.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it went.
    pub status: CheckStatus,
    /// That in words.
    pub message: String,
    /// The figure that the check is about; none when it is not known.
    pub value: Option<f64>,
}

impl Check {
    /// A check of the caller's own.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        status: CheckStatus,
        message: impl Into<String>,
        value: Option<f64>,
    ) -> Self {
        Self {
            name: name.into(),
            status,
            message: message.into(),
            value,
        }
    }
}

/// When the checks that every process has warn or fail. A limit is passed when a figure is beyond
/// it, not when it is equal.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct CheckLimits {
    /// The fraction of memory above which to warn.
    pub memory_warn: f64,
    /// The fraction of memory above which to fail.
    pub memory_fail: f64,
    /// How long an operation may run before the check warns.
    #[cfg_attr(feature = "serde", serde(with = "crate::duration::readable"))]
    pub max_running: Duration,
    /// How many errors there may be within the caller's window before the check warns.
    pub max_errors: u64,
}

impl Default for CheckLimits {
    fn default() -> Self {
        Self {
            memory_warn: 0.75,
            memory_fail: 0.90,
            max_running: Duration::from_secs(5 * 60),
            max_errors: 100,
        }
    }
}

impl CheckLimits {
    /// Memory in use against the limit it runs under. None when the limit is not known or zero:
    /// what cannot be measured is no check, rather than one that passes.
    #[must_use]
    pub fn memory(&self, used_bytes: u64, limit_bytes: Option<u64>) -> Option<Check> {
        let ratio = share(used_bytes as f64, limit_bytes? as f64)?;
        let status = match ratio {
            ratio if ratio > self.memory_fail => CheckStatus::Fail,
            ratio if ratio > self.memory_warn => CheckStatus::Warn,
            _ => CheckStatus::Pass,
        };
        let message = format!("{:.1} % of the memory limit is in use", ratio * 100.0);
        Some(Check::new("memory", status, message, Some(ratio)))
    }

    /// How long each operation that is in progress has been running.
    #[must_use]
    pub fn operations(&self, running: impl IntoIterator<Item = Duration>) -> Check {
        let (mut count, mut late, mut longest) = (0u64, 0u64, Duration::ZERO);
        for ran in running {
            count += 1;
            late += u64::from(ran > self.max_running);
            longest = longest.max(ran);
        }
        let limit = crate::duration::text(self.max_running);
        let (status, message) = match late {
            0 => (CheckStatus::Pass, format!("{count} operations are running")),
            late => (
                CheckStatus::Warn,
                format!("{late} of {count} operations run for longer than {limit}"),
            ),
        };
        let value = (count > 0).then_some(longest.as_secs_f64());
        Check::new("operations", status, message, value)
    }

    /// How many errors there were within the caller's window.
    #[must_use]
    pub fn errors(&self, within_window: u64) -> Check {
        let status = match within_window > self.max_errors {
            true => CheckStatus::Warn,
            false => CheckStatus::Pass,
        };
        let message = format!("{within_window} errors within the window");
        Check::new("errors", status, message, Some(within_window as f64))
    }
}

/// What the checks of a process add up to.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct HealthReport {
    /// Unhealthy when a check failed, else degraded when one warned, else healthy; unknown without
    /// checks.
    pub status: Level,
    /// When the checks were made.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::duration::rfc3339"))]
    pub timestamp: SystemTime,
    /// How long the process has been running, in seconds.
    pub uptime_seconds: f64,
    /// The version of the program.
    pub version: String,
    /// The checks, in the caller's order.
    pub checks: Vec<Check>,
}

impl HealthReport {
    /// Adds up some checks.
    #[must_use]
    pub fn of(
        checks: Vec<Check>,
        timestamp: SystemTime,
        uptime: Duration,
        version: impl Into<String>,
    ) -> Self {
        let status = Level::worst(checks.iter().map(|check| match check.status {
            CheckStatus::Pass => Level::Healthy,
            CheckStatus::Warn => Level::Degraded,
            CheckStatus::Fail => Level::Unhealthy,
        }));
        Self {
            status,
            timestamp,
            uptime_seconds: uptime.as_secs_f64(),
            version: version.into(),
            checks,
        }
    }
}
