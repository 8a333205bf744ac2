//! [`PriorityQueueBuilder`]: the settings of a priority queue.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, SystemClock};

use super::PriorityQueue;
use crate::config::{checked_duration, checked_size};
use crate::error::ConfigError;

/// The settings of a [`PriorityQueue`].
#[must_use = "a builder does nothing until it is built"]
pub struct PriorityQueueBuilder<T> {
    capacity: usize,
    aging: Duration,
    clock: Option<Arc<dyn Clock>>,
    items: PhantomData<fn(T)>,
}

impl<T> PriorityQueueBuilder<T> {
    pub(super) fn new() -> Self {
        Self {
            capacity: 1_024,
            aging: Duration::from_secs(10),
            clock: None,
            items: PhantomData,
        }
    }

    /// How many items may be in the queue, 1 to 16,777,216. Room for them is made as they come.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// How long an item waits to rise by a class: at least a nanosecond. `Duration::MAX` switches
    /// aging off; then what is less urgent waits as long as more urgent items keep coming.
    pub fn aging(mut self, aging: Duration) -> Self {
        self.aging = aging;
        self
    }

    /// The clock by which items age and deadlines pass.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The queue.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a setting is out of range.
    pub fn build(self) -> Result<PriorityQueue<T>, ConfigError> {
        let capacity = checked_size("capacity", self.capacity, 1..=1 << 24)?;
        let least = Duration::from_nanos(1);
        let aging = checked_duration("aging", self.aging, least..=Duration::MAX)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        Ok(PriorityQueue::new(capacity, aging, clock))
    }
}

impl<T> fmt::Debug for PriorityQueueBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityQueueBuilder")
            .field("capacity", &self.capacity)
            .field("aging", &self.aging)
            .field("clock", &self.clock)
            .finish()
    }
}
