//! [`Windows`]: what happened lately, computed from cumulative snapshots on the reader's side.

pub(crate) mod ewma;

use std::collections::VecDeque;
use std::collections::vec_deque::Iter;
use std::time::Duration;

use crate::error::{QuantileError, WindowsError};
use crate::snapshot::histogram::HistogramSnapshot;
use crate::snapshot::{FamilySnapshot, SeriesSnapshot, Snapshot};
use crate::window::ewma::Ewma;

/// The snapshots of the last while, and what happened between them.
///
/// Writers know nothing of windows: they count up, and a window is the difference between two
/// snapshots. So a clock that jumps cannot spoil a count, and any length of window can be asked
/// for at any time.
///
/// A window ends with the newest reading and starts with the newest reading that is at least as
/// old as asked for. Figures are none when there is no such reading, or only one that is older by
/// more than two intervals: too little is known then.
///
/// A counter or histogram that is smaller than before was reset in between, and all it holds is
/// new. When time goes backwards, all readings are forgotten.
///
/// It holds at most `length / interval` (rounded up) and three snapshots, all but the newest without
/// gauges and summaries.
///
/// ```
/// use std::time::Duration;
/// use brolly_metrics_core::{Registry, Windows};
///
/// let registry = Registry::new();
/// let requests = registry.counter("requests").register()?;
/// let seconds = Duration::from_secs;
/// let mut windows = Windows::new(seconds(10), seconds(3600))?;
///
/// windows.feed(seconds(0), registry.snapshot());
/// requests.add(120);
/// windows.feed(seconds(60), registry.snapshot());
/// assert_eq!(windows.rate("requests", &[], seconds(60)), Some(2.0));
/// assert_eq!(windows.rate("requests", &[], seconds(600)), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Windows {
    interval: Duration,
    length: Duration,
    /// In the order of their times; but for the newest, no two of them in the same interval.
    readings: VecDeque<Reading>,
}

#[derive(Clone, Debug)]
struct Reading {
    at: Duration,
    snapshot: Snapshot,
}

impl Windows {
    /// Most readings that may be asked for: `length / interval`.
    pub const MAX_READINGS: u32 = 10_000;

    /// Windows of up to `length`, with one reading kept for each `interval`.
    ///
    /// # Errors
    ///
    /// When the interval is zero, longer than the length, or more than
    /// [`MAX_READINGS`](Self::MAX_READINGS) times in it.
    pub fn new(interval: Duration, length: Duration) -> Result<Self, WindowsError> {
        let longest = interval.saturating_mul(Self::MAX_READINGS);
        if interval.is_zero() || length < interval || length > longest {
            return Err(WindowsError {
                interval,
                length,
                max: Self::MAX_READINGS,
            });
        }
        Ok(Self {
            interval,
            length,
            readings: VecDeque::new(),
        })
    }

    /// Takes a snapshot in, read at this time of a [`Clock`](brolly_sync::Clock).
    ///
    /// It may come as often as one likes: the first of an interval is kept, and the newest of all.
    pub fn feed(&mut self, now: Duration, snapshot: Snapshot) {
        let newest = self.readings.back().map(|reading| reading.at);
        if newest.is_some_and(|newest| now < newest) {
            self.readings.clear();
        }
        if let Some(at) = self.readings.len().checked_sub(2)
            && self.slot(self.readings[at].at) == self.slot(self.readings[at + 1].at)
        {
            self.readings.pop_back();
        }
        if let Some(before) = self.readings.back_mut() {
            // Only the newest is asked for these.
            before.snapshot.gauges = Vec::new();
            before.snapshot.summaries = Vec::new();
        }
        let reading = Reading { at: now, snapshot };
        self.readings.push_back(reading);

        let start = now.saturating_sub(self.length);
        let inside = self.readings.partition_point(|reading| reading.at <= start);
        // The last one before the start is where the longest window starts.
        self.readings.drain(..inside.saturating_sub(1));
    }

    /// The newest snapshot and when it was read.
    #[must_use]
    pub fn newest(&self) -> Option<(Duration, &Snapshot)> {
        let reading = self.readings.back()?;
        Some((reading.at, &reading.snapshot))
    }

    /// How many snapshots are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.readings.len()
    }

    /// Whether nothing was fed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// By how much a counter grew in the last `over`: all its series together that have these
    /// labels, each given as name and value; all there are when none is given. Of a counter of
    /// seconds in nanoseconds, as it counts.
    #[must_use]
    pub fn increase(&self, counter: &str, labels: &[(&str, &str)], over: Duration) -> Option<u64> {
        let readings = self.window(over)?;
        let mut is_known = false;
        let mut increase = 0u64;
        for (before, after) in steps(readings) {
            let (before, after) = (
                before.snapshot.counter(counter),
                after.snapshot.counter(counter),
            );
            for (before, after) in series(before, after, labels) {
                is_known = true;
                increase = increase.saturating_add(grown(before, after));
            }
        }
        is_known.then_some(increase)
    }

    /// How fast a counter grew in the last `over`, in its unit per second. See [`increase`](Self::increase).
    #[must_use]
    pub fn rate(&self, counter: &str, labels: &[(&str, &str)], over: Duration) -> Option<f64> {
        let mut readings = self.window(over)?;
        let (first, last) = (readings.next()?, readings.next_back()?);
        let seconds = (last.at - first.at).as_secs_f64();
        let increase = self.increase(counter, labels, over)?;
        Some(self.in_unit(counter, increase) / seconds)
    }

    /// How fast a counter grows lately, in its unit per second: the exponentially weighted mean over all
    /// readings held, in which what is `tau` ago weighs 37 %.
    #[must_use]
    pub fn smoothed_rate(
        &self,
        counter: &str,
        labels: &[(&str, &str)],
        tau: Duration,
    ) -> Option<f64> {
        let mut mean = Ewma::new(tau);
        for (before, after) in steps(self.readings.range(..)) {
            let seconds = (after.at - before.at).as_secs_f64();
            let (earlier, later) = (
                before.snapshot.counter(counter),
                after.snapshot.counter(counter),
            );
            let mut grown = series(earlier, later, labels)
                .map(|(before, after)| grown(before, after))
                .peekable();
            if seconds > 0.0 && grown.peek().is_some() {
                let increase = grown.fold(0, u64::saturating_add);
                mean.update(after.at, self.in_unit(counter, increase) / seconds);
            }
        }
        mean.value()
    }

    fn in_unit(&self, counter: &str, total: u64) -> f64 {
        let newest = self.readings.back().map(|reading| &reading.snapshot);
        let family = newest.and_then(|snapshot| snapshot.counter(counter));
        family.map_or(total as f64, |family| family.unit.counted(total))
    }

    /// What a histogram recorded in the last `over`: all its series together that have these
    /// labels. None also when the grouping of its values changed meanwhile.
    #[must_use]
    pub fn distribution(
        &self,
        histogram: &str,
        labels: &[(&str, &str)],
        over: Duration,
    ) -> Option<HistogramSnapshot> {
        let readings = self.window(over)?;
        let mut all: Option<HistogramSnapshot> = None;
        for (before, after) in steps(readings) {
            let (before, after) = (
                before.snapshot.histogram(histogram),
                after.snapshot.histogram(histogram),
            );
            for (before, after) in series(before, after, labels) {
                let news = match before {
                    Some(before) => after.since(before).ok()?,
                    None => after.clone(),
                };
                match &mut all {
                    Some(all) => all.merge(&news).ok()?,
                    None => all = Some(news),
                }
            }
        }
        all
    }

    /// A quantile of what a histogram recorded in the last `over`; none also when that is nothing.
    ///
    /// # Errors
    ///
    /// When `q` is not within 0 and 1.
    pub fn quantile(
        &self,
        histogram: &str,
        labels: &[(&str, &str)],
        q: f64,
        over: Duration,
    ) -> Result<Option<f64>, QuantileError> {
        if !(0.0..=1.0).contains(&q) {
            return Err(QuantileError { q });
        }
        match self.distribution(histogram, labels, over) {
            Some(distribution) => distribution.quantile(q),
            None => Ok(None),
        }
    }

    /// The readings of the last `over`, the one that it starts with included.
    fn window(&self, over: Duration) -> Option<Iter<'_, Reading>> {
        let start = self.readings.back()?.at.checked_sub(over)?;
        let after = self.readings.partition_point(|it| it.at <= start);
        let first = after.checked_sub(1)?;
        let is_covered = start - self.readings[first].at <= self.interval.saturating_mul(2);
        (is_covered && !over.is_zero()).then(|| self.readings.range(first..))
    }

    fn slot(&self, at: Duration) -> u128 {
        at.as_nanos() / self.interval.as_nanos()
    }
}

/// Each reading with the one before it.
fn steps<'a>(readings: Iter<'a, Reading>) -> impl Iterator<Item = (&'a Reading, &'a Reading)> {
    readings.clone().zip(readings.skip(1))
}

/// The series of a family that have these labels, and what they were before. A series that was
/// not there before started at nothing.
fn series<'a, T>(
    before: Option<&'a FamilySnapshot<T>>,
    after: Option<&'a FamilySnapshot<T>>,
    labels: &[(&str, &str)],
) -> impl Iterator<Item = (Option<&'a T>, &'a T)> {
    let all = after.map_or(&[][..], |family| &family.series);
    let names = after.map_or(&[][..], |family| &family.label_names);
    let place = |&(name, value): &(&str, &str)| {
        let at = names.iter().position(|it| it == name);
        at.map(|at| (at, value.to_owned()))
    };
    // No series has a label that the family does not have.
    let wanted: Option<Vec<(usize, String)>> = labels.iter().map(place).collect();
    all.iter().filter_map(move |series| {
        let mut wanted = wanted.as_ref()?.iter();
        let has_all = wanted.all(|(at, value)| series.label_values.get(*at) == Some(value));
        let earlier = before.and_then(|family| {
            let key = |it: &SeriesSnapshot<T>| it.label_values.cmp(&series.label_values);
            let at = family.series.binary_search_by(key).ok()?;
            Some(&family.series[at].value)
        });
        has_all.then_some((earlier, &series.value))
    })
}

fn grown(before: Option<&u64>, after: &u64) -> u64 {
    let before = before.copied().unwrap_or(0);
    after.checked_sub(before).unwrap_or(*after)
}
