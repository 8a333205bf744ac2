//! [`Registry`]: one breaker for each name, up to a limit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use thiserror::Error;

use crate::breaker::CircuitBreaker;
use crate::error::ConfigError;
use crate::event::Event;
use crate::outcome::AnyError;
use crate::snapshot::Snapshot;
use crate::template::Template;

/// One breaker for each name, up to a limit. All share settings, clock and log of events.
///
/// ```
/// use brolly_circuit_breaker::CircuitBreaker;
///
/// let breakers = CircuitBreaker::builder().registry(100)?;
/// breakers.get("search")?.force_open();
/// assert!(breakers.get("search")?.try_acquire().is_err());
/// assert!(breakers.get("login")?.try_acquire().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Registry<C = AnyError> {
    template: Template<C>,
    max_breakers: usize,
    /// Without the classifier: cloning one is foreign code, which must not run under the lock.
    breakers: RwLock<BTreeMap<Box<str>, CircuitBreaker<()>>>,
}

/// A name that a registry has no breaker for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No breaker can have this name.
    #[error(transparent)]
    Name(ConfigError),
    /// There are as many breakers as there may be.
    #[error("there are {max_breakers} breakers already, which is the limit")]
    Full {
        /// The limit.
        max_breakers: usize,
    },
}

impl<C> Registry<C> {
    pub(crate) fn new(template: Template<C>, max_breakers: usize) -> Result<Self, ConfigError> {
        if max_breakers == 0 {
            return Err(ConfigError::out_of_range("max_breakers", 0, "at least 1"));
        }
        Ok(Self {
            template,
            max_breakers,
            breakers: RwLock::default(),
        })
    }

    /// The breaker of this name, which is made if there is none.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Name`] for a name that is not 1 to 256 bytes without control characters,
    /// [`RegistryError::Full`] if one more would be too many.
    pub fn get(&self, name: &str) -> Result<CircuitBreaker<C>, RegistryError>
    where
        C: Clone,
    {
        if let Some(breaker) = self.find(name) {
            return Ok(breaker);
        }
        let made = self
            .template
            .create_named(name)
            .map_err(RegistryError::Name)?;
        let mut breakers = self.write();
        if let Some(earlier) = breakers.get(name).cloned() {
            drop(breakers);
            return Ok(self.complete(&earlier));
        }
        if breakers.len() >= self.max_breakers {
            let max_breakers = self.max_breakers;
            return Err(RegistryError::Full { max_breakers });
        }
        breakers.insert(name.into(), made.with_classifier(()));
        Ok(made)
    }

    /// The breaker of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<CircuitBreaker<C>>
    where
        C: Clone,
    {
        let found = self.read().get(name).cloned();
        found.map(|breaker| self.complete(&breaker))
    }

    /// Takes the breaker of this name out, which makes room for another. Handles to it stay as they
    /// are.
    pub fn remove(&self, name: &str) -> Option<CircuitBreaker<C>>
    where
        C: Clone,
    {
        let removed = self.write().remove(name);
        removed.map(|breaker| self.complete(&breaker))
    }

    /// The names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.read().keys().map(|name| name.to_string()).collect()
    }

    /// All breakers at this moment, in order of their names.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Snapshot> {
        // Outside of the lock: a snapshot reads the clock.
        let breakers: Vec<_> = self.read().values().cloned().collect();
        breakers.iter().map(CircuitBreaker::snapshot).collect()
    }

    /// The events of all breakers whose number is greater than this; see
    /// [`CircuitBreaker::events_since`].
    #[must_use]
    pub fn events_since(&self, sequence: u64) -> Vec<Event> {
        self.template.events_since(sequence)
    }

    /// How many breakers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn complete(&self, breaker: &CircuitBreaker<()>) -> CircuitBreaker<C>
    where
        C: Clone,
    {
        breaker.with_classifier(self.template.classifier().clone())
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Box<str>, CircuitBreaker<()>>> {
        self.breakers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Box<str>, CircuitBreaker<()>>> {
        self.breakers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> fmt::Debug for Registry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("names", &self.names())
            .field("max_breakers", &self.max_breakers)
            .finish_non_exhaustive()
    }
}
