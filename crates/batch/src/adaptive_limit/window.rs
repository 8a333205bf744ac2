//! [`Window`]: what the items of one limit have shown, until there is enough to decide by.

use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Window {
    successes: u32,
    overloads: u32,
    most_in_flight: usize,
    latency: Duration,
}

/// A window that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// Of the successes; `None` without any. What failed may have failed fast.
    pub(super) mean: Option<Duration>,
    pub(super) samples: u32,
    pub(super) overloaded: bool,
    pub(super) most_in_flight: usize,
}

impl Window {
    pub(super) fn success(&mut self, latency: Duration, in_flight: usize) {
        self.successes = self.successes.saturating_add(1);
        self.latency = self.latency.saturating_add(latency);
        self.most_in_flight = self.most_in_flight.max(in_flight);
    }

    pub(super) fn overload(&mut self, in_flight: usize) {
        self.overloads = self.overloads.saturating_add(1);
        self.most_in_flight = self.most_in_flight.max(in_flight);
    }

    /// Ends the window if it has shown overload, or enough items in all: one for each that can be
    /// in flight makes a window about as long as one item takes, whatever the limit is.
    pub(super) fn end(&mut self, least_samples: usize, limit: f64) -> Option<Seen> {
        let overloaded = self.overloads > 0;
        let enough =
            self.successes as usize >= least_samples && f64::from(self.successes) >= limit.floor();
        if !overloaded && !enough {
            return None;
        }
        let seen = Seen {
            mean: self.latency.checked_div(self.successes),
            samples: self.successes.saturating_add(self.overloads),
            overloaded,
            most_in_flight: self.most_in_flight,
        };
        *self = Self::default();
        Some(seen)
    }
}
