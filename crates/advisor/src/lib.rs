#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod advice;
mod alert;
mod duration;
mod error_groups;
mod health;
mod level;
mod numbers;
mod report;
mod score;
mod size;
mod steady_time;
mod trend;
mod usage;

pub use advice::{CacheAdvice, CacheThresholds, PoolAdvice, PoolThresholds};
#[cfg(feature = "toml")]
pub use alert::RulesFileError;
pub use alert::{
    Alarm, AlarmState, Alert, AlertEngine, AlertEvent, Change, Condition, LabelMatcher, Metric,
    Missing, Op, Rule, RuleError, RuleProblem, RuleSet, Stat, Timeline,
};
pub use error_groups::{ErrorGroup, ErrorGroups};
pub use health::{
    Ailment, Check, CheckLimits, CheckStatus, EventWindow, HealthReport, HealthRules,
};
pub use level::{Level, Severity};
pub use report::{
    Advisor, AdvisorConfig, CacheReport, Conventions, HealthSummary, PoolReport, Report,
    ResourceReport, Usages,
};
pub use score::{Band, CacheWeights, PoolWeights, Score};
pub use size::{Demand, MAX_SERVERS, SizeFormula, SizeRange, SizeSmoother, probability_of_wait};
pub use trend::{
    Anomaly, AnomalyDetector, Direction, Forecast, History, Interval, MAX_POINTS, MIN_POINTS,
    Trend, least_squares_slope,
};
pub use usage::{CacheUsage, PoolUsage, ResourceUsage};
