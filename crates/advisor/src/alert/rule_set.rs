//! [`RuleSet`]: rules that were checked.

use std::collections::HashSet;
use std::time::Duration;

use thiserror::Error;

use crate::alert::{Metric, Op, Rule, Stat};
use crate::duration;

/// Rules that were checked, each with a name of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

impl RuleSet {
    /// Most rules in a set.
    pub const MAX_RULES: usize = 1_000;
    /// Most bytes in a name.
    pub const MAX_NAME: usize = 200;
    /// Most bytes in any other text of a rule.
    pub const MAX_TEXT: usize = 1_024;
    /// Most matchers of a metric, labels of a rule and metrics in [`Rule::of`].
    pub const MAX_ITEMS: usize = 16;

    /// Checks some rules.
    ///
    /// # Errors
    ///
    /// The first problem, with the rule and the field it lies in.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, RuleError> {
        let mut set = Self::default();
        let mut names = HashSet::new();
        for rule in rules {
            let failed = |(field, problem)| RuleError {
                rule: rule.name.clone(),
                field,
                problem,
            };
            check(&rule).map_err(failed)?;
            if set.rules.len() == Self::MAX_RULES {
                return Err(failed((
                    "name",
                    RuleProblem::TooMany {
                        max: Self::MAX_RULES,
                    },
                )));
            }
            if !names.insert(rule.name.clone()) {
                return Err(failed(("name", RuleProblem::Duplicate)));
            }
            set.rules.push(rule);
        }
        Ok(set)
    }

    /// The rules, in the order they were given.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The longest window that a rule looks at; none when no rule has one.
    #[must_use]
    pub fn longest_window(&self) -> Option<Duration> {
        self.rules.iter().filter_map(|rule| rule.window).max()
    }

    /// The rules for a Prometheus server, as a rule file with one group of this name.
    ///
    /// A rule of [`Stat::Mean`] is written for a histogram. A quantile is written for a histogram
    /// or a summary, whichever there is. [`Missing::Keep`](crate::Missing::Keep) has no counterpart
    /// there; a missing value resolves. [`Missing::Alert`](crate::Missing::Alert) speaks there when
    /// there is no series at all, and not of a series without a value, such as a mean without
    /// samples or a ratio of too little. The server refuses a group without a name.
    #[must_use]
    pub fn to_prometheus_yaml(&self, group: &str) -> String {
        super::prometheus::rule_file(&self.rules, group)
    }
}

/// Why a rule was refused.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("rule `{rule}`: `{field}` {problem}")]
pub struct RuleError {
    /// The name of the rule.
    pub rule: String,
    /// The field, as rule files spell it.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: RuleProblem,
}

/// What is wrong with a field of a rule.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RuleProblem {
    /// A name is empty or has characters that names must not have.
    #[error("is not a valid name: `{0}`")]
    Name(String),
    /// A text is too long.
    #[error("has {len} bytes, more than the {max} allowed")]
    TooLong {
        /// Its length.
        len: usize,
        /// The greatest length.
        max: usize,
    },
    /// There are too many of something.
    #[error("is one more than the {max} allowed")]
    TooMany {
        /// How many are allowed.
        max: usize,
    },
    /// Another rule has the same name.
    #[error("is used by another rule too")]
    Duplicate,
    /// A number is not finite, or out of range.
    #[error("is {value}, not {expected}")]
    Number {
        /// The number.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A time is too short or too long.
    #[error("is {value:?}, not within {min:?} and {max:?}")]
    Time {
        /// The time.
        value: Duration,
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// The statistic is one of a counter over a time, but no window is given.
    #[error("is missing: the statistic needs one")]
    NoWindow,
    /// Something is given that means nothing for this rule.
    #[error("means nothing for this rule: {0}")]
    Meaningless(&'static str),
}

type Problem = (&'static str, RuleProblem);

fn check(rule: &Rule) -> Result<(), Problem> {
    check_name("name", &rule.name, "_-.:")?;
    check_metric("metric", &rule.metric)?;
    check_len("of", rule.of.len())?;
    for metric in &rule.of {
        check_metric("of", metric)?;
    }
    check_number("value", rule.value)?;
    check_number("at_least", rule.at_least)?;
    check_stat(rule)?;
    check_clear(rule)?;
    check_time("for", rule.hold, Duration::ZERO)?;
    check_text("summary", &rule.summary)?;
    check_len("labels", rule.labels.len())?;
    for (name, value) in &rule.labels {
        check_label("labels", name)?;
        if matches!(name.as_str(), "severity" | "alertname" | "alertstate") {
            return Err(("labels", RuleProblem::Meaningless("the name is taken")));
        }
        check_text("labels", value)?;
    }
    Ok(())
}

fn check_metric(field: &'static str, metric: &Metric) -> Result<(), Problem> {
    check_name(field, &metric.name, "_:.")?;
    check_len("match", metric.matchers.len())?;
    for matcher in &metric.matchers {
        check_label("match", &matcher.name)?;
        check_text("match", &matcher.value)?;
    }
    Ok(())
}

fn check_stat(rule: &Rule) -> Result<(), Problem> {
    if let Stat::Quantile(q) = rule.stat
        && !(0.0..=1.0).contains(&q)
    {
        let expected = "within 0 and 1";
        return Err(("stat", RuleProblem::Number { value: q, expected }));
    }
    match rule.window {
        None if rule.stat.needs_window() => Err(("window", RuleProblem::NoWindow)),
        None => Ok(()),
        Some(_) if rule.stat == Stat::Value => {
            let why = "the statistic looks at no time";
            Err(("window", RuleProblem::Meaningless(why)))
        }
        Some(window) => check_time("window", window, Duration::from_secs(1)),
    }
}

fn check_clear(rule: &Rule) -> Result<(), Problem> {
    let Some(clear) = rule.clear else {
        return Ok(());
    };
    check_number("clear", clear)?;
    let (is_good, expected) = match rule.op {
        Op::Gt | Op::Ge => (clear <= rule.value, "at most the value it fires at"),
        Op::Lt | Op::Le => (clear >= rule.value, "at least the value it fires at"),
        Op::Eq | Op::Ne => {
            let why = "equality has no side to clear on";
            return Err(("clear", RuleProblem::Meaningless(why)));
        }
    };
    let value = clear;
    let wrong = RuleProblem::Number { value, expected };
    is_good.then_some(()).ok_or(("clear", wrong))
}

/// Letters, digits and these characters, and no digit first.
fn check_name(field: &'static str, name: &str, also: &str) -> Result<(), Problem> {
    check_bytes(field, name, RuleSet::MAX_NAME)?;
    let is_good = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    if begins && name.chars().all(is_good) {
        return Ok(());
    }
    Err((field, RuleProblem::Name(name.to_owned())))
}

fn check_label(field: &'static str, name: &str) -> Result<(), Problem> {
    check_name(field, name, "_")?;
    let is_good = !name.starts_with("__") && !name.starts_with(':');
    let wrong = || (field, RuleProblem::Name(name.to_owned()));
    is_good.then_some(()).ok_or_else(wrong)
}

fn check_text(field: &'static str, text: &str) -> Result<(), Problem> {
    check_bytes(field, text, RuleSet::MAX_TEXT)
}

fn check_bytes(field: &'static str, text: &str, max: usize) -> Result<(), Problem> {
    let len = text.len();
    let wrong = RuleProblem::TooLong { len, max };
    (len <= max).then_some(()).ok_or((field, wrong))
}

fn check_len(field: &'static str, len: usize) -> Result<(), Problem> {
    let max = RuleSet::MAX_ITEMS;
    let wrong = RuleProblem::TooMany { max };
    (len <= max).then_some(()).ok_or((field, wrong))
}

fn check_number(field: &'static str, value: f64) -> Result<(), Problem> {
    let expected = "a finite number";
    let wrong = RuleProblem::Number { value, expected };
    value.is_finite().then_some(()).ok_or((field, wrong))
}

fn check_time(field: &'static str, value: Duration, min: Duration) -> Result<(), Problem> {
    let max = duration::LONGEST;
    let is_good = value >= min && value <= max;
    let wrong = RuleProblem::Time { value, min, max };
    is_good.then_some(()).ok_or((field, wrong))
}
