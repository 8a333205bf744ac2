//! Merging: the same answer in any order, and nothing changed when it is refused.

use std::time::{Duration, SystemTime};

use brolly_metrics_core::{
    Bounds, Buckets, GaugeMerge, GaugeSnapshot, HistogramSnapshot, Kind, MergeError, Precision,
    Snapshot, SummarySnapshot, Unit,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{empty, moment, plain};
use crate::generate::snapshots;

fn merged(a: &Snapshot, b: &Snapshot) -> Snapshot {
    let mut all = a.clone();
    all.merge(b).expect("the same names have the same kinds");
    all
}

/// Takes out what is only the same up to rounding, and NaN, which equals nothing.
fn comparable(mut snapshot: Snapshot) -> (Snapshot, Vec<Option<f64>>) {
    let summaries = snapshot.summaries.iter_mut();
    let series = summaries.flat_map(|family| &mut family.series);
    let averages = series.map(|series| series.value.avg.take()).collect();
    (snapshot, averages)
}

fn assert_same(a: Snapshot, b: Snapshot) {
    let (a, ours) = comparable(a);
    let (b, theirs) = comparable(b);
    assert_eq!(a, b);
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        assert_eq!(ours.is_some(), theirs.is_some());
        let (ours, theirs) = (ours.unwrap_or(0.0), theirs.unwrap_or(0.0));
        assert!((ours - theirs).abs() < 1e-9, "{ours} {theirs}");
    }
}

proptest! {
    #[test]
    fn the_order_of_two_does_not_matter(a in snapshots(), b in snapshots()) {
        assert_same(merged(&a, &b), merged(&b, &a));
    }

    #[test]
    fn the_grouping_of_three_does_not_matter(
        a in snapshots(), b in snapshots(), c in snapshots(),
    ) {
        assert_same(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn an_empty_snapshot_changes_nothing(a in snapshots()) {
        let none = Snapshot::empty(a.timestamp);
        prop_assert_eq!(&merged(&a, &none), &a);
        prop_assert_eq!(&merged(&none, &a), &a);
    }

    #[test]
    fn every_series_of_either_is_in_the_union_once(a in snapshots(), b in snapshots()) {
        let all = merged(&a, &b);
        prop_assert!(all.counters.is_sorted_by(|a, b| a.name < b.name));
        for one in a.counters.iter().chain(&b.counters) {
            let family = all.counter(&one.name).expect("it is in the union");
            prop_assert!(family.series.is_sorted_by(|a, b| a.label_values < b.label_values));
            for series in &one.series {
                let labels: Vec<&str> =
                    series.label_values.iter().map(String::as_str).collect();
                let of = |side: &Snapshot| -> u64 {
                    let family = side.counter(&one.name);
                    family.and_then(|f| f.get(&labels)).copied().unwrap_or(0)
                };
                prop_assert_eq!(family.get(&labels), Some(&of(&a).saturating_add(of(&b))));
            }
        }
    }

    #[test]
    fn merging_histograms_is_recording_into_one(
        a in vec(0.0f64..1e3, 0..50), b in vec(0.0f64..1e3, 0..50), explicit: bool,
    ) {
        let buckets = if explicit {
            Buckets::Explicit(Bounds::new(Unit::Seconds, &[0.5, 10.0, 99.0]).expect("valid"))
        } else {
            Buckets::LogLinear(Precision::MIN)
        };
        let of = |samples: &[f64]| {
            HistogramSnapshot::of(Unit::Seconds, buckets.clone(), samples.iter().copied())
        };
        let mut both = of(&a);
        both.merge(&of(&b)).expect("the same buckets");
        prop_assert_eq!(both, of(&[a, b].concat()));
    }

    #[test]
    fn what_came_since_is_what_was_recorded_since(
        before in vec(0.0f64..1e3, 0..50), after in vec(0.0f64..1e3, 0..50),
    ) {
        let of = |samples: &[f64]| {
            HistogramSnapshot::of(Unit::None, Buckets::default(), samples.iter().copied())
        };
        let (earlier, news) = (of(&before), of(&after));
        let all = of(&[before, after].concat());
        prop_assert!(!all.was_reset_since(&earlier));
        let since = all.since(&earlier).expect("the same buckets");
        prop_assert_eq!(since.count(), news.count());
        prop_assert!((since.sum() - news.sum()).abs() < 1e-6);
        for le in [0.0, 1.0, 50.0, 900.0, f64::INFINITY] {
            prop_assert_eq!(since.cumulative(le), news.cumulative(le));
        }
        // The extremes are those of the buckets, so at most one bucket's width away.
        let width = 1.0 + 1.0 / 64.0;
        if let (Some(min), Some(exact)) = (since.min(), news.min()) {
            prop_assert!(min <= exact && exact <= min * width + 1e-6, "{min} {exact}");
        }
        if let (Some(max), Some(exact)) = (since.max(), news.max()) {
            prop_assert!(max >= exact && max <= exact * width + 1e-6, "{max} {exact}");
        }
        // And with the earlier ones it is whole again.
        let mut whole = earlier.clone();
        whole.merge(&since).expect("the same buckets");
        prop_assert_eq!(whole.count(), all.count());
    }
}

#[test]
fn after_a_reset_everything_is_new() {
    let of = |samples: &[f64]| {
        HistogramSnapshot::of(Unit::None, Buckets::default(), samples.iter().copied())
    };
    let earlier = of(&[1.0, 2.0, 3.0]);
    let now = of(&[2.0, 2.0]);
    assert!(now.was_reset_since(&earlier));
    assert_eq!(now.since(&earlier), Ok(now.clone()));
    assert!(of(&[]).was_reset_since(&earlier));
    assert!(!earlier.was_reset_since(&earlier));
    assert_eq!(earlier.since(&earlier), Ok(of(&[])));
    let other = HistogramSnapshot::empty(Unit::Bytes, Buckets::default());
    assert!(matches!(now.since(&other), Err(MergeError::Units { .. })));
}

#[test]
fn a_reset_is_seen_in_every_way_it_shows() {
    let of = |samples: &[f64]| {
        let buckets = Buckets::LogLinear(Precision::MIN);
        HistogramSnapshot::of(Unit::None, buckets, samples.iter().copied())
    };
    // A bucket is empty again, though more was recorded in sum.
    assert!(of(&[9.0]).was_reset_since(&of(&[1.0, 2.0])));
    // As many samples in the same bucket, of which some must be others.
    assert!(of(&[1.9]).was_reset_since(&of(&[2.05])));
    assert!(!of(&[2.05]).was_reset_since(&of(&[])));
    assert!(!of(&[2.05, 1.9, 7.0]).was_reset_since(&of(&[1.9])));
}

#[test]
fn a_bound_within_a_bucket_does_not_count_the_bucket() {
    let buckets = Buckets::LogLinear(Precision::MIN);
    let one = HistogramSnapshot::of(Unit::None, buckets, [2.05]);
    assert_eq!(one.cumulative(1.9), 0);
    assert_eq!(one.cumulative(2.06), 0, "the bucket ends above it");
    assert_eq!(one.cumulative(2.2), 1);
}

#[test]
fn the_help_that_stays_is_the_first_in_order_that_says_something() {
    let with = |help: &str| {
        let mut counter = plain("c", Unit::None, 1);
        counter.help = help.to_owned();
        Snapshot {
            counters: vec![counter],
            ..empty()
        }
    };
    for (a, b) in [("more", "less"), ("less", ""), ("less", "less")] {
        assert_eq!(merged(&with(a), &with(b)).counters[0].help, "less");
        assert_eq!(merged(&with(b), &with(a)).counters[0].help, "less");
    }
}

#[test]
fn a_newer_summary_without_samples_does_not_hide_the_latest_one() {
    let at = |seconds, latest| Snapshot {
        timestamp: moment() + Duration::from_secs(seconds),
        summaries: vec![plain(
            "s",
            Unit::None,
            SummarySnapshot {
                latest,
                ..SummarySnapshot::default()
            },
        )],
        ..empty()
    };
    let latest = |a: &Snapshot, b: &Snapshot| merged(a, b).summaries[0].series[0].value.latest;
    let (old, none) = (at(1, Some(5.0)), at(2, None));
    assert_eq!(latest(&old, &none), Some(5.0));
    assert_eq!(latest(&none, &old), Some(5.0));
    assert_eq!(latest(&old, &at(3, Some(4.0))), Some(4.0));
}

#[test]
fn the_latest_value_is_that_of_the_newer_snapshot_and_the_larger_at_the_same_time() {
    let at = |seconds: u64, value: f64| Snapshot {
        timestamp: moment() + Duration::from_secs(seconds),
        gauges: vec![plain(
            "g",
            Unit::None,
            GaugeSnapshot::new(value, GaugeMerge::Latest),
        )],
        ..empty()
    };
    let value = |snapshot: &Snapshot| {
        let family = snapshot.gauge("g").expect("it is there");
        family.get(&[]).expect("it has no labels").value
    };
    assert_eq!(value(&merged(&at(1, 9.0), &at(2, 5.0))), 5.0);
    assert_eq!(value(&merged(&at(2, 5.0), &at(1, 9.0))), 5.0);
    assert_eq!(value(&merged(&at(1, 9.0), &at(1, 5.0))), 9.0);
    // A value keeps its own time when the snapshot around it becomes newer.
    let newer = Snapshot::empty(moment() + Duration::from_secs(9));
    let old_in_new = merged(&at(1, 9.0), &newer);
    assert_eq!(value(&merged(&old_in_new, &at(2, 5.0))), 5.0);
}

#[test]
fn a_merged_summary_has_a_weighted_mean_and_no_percentiles() {
    let of = |count, avg, p50| Snapshot {
        summaries: vec![plain(
            "s",
            Unit::None,
            SummarySnapshot {
                count,
                window_count: count,
                avg: Some(avg),
                p50: Some(p50),
                ..SummarySnapshot::default()
            },
        )],
        ..empty()
    };
    let all = merged(&of(1, 4.0, 4.0), &of(3, 8.0, 8.0));
    let summary = all.summary("s").and_then(|family| family.get(&[]));
    let summary = summary.expect("it is there");
    assert_eq!(
        (summary.count, summary.avg, summary.p50),
        (4, Some(7.0), None)
    );
}

/// A snapshot with one metric of each kind.
fn one_of_each() -> Snapshot {
    Snapshot {
        counters: vec![plain("a", Unit::None, 1)],
        gauges: vec![plain(
            "b",
            Unit::None,
            GaugeSnapshot::new(1.0, GaugeMerge::Max),
        )],
        histograms: vec![plain(
            "c",
            Unit::Seconds,
            HistogramSnapshot::of(Unit::Seconds, Buckets::default(), [1.0]),
        )],
        summaries: vec![plain("d", Unit::None, SummarySnapshot::default())],
        ..empty()
    }
}

#[test]
fn a_clash_is_named_and_changes_nothing() {
    let kinds = |ours, theirs| MergeError::Kinds { ours, theirs };
    let coarse = || {
        let buckets = Buckets::LogLinear(Precision::MIN);
        HistogramSnapshot::of(Unit::Seconds, buckets, [1.0])
    };
    let clashes: [(&str, Snapshot, MergeError); 6] = [
        (
            "d",
            Snapshot {
                counters: vec![plain("a", Unit::None, 5), plain("d", Unit::None, 1)],
                ..empty()
            },
            kinds(Kind::Summary, Kind::Counter),
        ),
        (
            "a",
            Snapshot {
                counters: vec![plain("a", Unit::Bytes, 1)],
                ..empty()
            },
            MergeError::Units {
                ours: Unit::None,
                theirs: Unit::Bytes,
            },
        ),
        (
            "b",
            Snapshot {
                counters: vec![plain("a", Unit::None, 5)],
                gauges: vec![plain(
                    "b",
                    Unit::None,
                    GaugeSnapshot::new(9.0, GaugeMerge::Sum),
                )],
                ..empty()
            },
            MergeError::GaugeRules {
                ours: GaugeMerge::Max,
                theirs: GaugeMerge::Sum,
            },
        ),
        (
            "c",
            Snapshot {
                counters: vec![plain("a", Unit::None, 5)],
                histograms: vec![plain("c", Unit::Seconds, coarse())],
                ..empty()
            },
            MergeError::Buckets,
        ),
        (
            "c",
            Snapshot {
                gauges: vec![plain(
                    "c",
                    Unit::Seconds,
                    GaugeSnapshot::new(9.0, GaugeMerge::Sum),
                )],
                ..empty()
            },
            kinds(Kind::Histogram, Kind::Gauge),
        ),
        (
            "d",
            Snapshot {
                counters: vec![plain("a", Unit::None, 5)],
                summaries: vec![crate::fixture::family(
                    "d",
                    Unit::None,
                    &["x"],
                    [(vec!["1"], SummarySnapshot::default())],
                )],
                ..empty()
            },
            MergeError::Labels {
                ours: vec![],
                theirs: vec!["x".to_owned()],
            },
        ),
    ];
    for (metric, other, source) in clashes {
        let mut ours = one_of_each();
        let error = ours.merge(&other).expect_err("they clash");
        assert_eq!(error.metric, metric);
        assert_eq!(error.source, source);
        assert_eq!(ours, one_of_each());
    }
}

#[test]
fn two_metrics_that_would_be_one_on_a_page_are_refused() {
    let gauge = |name: &str| Snapshot {
        gauges: vec![plain(
            name,
            Unit::None,
            GaugeSnapshot::new(1.0, GaugeMerge::Sum),
        )],
        ..empty()
    };
    let counter = |name: &str| Snapshot {
        counters: vec![plain(name, Unit::None, 1)],
        ..empty()
    };
    let summary = |name: &str| Snapshot {
        summaries: vec![plain(name, Unit::None, SummarySnapshot::default())],
        ..empty()
    };
    for (ours, theirs, exposed) in [
        (gauge("a.b"), gauge("a_b"), "a_b"),
        (gauge("a-b"), gauge("a_b"), "a_b"),
        (counter("a"), counter("a_total"), "a"),
        (summary("a"), gauge("a_count"), "a_count"),
        (gauge("a_total"), counter("a"), "a_total"),
    ] {
        for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
            let mut all = ours.clone();
            let error = all.merge(theirs).expect_err("they clash");
            let MergeError::Names { exposed: found, .. } = error.source else {
                panic!("{error:?}");
            };
            assert_eq!(found, exposed);
            assert_eq!(&all, ours);
        }
    }
    assert_eq!(merged(&counter("a"), &summary("b")).counters.len(), 1);
}

#[test]
fn a_series_that_only_one_side_has_must_fit_too() {
    let of = |label, buckets| Snapshot {
        histograms: vec![crate::fixture::family(
            "h",
            Unit::Seconds,
            &["x"],
            [(
                vec![label],
                HistogramSnapshot::of(Unit::Seconds, buckets, [1.0]),
            )],
        )],
        ..empty()
    };
    let mut ours = of("1", Buckets::default());
    let theirs = of("2", Buckets::LogLinear(Precision::MAX));
    let error = ours.merge(&theirs).expect_err("the buckets differ");
    assert_eq!(error.to_string(), "cannot merge the metric `h`");
    assert_eq!(error.source, MergeError::Buckets);
}

#[test]
fn the_timestamp_is_the_newer_one() {
    let old = Snapshot::empty(SystemTime::UNIX_EPOCH);
    assert_eq!(merged(&old, &empty()).timestamp, moment());
    assert_eq!(merged(&empty(), &old).timestamp, moment());
}
