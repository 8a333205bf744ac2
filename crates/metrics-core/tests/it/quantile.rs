//! Quantiles beside exact order statistics.

use brolly_metrics_core::{Bounds, Buckets, HistogramSnapshot, Precision, QuantileError, Unit};
use proptest::prelude::*;

const QUANTILES: [f64; 8] = [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0];
const SAMPLES: usize = 1_000_000;

/// A deterministic stream of numbers in (0, 1): SplitMix64.
fn uniform() -> impl FnMut() -> f64 {
    let mut state = 7u64;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64 + f64::EPSILON / 4.0
    }
}

/// Checks every quantile against the sample of its rank, at the precisions a user may choose.
fn check(mut samples: Vec<f64>) {
    for bits in [2, 6, 12] {
        let precision = Precision::new(bits).expect("in range");
        let buckets = Buckets::LogLinear(precision);
        let histogram = HistogramSnapshot::of(Unit::Seconds, buckets, samples.iter().copied());
        samples.sort_by(f64::total_cmp);
        for q in QUANTILES {
            let rank = ((q * samples.len() as f64).ceil() as usize).max(1);
            let exact = samples[rank - 1];
            let answer = histogram.quantile(q).expect("within 0 and 1");
            let answer = answer.expect("there are samples");
            // Half a step from rounding the sample, half a step from rounding the middle.
            let allowed = exact * precision.relative_error() + 1.001e-9;
            assert!(
                (answer - exact).abs() <= allowed,
                "p{q} at {bits} bits: {answer} instead of {exact}"
            );
        }
    }
}

#[test]
fn a_lognormal_distribution_is_within_the_stated_error() {
    let mut uniform = uniform();
    let mut normal = move || {
        let radius = (-2.0 * uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * uniform()).cos()
    };
    check(
        (0..SAMPLES)
            .map(|_| (0.005f64.ln() + normal()).exp())
            .collect(),
    );
}

#[test]
fn a_bimodal_distribution_is_within_the_stated_error() {
    let mut uniform = uniform();
    let mut sample = move || {
        let mode = if uniform() < 0.7 { 0.000_1 } else { 0.05 };
        mode * (0.9 + 0.2 * uniform())
    };
    check((0..SAMPLES).map(|_| sample()).collect());
}

#[test]
fn a_heavy_tail_is_within_the_stated_error() {
    let mut uniform = uniform();
    let mut sample = move || (0.000_1 * uniform().powf(-1.0 / 1.1)).min(3600.0);
    check((0..SAMPLES).map(|_| sample()).collect());
}

#[test]
fn nothing_recorded_has_no_quantile() {
    let empty = HistogramSnapshot::empty(Unit::Seconds, Buckets::default());
    for q in QUANTILES {
        assert_eq!(empty.quantile(q), Ok(None));
    }
    assert_eq!((empty.min(), empty.max(), empty.mean()), (None, None, None));
}

#[test]
fn a_fraction_outside_zero_and_one_is_an_error() {
    let one = HistogramSnapshot::of(Unit::Seconds, Buckets::default(), [1.0]);
    for q in [-0.001, 1.001, 95.0, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(one.quantile(q), Err(QuantileError { q }));
    }
    assert!(one.quantile(f64::NAN).is_err());
}

#[test]
fn the_edges_of_the_range_have_quantiles() {
    for unit in [Unit::None, Unit::Seconds, Unit::Bytes, Unit::Ratio] {
        let all = [0.0, unit.resolution(), 1e300];
        let ends = HistogramSnapshot::of(unit, Buckets::default(), all);
        assert_eq!(ends.quantile(0.0), Ok(Some(0.0)));
        let max = ends.max().expect("there are samples");
        assert!((max / unit.resolution() - u64::MAX as f64).abs() < 1e10);
        let highest = ends.quantile(1.0).expect("within 0 and 1");
        let highest = highest.expect("there are samples");
        assert!(highest <= max && highest >= max * (1.0 - 0.5 / 64.0));
        assert_eq!(ends.cumulative(f64::INFINITY), 3);
        assert_eq!(ends.cumulative(0.0), 1);
        assert_eq!(ends.cumulative(f64::NAN), 0);
        assert_eq!(ends.cumulative(-1.0), 0);
    }
}

proptest! {
    #[test]
    fn the_median_of_a_constant_is_that_constant(
        constant in 0.0f64..1e9, count in 1usize..40, bits in 2u8..=12, q in 0.0f64..=1.0,
    ) {
        let buckets = Buckets::LogLinear(Precision::new(bits).expect("in range"));
        let all = std::iter::repeat_n(constant, count);
        let histogram = HistogramSnapshot::of(Unit::Seconds, buckets, all);
        let answer = histogram.quantile(q).expect("within").expect("not empty");
        prop_assert!((answer - constant).abs() <= 0.5e-9 + constant * 1e-15, "{answer}");
    }

    #[test]
    fn explicit_buckets_answer_within_the_bucket_and_exact_counts_at_their_bounds(
        mut samples in prop::collection::vec(0.0f64..12.0, 1..60), q in 0.0f64..=1.0,
    ) {
        let limits = [0.5, 2.5, 10.0];
        let bounds = Bounds::new(Unit::None, &limits).expect("valid");
        let all = samples.iter().copied();
        let histogram = HistogramSnapshot::of(Unit::None, Buckets::Explicit(bounds), all);
        // Compare what the histogram keeps: millionths.
        for sample in &mut samples {
            *sample = (*sample * 1e6).round() / 1e6;
        }
        samples.sort_by(f64::total_cmp);
        for limit in limits {
            let exact = samples.iter().filter(|sample| **sample <= limit).count() as u64;
            prop_assert_eq!(histogram.cumulative(limit), exact);
        }
        let rank = ((q * samples.len() as f64).ceil() as usize).max(1);
        let exact = samples[rank - 1];
        let answer = histogram.quantile(q).expect("within").expect("not empty");
        let bucket = |value: f64| limits.iter().filter(|limit| value > **limit).count();
        prop_assert_eq!(bucket(answer), bucket(exact), "{} {}", answer, exact);
        prop_assert!(answer >= samples[0] && answer <= samples[samples.len() - 1]);
    }
}
