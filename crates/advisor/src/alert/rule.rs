//! [`Rule`]: what an alert looks at and when it fires, as plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::alert::{Condition, Missing, Op};
use crate::level::Severity;

/// Which series a rule looks at, by the value of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMatcher {
    /// The name of the label.
    pub name: String,
    /// The value it has, or must not have.
    pub value: String,
    /// Whether it must have the value. A label that a series lacks counts as empty.
    pub is_equal: bool,
}

/// The series of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name, as it was registered.
    pub name: String,
    /// Which of its series; all of them when there are no matchers.
    pub matchers: Vec<LabelMatcher>,
}

impl Metric {
    /// All series of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            matchers: Vec::new(),
        }
    }
}

/// What is looked at about a series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Stat {
    /// The value of a gauge, or the total of a counter.
    #[default]
    Value,
    /// By how much a counter grew within the window; a counter that fell was reset, and counts from
    /// zero.
    Increase,
    /// The same in a second.
    Rate,
    /// The mean of a histogram: of the rule's window where there is one, else since its start. Or
    /// of the last samples of a summary.
    Mean,
    /// The value below which this fraction lies: of a histogram's samples within the rule's window
    /// where there is one, else of all; or of the last samples of a summary, which has 0.5, 0.95
    /// and 0.99.
    Quantile(f64),
}

impl Stat {
    /// Whether it says nothing without a window.
    #[must_use]
    pub const fn needs_window(self) -> bool {
        matches!(self, Self::Increase | Self::Rate)
    }
}

/// An alert rule. Each series that matches has an alert of its own.
///
/// A rule is plain data; [`RuleSet::new`](crate::RuleSet::new) checks it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// The name of the alert.
    pub name: String,
    /// What it looks at.
    pub metric: Metric,
    /// What about it.
    pub stat: Stat,
    /// What the metric is divided by: the sum of these, taken from the series with the same
    /// labels. Empty: nothing. A part that is missing beside others counts as 0.
    pub of: Vec<Metric>,
    /// With a smaller divisor than this the value is missing: too little data. A divisor of 0 or
    /// less is missing always.
    pub at_least: f64,
    /// Over which time counters are looked at.
    pub window: Option<Duration>,
    /// How the value is compared.
    pub op: Op,
    /// With what.
    pub value: f64,
    /// A firing alert resolves only when it is past this too.
    pub clear: Option<f64>,
    /// How long the condition has to hold before the alert fires.
    pub hold: Duration,
    /// How much it matters.
    pub severity: Severity,
    /// What a missing value means.
    pub missing: Missing,
    /// What the alert says to people.
    pub summary: String,
    /// More labels of the alert, by name.
    pub labels: BTreeMap<String, String>,
}

impl Rule {
    /// A rule on the value of a metric that fires at once, as a warning. The fields are public, to
    /// be set from there.
    #[must_use]
    pub fn new(name: impl Into<String>, metric: impl Into<String>, op: Op, value: f64) -> Self {
        Self {
            name: name.into(),
            metric: Metric::new(metric),
            stat: Stat::default(),
            of: Vec::new(),
            at_least: 0.0,
            window: None,
            op,
            value,
            clear: None,
            hold: Duration::ZERO,
            severity: Severity::Warning,
            missing: Missing::default(),
            summary: String::new(),
            labels: BTreeMap::new(),
        }
    }

    /// When its alerts fire and resolve.
    #[must_use]
    pub fn condition(&self) -> Condition {
        Condition {
            op: self.op,
            value: self.value,
            clear: self.clear,
            hold: self.hold,
            missing: self.missing,
        }
    }

    /// The metrics it looks at, each once.
    pub(crate) fn metrics(&self) -> Vec<&Metric> {
        let mut metrics: Vec<&Metric> = Vec::with_capacity(1 + self.of.len());
        for metric in [&self.metric].into_iter().chain(&self.of) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        metrics
    }
}
