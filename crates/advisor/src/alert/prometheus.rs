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
            let _ = writeln!(out, "          {name}: {}", quoted(&plain(value)));
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
    let compare = |limit: f64| format!("{value} {} {limit:?}", rule.op.symbol());
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
        let name = absent_name(rule);
        condition = format!("({condition}) or absent({})", selector(&name, &rule.metric));
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
        Stat::Value => selector(&name, metric),
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

/// A name that is there whenever the metric is.
fn absent_name(rule: &Rule) -> String {
    let name = exposed(&rule.metric.name);
    match rule.stat {
        Stat::Value => name,
        Stat::Rate | Stat::Increase => counter(&name),
        Stat::Mean | Stat::Quantile(_) => name + "_count",
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

fn selector(name: &str, metric: &Metric) -> String {
    if metric.matchers.is_empty() {
        return name.to_owned();
    }
    let matchers = metric.matchers.iter().map(|matcher| {
        let sign = if matcher.is_equal { "=" } else { "!=" };
        format!("{}{sign}{}", matcher.name, string(&matcher.value))
    });
    format!("{name}{{{}}}", matchers.collect::<Vec<_>>().join(","))
}

/// A string of the query language, where anything but these three may stand for itself.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
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
