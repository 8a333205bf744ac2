//! [`Gauge`] and [`IntGauge`]: values that go up and down.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use crate::primitive::AtomicU64;

/// A value that goes up and down, such as a temperature.
///
/// Setting is one store; of two threads that set at the same time, one is last. Clones share the
/// value.
#[derive(Clone)]
pub struct Gauge {
    /// The bits of the value. Relaxed suffices: it is one number that orders nothing else.
    bits: Arc<AtomicU64>,
}

impl Gauge {
    pub(crate) fn new() -> Self {
        Self {
            bits: Arc::new(AtomicU64::new(0f64.to_bits())),
        }
    }

    /// Sets the value. Any number is a value, NaN and the infinities too.
    #[inline]
    pub fn set(&self, value: f64) {
        self.bits.store(value.to_bits(), Relaxed);
    }

    /// Adds to the value.
    pub fn add(&self, by: f64) {
        // The closure never declines, so the update cannot fail.
        let _ = self.bits.fetch_update(Relaxed, Relaxed, |bits| {
            Some((f64::from_bits(bits) + by).to_bits())
        });
    }

    /// Takes from the value.
    pub fn sub(&self, by: f64) {
        self.add(-by);
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits.load(Relaxed))
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.value()).finish()
    }
}

/// A whole number that goes up and down, such as the number of busy workers.
///
/// Setting is one store, adding one atomic addition that wraps. Clones share the value.
#[derive(Clone)]
pub struct IntGauge {
    /// Relaxed suffices: it is one number that orders nothing else.
    value: Arc<AtomicI64>,
}

impl IntGauge {
    pub(crate) fn new() -> Self {
        Self {
            value: Arc::new(AtomicI64::new(0)),
        }
    }

    /// Sets the value.
    #[inline]
    pub fn set(&self, value: i64) {
        self.value.store(value, Relaxed);
    }

    /// Adds to the value.
    #[inline]
    pub fn add(&self, by: i64) {
        self.value.fetch_add(by, Relaxed);
    }

    /// Takes from the value.
    #[inline]
    pub fn sub(&self, by: i64) {
        self.value.fetch_sub(by, Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Takes one.
    #[inline]
    pub fn dec(&self) {
        self.sub(1);
    }

    /// Adds one until the guard is dropped, whichever way the scope is left.
    ///
    /// ```
    /// let registry = brolly_metrics_core::Registry::new();
    /// let busy = registry.int_gauge("busy_workers").register()?;
    /// let working = busy.track();
    /// assert_eq!(busy.value(), 1);
    /// drop(working);
    /// assert_eq!(busy.value(), 0);
    /// # Ok::<(), brolly_metrics_core::RegisterError>(())
    /// ```
    pub fn track(&self) -> Tracked {
        self.inc();
        Tracked {
            gauge: self.clone(),
        }
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.value.load(Relaxed)
    }
}

impl fmt::Debug for IntGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IntGauge").field(&self.value()).finish()
    }
}

/// One, in a gauge, for as long as it lives: what [`IntGauge::track`] gives.
#[derive(Debug)]
#[must_use = "dropping it takes the one away at once"]
pub struct Tracked {
    gauge: IntGauge,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
