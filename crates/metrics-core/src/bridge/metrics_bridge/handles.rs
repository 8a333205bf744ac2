//! What the facade's handles do.

use std::sync::{Arc, Mutex, PoisonError};

use metrics::{CounterFn, GaugeFn, HistogramFn};

use crate::instrument::counter::Counter;
use crate::instrument::gauge::Gauge;
use crate::instrument::histogram::Histogram;

pub(super) struct CounterHandle {
    counter: Counter,
    /// Held while a counter is raised to a figure, so that it is raised once. One lock for all
    /// counters: several handles may be of one series.
    raising: Arc<Mutex<()>>,
}

impl CounterHandle {
    pub(super) fn new(counter: Counter, raising: Arc<Mutex<()>>) -> Self {
        Self { counter, raising }
    }
}

impl CounterFn for CounterHandle {
    fn increment(&self, value: u64) {
        self.counter.add(value);
    }

    fn absolute(&self, value: u64) {
        let _raising = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        self.counter.add(value.saturating_sub(self.counter.value()));
    }
}

pub(super) struct GaugeHandle(pub(super) Gauge);

impl GaugeFn for GaugeHandle {
    fn increment(&self, value: f64) {
        self.0.add(value);
    }

    fn decrement(&self, value: f64) {
        self.0.sub(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

pub(super) struct HistogramHandle(pub(super) Histogram);

impl HistogramFn for HistogramHandle {
    fn record(&self, value: f64) {
        self.0.observe(value);
    }
}
