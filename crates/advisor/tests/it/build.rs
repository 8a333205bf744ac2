//! Snapshots by hand.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use brolly_metrics_core::{
    Buckets, FamilySnapshot, GaugeMerge, GaugeSnapshot, HistogramSnapshot, SeriesSnapshot,
    Snapshot, SummarySnapshot, Unit,
};

/// A moment so many seconds after the hour at which all tests begin.
pub(crate) fn moment(seconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_secs_f64(seconds)
}

/// A snapshot in the making. Labels are written `cache=users`.
pub(crate) struct Build(Snapshot);

impl Build {
    pub(crate) fn at(seconds: f64) -> Self {
        Self(Snapshot::empty(moment(seconds)))
    }

    pub(crate) fn counter(mut self, name: &str, labels: &[&str], total: u64) -> Self {
        add(&mut self.0.counters, name, labels, total);
        self
    }

    /// Counts its counters in seconds.
    pub(crate) fn of_seconds(mut self) -> Self {
        for family in &mut self.0.counters {
            family.unit = Unit::Seconds;
        }
        self
    }

    pub(crate) fn gauge(mut self, name: &str, labels: &[&str], value: f64) -> Self {
        let value = GaugeSnapshot::new(value, GaugeMerge::Sum);
        add(&mut self.0.gauges, name, labels, value);
        self
    }

    pub(crate) fn seconds(mut self, name: &str, labels: &[&str], samples: &[f64]) -> Self {
        let samples = samples.iter().copied();
        let value = HistogramSnapshot::of(Unit::Seconds, Buckets::default(), samples);
        add(&mut self.0.histograms, name, labels, value);
        self
    }

    pub(crate) fn summary(mut self, name: &str, labels: &[&str], value: SummarySnapshot) -> Self {
        add(&mut self.0.summaries, name, labels, value);
        self
    }

    pub(crate) fn done(self) -> Arc<Snapshot> {
        Arc::new(self.0)
    }
}

fn add<T>(families: &mut Vec<FamilySnapshot<T>>, name: &str, labels: &[&str], value: T) {
    let labels = labels
        .iter()
        .map(|label| label.split_once('=').expect("name=value"));
    let (names, values): (Vec<String>, Vec<String>) = labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .unzip();
    if !families.iter().any(|family| family.name == name) {
        families.push(FamilySnapshot {
            name: name.to_owned(),
            help: String::new(),
            unit: Unit::None,
            label_names: names,
            series: Vec::new(),
        });
        families.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let family = families.iter_mut().find(|family| family.name == name);
    let series = &mut family.expect("it was added just above").series;
    series.push(SeriesSnapshot {
        label_values: values,
        value,
    });
    series.sort_by(|a, b| a.label_values.cmp(&b.label_values));
}
