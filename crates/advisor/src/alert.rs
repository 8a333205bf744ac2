//! Alert rules over snapshots: what they look at, when they fire and when they resolve.

mod alarm;
mod builtin;
mod engine;
mod prometheus;
pub(crate) mod reading;
mod rule;
mod rule_set;
mod timeline;
#[cfg(feature = "toml")]
mod toml_rules;
mod yaml;

pub use alarm::{Alarm, AlarmState, Change, Condition, Missing, Op};
pub use engine::{Alert, AlertEngine, AlertEvent};
pub use rule::{LabelMatcher, Metric, Rule, Stat};
pub use rule_set::{RuleError, RuleProblem, RuleSet};
pub use timeline::Timeline;
#[cfg(feature = "toml")]
pub use toml_rules::RulesFileError;
