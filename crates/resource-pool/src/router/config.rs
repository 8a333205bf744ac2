//! [`RouterBuilder`], [`Strategy`] and [`Ejection`]: how a router is to be, and what is refused.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, NanoClock};

use crate::error::ConfigError;
use crate::router::Router;

/// The most targets a router may have.
pub(super) const MOST: usize = 1_000_000;

/// How a router chooses among the targets that will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// The smallest load per weight, exactly; ties go round. O(1) for targets of equal weight,
    /// else O(log n).
    #[default]
    LeastLoaded,
    /// The less loaded of two drawn at random. O(1), near the best, and without an order of all;
    /// Mitzenmacher, "The power of two choices in randomized load balancing" (2001).
    #[doc(alias = "p2c")]
    TwoChoices,
    /// Each in turn, as often as its weight says. Exact however many pick at the same time.
    RoundRobin,
    /// Any, as likely as its weight says. O(1) as long as all weights are 1, else O(n).
    Random,
}

/// When a target that fails is left out, and for how long.
///
/// A target is left out once this many failures in a row were reported. When its time is over it is
/// tried with one lease: a success brings it back, a failure doubles the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Ejection {
    failures: u32,
    first: Duration,
    longest: Duration,
    max_share: f64,
}

impl Ejection {
    /// After this many failures in a row, at least 1: for 30 s at first, for 5 min at most, and
    /// never more than half of the targets.
    #[must_use]
    pub fn after(failures: u32) -> Self {
        Self {
            failures,
            first: Duration::from_secs(30),
            longest: Duration::from_secs(300),
            max_share: 0.5,
        }
    }

    /// For how long at first, and how long it may become by doubling. Both more than zero, the first
    /// not longer than the second.
    #[must_use]
    pub fn lasting(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first;
        self.longest = longest;
        self
    }

    /// Which share of the targets may be left out at once, rounded down; from 0 to 1. With anything
    /// below 1 the last target that may be picked is never left out, others may be suspended or not.
    #[must_use]
    pub fn max_share(mut self, share: f64) -> Self {
        self.max_share = share;
        self
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self::after(5)
    }
}

/// The settings of a router, checked.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) strategy: Strategy,
    pub(super) max_targets: usize,
    pub(super) ejection: Option<Eject>,
    pub(super) seed: u64,
}

/// An [`Ejection`] in numbers.
#[derive(Clone, Debug)]
pub(super) struct Eject {
    pub(super) failures: u32,
    pub(super) first: u64,
    pub(super) longest: u64,
    pub(super) max_share: f64,
}

/// How a [`Router`] is to be. Made by [`Router::builder`].
#[must_use = "nothing is built yet"]
pub struct RouterBuilder<K, T> {
    strategy: Strategy,
    max_targets: usize,
    ejection: Option<Ejection>,
    seed: Option<u64>,
    clock: Option<Arc<dyn Clock>>,
    targets: PhantomData<fn() -> (K, T)>,
}

impl<K: Eq + Hash, T> RouterBuilder<K, T> {
    pub(super) fn new() -> Self {
        Self {
            strategy: Strategy::default(),
            max_targets: 65_536,
            ejection: Some(Ejection::default()),
            seed: None,
            clock: None,
            targets: PhantomData,
        }
    }

    /// How to choose. By default [`Strategy::LeastLoaded`].
    #[doc(alias = "selector")]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many targets there may be, from 1 to 1,000,000. By default 65,536.
    pub fn max_targets(mut self, max: usize) -> Self {
        self.max_targets = max;
        self
    }

    /// When targets that fail are left out; `None` is never. By default [`Ejection::default`].
    ///
    /// Nothing is left out unless failures are reported, with [`Lease::fail`](crate::Lease::fail).
    #[doc(alias = "outlier_detection")]
    pub fn ejection(mut self, ejection: impl Into<Option<Ejection>>) -> Self {
        self.ejection = ejection.into();
        self
    }

    /// Where random choices begin, so that they can be repeated. By default somewhere.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// By which clock targets are left out. By default the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// A router without targets.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when a setting is out of its range.
    pub fn build(self) -> Result<Router<K, T>, ConfigError> {
        if !(1..=MOST).contains(&self.max_targets) {
            let value = self.max_targets;
            return Err(ConfigError::new("max_targets", value, "1 to 1000000"));
        }
        let rules = Rules {
            strategy: self.strategy,
            max_targets: self.max_targets,
            ejection: self.ejection.map(check).transpose()?,
            seed: self.seed.unwrap_or_else(|| RandomState::new().hash_one(0)),
        };
        let clock = match self.clock {
            Some(clock) => NanoClock::new(clock),
            None => NanoClock::system(),
        };
        Ok(Router::new(rules, clock))
    }
}

fn check(ejection: Ejection) -> Result<Eject, ConfigError> {
    let Ejection {
        failures,
        first,
        longest,
        max_share,
    } = ejection;
    if failures == 0 {
        return Err(ConfigError::new("ejection.failures", 0, "1 or more"));
    }
    if first.is_zero() {
        let allowed = "more than zero";
        return Err(ConfigError::new("ejection.first", first, allowed));
    }
    if longest < first {
        let allowed = "the first time or longer";
        return Err(ConfigError::new("ejection.longest", longest, allowed));
    }
    if !(0.0..=1.0).contains(&max_share) {
        return Err(ConfigError::new("ejection.max_share", max_share, "0 to 1"));
    }
    Ok(Eject {
        failures,
        first: brolly_sync::saturating_nanos(first),
        longest: brolly_sync::saturating_nanos(longest),
        max_share,
    })
}

impl<K, T> fmt::Debug for RouterBuilder<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterBuilder")
            .field("strategy", &self.strategy)
            .field("max_targets", &self.max_targets)
            .field("ejection", &self.ejection)
            .finish_non_exhaustive()
    }
}
