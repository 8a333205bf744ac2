//! [`Target`]: what can be picked; [`TargetStats`] and [`TargetHealth`]: how it does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something that work can be sent to: an id, a value such as a pool or a client, and what it is
/// good for.
pub struct Target<K, T = ()> {
    pub(super) id: K,
    pub(super) value: T,
    pub(super) weight: u32,
    pub(super) tags: Vec<Arc<str>>,
    pub(super) load: u64,
}

impl<K, T> Target<K, T> {
    /// A target of weight 1, without tags or load.
    pub fn new(id: K, value: T) -> Self {
        Self {
            id,
            value,
            weight: 1,
            tags: Vec::new(),
            load: 0,
        }
    }

    /// How much it can bear compared with others, from 1 to 1,000,000.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// What it is good for. A router knows up to 64 different tags.
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// The load it has already, as by [`Router::set_load`](crate::Router::set_load).
    #[must_use]
    pub fn load(mut self, load: u64) -> Self {
        self.load = load;
        self
    }

    /// The id and the value.
    #[must_use]
    pub fn into_parts(self) -> (K, T) {
        (self.id, self.value)
    }
}

impl<K> Target<K> {
    /// A target that is nothing but its id.
    pub fn id(id: K) -> Self {
        Self::new(id, ())
    }
}

impl<K, T> fmt::Debug for Target<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("weight", &self.weight)
            .field("tags", &self.tags)
            .field("load", &self.load)
            .finish_non_exhaustive()
    }
}

/// Whether a target is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum TargetHealth {
    /// It is.
    Healthy,
    /// Its time is over: the next lease decides.
    OnTrial,
    /// It is left out because it failed.
    Ejected {
        /// When it is tried again.
        retry_after: Duration,
    },
    /// It is left out because somebody said so, until it is resumed.
    Suspended,
}

/// How a target does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TargetStats<K> {
    /// Who it is.
    pub id: K,
    /// How much it can bear compared with others.
    pub weight: u32,
    /// What it is judged by: the load set from outside and the leases together.
    pub load: u64,
    /// How many leases are out.
    pub leases: u64,
    /// How often it was picked.
    pub picks: u64,
    /// How many failures were reported.
    pub failures: u64,
    /// How often it was left out for failing.
    pub ejections: u64,
    /// Whether it is picked.
    pub health: TargetHealth,
}

/// How a router does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RouterStats {
    /// How many targets there are.
    pub targets: usize,
    /// How many of them may be picked now.
    pub available: usize,
    /// How many are left out for failing, or wait for the end of their trial.
    pub ejected: usize,
    /// How many are suspended.
    pub suspended: usize,
    /// How many leases were given.
    pub picks: u64,
    /// How many of them were given to another target than was asked for.
    pub fallbacks: u64,
    /// How often nobody was picked.
    pub refusals: u64,
    /// How often a target was left out for failing.
    pub ejections: u64,
}

impl TargetStats<()> {
    pub(super) fn with_id<K>(self, id: K) -> TargetStats<K> {
        TargetStats {
            id,
            weight: self.weight,
            load: self.load,
            leases: self.leases,
            picks: self.picks,
            failures: self.failures,
            ejections: self.ejections,
            health: self.health,
        }
    }
}
