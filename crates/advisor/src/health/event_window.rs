//! [`EventWindow`]: how often something happened lately.

use std::time::Duration;

use crate::trend::History;

/// How many intervals a window is made of.
const INTERVALS: u32 = 60;

/// Counts events over a window of time that moves on: what is older than the window no longer
/// counts, so that a health rule over it recovers by itself.
///
/// Times are what passed since any fixed moment of the caller's choice. The window is kept in 60
/// intervals: an event counts for the window's length, and for up to a 59th of it longer.
#[derive(Clone, Debug)]
pub struct EventWindow {
    history: History,
}

impl EventWindow {
    /// A window of this length.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            // One interval fewer than there are, because the newest has only begun.
            history: History::new(window / (INTERVALS - 1), INTERVALS as usize),
        }
    }

    /// Counts some events that happened at `at`.
    pub fn add(&mut self, at: Duration, events: u64) {
        self.history.record(at, events as f64);
    }

    /// How many events there were within the window that ends at `at`. Exact up to 2^53.
    pub fn count(&mut self, at: Duration) -> u64 {
        self.history.advance(at);
        let sums = self.history.intervals().map(|interval| interval.sum);
        // The cast saturates.
        sums.sum::<f64>() as u64
    }
}
