//! Rules from TOML files, with the line, column and key of what is wrong.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::alert::{LabelMatcher, Metric, Missing, Op, Rule, RuleSet, Stat};
use crate::duration;
use crate::level::Severity;

/// Most bytes of a file.
const MAX_FILE: usize = 1 << 20;

/// Keys of a rule.
const KEYS: [&str; 16] = [
    "name", "metric", "match", "not", "stat", "of", "at_least", "window", "op", "value", "clear",
    "for", "severity", "missing", "summary", "labels",
];

/// What is wrong with a file of rules, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}{}: {problem}", in_key(.key))]
#[non_exhaustive]
pub struct RulesFileError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key, such as `rule[2].value`; none when the text is no TOML at that place.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
}

fn in_key(key: &Option<String>) -> String {
    match key {
        Some(key) => format!(", key `{key}`"),
        None => String::new(),
    }
}

impl RuleSet {
    /// Reads rules from TOML: an array of tables called `rule`.
    ///
    /// ```toml
    /// [[rule]]
    /// name = "slow_users"            # required
    /// metric = "app.request.seconds" # required
    /// match = { route = "/users" }   # labels that must have these values, here and in `of`
    /// not = { method = "HEAD" }      # labels that must not
    /// stat = "p99"                   # value (default), increase, rate, mean, or p0 to p100 such as p99.9
    /// window = "5m"                  # over which time; increase and rate need one
    /// op = ">"                       # required: > >= < <= == !=
    /// value = 0.5                    # required
    /// clear = 0.4                    # once firing, resolves only below this
    /// for = "2m"                     # how long it has to hold; at once when left out
    /// severity = "critical"          # info, warning (default), critical
    /// missing = "keep"               # ok (default), keep, alert
    /// summary = "Users wait."
    /// labels = { team = "core" }     # further labels of the alert
    ///
    /// [[rule]]
    /// name = "few_hits"
    /// metric = "app_hits_total"
    /// of = ["app_hits_total", "app_misses_total"] # divide by the sum of these
    /// at_least = 100                              # no verdict with a smaller sum
    /// stat = "increase"
    /// window = "5m"
    /// op = "<"
    /// value = 0.5
    /// ```
    ///
    /// # Errors
    ///
    /// One problem, of the first rule that has any: text that is no TOML, a key that is not known,
    /// missing or given twice, a value of the wrong kind, a rule that [`RuleSet::new`] refuses, a
    /// file of more than 1 MiB.
    pub fn from_toml(text: &str) -> Result<Self, RulesFileError> {
        Reader { text }.rules()
    }
}

type Result<T, E = RulesFileError> = std::result::Result<T, E>;

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn rules(&self) -> Result<RuleSet> {
        let len = self.text.len();
        if len > MAX_FILE {
            let problem = format!("{len} bytes are more than the {MAX_FILE} allowed");
            return Err(self.error(0..0, None, problem));
        }
        let parsed = DeTable::parse(self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            self.error(span, None, error.message())
        })?;
        let mut rules = Vec::new();
        let mut names = HashSet::new();
        let unknown = parsed
            .get_ref()
            .keys()
            .filter(|key| key.get_ref() != "rule");
        if let Some(key) = unknown.min_by_key(|key| key.span().start) {
            let problem = "is not known: a file has `[[rule]]` tables only";
            return Err(self.error(key.span(), Some(key.get_ref()), problem));
        }
        for value in parsed.get_ref().values() {
            let DeValue::Array(array) = value.get_ref() else {
                return Err(self.error(value.span(), Some("rule"), "is not an array of tables"));
            };
            for (index, entry) in array.iter().enumerate() {
                let fields = self.fields(index, entry)?;
                let rule = fields.rule()?;
                if rules.len() == RuleSet::MAX_RULES {
                    let problem = format!("is one more than the {} allowed", RuleSet::MAX_RULES);
                    return Err(self.error(entry.span(), Some(&fields.path), problem));
                }
                if !names.insert(rule.name.clone()) {
                    return Err(fields.error("name", "is used by another rule too"));
                }
                rules.push(rule);
            }
        }
        RuleSet::new(rules).map_err(|error| self.error(0..0, None, error.to_string()))
    }

    fn fields<'a>(&'a self, index: usize, entry: &'a Spanned<DeValue<'a>>) -> Result<Fields<'a>> {
        let path = format!("rule[{index}]");
        let DeValue::Table(table) = entry.get_ref() else {
            return Err(self.error(entry.span(), Some(&path), "is not a table"));
        };
        let unknown = table.keys().filter(|key| !KEYS.contains(&&**key.get_ref()));
        if let Some(key) = unknown.min_by_key(|key| key.span().start) {
            let expected = KEYS.join("`, `");
            let problem = format!("is not known; known are `{expected}`");
            let path = format!("{path}.{}", key.get_ref());
            return Err(self.error(key.span(), Some(&path), problem));
        }
        Ok(Fields {
            reader: self,
            path,
            span: entry.span(),
            table,
        })
    }

    fn error(
        &self,
        span: Range<usize>,
        key: Option<&str>,
        problem: impl Into<String>,
    ) -> RulesFileError {
        let mut at = span.start.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        RulesFileError {
            line: before.matches('\n').count() + 1,
            // The mark of the byte order takes no room in the line.
            column: before[line_start..]
                .trim_start_matches('\u{feff}')
                .chars()
                .count()
                + 1,
            key: key.map(str::to_owned),
            problem: problem.into(),
        }
    }
}

/// The table of one rule.
struct Fields<'a> {
    reader: &'a Reader<'a>,
    /// What the table is called in errors.
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
}

impl Fields<'_> {
    fn rule(&self) -> Result<Rule> {
        let name = self.required("name", self.text("name")?)?;
        let metric = self.required("metric", self.text("metric")?)?;
        let op = self.required("op", self.one_of("op", &Op::ALL, Op::symbol)?)?;
        let value = self.required("value", self.number("value")?)?;
        let matchers = self.matchers()?;
        let with_matchers = |name| Metric {
            name,
            matchers: matchers.clone(),
        };
        let of = self.texts("of")?;
        let severities = [Severity::Info, Severity::Warning, Severity::Critical];
        let severity = self.one_of("severity", &severities, Severity::name)?;
        let missing = [Missing::Ok, Missing::Keep, Missing::Alert];
        let missing = self.one_of("missing", &missing, Missing::name)?;
        let plain = Rule::new(name, metric, op, value);
        let rule = Rule {
            metric: with_matchers(plain.metric.name.clone()),
            stat: self.stat()?.unwrap_or_default(),
            of: of.into_iter().map(with_matchers).collect(),
            at_least: self.number("at_least")?.unwrap_or(plain.at_least),
            window: self.time("window")?,
            clear: self.number("clear")?,
            hold: self.time("for")?.unwrap_or(plain.hold),
            severity: severity.unwrap_or(plain.severity),
            missing: missing.unwrap_or(plain.missing),
            summary: self.text("summary")?.unwrap_or_default(),
            labels: self.labels("labels")?.into_iter().collect(),
            ..plain
        };
        // A copy of a rule is small, and the set that is made at the end checks all of them again.
        RuleSet::new([rule.clone()])
            .map_err(|error| self.error(error.field, error.problem.to_string()))?;
        Ok(rule)
    }

    fn stat(&self) -> Result<Option<Stat>> {
        let Some(text) = self.text("stat")? else {
            return Ok(None);
        };
        let quantile = |percent: &str| {
            let is_plain = percent
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
            let percent: f64 = is_plain.then(|| percent.parse().ok())??;
            // Rounded, so that p99.9 is 0.999 to the last bit.
            let q = (percent * 1e6).round() / 1e8;
            (0.0..=1.0).contains(&q).then_some(Stat::Quantile(q))
        };
        let stat = match text.as_str() {
            "value" => Some(Stat::Value),
            "increase" => Some(Stat::Increase),
            "rate" => Some(Stat::Rate),
            "mean" => Some(Stat::Mean),
            other => other.strip_prefix('p').and_then(quantile),
        };
        let expected = "is not one of `value`, `increase`, `rate`, `mean`, `p0` to `p100`";
        match stat {
            Some(stat) => Ok(Some(stat)),
            None => Err(self.error("stat", expected)),
        }
    }

    fn matchers(&self) -> Result<Vec<LabelMatcher>> {
        let mut matchers = Vec::new();
        for (key, is_equal) in [("match", true), ("not", false)] {
            let labels = self.labels(key)?.into_iter();
            matchers.extend(labels.map(|(name, value)| LabelMatcher {
                name,
                value,
                is_equal,
            }));
        }
        Ok(matchers)
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.error(key, "is missing"))
    }

    fn one_of<T: Copy>(
        &self,
        key: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let found = all.iter().find(|one| name(**one) == text);
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        let expected = || format!("is not one of `{}`", names.join("`, `"));
        found
            .map(|one| Some(*one))
            .ok_or_else(|| self.error(key, expected()))
    }

    fn text(&self, key: &str) -> Result<Option<String>> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(text.clone().into_owned())),
            Some(_) => Err(self.error(key, "is not a string")),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>> {
        let array = match self.value(key) {
            None => return Ok(Vec::new()),
            Some(DeValue::Array(array)) => array,
            Some(_) => return Err(self.error(key, "is not an array of strings")),
        };
        let texts = array.iter().map(|entry| match entry.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            _ => {
                let path = format!("{}.{key}", self.path);
                Err(self
                    .reader
                    .error(entry.span(), Some(&path), "is not a string"))
            }
        });
        texts.collect()
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        let number = match self.value(key) {
            None => return Ok(None),
            Some(DeValue::Float(float)) => float.as_str().parse().ok(),
            Some(DeValue::Integer(whole)) => {
                let whole = i64::from_str_radix(whole.as_str(), whole.radix());
                whole.ok().map(|whole| whole as f64)
            }
            Some(_) => None,
        };
        number
            .map(Some)
            .ok_or_else(|| self.error(key, "is not a number"))
    }

    fn time(&self, key: &str) -> Result<Option<Duration>> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let expected = "is not a time of at most a year, such as \"30s\" or \"1h30m\"";
        let time = duration::parse(&text);
        time.map(Some).ok_or_else(|| self.error(key, expected))
    }

    fn labels(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let table = match self.value(key) {
            None => return Ok(BTreeMap::new()),
            Some(DeValue::Table(table)) => table,
            Some(_) => return Err(self.error(key, "is not a table of strings")),
        };
        let labels = table.iter().map(|(name, value)| match value.get_ref() {
            DeValue::String(text) => Ok((
                name.get_ref().clone().into_owned(),
                text.clone().into_owned(),
            )),
            _ => {
                let path = format!("{}.{key}.{}", self.path, name.get_ref());
                Err(self
                    .reader
                    .error(value.span(), Some(&path), "is not a string"))
            }
        });
        labels.collect()
    }

    fn value(&self, key: &str) -> Option<&DeValue<'_>> {
        let value = self.table.iter().find(|(name, _)| name.get_ref() == key);
        value.map(|(_, value)| value.get_ref())
    }

    /// An error at the value of a key, or at the table when the key is not there.
    fn error(&self, key: &str, problem: impl Into<String>) -> RulesFileError {
        let value = self.table.iter().find(|(name, _)| name.get_ref() == key);
        let span = value.map_or(self.span.clone(), |(_, value)| value.span());
        let path = format!("{}.{key}", self.path);
        self.reader.error(span, Some(&path), problem)
    }
}
