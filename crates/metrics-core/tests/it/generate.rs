//! Random snapshots.

use std::time::Duration;

use brolly_metrics_core::{
    Buckets, FamilySnapshot, GaugeMerge, GaugeSnapshot, HistogramSnapshot, SeriesSnapshot,
    Snapshot, SummarySnapshot, Unit,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::fixture::moment;

/// A family with up to three of four series.
fn families<T: std::fmt::Debug>(
    prefix: &'static str,
    unit: Unit,
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<FamilySnapshot<T>>> {
    let series = btree_map("[a-d]", value, 0..=3);
    btree_map("[xyz]", ("[pq]?", series), 0..=3).prop_map(move |families| {
        let families = families.into_iter().map(|(name, (help, series))| {
            let series = series.into_iter().map(|(label, value)| SeriesSnapshot {
                label_values: vec![label],
                value,
            });
            FamilySnapshot {
                name: format!("{prefix}_{name}"),
                help,
                unit,
                label_names: vec!["label".to_owned()],
                series: series.collect(),
            }
        });
        families.collect()
    })
}

/// Whole numbers, whose sums are exact, so that laws can be checked without tolerance.
fn whole() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-1000i32..1000).prop_map(f64::from),
        Just(-0.0),
        Just(f64::INFINITY)
    ]
}

fn gauge(rule: GaugeMerge) -> impl Strategy<Value = GaugeSnapshot> {
    whole().prop_map(move |value| GaugeSnapshot::new(value, rule))
}

fn histogram() -> impl Strategy<Value = HistogramSnapshot> {
    vec(prop_oneof![0.0f64..1e4, Just(-1.0), Just(1e300)], 0..20)
        .prop_map(|samples| HistogramSnapshot::of(Unit::Seconds, Buckets::default(), samples))
}

fn summary() -> impl Strategy<Value = SummarySnapshot> {
    vec(-100i32..100, 0..6).prop_map(|samples| {
        let samples: Vec<f64> = samples.into_iter().map(f64::from).collect();
        let count = samples.len() as u64;
        SummarySnapshot {
            count: count * 3,
            window_count: count,
            min: samples.iter().copied().reduce(f64::min),
            max: samples.iter().copied().reduce(f64::max),
            avg: (count > 0).then(|| samples.iter().sum::<f64>() / count as f64),
            latest: samples.last().copied(),
            p50: samples.first().copied(),
            rejected: count % 2,
            ..SummarySnapshot::default()
        }
    })
}

/// Snapshots whose metrics can be merged: a name goes with one kind, unit and rule.
pub(crate) fn snapshots() -> impl Strategy<Value = Snapshot> {
    let gauges = (
        families("latest", Unit::None, gauge(GaugeMerge::Latest)),
        families("max", Unit::None, gauge(GaugeMerge::Max)),
        families("min", Unit::None, gauge(GaugeMerge::Min)),
        families("sum", Unit::None, gauge(GaugeMerge::Sum)),
    );
    let gauges = gauges.prop_map(|(latest, max, min, sum)| [latest, max, min, sum].concat());
    (
        0u64..4,
        families("counter", Unit::None, prop_oneof![0u64..9, Just(u64::MAX)]),
        gauges,
        families("histogram", Unit::Seconds, histogram()),
        families("summary", Unit::None, summary()),
    )
        .prop_map(
            |(seconds, counters, gauges, histograms, summaries)| Snapshot {
                timestamp: moment() + Duration::from_secs(seconds),
                counters,
                gauges,
                histograms,
                summaries,
            },
        )
}
