//! [`Metric`]: any of the things that record, and the trait by which a family knows which it holds.

use crate::family::recipe::Recipe;
use crate::instrument::counter::Counter;
use crate::instrument::gauge::{Gauge, IntGauge};
use crate::instrument::histogram::Histogram;
use crate::instrument::summary::Summary;
use crate::instrument::timer::Timer;

/// Any of the things that record.
#[derive(Clone, Debug)]
pub enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    IntGauge(IntGauge),
    Histogram(Histogram),
    Summary(Summary),
    Timer(Timer),
}

impl Metric {
    /// Starts again as if nothing had been recorded; false for what tells the present and not the
    /// past. A timer keeps nothing itself: its histograms are series of their own.
    pub(crate) fn reset(&self) -> bool {
        match self {
            Self::Counter(counter) => counter.reset(),
            Self::Histogram(histogram) => histogram.reset(),
            Self::Summary(summary) => summary.reset(),
            Self::Gauge(_) | Self::IntGauge(_) | Self::Timer(_) => return false,
        }
        true
    }
}

/// What can be registered: [`Counter`], [`Gauge`], [`IntGauge`], [`Histogram`], [`Summary`] and
/// [`Timer`]. The trait is sealed.
pub trait Instrument: Clone + sealed::Sealed {}

pub(crate) mod sealed {
    use super::Metric;
    use crate::family::recipe::Recipe;

    /// Keeps `Instrument` ours.
    pub trait Sealed: Sized {
        /// The metric as this instrument, if it is one.
        #[doc(hidden)]
        fn of(metric: &Metric) -> Option<&Self>;

        /// How this instrument is made when nothing else is asked for.
        #[doc(hidden)]
        fn recipe() -> Recipe;
    }
}

macro_rules! instrument {
    ($($name:ident),+) => {$(
        impl Instrument for $name {}

        impl sealed::Sealed for $name {
            #[inline]
            fn of(metric: &Metric) -> Option<&Self> {
                match metric {
                    Metric::$name(it) => Some(it),
                    _ => None,
                }
            }

            fn recipe() -> Recipe {
                Recipe::$name
            }
        }
    )+};
}

instrument!(Counter, Gauge, IntGauge, Histogram, Summary, Timer);
