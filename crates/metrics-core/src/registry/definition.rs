//! [`Definition`]: a metric that is being described, until it is registered.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::error::RegisterError;
use crate::family::Family;
use crate::family::core::FamilyCore;
use crate::family::recipe::{Recipe, Settings};
use crate::family::typed::{StaticLabels, TypedFamily, combinations};
use crate::instrument::gauge::{Gauge, IntGauge};
use crate::instrument::histogram::Histogram;
use crate::instrument::metric::Instrument;
use crate::instrument::summary::Summary;
use crate::instrument::timer::{Outcome, Timer};
use crate::registry::name::{check_labels, check_name};
use crate::registry::{IfThere, Registry};
use crate::snapshot::GaugeMerge;
use crate::snapshot::buckets::{Bounds, Buckets};
use crate::snapshot::log_linear::Precision;
use crate::unit::Unit;

/// A metric that is being described.
#[must_use = "nothing is registered until `register` or `get_or_register`"]
pub struct Definition<'r, M> {
    plan: Plan<'r>,
    instrument: PhantomData<M>,
}

/// A family of metrics that is being described.
#[must_use = "nothing is registered until `register` or `get_or_register`"]
pub struct FamilyDefinition<'r, M, const N: usize> {
    plan: Plan<'r>,
    instrument: PhantomData<M>,
}

/// A family with labels known at compile time that is being described.
#[must_use = "nothing is registered until `register` or `get_or_register`"]
pub struct TypedDefinition<'r, M, L> {
    plan: Plan<'r>,
    instrument: PhantomData<(M, fn(L))>,
}

struct Plan<'r> {
    registry: &'r Registry,
    name: String,
    help: String,
    recipe: Recipe,
    settings: Settings,
    bounds: Option<Vec<f64>>,
    labels: Vec<String>,
    max_series: Option<usize>,
    is_limited: bool,
}

impl<'r, M: Instrument> Definition<'r, M> {
    pub(crate) fn new(registry: &'r Registry, name: &str) -> Self {
        let recipe = M::recipe();
        Self {
            plan: Plan {
                registry,
                name: name.to_owned(),
                help: String::new(),
                recipe,
                settings: Settings::new(recipe),
                bounds: None,
                labels: Vec::new(),
                max_series: None,
                is_limited: true,
            },
            instrument: PhantomData,
        }
    }

    /// What the metric means, in a sentence.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.plan.help = help.into();
        self
    }

    /// Tells series apart by these labels. Said last, before registering.
    pub fn labels<const N: usize>(mut self, names: [&str; N]) -> FamilyDefinition<'r, M, N> {
        self.plan.labels = names.map(str::to_owned).into();
        FamilyDefinition {
            plan: self.plan,
            instrument: PhantomData,
        }
    }

    /// Tells series apart by labels whose values are known at compile time. Said last, before
    /// registering.
    pub fn typed_labels<L: StaticLabels>(mut self, names: L::Names) -> TypedDefinition<'r, M, L> {
        let names = names.as_ref().iter();
        self.plan.labels = names.map(|name| (*name).to_owned()).collect();
        TypedDefinition {
            plan: self.plan,
            instrument: PhantomData,
        }
    }

    /// Registers the metric.
    ///
    /// # Errors
    ///
    /// When the name is registered already, or anything about the definition is not valid.
    pub fn register(self) -> Result<M, RegisterError> {
        Ok(the_only_one(&self.plan.register(IfThere::Refuse)?))
    }

    /// Registers the metric, or gives the one that was registered with the same definition.
    ///
    /// # Errors
    ///
    /// When the name is registered with another definition, or anything about it is not valid.
    /// The help is not compared.
    pub fn get_or_register(self) -> Result<M, RegisterError> {
        Ok(the_only_one(&self.plan.register(IfThere::Share)?))
    }

    /// Does not count against the registry's limit.
    pub(crate) fn unlimited(mut self) -> Self {
        self.plan.is_limited = false;
        self
    }
}

/// The metric of a family without labels.
pub(super) fn the_only_one<M: Instrument>(family: &Arc<FamilyCore>) -> M {
    let found = family.with(&[], |metric| M::of(metric).cloned());
    found.expect("a family holds what its recipe makes")
}

impl<M: Instrument, const N: usize> FamilyDefinition<'_, M, N> {
    /// The most series, instead of the registry's. What is beyond goes to one series whose labels
    /// all read `overflow`.
    pub fn max_series(mut self, max: usize) -> Self {
        self.plan.max_series = Some(max);
        self
    }

    /// Registers the family.
    ///
    /// # Errors
    ///
    /// When the name is registered already, or anything about the definition is not valid.
    pub fn register(self) -> Result<Family<M, N>, RegisterError> {
        Ok(Family::new(self.plan.register(IfThere::Refuse)?))
    }

    /// Registers the family, or gives the one that was registered with the same definition.
    ///
    /// # Errors
    ///
    /// When the name is registered with another definition, or anything about it is not valid.
    /// The help and the limit are not compared.
    pub fn get_or_register(self) -> Result<Family<M, N>, RegisterError> {
        Ok(Family::new(self.plan.register(IfThere::Share)?))
    }
}

/// The most series that a typed family makes at once.
const MAX_TYPED: usize = 10_000;

impl<M: Instrument, L: StaticLabels> TypedDefinition<'_, M, L> {
    /// Registers the family with all its series.
    ///
    /// # Errors
    ///
    /// When the name is registered already, when anything about the definition is not valid, or
    /// when there are no combinations of values or more than 10,000.
    pub fn register(self) -> Result<TypedFamily<M, L>, RegisterError> {
        self.complete(IfThere::Refuse)
    }

    /// Registers the family, or gives the one that was registered with the same definition.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register), but for a name that is registered with the same
    /// definition. The help is not compared.
    pub fn get_or_register(self) -> Result<TypedFamily<M, L>, RegisterError> {
        self.complete(IfThere::Share)
    }

    fn complete(mut self, if_there: IfThere) -> Result<TypedFamily<M, L>, RegisterError> {
        let series = combinations(L::VALUES);
        if series == 0 || series > MAX_TYPED {
            let allowed = "1 to 10,000 combinations of values";
            return Err(self.plan.out_of_range("typed_labels", series, allowed));
        }
        self.plan.max_series = Some(series);
        self.plan.settings.values = Some(L::VALUES);
        Ok(TypedFamily::new(self.plan.register(if_there)?))
    }
}

macro_rules! unit {
    ($($instrument:ty),+) => {$(
        impl Definition<'_, $instrument> {
            /// What the values are counted in. A counter of seconds counts whole nanoseconds, and is
            /// exposed in seconds.
            pub fn unit(mut self, unit: Unit) -> Self {
                self.plan.settings.unit = unit;
                self
            }
        }
    )+};
}

unit!(
    crate::instrument::counter::Counter,
    Gauge,
    IntGauge,
    Histogram,
    Summary
);

macro_rules! merge {
    ($($instrument:ty),+) => {$(
        impl Definition<'_, $instrument> {
            /// What becomes of it when the snapshots of several processes are merged: the sum, if
            /// not said.
            pub fn merge(mut self, merge: GaugeMerge) -> Self {
                self.plan.settings.merge = merge;
                self
            }
        }
    )+};
}

merge!(Gauge, IntGauge);

macro_rules! buckets {
    ($($instrument:ty),+) => {$(
        impl Definition<'_, $instrument> {
            /// How finely values are told apart, instead of [`Precision::DEFAULT`].
            pub fn precision(mut self, precision: Precision) -> Self {
                self.plan.settings.buckets = Buckets::LogLinear(precision);
                self.plan.bounds = None;
                self
            }

            /// Groups values by these upper bounds, in the unit, instead of log-linearly. What is
            /// above the last counts too. Quantiles are then only known to the width of a bucket.
            pub fn bounds(mut self, bounds: &[f64]) -> Self {
                self.plan.bounds = Some(bounds.to_vec());
                self
            }
        }
    )+};
}

buckets!(Histogram, Timer);

impl Definition<'_, Summary> {
    /// How many samples are kept, at least one: [`Summary::DEFAULT_WINDOW`] if not said.
    pub fn window(mut self, samples: usize) -> Self {
        self.plan.settings.window = samples;
        self
    }

    /// Forgets samples that are older than this.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.plan.settings.max_age = Some(age);
        self
    }
}

/// The most samples that a summary may keep.
const MAX_WINDOW: usize = 1_000_000;

impl Plan<'_> {
    fn register(mut self, if_there: IfThere) -> Result<Arc<FamilyCore>, RegisterError> {
        check_name(&self.name, self.recipe.kind())?;
        let own: &[&str] = match self.recipe {
            Recipe::Timer => &[Outcome::LABEL],
            _ => &[],
        };
        check_labels(&self.name, &self.labels, own)?;
        if let Some(bounds) = &self.bounds {
            let bounds = Bounds::new(self.settings.unit, bounds);
            let bounds = bounds.map_err(|source| RegisterError::Buckets {
                name: self.name.clone(),
                source,
            })?;
            self.settings.buckets = Buckets::Explicit(bounds);
        }
        let window = self.settings.window;
        if window == 0 || window > MAX_WINDOW {
            return Err(self.out_of_range("window", window, "1 to 1,000,000 samples"));
        }
        let max_series = self.max_series.unwrap_or(self.registry.max_series());
        if self.max_series == Some(0) {
            return Err(self.out_of_range("max_series", 0, "1 or more"));
        }
        let registry = self.registry;
        let family = FamilyCore::new(
            self.name,
            self.help,
            self.recipe,
            self.settings,
            self.labels,
            max_series.max(1),
            registry.ticks().clone(),
        );
        registry.take_in(family, if_there, self.is_limited)
    }

    fn out_of_range(
        &self,
        field: &'static str,
        value: usize,
        allowed: &'static str,
    ) -> RegisterError {
        RegisterError::OutOfRange {
            name: self.name.clone(),
            field,
            value,
            allowed,
        }
    }
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("name", &self.name)
            .field("instrument", &self.recipe)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for Definition<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

impl<M, L> fmt::Debug for TypedDefinition<'_, M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

impl<M, const N: usize> fmt::Debug for FamilyDefinition<'_, M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}
