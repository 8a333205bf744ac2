//! Snapshots as plain data: what is found in them.

use brolly_metrics_core::{
    Buckets, GaugeMerge, GaugeSnapshot, HistogramSnapshot, Snapshot, SummarySnapshot, Unit,
};

use crate::fixture::{empty, family, plain};

fn snapshot() -> Snapshot {
    let gauge = GaugeSnapshot::new(2.5, GaugeMerge::Latest);
    Snapshot {
        counters: vec![
            plain("a", Unit::None, 1),
            family(
                "b",
                Unit::None,
                &["method", "zone"],
                [(vec!["GET", "x"], 2), (vec!["PUT", "x"], 3)],
            ),
        ],
        gauges: vec![plain("g", Unit::None, gauge)],
        histograms: vec![plain(
            "h",
            Unit::Bytes,
            HistogramSnapshot::of(Unit::Bytes, Buckets::default(), [4.0, 6.0, -1.0, f64::NAN]),
        )],
        summaries: vec![plain("s", Unit::None, SummarySnapshot::default())],
        ..empty()
    }
}

#[test]
fn families_are_found_by_name_and_series_by_label_values() {
    let snapshot = snapshot();
    let b = snapshot.counter("b").expect("it is there");
    assert_eq!(b.get(&["PUT", "x"]), Some(&3));
    assert_eq!(b.get(&["PUT", "y"]), None);
    assert_eq!(b.get(&["PUT"]), None);
    assert_eq!(b.get(&[]), None);
    assert_eq!(snapshot.counter("a").and_then(|a| a.get(&[])), Some(&1));
    let gauge = snapshot.gauge("g").and_then(|g| g.get(&[]));
    assert_eq!(gauge.map(|gauge| gauge.value), Some(2.5));
    let summary = snapshot.summary("s").and_then(|s| s.get(&[]));
    assert_eq!(summary, Some(&SummarySnapshot::default()));
}

#[test]
fn a_name_is_looked_up_among_its_own_kind() {
    let snapshot = snapshot();
    assert!(snapshot.counter("g").is_none());
    assert!(snapshot.gauge("a").is_none());
    assert!(snapshot.histogram("s").is_none());
    assert!(snapshot.summary("h").is_none());
    assert!(snapshot.counter("").is_none());
}

#[test]
fn a_histogram_counts_what_it_took_and_what_it_refused() {
    let snapshot = snapshot();
    let sizes = snapshot.histogram("h").and_then(|h| h.get(&[]));
    let sizes = sizes.expect("it is there");
    assert_eq!((sizes.count(), sizes.rejected()), (2, 2));
    assert_eq!((sizes.sum(), sizes.mean()), (10.0, Some(5.0)));
    assert_eq!((sizes.min(), sizes.max()), (Some(4.0), Some(6.0)));
    assert_eq!(sizes.unit(), Unit::Bytes);
    assert_eq!(sizes.buckets(), &Buckets::default());
}
