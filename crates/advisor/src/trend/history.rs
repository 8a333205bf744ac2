//! [`History`]: the last intervals of a number, in a fixed amount of memory.

use std::time::Duration;

use crate::steady_time::SteadyTime;

/// The samples of one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Interval {
    /// The number of the interval since the history began.
    pub index: u64,
    /// How many samples it has; never zero.
    pub count: u64,
    /// The sum of the samples.
    pub sum: f64,
    /// The smallest sample.
    pub min: f64,
    /// The largest sample.
    pub max: f64,
    /// The last sample.
    pub last: f64,
}

impl Interval {
    /// The mean of the samples, within the smallest and the largest.
    #[must_use]
    pub fn mean(&self) -> f64 {
        // The sum of huge samples may have overflowed.
        (self.sum / self.count as f64).clamp(self.min, self.max)
    }

    fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        self.sum = (self.sum + value).clamp(f64::MIN, f64::MAX);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.last = value;
    }
}

/// A ring of intervals, such as the last 60 minutes.
///
/// Takes 56 bytes for each interval, whether or not it has samples: the last hour by minutes is
/// 3.4 KB. A sample costs constant time, after a long idle gap as well. Time that steps back counts
/// as no time passing.
///
/// ```
/// use std::time::Duration;
/// use brolly_advisor::{Forecast, History, Trend};
///
/// let mut disk = History::new(Duration::from_secs(60), 60);
/// for minute in 0..30 {
///     disk.record(Duration::from_secs(60 * minute), 400.0 + 2.0 * minute as f64);
/// }
/// let trend = Trend::of(disk.points(), 0.05).expect("30 points");
/// let full = Forecast::of(&trend, 500.0).expect("it is filling up");
/// assert_eq!(full.expected, Duration::from_secs(21 * 60));
/// ```
#[derive(Clone, Debug)]
pub struct History {
    interval_nanos: u128,
    /// An interval lies at its index modulo the length; what has fallen out of the ring stays until
    /// it is written over, and is told by its index.
    ring: Box<[Option<Interval>]>,
    time: SteadyTime,
    newest: u64,
    rejected: u64,
}

impl History {
    /// Most intervals that a history keeps.
    pub const MAX_LEN: usize = 4_096;

    /// The last `len` intervals of this length; `len` is brought into
    /// `1..=`[`MAX_LEN`](Self::MAX_LEN), the interval to at least a millisecond.
    #[must_use]
    pub fn new(interval: Duration, len: usize) -> Self {
        Self {
            interval_nanos: interval.max(Duration::from_millis(1)).as_nanos(),
            ring: vec![None; len.clamp(1, Self::MAX_LEN)].into(),
            time: SteadyTime::default(),
            newest: 0,
            rejected: 0,
        }
    }

    /// Adds a sample at a time since any fixed moment of the caller's choice. What is not finite is
    /// rejected and counted.
    pub fn record(&mut self, at: Duration, value: f64) {
        self.advance(at);
        if !value.is_finite() {
            self.rejected = self.rejected.saturating_add(1);
            return;
        }
        let slot = (self.newest % self.ring.len() as u64) as usize;
        match &mut self.ring[slot] {
            Some(interval) if interval.index == self.newest => interval.add(value),
            slot => {
                *slot = Some(Interval {
                    index: self.newest,
                    count: 1,
                    sum: value,
                    min: value,
                    max: value,
                    last: value,
                });
            }
        }
    }

    /// Lets time pass without a sample, so that what is too old falls out.
    pub fn advance(&mut self, at: Duration) {
        let now = self.time.advance(at, Duration::MAX);
        let index = now.as_nanos() / self.interval_nanos;
        self.newest = u64::try_from(index).unwrap_or(u64::MAX);
    }

    /// The intervals that have samples, oldest first.
    pub fn intervals(&self) -> impl Iterator<Item = &Interval> {
        let len = self.ring.len() as u64;
        let oldest = self.newest.saturating_sub(len - 1);
        let indexes = oldest..=self.newest;
        indexes.filter_map(move |index| {
            let interval = self.ring[(index % len) as usize].as_ref();
            interval.filter(|interval| interval.index == index)
        })
    }

    /// The middle of each interval that has samples, in seconds since the history began, and the
    /// mean of the samples; oldest first.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let seconds = self.interval_nanos as f64 / 1e9;
        let intervals = self.intervals();
        intervals.map(move |interval| ((interval.index as f64 + 0.5) * seconds, interval.mean()))
    }

    /// Samples refused because they were not finite.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// The memory that the history takes: it is allocated at once and never grows.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.ring)
    }
}
