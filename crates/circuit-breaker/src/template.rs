//! [`Template`]: settings that any number of breakers are made from.

use std::fmt;
use std::sync::Arc;

use crate::breaker::CircuitBreaker;
use crate::error::ConfigError;
use crate::event::Event;
use crate::gate::{Body, Gate, Shared};
use crate::name::Name;
use crate::outcome::AnyError;
use crate::window::Window;

/// Settings that any number of breakers are made from: each has its own state, and all share the
/// settings, the clock, the listeners and the log of events.
///
/// A breaker of consecutive failures, or of 64 calls or fewer, that was made without a name takes
/// 64 bytes, its handle included.
///
/// ```
/// use brolly_circuit_breaker::CircuitBreaker;
///
/// let template = CircuitBreaker::builder().count_window(20).failures(3).template()?;
/// let shards: Vec<_> = (0..1_000).map(|_| template.create()).collect();
/// shards[7].force_open();
/// assert!(shards[7].call_sync(|| Ok::<_, ()>(1)).is_err());
/// assert!(shards[8].call_sync(|| Ok::<_, ()>(1)).is_ok());
/// # Ok::<(), brolly_circuit_breaker::ConfigError>(())
/// ```
pub struct Template<C = AnyError> {
    shared: Arc<Shared>,
    /// For breakers without a name, if they can share one.
    plain: Option<Arc<Body>>,
    keeps_totals: bool,
    classifier: C,
}

impl<C> Template<C> {
    pub(crate) fn new(shared: Shared, keeps_totals: bool, classifier: C) -> Self {
        let shared = Arc::new(shared);
        let window = Window::new(&shared.settings);
        let plain = window.is_plain().then(|| {
            Arc::new(Body {
                shared: Arc::clone(&shared),
                name: Name::EMPTY,
                window,
            })
        });
        Self {
            shared,
            plain,
            keeps_totals,
            classifier,
        }
    }

    /// A breaker without a name.
    pub fn create(&self) -> CircuitBreaker<C>
    where
        C: Clone,
    {
        self.gate(self.unnamed_body())
            .into_breaker(self.classifier.clone())
    }

    /// A breaker with this name: 1 to 256 bytes without control characters.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for any other name.
    pub fn create_named(&self, name: &str) -> Result<CircuitBreaker<C>, ConfigError>
    where
        C: Clone,
    {
        let body = self.named_body(name)?;
        Ok(self.gate(body).into_breaker(self.classifier.clone()))
    }

    /// The latest events after this number, of all breakers that were made from this; see
    /// [`CircuitBreaker::events_since`].
    #[must_use]
    pub fn events_since(&self, sequence: u64) -> Vec<Event> {
        self.shared.log.since(sequence)
    }

    pub(crate) fn classifier(&self) -> &C {
        &self.classifier
    }

    pub(crate) fn into_named(self, name: &str) -> Result<CircuitBreaker<C>, ConfigError> {
        let body = self.named_body(name)?;
        Ok(self.gate(body).into_breaker(self.classifier))
    }

    pub(crate) fn into_unnamed(self) -> CircuitBreaker<C> {
        self.gate(self.unnamed_body()).into_breaker(self.classifier)
    }

    fn gate(&self, body: Arc<Body>) -> Gate {
        Gate::new(body, self.keeps_totals)
    }

    fn unnamed_body(&self) -> Arc<Body> {
        match &self.plain {
            Some(plain) => Arc::clone(plain),
            None => self.body(Name::EMPTY),
        }
    }

    fn named_body(&self, name: &str) -> Result<Arc<Body>, ConfigError> {
        Ok(self.body(Name::new(name)?))
    }

    fn body(&self, name: Name) -> Arc<Body> {
        Arc::new(Body {
            shared: Arc::clone(&self.shared),
            name,
            window: Window::new(&self.shared.settings),
        })
    }
}

impl<C> fmt::Debug for Template<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
