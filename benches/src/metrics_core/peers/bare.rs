//! Bare data structures without a registry or an export: `histogram`, `hdrhistogram`,
//! `sketches-ddsketch`.

use std::sync::Arc;

use ::histogram::AtomicHistogram;
use hdrhistogram::SyncHistogram;
use hdrhistogram::sync::Recorder;
use sketches_ddsketch::{Config, DDSketch};

use crate::metrics_core::data::Sample;
use crate::metrics_core::faces::{self, Reading};

/// The precision of its documentation's examples: quantiles within 0.78 %, any `u64`.
const GROUPING_POWER: u8 = 7;

/// The atomic histogram: buckets, and neither sum nor extremes.
pub struct Atomic(Arc<AtomicHistogram>);

impl faces::Histogram for Atomic {
    const NAME: &'static str = "histogram";
    type Recorder = Arc<AtomicHistogram>;

    fn new() -> Self {
        let histogram = AtomicHistogram::new(GROUPING_POWER, 64);
        Self(Arc::new(histogram.expect("the parameters are valid")))
    }

    fn recorder(&self) -> Self::Recorder {
        Arc::clone(&self.0)
    }

    fn read(&mut self) -> Reading {
        let count = self.0.load().as_slice().iter().sum();
        Reading {
            count,
            buckets: count,
            ..Reading::default()
        }
    }
}

impl faces::Recorder for Arc<AtomicHistogram> {
    fn record(&mut self, sample: Sample) {
        let recorded = self.increment(sample.nanos);
        debug_assert!(recorded.is_ok());
    }
}

/// A histogram per thread that a reader joins when it refreshes.
pub struct Hdr(SyncHistogram<u64>);

fn hdr(digits: u8) -> hdrhistogram::Histogram<u64> {
    hdrhistogram::Histogram::new_with_bounds(1, 3_600_000_000_000, digits)
        .expect("the bounds are valid")
}

impl faces::Histogram for Hdr {
    const NAME: &'static str = "hdrhistogram";
    type Recorder = Recorder<u64>;

    fn new() -> Self {
        Self(hdr(2).into())
    }

    fn recorder(&self) -> Self::Recorder {
        self.0.recorder()
    }

    fn read(&mut self) -> Reading {
        self.0.refresh();
        let counts = self.0.iter_recorded();
        Reading {
            count: self.0.len(),
            buckets: counts.map(|it| it.count_since_last_iteration()).sum(),
            sum: None,
            ..Reading::default()
        }
    }
}

impl faces::Recorder for Recorder<u64> {
    fn record(&mut self, sample: Sample) {
        self.saturating_record(sample.nanos);
    }
}

/// Quantiles, in seconds, with so many significant digits.
pub fn hdr_quantiles(digits: u8, samples: &[Sample], quantiles: &[f64]) -> Vec<f64> {
    let mut histogram = hdr(digits);
    for sample in samples {
        histogram.saturating_record(sample.nanos);
    }
    let at = |q: &f64| histogram.value_at_quantile(*q) as f64 / 1e9;
    quantiles.iter().map(at).collect()
}

/// Quantiles, in seconds: the end of the bucket, as its documentation reads them.
pub fn histogram_quantiles(samples: &[Sample], quantiles: &[f64]) -> Vec<f64> {
    let mut histogram =
        ::histogram::Histogram::new(GROUPING_POWER, 64).expect("the parameters are valid");
    for sample in samples {
        let recorded = histogram.increment(sample.nanos);
        debug_assert!(recorded.is_ok());
    }
    let at = |q: &f64| {
        let bucket = histogram.quantile_bucket(*q).ok().flatten();
        bucket.map_or(f64::NAN, |bucket| bucket.end() as f64 / 1e9)
    };
    quantiles.iter().map(at).collect()
}

/// Quantiles, in seconds, with its default of 1 %.
pub fn ddsketch_quantiles(samples: &[Sample], quantiles: &[f64]) -> Vec<f64> {
    let mut sketch = DDSketch::new(Config::defaults());
    for sample in samples {
        sketch.add(sample.seconds);
    }
    let at = |q: &f64| sketch.quantile(*q).ok().flatten().unwrap_or(f64::NAN);
    quantiles.iter().map(at).collect()
}
