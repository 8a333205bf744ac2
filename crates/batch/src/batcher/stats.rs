//! [`BatcherStats`]: what a batcher did so far and what waits in it.

/// Why a batch stopped taking keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    Size,
    Bytes,
    Linger,
    Idle,
    Eager,
    Flush,
    Close,
    Capacity,
    Partitions,
}

/// A snapshot of a [`Batcher`](crate::Batcher). Counts begin with the batcher and saturate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct BatcherStats {
    /// Calls that were given a place in a batch, joined ones included.
    pub submitted: u64,
    /// Calls that joined an equal key in their batch.
    pub joined: u64,
    /// Batches that were started.
    pub batches: u64,
    /// Keys that were given to the bulk function.
    pub keys: u64,
    /// Started batches that failed as a whole.
    pub failed: u64,
    /// Batches that were dropped before they started, because all their callers had left.
    pub abandoned: u64,
    /// Batches fired because they had `max_size` keys.
    pub by_size: u64,
    /// Batches fired because they had `max_bytes`, or because the next key did not fit.
    pub by_bytes: u64,
    /// Batches fired because their first key had waited for the linger.
    pub by_linger: u64,
    /// Batches fired because nobody had come for the idle time.
    pub by_idle: u64,
    /// Batches fired because nothing was in flight.
    pub by_eager: u64,
    /// Batches fired by hand.
    pub by_flush: u64,
    /// Batches fired because the batcher was closed, or its last handle dropped.
    pub by_close: u64,
    /// Batches fired because callers stood in line for room.
    pub by_capacity: u64,
    /// Batches fired because another partition needed their place.
    pub by_partitions: u64,
    /// Keys that wait for their batch to start, and places kept for callers just let in.
    pub waiting: usize,
    /// Callers in line for room.
    pub in_line: usize,
    /// Batches that still take keys.
    pub open: usize,
    /// Batches that take no more keys and wait for their turn.
    pub ready: usize,
    /// Batches that were let start and have not ended.
    pub in_flight: usize,
}

impl BatcherStats {
    pub(super) fn count(&mut self, trigger: Trigger) {
        bump(match trigger {
            Trigger::Size => &mut self.by_size,
            Trigger::Bytes => &mut self.by_bytes,
            Trigger::Linger => &mut self.by_linger,
            Trigger::Idle => &mut self.by_idle,
            Trigger::Eager => &mut self.by_eager,
            Trigger::Flush => &mut self.by_flush,
            Trigger::Close => &mut self.by_close,
            Trigger::Capacity => &mut self.by_capacity,
            Trigger::Partitions => &mut self.by_partitions,
        });
    }
}

pub(super) fn bump(count: &mut u64) {
    *count = count.saturating_add(1);
}
