//! [`Recipe`] and [`Settings`]: which instrument the series of a family are, and how they are made.

use std::time::Duration;

use crate::instrument::summary::Summary;
use crate::kind::Kind;
use crate::snapshot::GaugeMerge;
use crate::snapshot::buckets::Buckets;
use crate::unit::Unit;

/// Which instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    Counter,
    Gauge,
    IntGauge,
    Histogram,
    Summary,
    Timer,
}

impl Recipe {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Counter => Kind::Counter,
            Self::Gauge | Self::IntGauge => Kind::Gauge,
            Self::Histogram | Self::Timer => Kind::Histogram,
            Self::Summary => Kind::Summary,
        }
    }
}

/// What may be said about an instrument besides its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) unit: Unit,
    pub(crate) merge: GaugeMerge,
    pub(crate) buckets: Buckets,
    pub(crate) window: usize,
    pub(crate) max_age: Option<Duration>,
    /// The values of each label, where they are known at compile time.
    pub(crate) values: Option<&'static [&'static [&'static str]]>,
}

impl Settings {
    pub(crate) fn new(recipe: Recipe) -> Self {
        Self {
            unit: match recipe {
                Recipe::Timer => Unit::Seconds,
                _ => Unit::None,
            },
            merge: GaugeMerge::default(),
            buckets: Buckets::default(),
            window: Summary::DEFAULT_WINDOW,
            max_age: None,
            values: None,
        }
    }

    /// The first thing that the two say differently.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        // A dynamic family of a typed one's name takes whatever values there are.
        let values = self.values.zip(other.values);
        let differences = [
            (self.unit != other.unit, "unit"),
            (self.merge != other.merge, "rule for merging"),
            (self.buckets != other.buckets, "choice of buckets"),
            (self.window != other.window, "window"),
            (self.max_age != other.max_age, "maximum age"),
            (
                values.is_some_and(|(ours, theirs)| ours != theirs),
                "set of label values",
            ),
        ];
        let mut found = differences.into_iter().filter(|(differs, _)| *differs);
        found.next().map(|(_, what)| what)
    }
}
