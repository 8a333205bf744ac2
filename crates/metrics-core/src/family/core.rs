//! [`FamilyCore`]: one registered name, how it is described and all its series.

use std::convert::Infallible;
use std::sync::Arc;

use crate::encode::{push_sample_name, render_labels};
use crate::error::RegisterError;
use crate::family::index::{Index, MakeSeries, Series};
use crate::family::recipe::{Recipe, Settings};
use crate::family::rows::Rows;
use crate::instrument::counter::Counter;
use crate::instrument::gauge::{Gauge, IntGauge};
use crate::instrument::histogram::Histogram;
use crate::instrument::metric::Metric;
use crate::instrument::summary::{Summary, Window};
use crate::instrument::ticks::Ticks;
use crate::instrument::timer::{Outcome, Timer};
use crate::kind::Kind;

/// One registered name. A metric without labels is a family of one series.
pub(crate) struct FamilyCore {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) recipe: Recipe,
    pub(crate) settings: Settings,
    /// The labels in the order of their values, with those that the instrument adds at the end.
    pub(crate) labels: Vec<String>,
    /// The positions of the labels, sorted by name: the order of exposition.
    order: Vec<usize>,
    ticks: Ticks,
    series: Index,
    /// The timers, whose histograms are the series.
    timers: Option<Index>,
}

impl FamilyCore {
    pub(crate) fn new(
        name: String,
        help: String,
        recipe: Recipe,
        settings: Settings,
        mut labels: Vec<String>,
        max_series: usize,
        ticks: Ticks,
    ) -> Self {
        let is_timer = recipe == Recipe::Timer;
        let outcomes = if is_timer { Outcome::ALL.len() } else { 1 };
        let has_own_labels = !labels.is_empty();
        if is_timer {
            labels.push(Outcome::LABEL.to_owned());
        }
        let mut order: Vec<_> = (0..labels.len()).collect();
        order.sort_unstable_by_key(|position| &labels[*position]);
        // A timer keeps its histograms, and a metric without labels is its own handle.
        let is_looked_up = !is_timer && !labels.is_empty();
        // The overflow timer has outcomes too.
        let max_of_all = max_series
            .saturating_add(usize::from(is_timer))
            .saturating_mul(outcomes);
        Self {
            name,
            help,
            recipe,
            settings,
            labels,
            order,
            ticks,
            series: if is_looked_up {
                Index::new(max_series)
            } else {
                Index::seldom_asked(max_of_all)
            },
            timers: is_timer.then(|| match has_own_labels {
                true => Index::new(max_series),
                false => Index::seldom_asked(max_series),
            }),
        }
    }

    /// Checks that another definition of this name says the same.
    pub(crate) fn check_same(&self, other: &Self) -> Result<(), RegisterError> {
        let name = self.name.clone();
        if self.recipe.kind() != other.recipe.kind() {
            return Err(RegisterError::KindMismatch {
                name,
                registered: self.recipe.kind(),
                requested: other.recipe.kind(),
            });
        }
        if self.recipe != other.recipe {
            let what = "instrument";
            return Err(RegisterError::DefinitionMismatch { name, what });
        }
        if self.labels != other.labels {
            return Err(RegisterError::LabelMismatch {
                name,
                registered: self.own_labels().to_vec(),
                requested: other.own_labels().to_vec(),
            });
        }
        match self.settings.difference(&other.settings) {
            None => Ok(()),
            Some(what) => Err(RegisterError::DefinitionMismatch { name, what }),
        }
    }

    /// The labels a user gives values for.
    pub(crate) fn own_labels(&self) -> &[String] {
        let added = usize::from(self.timers.is_some());
        &self.labels[..self.labels.len() - added]
    }

    /// Calls `act` with what is recorded for these values of the own labels.
    #[inline]
    pub(crate) fn with<R>(self: &Arc<Self>, values: &[&str], act: impl FnOnce(&Metric) -> R) -> R {
        let result = match &self.timers {
            None => self.series.with(values, &**self, act),
            Some(timers) => timers.with(values, &OfTimers(self), act),
        };
        let Ok(result) = result;
        result
    }

    /// Forgets what is recorded for these values of the own labels.
    pub(crate) fn remove(&self, values: &[&str]) -> bool {
        let Some(timers) = &self.timers else {
            return self.series.remove(values, |_| ());
        };
        timers.remove(values, |metric| {
            if let Metric::Timer(timer) = metric {
                timer.detach();
            }
            for outcome in Outcome::ALL {
                let values = [values, &[outcome.name()]].concat();
                self.series.remove(&values, |_| ());
            }
        })
    }

    /// How many combinations of the own labels there are.
    pub(crate) fn len(&self) -> usize {
        self.timers.as_ref().unwrap_or(&self.series).len()
    }

    /// Lookups that went to the overflow series.
    pub(crate) fn dropped(&self) -> u64 {
        self.timers.as_ref().unwrap_or(&self.series).dropped()
    }

    /// The series, in the order of exposition. Their text is what comes between the value
    /// before and the own value of a counter or a gauge, and the labels of anything else.
    pub(crate) fn rows(&self) -> Arc<Rows> {
        self.series.rows(|mut series| {
            series.sort_by_cached_key(|series| {
                let values = self.sorted_values(series).into_iter();
                values.map(str::to_owned).collect::<Vec<_>>()
            });
            let names: Vec<_> = self.sorted_labels().collect();
            Rows::new(&series, |series, text| {
                let values = self.sorted_values(series);
                match self.recipe.kind() {
                    Kind::Counter | Kind::Gauge => {
                        text.push('\n');
                        push_sample_name(text, &self.name, self.recipe.kind());
                        render_labels(text, &names, &values);
                        text.push(' ');
                    }
                    Kind::Histogram | Kind::Summary => render_labels(text, &names, &values),
                }
            })
        })
    }

    /// The label names in the order of exposition.
    pub(crate) fn sorted_labels(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(|position| &*self.labels[*position])
    }

    /// The values of a series in the order of exposition.
    pub(crate) fn sorted_values<'a>(&self, series: &'a Series) -> Vec<&'a str> {
        let values: Vec<_> = series.key.values().collect();
        self.order
            .iter()
            .map(|position| values[*position])
            .collect()
    }

    /// The histogram of a timer.
    pub(crate) fn histogram_of_outcome(&self, values: &[Box<str>], outcome: Outcome) -> Histogram {
        let values = values.iter().map(|value| &**value);
        let values: Vec<_> = values.chain([outcome.name()]).collect();
        let Ok(found) = self.series.with(&values, self, Metric::clone);
        match found {
            Metric::Histogram(histogram) => histogram,
            _ => unreachable!("the series of timers are histograms"),
        }
    }

    /// Starts all series again that `selects` chooses; how many there were.
    pub(crate) fn reset(&self, selects: impl Fn(&Series) -> bool) -> usize {
        let rows = self.rows();
        let chosen = rows.iter().filter(|(_, row)| selects(&row.series));
        chosen.filter(|(_, row)| row.metric.reset()).count()
    }
}

impl MakeSeries for FamilyCore {
    type Error = Infallible;

    fn make(&self, _values: &[&str]) -> Result<Metric, Infallible> {
        let settings = &self.settings;
        Ok(match self.recipe {
            Recipe::Counter => Metric::Counter(Counter::new()),
            Recipe::Gauge => Metric::Gauge(Gauge::new()),
            Recipe::IntGauge => Metric::IntGauge(IntGauge::new()),
            Recipe::Histogram | Recipe::Timer => {
                Metric::Histogram(Histogram::new(settings.unit, settings.buckets.clone()))
            }
            Recipe::Summary => Metric::Summary(Summary::new(Window {
                len: settings.window,
                max_age: settings.max_age.map(|age| (age, self.ticks.clone())),
            })),
        })
    }
}

/// Makes the timers of a family.
struct OfTimers<'a>(&'a Arc<FamilyCore>);

impl MakeSeries for OfTimers<'_> {
    type Error = Infallible;

    fn make(&self, values: &[&str]) -> Result<Metric, Infallible> {
        let family = Arc::downgrade(self.0);
        let timer = Timer::new(family, values, self.0.ticks.clone());
        Ok(Metric::Timer(timer))
    }
}
