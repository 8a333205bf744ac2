//! The shape of the JSON text, and the way from a snapshot to it and back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::RegisterError;
use crate::json::JsonError;
use crate::json::number::{Number, Shown, Wide, time_of, time_text};
use crate::kind::Kind;
use crate::registry::name::{check_labels, check_name, claims};
use crate::snapshot::buckets::{Bounds, Buckets};
use crate::snapshot::histogram::{HistogramSnapshot, Steps};
use crate::snapshot::log_linear::Precision;
use crate::snapshot::{
    FamilySnapshot, GaugeMerge, GaugeSnapshot, SeriesSnapshot, Snapshot, SummarySnapshot,
};
use crate::unit::Unit;

const VERSION: u64 = 1;

/// A snapshot.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    version: u64,
    timestamp: String,
    counters: Vec<Family<CounterSeries>>,
    gauges: Vec<Family<GaugeSeries>>,
    histograms: Vec<Family<HistogramSeries>>,
    summaries: Vec<Family<SummarySeries>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family<S> {
    name: String,
    help: String,
    unit: Unit,
    labels: Vec<String>,
    series: Vec<S>,
}

type Labels = BTreeMap<String, String>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CounterSeries {
    #[serde(deserialize_with = "labels_of")]
    labels: Labels,
    value: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GaugeSeries {
    #[serde(deserialize_with = "labels_of")]
    labels: Labels,
    value: Number,
    merge: GaugeMerge,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistogramSeries {
    #[serde(deserialize_with = "labels_of")]
    labels: Labels,
    count: u64,
    #[serde(default)]
    sum: Shown,
    #[serde(default)]
    min: Shown,
    #[serde(default)]
    max: Shown,
    #[serde(default)]
    p50: Shown,
    #[serde(default)]
    p90: Shown,
    #[serde(default)]
    p95: Shown,
    #[serde(default)]
    p99: Shown,
    rejected: u64,
    buckets: BucketsDocument,
    steps: StepsDocument,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BucketsDocument {
    LogLinear(u8),
    Bounds(Vec<f64>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepsDocument {
    sum: Wide,
    min: u64,
    max: u64,
    counts: Vec<(u32, u64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SummarySeries {
    #[serde(deserialize_with = "labels_of")]
    labels: Labels,
    count: u64,
    window_count: u64,
    min: Option<Number>,
    max: Option<Number>,
    avg: Option<Number>,
    latest: Option<Number>,
    p50: Option<Number>,
    p95: Option<Number>,
    p99: Option<Number>,
    rejected: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
}

impl Document {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            version: VERSION,
            timestamp: time_text(snapshot.timestamp),
            counters: families(&snapshot.counters),
            gauges: families(&snapshot.gauges),
            histograms: families(&snapshot.histograms),
            summaries: families(&snapshot.summaries),
        }
    }

    /// Reads a text. The version is looked at first: another one explains all that follows.
    pub(super) fn parse(text: &str) -> Result<Self, JsonError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let Versioned { version } = serde_json::from_str(text)?;
        check_version(version)?;
        Ok(serde_json::from_str(text)?)
    }

    pub(super) fn into_snapshot(self) -> Result<Snapshot, JsonError> {
        check_version(self.version)?;
        let mut names = BTreeSet::new();
        let snapshot = Snapshot {
            timestamp: time_of(&self.timestamp)?,
            counters: snapshots(self.counters, &mut names)?,
            gauges: snapshots(self.gauges, &mut names)?,
            histograms: snapshots(self.histograms, &mut names)?,
            summaries: snapshots(self.summaries, &mut names)?,
        };
        check_names(&snapshot)?;
        Ok(snapshot)
    }
}

/// What comes from elsewhere has names that a registry could have, so that its page can be read.
fn check_names(snapshot: &Snapshot) -> Result<(), JsonError> {
    fn check<T>(kind: Kind, families: &[FamilySnapshot<T>]) -> Result<(), JsonError> {
        families.iter().try_for_each(|family| {
            check_name(&family.name, kind)?;
            check_labels(&family.name, &family.label_names, &[])?;
            Ok(())
        })
    }
    check(Kind::Counter, &snapshot.counters)?;
    check(Kind::Gauge, &snapshot.gauges)?;
    check(Kind::Histogram, &snapshot.histograms)?;
    check(Kind::Summary, &snapshot.summaries)?;

    let mut claimed = BTreeMap::new();
    for (kind, name) in snapshot.kinds() {
        for exposed in claims(name, kind) {
            if let Some(owner) = claimed.insert(exposed.clone(), name) {
                let (name, owner) = (name.to_owned(), owner.to_owned());
                return Err(RegisterError::NameClash {
                    name,
                    exposed,
                    owner,
                }
                .into());
            }
        }
    }
    Ok(())
}

/// The labels of a series. One that comes twice is refused, where a map would keep the last.
fn labels_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Labels;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
            let mut labels = Labels::new();
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                if labels.contains_key(&name) {
                    let text = format!("the label `{name}` is there twice");
                    return Err(A::Error::custom(text));
                }
                labels.insert(name, value);
            }
            Ok(labels)
        }
    }

    deserializer.deserialize_map(Reader)
}

fn check_version(found: u64) -> Result<(), JsonError> {
    if found == VERSION {
        return Ok(());
    }
    Err(JsonError::Version {
        found,
        supported: VERSION,
    })
}

/// A series as it is written.
trait Series: Sized {
    /// What it is in a snapshot.
    type Value;

    fn of(labels: Labels, value: &Self::Value) -> Self;

    fn labels(&mut self) -> &mut Labels;

    fn into_value(self, metric: &str, unit: Unit) -> Result<Self::Value, JsonError>;
}

fn families<S: Series>(families: &[FamilySnapshot<S::Value>]) -> Vec<Family<S>> {
    let documents = families.iter().map(|family| {
        let series = family.series.iter().map(|series| {
            let names = family.label_names.iter().cloned();
            let labels = names.zip(series.label_values.iter().cloned());
            S::of(labels.collect(), &series.value)
        });
        Family {
            name: family.name.clone(),
            help: family.help.clone(),
            unit: family.unit,
            labels: family.label_names.clone(),
            series: series.collect(),
        }
    });
    documents.collect()
}

fn snapshots<S: Series>(
    families: Vec<Family<S>>,
    names: &mut BTreeSet<String>,
) -> Result<Vec<FamilySnapshot<S::Value>>, JsonError> {
    let mut all = Vec::with_capacity(families.len());
    for family in families {
        if !names.insert(family.name.clone()) {
            return Err(JsonError::DuplicateMetric {
                metric: family.name,
            });
        }
        all.push(family.into_snapshot()?);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

impl<S: Series> Family<S> {
    fn into_snapshot(self) -> Result<FamilySnapshot<S::Value>, JsonError> {
        let metric = self.name;
        let mut all = BTreeMap::new();
        for mut series in self.series {
            let Some(labels) = values_of(&self.labels, std::mem::take(series.labels())) else {
                return Err(JsonError::Labels { metric });
            };
            let value = series.into_value(&metric, self.unit)?;
            if all.insert(labels.clone(), value).is_some() {
                return Err(JsonError::DuplicateSeries { metric, labels });
            }
        }
        let series = all.into_iter().map(|(label_values, value)| SeriesSnapshot {
            label_values,
            value,
        });
        Ok(FamilySnapshot {
            name: metric,
            help: self.help,
            unit: self.unit,
            label_names: self.labels,
            series: series.collect(),
        })
    }
}

/// The values of labels in the order of their names; none unless they are the same names.
fn values_of(names: &[String], mut labels: Labels) -> Option<Vec<String>> {
    let values = names.iter().map(|name| labels.remove(name));
    let values = values.collect::<Option<Vec<String>>>()?;
    labels.is_empty().then_some(values)
}

impl Series for CounterSeries {
    type Value = u64;

    fn of(labels: Labels, value: &u64) -> Self {
        let value = *value;
        Self { labels, value }
    }

    fn labels(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn into_value(self, _: &str, _: Unit) -> Result<u64, JsonError> {
        Ok(self.value)
    }
}

impl Series for GaugeSeries {
    type Value = GaugeSnapshot;

    fn of(labels: Labels, gauge: &GaugeSnapshot) -> Self {
        Self {
            labels,
            value: Number(gauge.value),
            merge: gauge.merge,
            as_of: gauge.as_of.map(time_text),
        }
    }

    fn labels(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn into_value(self, _: &str, _: Unit) -> Result<GaugeSnapshot, JsonError> {
        Ok(GaugeSnapshot {
            value: self.value.0,
            merge: self.merge,
            as_of: self.as_of.as_deref().map(time_of).transpose()?,
        })
    }
}

impl Series for SummarySeries {
    type Value = SummarySnapshot;

    fn of(labels: Labels, summary: &SummarySnapshot) -> Self {
        Self {
            labels,
            count: summary.count,
            window_count: summary.window_count,
            min: summary.min.map(Number),
            max: summary.max.map(Number),
            avg: summary.avg.map(Number),
            latest: summary.latest.map(Number),
            p50: summary.p50.map(Number),
            p95: summary.p95.map(Number),
            p99: summary.p99.map(Number),
            rejected: summary.rejected,
            as_of: summary.as_of.map(time_text),
        }
    }

    fn labels(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn into_value(self, _: &str, _: Unit) -> Result<SummarySnapshot, JsonError> {
        let plain = |number: Option<Number>| number.map(|number| number.0);
        Ok(SummarySnapshot {
            count: self.count,
            window_count: self.window_count,
            min: plain(self.min),
            max: plain(self.max),
            avg: plain(self.avg),
            latest: plain(self.latest),
            p50: plain(self.p50),
            p95: plain(self.p95),
            p99: plain(self.p99),
            rejected: self.rejected,
            as_of: self.as_of.as_deref().map(time_of).transpose()?,
        })
    }
}

impl Series for HistogramSeries {
    type Value = HistogramSnapshot;

    fn of(labels: Labels, histogram: &HistogramSnapshot) -> Self {
        let quantile = |q| Shown(histogram.quantile(q).unwrap_or(None));
        let steps = histogram.steps();
        Self {
            labels,
            count: histogram.count(),
            sum: Shown(Some(histogram.sum())),
            min: Shown(histogram.min()),
            max: Shown(histogram.max()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            rejected: histogram.rejected(),
            buckets: match histogram.buckets() {
                Buckets::LogLinear(precision) => BucketsDocument::LogLinear(precision.bits()),
                Buckets::Explicit(bounds) => BucketsDocument::Bounds(bounds.values().to_vec()),
            },
            steps: StepsDocument {
                sum: Wide(steps.sum),
                min: steps.min,
                max: steps.max,
                counts: steps.counts,
            },
        }
    }

    fn labels(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn into_value(self, metric: &str, unit: Unit) -> Result<HistogramSnapshot, JsonError> {
        let metric = || metric.to_owned();
        let buckets = self.buckets.into_buckets(unit, metric)?;
        let StepsDocument {
            sum,
            min,
            max,
            counts,
        } = self.steps;

        let mut counted = 0u64;
        let mut next = 0;
        for &(index, count) in &counts {
            let len = buckets.len();
            if index as usize >= len {
                let metric = metric();
                return Err(JsonError::BucketIndex { metric, index, len });
            }
            if index < next || count == 0 {
                let metric = metric();
                return Err(JsonError::BucketOrder { metric, index });
            }
            next = index + 1;
            counted = counted.saturating_add(count);
        }
        if counted != self.count {
            return Err(JsonError::Count {
                metric: metric(),
                stated: self.count,
                counted,
            });
        }
        // Beside writers the extremes run ahead of the buckets, and never behind.
        let is_within = |first: usize, last: usize| {
            min <= *buckets.values_of(first).end() && max >= *buckets.values_of(last).start()
        };
        let ends = counts.first().zip(counts.last());
        let fits = ends.is_none_or(|(first, last)| is_within(first.0 as usize, last.0 as usize));
        if min > max || !fits {
            return Err(JsonError::Extremes { metric: metric() });
        }
        let steps = Steps {
            counts,
            sum: sum.0,
            min,
            max,
        };
        let rejected = self.rejected;
        Ok(HistogramSnapshot::of_steps(unit, buckets, steps, rejected))
    }
}

impl BucketsDocument {
    fn into_buckets(self, unit: Unit, metric: impl Fn() -> String) -> Result<Buckets, JsonError> {
        match self {
            Self::LogLinear(bits) => match Precision::new(bits) {
                Some(precision) => Ok(Buckets::LogLinear(precision)),
                None => Err(JsonError::Precision {
                    metric: metric(),
                    bits,
                }),
            },
            Self::Bounds(bounds) => match Bounds::new(unit, &bounds) {
                Ok(bounds) => Ok(Buckets::Explicit(bounds)),
                Err(source) => Err(JsonError::Buckets {
                    metric: metric(),
                    source,
                }),
            },
        }
    }
}
