//! Which family of the registry a key of the facade belongs to, and with which label values.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::Key;

use super::names::{label_name, metric_name};
use crate::error::RegisterError;
use crate::family::core::FamilyCore;
use crate::family::recipe::{Recipe, Settings};
use crate::instrument::metric::Metric;
use crate::kind::Kind;
use crate::registry::name::{check_labels, check_name};
use crate::registry::{IfThere, Registry};
use crate::unit::Unit;

/// The most names that are remembered of each kind of thing: those in use, those refused, those
/// described and those whose labels are declared.
const MAX_NAMES: usize = 10_000;

pub(super) struct Families {
    registry: Registry,
    /// By kind and the name as it was given. Refused ones are remembered too.
    known: HashMap<Kind, HashMap<String, Result<Known, Refused>>>,
    /// Which given name has a name of the registry.
    owners: HashMap<String, String>,
    descriptions: HashMap<Kind, HashMap<String, Description>>,
    declared: HashMap<String, Vec<String>>,
}

struct Known {
    family: Arc<FamilyCore>,
    /// The labels of the family as they are given, in the order of the values.
    labels: Vec<String>,
    /// How many keys have a handle that is kept.
    kept: usize,
}

struct Description {
    help: String,
    unit: Unit,
}

/// Why a name goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It belongs to something else.
    Name,
    /// The labels cannot be had.
    Labels,
    /// There is no room.
    Full,
}

impl Refused {
    pub(super) const ALL: [Self; 3] = [Self::Name, Self::Labels, Self::Full];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Labels => "labels",
            Self::Full => "full",
        }
    }
}

impl From<RegisterError> for Refused {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::TooManyMetrics { .. } => Self::Full,
            RegisterError::LabelMismatch { .. }
            | RegisterError::InvalidLabel { .. }
            | RegisterError::ReservedLabel { .. }
            | RegisterError::DuplicateLabel { .. }
            | RegisterError::TooManyLabels { .. } => Self::Labels,
            _ => Self::Name,
        }
    }
}

pub(super) struct Found {
    pub(super) metric: Metric,
    /// How many labels of the key the family does not have.
    pub(super) dropped_labels: u64,
    /// Whether the handle may be kept under its key.
    pub(super) may_keep: bool,
}

impl Families {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            known: HashMap::new(),
            owners: HashMap::new(),
            descriptions: HashMap::new(),
            declared: HashMap::new(),
        }
    }

    pub(super) fn find(&mut self, recipe: Recipe, key: &Key) -> Result<Found, Refused> {
        let max_kept = self.registry.max_series();
        let known = self.known(recipe, key)?;
        let given = |label: &String| key.labels().find(|it| it.key() == label);
        let labels: Vec<_> = known.labels.iter().map(given).collect();
        let used = labels.iter().flatten().count();
        let dropped_labels = (key.labels().len() - used) as u64;
        if dropped_labels > 0 && recipe == Recipe::Gauge {
            return Err(Refused::Labels);
        }
        let values = labels.into_iter();
        let values: Vec<_> = values.map(|it| it.map_or("", |it| it.value())).collect();
        // Keys beyond the cap all come to the same series, and there may be any number of them.
        let may_keep = known.kept < max_kept;
        known.kept += usize::from(may_keep);
        Ok(Found {
            metric: known.family.with(&values, Metric::clone),
            dropped_labels,
            may_keep,
        })
    }

    pub(super) fn describe(
        &mut self,
        recipe: Recipe,
        name: &str,
        unit: Option<metrics::Unit>,
        help: &str,
    ) -> bool {
        let known = self.known.entry(recipe.kind()).or_default();
        let descriptions = self.descriptions.entry(recipe.kind()).or_default();
        if known.contains_key(name) {
            // Said again, as programs do at every start of a part of theirs, it is not lost.
            let said = descriptions.get(name);
            return said.is_some_and(|said| said.help == described(help, unit).help);
        }
        if descriptions.len() >= MAX_NAMES && !descriptions.contains_key(name) {
            return false;
        }
        descriptions.insert(name.to_owned(), described(help, unit));
        true
    }

    pub(super) fn declare_labels(&mut self, name: &str, labels: Vec<String>) -> bool {
        let is_used = self.known.values().any(|known| known.contains_key(name));
        if is_used || self.declared.len() >= MAX_NAMES {
            return false;
        }
        self.declared.insert(name.to_owned(), labels);
        true
    }

    fn known(&mut self, recipe: Recipe, key: &Key) -> Result<&mut Known, Refused> {
        let of_kind = self.known.entry(recipe.kind()).or_default();
        if !of_kind.contains_key(key.name()) {
            if of_kind.len() >= MAX_NAMES {
                return Err(Refused::Full);
            }
            let made = self.make(recipe, key);
            let of_kind = self.known.entry(recipe.kind()).or_default();
            of_kind.insert(key.name().to_owned(), made);
        }
        let of_kind = self.known.entry(recipe.kind()).or_default();
        let known = of_kind.get_mut(key.name()).expect("it was just made");
        known.as_mut().map_err(|refused| *refused)
    }

    fn make(&mut self, recipe: Recipe, key: &Key) -> Result<Known, Refused> {
        let given = key.name();
        let name = metric_name(given);
        if self.owners.get(&name).is_some_and(|owner| owner != given) {
            return Err(Refused::Name);
        }
        let of_the_key = || key.labels().map(|label| label.key().to_owned()).collect();
        let given_labels: Vec<String> =
            self.declared.get(given).cloned().unwrap_or_else(of_the_key);
        // Of labels that become the same, the first is the label; the others are not known later.
        let mut labels = Vec::new();
        let mut names = Vec::new();
        for label in given_labels {
            let label_name = label_name(&label);
            if !names.contains(&label_name) {
                names.push(label_name);
                labels.push(label);
            }
        }
        let description = self.descriptions.get(&recipe.kind());
        let description = description.and_then(|of_kind| of_kind.get(given));
        let family = self.register(recipe, &name, names, description)?;
        self.owners.insert(name, given.to_owned());
        Ok(Known {
            family,
            labels,
            kept: 0,
        })
    }

    fn register(
        &self,
        recipe: Recipe,
        name: &str,
        labels: Vec<String>,
        description: Option<&Description>,
    ) -> Result<Arc<FamilyCore>, RegisterError> {
        check_name(name, recipe.kind())?;
        check_labels(name, &labels, &[])?;
        let mut settings = Settings::new(recipe);
        settings.unit = match description {
            // Counters of seconds count nanoseconds, and those of the facade what they are told.
            Some(it) if (recipe, it.unit) != (Recipe::Counter, Unit::Seconds) => it.unit,
            _ => Unit::None,
        };
        let family = FamilyCore::new(
            name.to_owned(),
            description.map(|it| it.help.clone()).unwrap_or_default(),
            recipe,
            settings,
            labels,
            self.registry.max_series().max(1),
            self.registry.ticks().clone(),
        );
        self.registry.take_in(family, IfThere::Share, true)
    }
}

fn described(help: &str, unit: Option<metrics::Unit>) -> Description {
    let (ours, mention) = match unit {
        None | Some(metrics::Unit::Count) => (Unit::None, None),
        Some(metrics::Unit::Seconds) => (Unit::Seconds, None),
        Some(metrics::Unit::Bytes) => (Unit::Bytes, None),
        Some(other) => (Unit::None, Some(other.as_str())),
    };
    let help = match mention {
        None => help.to_owned(),
        Some(mention) if help.is_empty() => format!("In {mention}"),
        Some(mention) => format!("{help} (in {mention})"),
    };
    Description { help, unit: ours }
}
