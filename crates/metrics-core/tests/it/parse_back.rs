//! What is encoded reads back as it was, by a reader written from the formats' specifications.

use brolly_metrics_core::{
    Bounds, Buckets, FamilySnapshot, Format, GaugeMerge, GaugeSnapshot, HistogramSnapshot,
    SeriesSnapshot, Snapshot, SummarySnapshot, Unit,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::fixture::{empty, plain};
use crate::generate::snapshots;
use crate::parser::{number, parse};

const FORMATS: [Format; 2] = [Format::Text, Format::OpenMetrics];

/// Texts made of what breaks careless writers.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[\\\\\"\n\r\tn{}=, é🌂]{0,12}",]
}

/// What a label or help text reads back as.
fn shown(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A family with one series for each of these values of two labels.
fn labelled<T>(name: &str, unit: Unit, series: Vec<([String; 2], T)>) -> FamilySnapshot<T> {
    let series = series
        .into_iter()
        .map(|(label_values, value)| SeriesSnapshot {
            label_values: label_values.to_vec(),
            value,
        });
    FamilySnapshot {
        name: name.to_owned(),
        help: "Help.".to_owned(),
        unit,
        label_names: vec!["one".to_owned(), "two".to_owned()],
        series: series.collect(),
    }
}

proptest! {
    #[test]
    fn labels_and_numbers_read_back(
        labels in btree_set((text(), text()), 1..6),
        totals in vec(any::<u64>(), 6),
        values in vec(any::<f64>(), 6),
    ) {
        let labels: Vec<[String; 2]> = labels.into_iter().map(Into::into).collect();
        // A NUL and what stands for it would be the same series.
        let shown: Vec<[String; 2]> =
            labels.iter().map(|pair| pair.clone().map(|one| shown(&one))).collect();
        prop_assume!(shown.iter().collect::<std::collections::BTreeSet<_>>().len() == shown.len());
        let with = |at: usize| (&*shown[at][0], &*shown[at][1]);
        let counters = labels.iter().cloned().zip(totals.iter().copied()).collect();
        let gauges = values.iter().map(|value| GaugeSnapshot::new(*value, GaugeMerge::Sum));
        let snapshot = Snapshot {
            counters: vec![labelled("dotted.counter", Unit::None, counters)],
            gauges: vec![labelled(
                "gauge", Unit::None, labels.iter().cloned().zip(gauges).collect(),
            )],
            ..empty()
        };
        for format in FORMATS {
            let page = parse(&snapshot.encode(format), format).map_err(TestCaseError::fail)?;
            prop_assert_eq!(page.samples().count(), 2 * labels.len());
            for at in 0..labels.len() {
                let (one, two) = with(at);
                let labels = [("one", one), ("two", two)];
                let total = page.value("dotted_counter_total", &labels);
                prop_assert_eq!(total, Some(totals[at] as f64));
                let value = page.value("gauge", &labels).expect("it is on the page");
                let is_same = value == values[at] || (value.is_nan() && values[at].is_nan());
                prop_assert!(is_same, "{value} {}", values[at]);
            }
        }
    }

    #[test]
    fn help_reads_back(help in text()) {
        let mut counter = plain("c", Unit::None, 1);
        counter.help = help.clone();
        let snapshot = Snapshot { counters: vec![counter], ..empty() };
        let expected = if help.is_empty() { "c".to_owned() } else { shown(&help) };
        for format in FORMATS {
            let page = parse(&snapshot.encode(format), format).map_err(TestCaseError::fail)?;
            prop_assert_eq!(&page.families[0].help, &expected);
        }
    }

    #[test]
    fn every_snapshot_is_a_page_that_follows_the_rules(snapshot in snapshots()) {
        for format in FORMATS {
            let page = parse(&snapshot.encode(format), format).map_err(TestCaseError::fail)?;
            prop_assert!(page.families.is_sorted_by(|a, b| a.name < b.name));
            let families = snapshot.counters.len() + snapshot.gauges.len()
                + snapshot.histograms.len() + snapshot.summaries.len();
            prop_assert_eq!(page.families.len(), families);
        }
    }

    #[test]
    fn any_names_make_a_page_that_follows_the_rules(
        name in any::<String>(), label in any::<String>(), counter: bool,
    ) {
        let mut snapshot = empty();
        if counter {
            let mut family = crate::fixture::family(&name, Unit::None, &["x"], [(vec!["1"], 1)]);
            family.label_names = vec![label];
            snapshot.counters.push(family);
        } else {
            let value = GaugeSnapshot::new(1.0, GaugeMerge::Sum);
            snapshot.gauges.push(plain(&name, Unit::None, value));
        }
        for format in FORMATS {
            let page = parse(&snapshot.encode(format), format).map_err(TestCaseError::fail)?;
            prop_assert_eq!(page.samples().count(), 1);
        }
    }

    #[test]
    fn what_a_bound_counts_is_exact(
        samples in vec(prop_oneof![0.0f64..3.0, 0.0f64..1e-4, 0.0f64..1e6], 0..40),
        bits in 2u8..=12, unit in prop_oneof![
            Just(Unit::None), Just(Unit::Seconds), Just(Unit::Bytes), Just(Unit::Ratio),
        ],
    ) {
        let precision = brolly_metrics_core::Precision::new(bits).expect("in range");
        let buckets = Buckets::LogLinear(precision);
        let histogram = HistogramSnapshot::of(unit, buckets, samples.iter().copied());
        let snapshot = Snapshot {
            histograms: vec![plain("h", unit, histogram)],
            ..empty()
        };
        let page = parse(&snapshot.encode(Format::Text), Format::Text)
            .map_err(TestCaseError::fail)?;
        let steps = |value: f64| (value / unit.resolution()).round();
        let buckets = page.samples().filter(|sample| sample.name == "h_bucket");
        for bucket in buckets {
            let le = number(&bucket.labels["le"]).expect("a number");
            let below = samples.iter().filter(|sample| steps(**sample) <= steps(le)).count();
            prop_assert_eq!(bucket.value, below as f64, "le {}", le);
        }
    }
}

#[test]
fn the_bounds_shown_do_not_depend_on_what_was_recorded() {
    let bounds = |samples: &[f64], bits: u8| {
        let precision = brolly_metrics_core::Precision::new(bits).expect("in range");
        let buckets = Buckets::LogLinear(precision);
        let histogram = HistogramSnapshot::of(Unit::Seconds, buckets, samples.iter().copied());
        let snapshot = Snapshot {
            histograms: vec![plain("h", Unit::Seconds, histogram)],
            ..empty()
        };
        let page = snapshot.encode(Format::Text);
        let page = parse(&page, Format::Text).expect("it follows the rules");
        let labels = page
            .samples()
            .filter_map(|sample| sample.labels.get("le").cloned());
        labels.collect::<Vec<String>>()
    };
    let first = bounds(&[], 6);
    assert_eq!(first.len(), 21);
    assert_eq!(first[0], "4.095e-6");
    assert_eq!(first[20], "+Inf");
    assert_eq!(bounds(&[0.001, 5.0], 6), first);
    assert_eq!(bounds(&[1e9], 12), first);
}

#[test]
fn families_with_different_bounds_do_not_mix_them_up() {
    let explicit = |limits: &[f64]| {
        let bounds = Bounds::new(Unit::Seconds, limits).expect("valid");
        HistogramSnapshot::of(Unit::Seconds, Buckets::Explicit(bounds), [0.3])
    };
    let ladder = |unit| HistogramSnapshot::of(unit, Buckets::default(), [0.3]);
    let snapshot = Snapshot {
        histograms: vec![
            plain("a", Unit::Seconds, explicit(&[0.5])),
            plain("b", Unit::Seconds, explicit(&[0.25, 0.5])),
            plain("c", Unit::Seconds, ladder(Unit::Seconds)),
            plain("d", Unit::Ratio, ladder(Unit::Ratio)),
            plain("e", Unit::Seconds, explicit(&[0.25, 0.5])),
        ],
        ..empty()
    };
    for format in FORMATS {
        let page = parse(&snapshot.encode(format), format).expect("it follows the rules");
        let buckets = |name: &str| {
            let name = format!("{name}_bucket");
            page.samples().filter(|sample| sample.name == name).count()
        };
        assert_eq!(["a", "b", "c", "d", "e"].map(buckets), [2, 3, 21, 16, 3]);
    }
}

#[test]
fn a_summary_without_quantiles_shows_its_count() {
    let summary = SummarySnapshot {
        count: 5,
        ..SummarySnapshot::default()
    };
    let snapshot = Snapshot {
        summaries: vec![plain("s", Unit::None, summary)],
        ..empty()
    };
    for format in FORMATS {
        let page = parse(&snapshot.encode(format), format).expect("it follows the rules");
        assert_eq!(page.samples().count(), 1);
        assert_eq!(page.value("s_count", &[]), Some(5.0));
    }
}
