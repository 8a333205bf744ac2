//! What a family looks like at this moment: as plain data, and on a page.

use crate::encode::Encoder;
use crate::family::core::FamilyCore;
use crate::family::recipe::Settings;
use crate::family::rows::{Row, Rows};
use crate::instrument::counter::{Counter, slots_given_back};
use crate::instrument::metric::Metric;
use crate::kind::Kind;
use crate::recording::cells::GROUP;
use crate::recording::shards::Totals;
use crate::snapshot::histogram::HistogramSnapshot;
use crate::snapshot::{FamilySnapshot, GaugeSnapshot, SeriesSnapshot, Snapshot};

/// Adds a family to a snapshot.
pub(crate) fn snapshot_family(family: &FamilyCore, reader: &mut Reader, snapshot: &mut Snapshot) {
    let rows = family.rows();
    reader.groups.renew();
    let merge = family.settings.merge;
    match family.recipe.kind() {
        Kind::Counter => {
            let value = |metric: &Metric| match metric {
                Metric::Counter(counter) => Some(reader.groups.value(counter)),
                _ => None,
            };
            snapshot.counters.push(describe(family, &rows, value));
        }
        Kind::Gauge => {
            let value = |metric: &Metric| match metric {
                Metric::Gauge(gauge) => Some(GaugeSnapshot::new(gauge.value(), merge)),
                Metric::IntGauge(gauge) => Some(GaugeSnapshot::new(gauge.value() as f64, merge)),
                _ => None,
            };
            snapshot.gauges.push(describe(family, &rows, value));
        }
        Kind::Histogram => {
            let value = |metric: &Metric| match metric {
                Metric::Histogram(histogram) => Some(histogram.snapshot()),
                _ => None,
            };
            snapshot.histograms.push(describe(family, &rows, value));
        }
        Kind::Summary => {
            let value = |metric: &Metric| match metric {
                Metric::Summary(summary) => Some(summary.snapshot()),
                _ => None,
            };
            snapshot.summaries.push(describe(family, &rows, value));
        }
    }
}

fn describe<T>(
    family: &FamilyCore,
    rows: &Rows,
    mut value: impl FnMut(&Metric) -> Option<T>,
) -> FamilySnapshot<T> {
    let one = |(_, row): (_, &Row)| {
        let label_values = family.sorted_values(&row.series);
        Some(SeriesSnapshot {
            label_values: label_values.into_iter().map(str::to_owned).collect(),
            value: value(&row.metric)?,
        })
    };
    FamilySnapshot {
        name: family.name.clone(),
        help: family.help.clone(),
        unit: family.settings.unit,
        label_names: family.sorted_labels().map(str::to_owned).collect(),
        series: rows.iter().filter_map(one).collect(),
    }
}

/// Writes a family to a page.
pub(crate) fn encode_family(family: &FamilyCore, reader: &mut Reader, encoder: &mut Encoder<'_>) {
    let kind = family.recipe.kind();
    encoder.family(&family.name, &family.help, family.settings.unit, kind);
    let rows = family.rows();
    reader.groups.renew();
    match kind {
        Kind::Counter | Kind::Gauge => {
            encoder.begin_lines();
            for (text, row) in rows.iter() {
                match &row.metric {
                    Metric::Counter(it) => encoder.total_line(text, reader.groups.value(it)),
                    Metric::Gauge(it) => encoder.float_line(text, it.value()),
                    Metric::IntGauge(it) => encoder.signed_line(text, it.value()),
                    Metric::Histogram(_) | Metric::Summary(_) | Metric::Timer(_) => {}
                }
            }
            encoder.end_lines();
        }
        Kind::Histogram => {
            let Settings { unit, buckets, .. } = &family.settings;
            let mut distribution = HistogramSnapshot::empty(*unit, buckets.clone());
            for (labels, row) in rows.iter() {
                if let Metric::Histogram(histogram) = &row.metric {
                    histogram.read(&mut distribution, &mut reader.samples);
                    encoder.histogram(labels, &distribution);
                }
            }
        }
        Kind::Summary => {
            for (labels, row) in rows.iter() {
                if let Metric::Summary(summary) = &row.metric {
                    encoder.summary(labels, &summary.snapshot());
                }
            }
        }
    }
}

/// What is kept while a page is read.
#[derive(Default)]
pub(crate) struct Reader {
    groups: Groups,
    /// Working space for distributions.
    samples: Totals,
}

/// The totals of the groups of counters read so far: each is added up once a page.
#[derive(Default)]
struct Groups {
    /// Where a group is among the totals, by its number; `NOWHERE` until it is read.
    positions: Vec<u32>,
    totals: Vec<[u64; GROUP]>,
    /// What [`slots_given_back`] said before they were read.
    given_back: u64,
}

const NOWHERE: u32 = u32::MAX;

impl Groups {
    /// Forgets what may be of counters that are gone, before the counters at hand are read.
    fn renew(&mut self) {
        let given_back = slots_given_back();
        if given_back != self.given_back {
            self.positions.clear();
            self.totals.clear();
            self.given_back = given_back;
        }
    }

    fn value(&mut self, counter: &Counter) -> u64 {
        let group = counter.slot() / GROUP;
        if group >= self.positions.len() {
            self.positions.resize(group + 1, NOWHERE);
        }
        if self.positions[group] == NOWHERE {
            self.positions[group] = self.totals.len() as u32;
            self.totals.push(counter.group().totals());
        }
        let totals = &self.totals[self.positions[group] as usize];
        totals[counter.slot() % GROUP]
    }
}
