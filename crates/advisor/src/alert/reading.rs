//! What a rule reads from snapshots: a value for each series.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use brolly_metrics_core::{
    FamilySnapshot, GaugeSnapshot, HistogramSnapshot, SeriesSnapshot, Snapshot, SummarySnapshot,
};

use crate::alert::{Metric, Rule, Stat, Timeline};

/// Where values are read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) now: &'a Snapshot,
    /// Gauges that were made from the snapshot, and count as if they were in it.
    pub(super) derived: &'a [FamilySnapshot<GaugeSnapshot>],
    pub(super) timeline: &'a Timeline,
}

/// The labels of a series: their names, and a value for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels<'a> {
    pub(super) names: &'a [String],
    pub(super) values: &'a [String],
}

impl Labels<'_> {
    fn matches(&self, metric: &Metric) -> bool {
        metric.matchers.iter().all(|matcher| {
            let at = self.names.iter().position(|name| *name == matcher.name);
            let value = at.and_then(|at| self.values.get(at));
            let value = value.map_or("", String::as_str);
            (value == matcher.value) == matcher.is_equal
        })
    }
}

/// Calls `visit` with the value of each series that the rule looks at; none where it is missing.
pub(super) fn read<'a>(
    rule: &Rule,
    view: View<'a>,
    visit: &mut dyn FnMut(Labels<'a>, Option<f64>),
) {
    let past = Past::of(rule.window, view.timeline);
    if rule.of.is_empty() {
        return read_metric(&rule.metric, rule.stat, view, past, visit);
    }
    for (labels, value) in read_ratio(rule, view, past) {
        visit(labels, value);
    }
}

/// The snapshot that a window looks back to, and how old it is.
#[derive(Clone, Copy)]
enum Past<'a> {
    /// The rule has no window.
    NotAsked,
    /// There is no older snapshot.
    Unknown,
    Known(&'a Snapshot, Duration),
}

impl<'a> Past<'a> {
    fn of(window: Option<Duration>, timeline: &'a Timeline) -> Self {
        let Some(window) = window else {
            return Self::NotAsked;
        };
        match timeline.back(window) {
            Some((snapshot, age)) => Self::Known(snapshot, age),
            None => Self::Unknown,
        }
    }
}

fn read_ratio<'a>(
    rule: &Rule,
    view: View<'a>,
    past: Past<'a>,
) -> impl Iterator<Item = (Labels<'a>, Option<f64>)> {
    /// One metric may be a part of both.
    #[derive(Clone, Copy, Default)]
    struct Ratio {
        part: f64,
        of: f64,
        is_missing: bool,
    }
    let mut ratios: BTreeMap<Labels<'a>, Ratio> = BTreeMap::new();
    for metric in rule.metrics() {
        let is_part = f64::from(u8::from(rule.metric == *metric));
        let times = rule.of.iter().filter(|of| *of == metric).count() as f64;
        read_metric(metric, rule.stat, view, past, &mut |labels, value| {
            let ratio = ratios.entry(labels).or_default();
            match value {
                Some(value) => {
                    ratio.part += is_part * value;
                    ratio.of += times * value;
                }
                None => ratio.is_missing = true,
            }
        });
    }
    let at_least = rule.at_least;
    ratios.into_iter().map(move |(labels, ratio)| {
        let is_known = !ratio.is_missing && ratio.of > 0.0 && ratio.of >= at_least;
        (labels, is_known.then(|| ratio.part / ratio.of))
    })
}

fn read_metric<'a>(
    metric: &Metric,
    stat: Stat,
    view: View<'a>,
    past: Past<'a>,
    visit: &mut dyn FnMut(Labels<'a>, Option<f64>),
) {
    let name = metric.name.as_str();
    match stat {
        Stat::Value => {
            let derived = view.derived.iter().find(|family| family.name == name);
            if let Some(family) = derived.or_else(|| view.now.gauge(name)) {
                each(family, metric, visit, |series| Some(series.value.value));
            } else if let Some(family) = view.now.counter(name) {
                let unit = family.unit;
                each(family, metric, visit, |series| {
                    Some(unit.counted(series.value))
                });
            }
        }
        Stat::Increase | Stat::Rate => {
            let Some(family) = view.now.counter(name) else {
                return;
            };
            let earlier = match past {
                Past::Known(snapshot, _) => snapshot.counter(name),
                _ => None,
            };
            each(family, metric, visit, |series| {
                let Past::Known(_, age) = past else {
                    return None;
                };
                let grown = growth(series.value, before(family, earlier, series).copied());
                let grown = family.unit.counted(grown);
                Some(match stat {
                    Stat::Rate => grown / age.as_secs_f64(),
                    _ => grown,
                })
            });
        }
        Stat::Mean | Stat::Quantile(_) => {
            if let Some(family) = view.now.histogram(name) {
                let earlier = match past {
                    Past::Known(snapshot, _) => snapshot.histogram(name),
                    _ => None,
                };
                each(family, metric, visit, |series| {
                    if matches!(past, Past::Unknown) {
                        return None;
                    }
                    let grown = since(&series.value, before(family, earlier, series));
                    match stat {
                        Stat::Quantile(q) => grown.quantile(q).ok()?,
                        _ => grown.mean(),
                    }
                });
            } else if let Some(family) = view.now.summary(name) {
                each(family, metric, visit, |series| {
                    of_summary(&series.value, stat)
                });
            }
        }
    }
}

fn each<'a, T>(
    family: &'a FamilySnapshot<T>,
    metric: &Metric,
    visit: &mut dyn FnMut(Labels<'a>, Option<f64>),
    value: impl Fn(&'a SeriesSnapshot<T>) -> Option<f64>,
) {
    for series in &family.series {
        let labels = Labels {
            names: &family.label_names,
            values: &series.label_values,
        };
        if labels.matches(metric) {
            visit(labels, value(series).filter(|value| !value.is_nan()));
        }
    }
}

/// The value that a series had in an earlier snapshot; none when it was not there.
pub(crate) fn before<'a, T>(
    family: &FamilySnapshot<T>,
    earlier: Option<&'a FamilySnapshot<T>>,
    series: &SeriesSnapshot<T>,
) -> Option<&'a T> {
    let earlier = earlier.filter(|earlier| earlier.label_names == family.label_names)?;
    let values = &series.label_values;
    let at = earlier
        .series
        .binary_search_by(|other| other.label_values.cmp(values));
    at.ok().map(|at| &earlier.series[at].value)
}

/// By how much a counter grew. One that fell was reset; one that was not there began at zero.
pub(crate) fn growth(now: u64, before: Option<u64>) -> u64 {
    now.checked_sub(before.unwrap_or(0)).unwrap_or(now)
}

/// The samples since an earlier state. A histogram that was reset, or defined anew, began empty.
pub(crate) fn since<'a>(
    now: &'a HistogramSnapshot,
    before: Option<&HistogramSnapshot>,
) -> Cow<'a, HistogramSnapshot> {
    match before.map(|before| now.since(before)) {
        Some(Ok(grown)) => Cow::Owned(grown),
        _ => Cow::Borrowed(now),
    }
}

fn of_summary(summary: &SummarySnapshot, stat: Stat) -> Option<f64> {
    match stat {
        Stat::Mean => summary.avg,
        Stat::Quantile(0.5) => summary.p50,
        Stat::Quantile(0.95) => summary.p95,
        Stat::Quantile(0.99) => summary.p99,
        _ => None,
    }
}
