//! Histograms: what recording keeps, and what a snapshot promises beside writers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use brolly_metrics_core::{
    Bounds, Buckets, Histogram, HistogramSnapshot, Precision, Registry, Unit,
};
use proptest::prelude::*;

fn seconds() -> Histogram {
    let registry = Registry::new();
    let histogram = registry.histogram("h").unit(Unit::Seconds).register();
    histogram.expect("valid")
}

#[test]
fn sum_count_and_extremes_are_exact() {
    let histogram = seconds();
    for sample in [0.1, 0.2, 0.3] {
        histogram.observe(sample);
    }
    histogram.observe_duration(Duration::from_nanos(1));
    let seen = histogram.snapshot();
    assert_eq!(seen.count(), 4);
    assert_eq!(seen.sum(), 0.600_000_001);
    assert_eq!((seen.min(), seen.max()), (Some(1e-9), Some(0.3)));
}

#[test]
fn what_cannot_be_held_is_refused_and_counted() {
    let histogram = seconds();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-300, -1.0] {
        histogram.observe(bad);
    }
    let seen = histogram.snapshot();
    assert_eq!((seen.count(), seen.rejected()), (0, 5));
    assert_eq!((seen.sum(), seen.min(), seen.max()), (0.0, None, None));
    histogram.observe(-0.0);
    assert_eq!(histogram.snapshot().count(), 1);
}

#[test]
fn the_largest_values_neither_wrap_nor_panic() {
    let histogram = seconds();
    histogram.observe(f64::MAX);
    histogram.observe_duration(Duration::MAX);
    histogram.record_raw(u64::MAX);
    let seen = histogram.snapshot();
    assert_eq!(seen.count(), 3);
    let most = u64::MAX as f64 / 1e9;
    assert_eq!(seen.sum(), (3 * u128::from(u64::MAX)) as f64 / 1e9);
    assert_eq!(seen.max(), Some(most));
    assert_eq!(seen.quantile(1.0), Ok(Some(most)));
}

#[test]
fn a_value_on_a_bound_belongs_to_the_bucket_it_ends() {
    let registry = Registry::new();
    let histogram = registry
        .histogram("h")
        .bounds(&[0.1, 0.5, 1.0])
        .register()
        .expect("valid");
    for sample in [0.1, 0.100_001, 0.5, 1.0, 1.000_001, 50.0] {
        histogram.observe(sample);
    }
    let page = registry.encode(brolly_metrics_core::Format::Text);
    for line in [
        "h_bucket{le=\"0.1\"} 1\n",
        "h_bucket{le=\"0.5\"} 3\n",
        "h_bucket{le=\"1.0\"} 4\n",
        "h_bucket{le=\"+Inf\"} 6\n",
        "h_count 6\n",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
}

#[test]
fn what_is_above_a_bound_is_not_counted_below_it() {
    let sizes = HistogramSnapshot::of(Unit::Bytes, Buckets::default(), [0.0, 1.0, 4.0]);
    let counted = [0.6, 1.0, 3.5, 3.999, 4.0].map(|le| sizes.cumulative(le));
    assert_eq!(counted, [1, 2, 2, 2, 3]);

    // A bound between two steps is the end of its bucket, as it says.
    let bounds = Bounds::new(Unit::Bytes, &[3.5]).expect("valid");
    let sizes = HistogramSnapshot::of(Unit::Bytes, Buckets::Explicit(bounds), [4.0, 5.0]);
    assert_eq!(sizes.cumulative(3.5), 1);
}

#[test]
fn percentiles_are_not_sums_of_sums() {
    // One of the originals added up buckets that were cumulative already: 0.5 for these four.
    let registry = Registry::new();
    let histogram = registry
        .histogram("h")
        .bounds(&[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0])
        .register()
        .expect("valid");
    for sample in [0.05, 0.05, 0.05, 50.0] {
        histogram.observe(sample);
    }
    let p95 = histogram.snapshot().quantile(0.95).expect("valid");
    assert_eq!(p95, Some(50.0));
}

#[test]
fn a_snapshot_beside_writers_counts_what_its_buckets_hold() {
    let histogram = seconds();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..2 {
            let (histogram, is_over) = (&histogram, &is_over);
            scope.spawn(move || {
                let mut value = 1_000 + writer;
                while !is_over.load(Ordering::Relaxed) {
                    histogram.record_raw(value);
                    value = value * 7 % 1_000_003 + 1_000;
                }
            });
        }
        let mut last = 0;
        for _ in 0..2_000 {
            let seen = histogram.snapshot();
            assert!(last <= seen.count());
            last = seen.count();
            if last > 0 {
                // Every sample that is counted is in the sum and between the extremes.
                assert!(seen.sum() >= last as f64 * 1e-6);
                assert!(seen.min() >= Some(1e-6));
                assert!(seen.quantile(0.5).expect("valid") >= seen.min());
                assert!(seen.quantile(1.0).expect("valid") <= seen.max());
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn histograms_of_other_lengths_never_share_what_threads_keep() {
    // Homes are used again by the next histogram of the same length only.
    let registry = Registry::new();
    for round in 0..50u8 {
        let coarse = Precision::new(2 + round % 5).expect("in range");
        let name = format!("h{round}");
        let histogram = registry.histogram(&name).precision(coarse).register();
        let histogram = histogram.expect("valid");
        assert_eq!(histogram.snapshot().count(), 0);
        histogram.record_raw(u64::MAX);
        histogram.record_raw(1);
        let bounds: Vec<_> = (1..=u32::from(round) + 1).map(f64::from).collect();
        let other = Registry::new();
        let explicit = other.histogram("h").bounds(&bounds).register();
        let explicit = explicit.expect("valid");
        explicit.observe(0.5);
        explicit.observe(1e9);
        assert_eq!(explicit.snapshot().count(), 2);
        assert_eq!(histogram.snapshot().count(), 2);
    }
}

proptest! {
    #[test]
    fn a_histogram_is_the_distribution_of_its_samples(
        samples in prop::collection::vec(0.0..1e6f64, 0..200),
        bits in 2..=10u8,
    ) {
        let precision = Precision::new(bits).expect("in range");
        let registry = Registry::new();
        let histogram = registry.histogram("h").precision(precision).register().expect("valid");
        thread::scope(|scope| {
            for part in samples.chunks(50) {
                let histogram = &histogram;
                scope.spawn(move || part.iter().for_each(|sample| histogram.observe(*sample)));
            }
        });
        let buckets = Buckets::LogLinear(precision);
        let expected = brolly_metrics_core::HistogramSnapshot::of(Unit::None, buckets, samples);
        prop_assert_eq!(histogram.snapshot(), expected);
    }
}

#[test]
fn samples_and_resets_at_the_same_time_never_panic() {
    let registry = Registry::new();
    let histogram = registry.histogram("h").register().expect("valid");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    registry.clear();
                }
            });
        }
        let writer = scope.spawn(|| (0..300_000).for_each(|_| histogram.record_raw(1)));
        let result = writer.join();
        is_done.store(true, Ordering::Relaxed);
        result.expect("nothing panics");
    });
    registry.clear();
    histogram.record_raw(1);
    assert_eq!(histogram.snapshot().count(), 1);
}
