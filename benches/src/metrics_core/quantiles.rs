//! How far quantiles are off.

use super::CRATE;
use super::data::{CLASSIC, Sample, Shape};
use super::ours;
use super::peers::{bare, fast_telemetry, metrics_facade};
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record};

const QUANTILES: [f64; 6] = [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999];
/// Half a bucket of the default precision, as `Precision::relative_error` states it, in per cent.
const BOUND: f64 = 0.79;

/// The largest error over [`QUANTILES`], in per cent of the sample at that rank.
fn error(samples: &[Sample], of: impl Fn(&[Sample], &[f64]) -> Vec<f64>) -> Measured {
    let mut sorted: Vec<u64> = samples.iter().map(|sample| sample.nanos).collect();
    sorted.sort_unstable();
    let answers = of(samples, &QUANTILES);
    let mut worst: f64 = 0.0;
    for (q, answer) in QUANTILES.iter().zip(answers) {
        let rank = (q * sorted.len() as f64).ceil() as usize;
        let exact = sorted[rank - 1] as f64 / 1e9;
        let off = 100.0 * (answer - exact).abs() / exact;
        if off.is_nan() {
            return Err(format!("has no quantile {q}"));
        }
        worst = worst.max(off);
    }
    Ok(worst)
}

/// What Prometheus makes of eleven buckets: `histogram_quantile`.
fn eleven_buckets(samples: &[Sample], quantiles: &[f64]) -> Vec<f64> {
    let mut counts = [0u64; CLASSIC.len()];
    for sample in samples {
        let bucket = CLASSIC.partition_point(|bound| *bound < sample.seconds);
        if let Some(count) = counts.get_mut(bucket) {
            *count += 1;
        }
    }
    let at = |q: &f64| {
        let rank = q * samples.len() as f64;
        let mut below = 0.0;
        let mut start = 0.0;
        for (bound, count) in CLASSIC.iter().zip(counts) {
            let count = count as f64;
            if below + count >= rank {
                return start + (bound - start) * (rank - below) / count;
            }
            below += count;
            start = *bound;
        }
        CLASSIC[CLASSIC.len() - 1]
    };
    quantiles.iter().map(at).collect()
}

fn contest(axis: &str, shape: Shape, effort: Effort) -> Result<Record, String> {
    let samples = &shape.samples(effort.pick(200_000, 1_000_000));
    let goal = Goal::Bound("0.79 %, as stated", BOUND);
    let peer = |name: &'static str, of: fn(&[Sample], &[f64]) -> Vec<f64>| {
        (name, move || error(samples, of))
    };
    let peers = [
        peer("histogram, 7 bits", bare::histogram_quantiles),
        peer("hdrhistogram, 2 digits", |samples, at| {
            bare::hdr_quantiles(2, samples, at)
        }),
        peer("hdrhistogram, 3 digits", |samples, at| {
            bare::hdr_quantiles(3, samples, at)
        }),
        peer("sketches-ddsketch", bare::ddsketch_quantiles),
        peer("fast-telemetry Distribution", fast_telemetry::quantiles),
        peer("metrics + exporter", metrics_facade::quantiles),
        peer("Prometheus, 11 buckets", eleven_buckets),
    ];
    let mut contest = Contest::new(CRATE, axis, "%", Better::Lower, goal)
        .ours(|| error(samples, ours::quantiles));
    for (name, measure) in peers {
        contest = contest.peer(name, measure);
    }
    // The samples are the same in every round.
    contest.run(effort, 1)
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |shape: Shape| {
        let name = format!("quantile_error_{}", shape.name());
        Axis::new(name.clone(), move |effort| contest(&name, shape, effort))
    };
    [Shape::Lognormal, Shape::Bimodal, Shape::Pareto]
        .map(axis)
        .into()
}
