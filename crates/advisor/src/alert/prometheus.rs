//! Rules as a rule file of Prometheus.

use std::fmt::Write;
use std::time::Duration;

use crate::alert::yaml::quoted;
use crate::alert::{Metric, Missing, Op, Rule, Stat};

/// A rule file with one group.
pub(super) fn rule_file(rules: &[Rule], group: &str) -> String {
    let mut out = String::from("groups:\n");
    let _ = writeln!(out, "  - name: {}", quoted(group));
    if rules.is_empty() {
        out.push_str("    rules: []\n");
        return out;
    }
    out.push_str("    rules:\n");
    for rule in rules {
        let _ = writeln!(out, "      - alert: {}", quoted(&rule.name));
        let _ = writeln!(out, "        expr: {}", quoted(&expression(rule)));
        let _ = writeln!(out, "        for: {}", duration(rule.hold));
        out.push_str("        labels:\n");
        let _ = writeln!(out, "          severity: {}", quoted(rule.severity.name()));
        for (name, value) in &rule.labels {
            // Quoted: `null` is a name of a label, but no string of YAML.
            let _ = writeln!(out, "          {}: {}", quoted(name), quoted(&plain(value)));
        }
        if !rule.summary.is_empty() {
            out.push_str("        annotations:\n");
            let _ = writeln!(out, "          summary: {}", quoted(&plain(&rule.summary)));
        }
    }
    out
}

/// Labels and annotations are templates there: what would begin an action is written by one.
fn plain(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

/// The condition of a rule in the query language.
fn expression(rule: &Rule) -> String {
    let value = match rule.of.is_empty() {
        true => reading(rule, &rule.metric),
        false => ratio(rule),
    };
    let compare = |limit: f64| match rule.op {
        // What is not a number differs from every limit there, and is missing here.
        Op::Ne => format!("({value} != {limit:?} and {value} == {value})"),
        op => format!("{value} {} {limit:?}", op.symbol()),
    };
    let mut condition = compare(rule.value);
    if let Some(clear) = rule.clear {
        // What fires already is compared with the other limit.
        let firing = format!(
            "ALERTS{{alertname={},alertstate=\"firing\"}}",
            string(&rule.name)
        );
        let own: Vec<&str> = rule.labels.keys().map(String::as_str).collect();
        let ignored = [&["alertname", "alertstate", "severity"], &own[..]].concat();
        let ignored = ignored.join(", ");
        condition = format!(
            "({condition}) or ({} and ignoring ({ignored}) {firing})",
            compare(clear)
        );
    }
    if rule.missing == Missing::Alert {
        let absent = absent_names(rule).into_iter();
        let absent = absent.map(|name| format!("absent({})", selector(&name, &rule.metric)));
        let absent = absent.collect::<Vec<_>>().join(" and ");
        condition = format!("({condition}) or ({absent})");
    }
    condition
}

/// The rule's metric divided by others. A part that is missing beside others counts as 0, and the
/// divisor has to be large enough.
fn ratio(rule: &Rule) -> String {
    let all = rule.metrics();
    let filled = |metric: &Metric| {
        let mut parts = vec![reading(rule, metric)];
        let others = all.iter().filter(|other| **other != metric);
        parts.extend(others.map(|other| format!("0 * {}", reading(rule, other))));
        match parts.len() {
            1 => parts.remove(0),
            _ => format!("({})", parts.join(" or ")),
        }
    };
    let divisor: Vec<String> = rule.of.iter().map(filled).collect();
    let least = match rule.at_least > 0.0 {
        true => (Op::Ge, rule.at_least),
        false => (Op::Gt, 0.0),
    };
    format!(
        "({} / (({}) {} {:?}))",
        filled(&rule.metric),
        divisor.join(" + "),
        least.0.symbol(),
        least.1
    )
}

fn reading(rule: &Rule, metric: &Metric) -> String {
    let name = exposed(&metric.name);
    let over = |name: &str| match rule.window {
        Some(window) => format!("rate({}[{}])", selector(name, metric), duration(window)),
        None => selector(name, metric),
    };
    match rule.stat {
        Stat::Value => match counter(&name) {
            total if total == name => selector(&name, metric),
            // A gauge, or a counter under the name that it has there.
            total => format!(
                "({} or {})",
                selector(&name, metric),
                selector(&total, metric)
            ),
        },
        Stat::Rate => over(&counter(&name)),
        Stat::Increase => {
            let window = duration(rule.window.unwrap_or_default());
            format!("increase({}[{window}])", selector(&counter(&name), metric))
        }
        Stat::Mean => format!(
            "({} / {})",
            over(&format!("{name}_sum")),
            over(&format!("{name}_count"))
        ),
        Stat::Quantile(q) => {
            let mut of_summary = metric.clone();
            of_summary.matchers.push(crate::LabelMatcher {
                name: "quantile".to_owned(),
                value: format!("{q}"),
                is_equal: true,
            });
            format!(
                "(histogram_quantile({q:?}, {}) or max without (quantile) ({}))",
                over(&format!("{name}_bucket")),
                selector(&name, &of_summary)
            )
        }
    }
}

/// Names of which one is there whenever the metric is.
fn absent_names(rule: &Rule) -> Vec<String> {
    let name = exposed(&rule.metric.name);
    match rule.stat {
        Stat::Value if counter(&name) != name => vec![counter(&name), name],
        Stat::Value => vec![name],
        Stat::Rate | Stat::Increase => vec![counter(&name)],
        Stat::Mean | Stat::Quantile(_) => vec![name + "_count"],
    }
}

/// The name of a metric on the page that a server reads: dots become underscores.
fn exposed(name: &str) -> String {
    name.replace('.', "_")
}

/// The name of a counter there: it ends in `_total`.
fn counter(name: &str) -> String {
    match name.ends_with("_total") {
        true => name.to_owned(),
        false => format!("{name}_total"),
    }
}

/// Words of the query language that are no name of a metric there unless quoted.
const RESERVED: [&str; 8] = [
    "atan2",
    "bool",
    "group_left",
    "group_right",
    "ignoring",
    "inf",
    "nan",
    "on",
];

fn selector(name: &str, metric: &Metric) -> String {
    let is_reserved = RESERVED.iter().any(|word| name.eq_ignore_ascii_case(word));
    let matchers = metric.matchers.iter().map(|matcher| {
        let sign = if matcher.is_equal { "=" } else { "!=" };
        format!("{}{sign}{}", matcher.name, string(&matcher.value))
    });
    let quoted = is_reserved.then(|| format!("__name__={}", string(name)));
    let matchers: Vec<String> = quoted.into_iter().chain(matchers).collect();
    let name = if is_reserved { "" } else { name };
    match matchers.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", matchers.join(",")),
    }
}

/// A string of the query language, where anything but these four may stand for itself. The last one
/// is taken for text that is not UTF-8.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\u{fffd}' => out.push_str("\\ufffd"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn duration(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}
