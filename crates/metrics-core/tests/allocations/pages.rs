//! A page costs no allocation for each line, nor for each family.

use std::time::SystemTime;

use brolly_metrics_core::{
    Bounds, Buckets, FamilySnapshot, Format, GaugeMerge, GaugeSnapshot, HistogramSnapshot,
    SeriesSnapshot, Snapshot, SummarySnapshot, Unit,
};

fn families<T: Clone>(prefix: &str, value: &T) -> Vec<FamilySnapshot<T>> {
    let series = (0..20).map(|number| SeriesSnapshot {
        label_values: vec![format!("a \"quoted\" value {number}")],
        value: value.clone(),
    });
    let series: Vec<SeriesSnapshot<T>> = series.collect();
    let families = (0..10).map(|number| FamilySnapshot {
        name: format!("{prefix}.{number}"),
        help: "With \\ in it.".to_owned(),
        unit: Unit::Seconds,
        label_names: vec!["label".to_owned()],
        series: series.clone(),
    });
    families.collect()
}

#[test]
fn a_page_allocates_nothing_but_itself() {
    let bounds = Bounds::new(Unit::Seconds, &[0.1, 0.5, 1.0]).expect("they increase");
    let of = |buckets| HistogramSnapshot::of(Unit::Seconds, buckets, [0.2, 0.7, 3.0]);
    let mut histograms = families("explicit", &of(Buckets::Explicit(bounds)));
    histograms.extend(families("log_linear", &of(Buckets::default())));
    let sample = SummarySnapshot {
        count: 1,
        p50: Some(0.3),
        ..SummarySnapshot::default()
    };
    let snapshot = Snapshot {
        counters: families("counter", &7),
        gauges: families("gauge", &GaugeSnapshot::new(0.1, GaugeMerge::Sum)),
        histograms,
        summaries: families("summary", &sample),
        ..Snapshot::empty(SystemTime::now())
    };
    for format in [Format::Text, Format::OpenMetrics] {
        let mut page = Vec::new();
        snapshot.encode_into(format, &mut page);
        let length = page.len();
        page.clear();
        // The text of the labels of one series, which grows at most a few times.
        let allocated = crate::allocations(|| snapshot.encode_into(format, &mut page));
        assert!(allocated <= 4, "{allocated}");
        assert_eq!(page.len(), length);
    }
}
