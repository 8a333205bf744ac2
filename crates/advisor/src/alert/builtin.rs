//! The rules that come with the crate.

use std::time::Duration;

use crate::alert::{Metric, Op, Rule, RuleSet, Stat};
use crate::level::Severity;
use crate::report::Conventions;
use crate::score::MEGABYTE;

/// Over which time the rules look at counters.
const WINDOW: Duration = Duration::from_secs(5 * 60);

impl RuleSet {
    /// The rules that come with the crate, over the metrics that these conventions name:
    ///
    /// | rule | fires when | severity |
    /// |---|---|---|
    /// | `low_cache_hit_rate` | less than half of at least 100 lookups hit | warning |
    /// | `high_cache_memory` | a cache takes more than 80 MB | warning |
    /// | `low_cache_score` | a cache scores less than 40 | warning |
    /// | `high_pool_utilization` | more than 0.9 of a pool is lent out | critical |
    /// | `high_connection_wait_time` | the mean wait is longer than 100 ms | warning |
    /// | `high_pool_error_rate` | more than 0.05 of at least 100 acquisitions failed | warning |
    /// | `pool_exhausted` | a pool was exhausted | critical |
    /// | `resource_leaks_detected` | there is a leak | critical |
    /// | `high_resource_utilization` | more than 0.9 of the resources are in use | warning |
    ///
    /// Counters and waits are looked at over 5 minutes, and all rules fire at once. A name of the
    /// conventions that is not a valid metric name takes the rules on it out of the set.
    #[must_use]
    pub fn builtin(conventions: &Conventions) -> Self {
        let rules = builtin(conventions);
        let valid = rules
            .into_iter()
            .filter(|rule| Self::new([rule.clone()]).is_ok());
        Self::new(valid).unwrap_or_default()
    }
}

fn builtin(names: &Conventions) -> Vec<Rule> {
    let lookups = [&names.cache_hits, &names.cache_misses];
    let acquisitions = [&names.pool_hits, &names.pool_misses];
    vec![
        Rule {
            at_least: 100.0,
            ..increase_of(
                Rule::new("low_cache_hit_rate", &names.cache_hits, Op::Lt, 0.5),
                &lookups,
                "Less than half of the lookups hit.",
            )
        },
        Rule {
            summary: "The cache takes more than 80 MB.".to_owned(),
            ..Rule::new(
                "high_cache_memory",
                &names.cache_memory,
                Op::Gt,
                80.0 * MEGABYTE,
            )
        },
        Rule {
            summary: "The score of the cache is below 40.".to_owned(),
            ..Rule::new("low_cache_score", &names.cache_score, Op::Lt, 40.0)
        },
        Rule {
            severity: Severity::Critical,
            of: vec![Metric::new(&names.pool_max)],
            summary: "More than 90 % of the pool is lent out.".to_owned(),
            ..Rule::new("high_pool_utilization", &names.pool_active, Op::Gt, 0.9)
        },
        Rule {
            stat: Stat::Mean,
            window: Some(WINDOW),
            summary: "The mean wait for a connection is longer than 100 ms.".to_owned(),
            ..Rule::new("high_connection_wait_time", &names.pool_wait, Op::Gt, 0.100)
        },
        Rule {
            at_least: 100.0,
            ..increase_of(
                Rule::new("high_pool_error_rate", &names.pool_errors, Op::Gt, 0.05),
                &acquisitions,
                "More than 5 % of the acquisitions failed.",
            )
        },
        Rule {
            severity: Severity::Critical,
            ..increase_of(
                Rule::new("pool_exhausted", &names.pool_exhaustions, Op::Gt, 0.0),
                &[],
                "An acquisition failed because every connection was taken.",
            )
        },
        Rule {
            severity: Severity::Critical,
            summary: "Resources are in use for longer than they should be.".to_owned(),
            ..Rule::new(
                "resource_leaks_detected",
                &names.resource_leaks,
                Op::Gt,
                0.0,
            )
        },
        Rule {
            of: vec![Metric::new(&names.resource_max)],
            summary: "More than 90 % of the resources are in use.".to_owned(),
            ..Rule::new(
                "high_resource_utilization",
                &names.resource_active,
                Op::Gt,
                0.9,
            )
        },
    ]
}

fn increase_of(rule: Rule, of: &[&String], summary: &str) -> Rule {
    Rule {
        stat: Stat::Increase,
        window: Some(WINDOW),
        of: of.iter().map(|name| Metric::new(*name)).collect(),
        summary: summary.to_owned(),
        ..rule
    }
}
