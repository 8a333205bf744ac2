//! What a family looks like at this moment: as plain data, and on a page.

use std::sync::Arc;

use crate::cells::{GROUP, Group};
use crate::counter::Counter;
use crate::encode::Encoder;
use crate::family_core::FamilyCore;
use crate::index::Series;
use crate::kind::Kind;
use crate::metric::Metric;
use crate::snapshot::{FamilySnapshot, GaugeSnapshot, SeriesSnapshot, Snapshot};

/// Adds a family to a snapshot.
pub(crate) fn snapshot_family(family: &FamilyCore, snapshot: &mut Snapshot) {
    let series = family.series();
    let mut totals = LastGroup::default();
    let merge = family.settings.merge;
    match family.recipe.kind() {
        Kind::Counter => {
            let value = |metric: &Metric| match metric {
                Metric::Counter(counter) => Some(totals.value(counter)),
                _ => None,
            };
            snapshot.counters.push(describe(family, &series, value));
        }
        Kind::Gauge => {
            let value = |metric: &Metric| match metric {
                Metric::Gauge(gauge) => Some(GaugeSnapshot::new(gauge.value(), merge)),
                Metric::IntGauge(gauge) => {
                    Some(GaugeSnapshot::new(gauge.value() as f64, merge))
                },
                _ => None,
            };
            snapshot.gauges.push(describe(family, &series, value));
        }
        Kind::Histogram => {
            let value = |metric: &Metric| match metric {
                Metric::Histogram(histogram) => Some(histogram.snapshot()),
                _ => None,
            };
            snapshot.histograms.push(describe(family, &series, value));
        }
        Kind::Summary => {
            let value = |metric: &Metric| match metric {
                Metric::Summary(summary) => Some(summary.snapshot()),
                _ => None,
            };
            snapshot.summaries.push(describe(family, &series, value));
        }
    }
}

fn describe<T>(
    family: &FamilyCore,
    series: &[Arc<Series>],
    mut value: impl FnMut(&Metric) -> Option<T>,
) -> FamilySnapshot<T> {
    let one = |series: &Arc<Series>| {
        let label_values = family.sorted_values(series).map(str::to_owned).collect();
        Some(SeriesSnapshot {
            label_values,
            value: value(&series.metric)?,
        })
    };
    FamilySnapshot {
        name: family.name.clone(),
        help: family.help.clone(),
        unit: family.settings.unit,
        label_names: family.sorted_labels().map(str::to_owned).collect(),
        series: series.iter().filter_map(one).collect(),
    }
}

/// Writes a family to a page.
pub(crate) fn encode_family(family: &FamilyCore, encoder: &mut Encoder<'_>) {
    let kind = family.recipe.kind();
    encoder.family(&family.name, &family.help, family.settings.unit, kind);
    let mut totals = LastGroup::default();
    for series in family.series().iter() {
        let labels = &*series.rendered;
        match &series.metric {
            Metric::Counter(counter) => encoder.counter(labels, totals.value(counter), None),
            Metric::Gauge(gauge) => encoder.gauge(labels, gauge.value()),
            Metric::IntGauge(gauge) => encoder.int_gauge(labels, gauge.value()),
            Metric::Histogram(histogram) => {
                encoder.histogram(labels, &histogram.snapshot(), None);
            }
            Metric::Summary(summary) => encoder.summary(labels, &summary.snapshot()),
            // Its histograms are series of their own.
            Metric::Timer(_) => {}
        }
    }
}

/// The totals of the group of counters that was read last: neighbours are read together.
#[derive(Default)]
struct LastGroup {
    read: Option<(Arc<Group>, [u64; GROUP])>,
}

impl LastGroup {
    fn value(&mut self, counter: &Counter) -> u64 {
        let group = counter.group();
        let is_same = |(read, _): &(Arc<Group>, _)| Arc::ptr_eq(read, group);
        if !self.read.as_ref().is_some_and(is_same) {
            self.read = Some((Arc::clone(group), group.totals()));
        }
        let slot = counter.slot() % GROUP;
        let total = self.read.as_ref().map_or(0, |(_, totals)| totals[slot]);
        counter.since_baseline(total)
    }
}
