//! What `brolly-advisor` promises.

mod advice;
mod alarm;
mod alert_engine;
mod build;
mod error_groups;
mod health;
mod prometheus;
mod report;
mod rule_set;
mod score;
mod send_sync;
mod size;
#[cfg(feature = "toml")]
mod toml_rules;
mod trend;
