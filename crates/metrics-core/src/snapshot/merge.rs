//! Merging: the snapshots of several processes, or registries, as one.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use crate::error::{MergeError, SnapshotMergeError};
use crate::kind::Kind;
use crate::registry::name::claims;
use crate::snapshot::histogram::HistogramSnapshot;
use crate::snapshot::{
    FamilySnapshot, GaugeMerge, GaugeSnapshot, SeriesSnapshot, Snapshot, SummarySnapshot, find,
};

impl Snapshot {
    /// Adds what another snapshot holds: its families, their series and their values.
    ///
    /// Counters are added (and stop at `u64::MAX`), histograms merged, gauges by their
    /// [rule](GaugeMerge). Of summaries the counts are added, the extremes and the mean combined,
    /// the latest sample is that of the newer one, and percentiles are left out. Of two help texts
    /// the first in the order of their characters stays; the timestamp is the newer one.
    ///
    /// The result is the same in any order and any grouping; where floating-point numbers are
    /// added, up to rounding. Of two latest values with the same time the larger one wins.
    ///
    /// # Errors
    ///
    /// When a metric of the same name has another kind, unit, label set, rule or grouping of
    /// values, or when two metrics would be the same on a page. Nothing is changed then.
    pub fn merge(&mut self, other: &Self) -> Result<(), SnapshotMergeError> {
        self.check_kinds(other)?;
        self.check_names(other)?;
        check_all(&self.counters, &other.counters)?;
        check_all(&self.gauges, &other.gauges)?;
        check_all(&self.histograms, &other.histograms)?;
        check_all(&self.summaries, &other.summaries)?;

        let times = Times {
            ours: self.timestamp,
            theirs: other.timestamp,
        };
        merge_all(&mut self.counters, &other.counters, times);
        merge_all(&mut self.gauges, &other.gauges, times);
        merge_all(&mut self.histograms, &other.histograms, times);
        merge_all(&mut self.summaries, &other.summaries, times);
        self.timestamp = times.merged();
        Ok(())
    }

    fn check_kinds(&self, other: &Self) -> Result<(), SnapshotMergeError> {
        for (theirs, name) in other.kinds() {
            let clash = |ours: Kind, is_there: bool| {
                if ours == theirs || !is_there {
                    return Ok(());
                }
                Err(SnapshotMergeError {
                    metric: name.to_owned(),
                    source: MergeError::Kinds { ours, theirs },
                })
            };
            clash(Kind::Counter, self.counter(name).is_some())?;
            clash(Kind::Gauge, self.gauge(name).is_some())?;
            clash(Kind::Histogram, self.histogram(name).is_some())?;
            clash(Kind::Summary, self.summary(name).is_some())?;
        }
        Ok(())
    }

    /// Two names can be one on a page, such as `a.b` and `a_b`, or share a sample, such as `a_count`
    /// and the count of `a`.
    fn check_names(&self, other: &Self) -> Result<(), SnapshotMergeError> {
        let ours: HashSet<(Kind, &str)> = self.kinds().collect();
        let mut news = other.kinds().filter(|it| !ours.contains(it)).peekable();
        if news.peek().is_none() {
            return Ok(());
        }
        let claimed = ours.iter().flat_map(|&(kind, name)| {
            let exposed = claims(name, kind).into_iter();
            exposed.map(move |exposed| (exposed, name))
        });
        let claimed: HashMap<String, &str> = claimed.collect();
        for (kind, name) in news {
            for exposed in claims(name, kind) {
                if let Some(&owner) = claimed.get(&exposed) {
                    let owner = owner.to_owned();
                    return Err(SnapshotMergeError {
                        metric: name.to_owned(),
                        source: MergeError::Names { exposed, owner },
                    });
                }
            }
        }
        Ok(())
    }

    /// The kind and name of every family.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (Kind, &str)> {
        fn names<T>(
            kind: Kind,
            families: &[FamilySnapshot<T>],
        ) -> impl Iterator<Item = (Kind, &str)> {
            families
                .iter()
                .map(move |family| (kind, family.name.as_str()))
        }
        names(Kind::Counter, &self.counters)
            .chain(names(Kind::Gauge, &self.gauges))
            .chain(names(Kind::Histogram, &self.histograms))
            .chain(names(Kind::Summary, &self.summaries))
    }
}

/// When the two sides of a merge were taken.
#[derive(Clone, Copy)]
struct Times {
    ours: SystemTime,
    theirs: SystemTime,
}

impl Times {
    fn merged(self) -> SystemTime {
        self.ours.max(self.theirs)
    }

    /// How a value read at `time` notes it in the merged snapshot.
    fn note(self, time: SystemTime) -> Option<SystemTime> {
        (time != self.merged()).then_some(time)
    }
}

/// A value of a series that can be merged with another one.
trait Value: Clone {
    /// Says why it cannot.
    fn check(&self, other: &Self) -> Result<(), MergeError>;

    /// Merges; only after [`check`](Self::check).
    fn merge(&mut self, other: &Self, times: Times);

    /// Notes when it was read, before the snapshot gets another time.
    fn keep_time(&mut self, _read_at: SystemTime, _times: Times) {}
}

impl Value for u64 {
    fn check(&self, _: &Self) -> Result<(), MergeError> {
        Ok(())
    }

    fn merge(&mut self, other: &Self, _: Times) {
        *self = self.saturating_add(*other);
    }
}

impl Value for HistogramSnapshot {
    fn check(&self, other: &Self) -> Result<(), MergeError> {
        self.check_mergeable(other)
    }

    fn merge(&mut self, other: &Self, _: Times) {
        let merged = Self::merge(self, other);
        debug_assert_eq!(merged, Ok(()), "it was checked");
    }
}

impl Value for GaugeSnapshot {
    fn check(&self, other: &Self) -> Result<(), MergeError> {
        if self.merge == other.merge {
            return Ok(());
        }
        Err(MergeError::GaugeRules {
            ours: self.merge,
            theirs: other.merge,
        })
    }

    fn merge(&mut self, other: &Self, times: Times) {
        let ours = self.as_of.unwrap_or(times.ours);
        let theirs = other.as_of.unwrap_or(times.theirs);
        self.value = match self.merge {
            GaugeMerge::Sum => self.value + other.value,
            GaugeMerge::Max => extreme(self.value, other.value, Ordering::Greater),
            GaugeMerge::Min => extreme(self.value, other.value, Ordering::Less),
            GaugeMerge::Latest => {
                let newer = theirs.cmp(&ours);
                match newer.then(other.value.total_cmp(&self.value)) {
                    Ordering::Greater => other.value,
                    _ => self.value,
                }
            }
        };
        self.as_of = times.note(ours.max(theirs));
    }

    fn keep_time(&mut self, read_at: SystemTime, times: Times) {
        self.as_of = times.note(self.as_of.unwrap_or(read_at));
    }
}

impl Value for SummarySnapshot {
    fn check(&self, _: &Self) -> Result<(), MergeError> {
        Ok(())
    }

    fn merge(&mut self, other: &Self, times: Times) {
        let (latest, read_at) = self.newer_latest(other, times);
        let either = |a: Option<f64>, b: Option<f64>, wanted| match (a, b) {
            (Some(a), Some(b)) => Some(extreme(a, b, wanted)),
            (one, none) => one.or(none),
        };
        *self = Self {
            count: self.count.saturating_add(other.count),
            window_count: self.window_count.saturating_add(other.window_count),
            min: either(self.min, other.min, Ordering::Less),
            max: either(self.max, other.max, Ordering::Greater),
            avg: self.joint_avg(other),
            latest,
            p50: None,
            p95: None,
            p99: None,
            rejected: self.rejected.saturating_add(other.rejected),
            as_of: times.note(read_at),
        };
    }

    fn keep_time(&mut self, read_at: SystemTime, times: Times) {
        self.as_of = times.note(self.as_of.unwrap_or(read_at));
    }
}

impl SummarySnapshot {
    /// The latest sample of the newer one that has one, and when that was read.
    fn newer_latest(&self, other: &Self, times: Times) -> (Option<f64>, SystemTime) {
        let ours = (self.latest, self.as_of.unwrap_or(times.ours));
        let theirs = (other.latest, other.as_of.unwrap_or(times.theirs));
        let has_one = theirs.0.is_some().cmp(&ours.0.is_some());
        let is_newer = has_one.then(theirs.1.cmp(&ours.1));
        let (a, b) = (theirs.0.unwrap_or(0.0), ours.0.unwrap_or(0.0));
        match is_newer.then(a.total_cmp(&b)) {
            Ordering::Greater => theirs,
            _ => ours,
        }
    }

    fn joint_avg(&self, other: &Self) -> Option<f64> {
        let (Some(ours), Some(theirs)) = (self.avg, other.avg) else {
            return self.avg.or(other.avg);
        };
        let (a, b) = (self.window_count as f64, other.window_count as f64);
        if a + b == 0.0 {
            return None;
        }
        Some(ours * (a / (a + b)) + theirs * (b / (a + b)))
    }
}

/// The larger or the smaller of two numbers; a NaN gives way to a number.
fn extreme(a: f64, b: f64, wanted: Ordering) -> f64 {
    match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (_, true) => a,
        _ if a.total_cmp(&b) == wanted => a,
        _ => b,
    }
}

fn check_all<T: Value>(
    ours: &[FamilySnapshot<T>],
    theirs: &[FamilySnapshot<T>],
) -> Result<(), SnapshotMergeError> {
    for theirs in theirs {
        if let Some(ours) = find(ours, &theirs.name) {
            check_family(ours, theirs).map_err(|source| SnapshotMergeError {
                metric: theirs.name.clone(),
                source,
            })?;
        }
    }
    Ok(())
}

fn check_family<T: Value>(
    ours: &FamilySnapshot<T>,
    theirs: &FamilySnapshot<T>,
) -> Result<(), MergeError> {
    if ours.unit != theirs.unit {
        return Err(MergeError::Units {
            ours: ours.unit,
            theirs: theirs.unit,
        });
    }
    if ours.label_names != theirs.label_names {
        return Err(MergeError::Labels {
            ours: ours.label_names.clone(),
            theirs: theirs.label_names.clone(),
        });
    }
    // Series that only one side has must fit those of the other side too.
    if let (Some(one), Some(other)) = (ours.series.first(), theirs.series.first()) {
        one.value.check(&other.value)?;
    }
    for other in &theirs.series {
        let key = |series: &SeriesSnapshot<T>| series.label_values.cmp(&other.label_values);
        if let Ok(at) = ours.series.binary_search_by(key) {
            ours.series[at].value.check(&other.value)?;
        }
    }
    Ok(())
}

fn keep_time<T: Value>(family: &mut FamilySnapshot<T>, read_at: SystemTime, times: Times) {
    for series in &mut family.series {
        series.value.keep_time(read_at, times);
    }
}

fn merge_all<T: Value>(
    ours: &mut Vec<FamilySnapshot<T>>,
    theirs: &[FamilySnapshot<T>],
    times: Times,
) {
    join(
        ours,
        theirs,
        |a, b| a.name.cmp(&b.name),
        |side| match side {
            Side::Ours(family) => keep_time(family, times.ours, times),
            Side::Theirs(family) => keep_time(family, times.theirs, times),
            Side::Both(ours, theirs) => {
                if ours.help.is_empty() || (!theirs.help.is_empty() && theirs.help < ours.help) {
                    ours.help.clone_from(&theirs.help);
                }
                merge_series(&mut ours.series, &theirs.series, times);
            }
        },
    );
}

fn merge_series<T: Value>(
    ours: &mut Vec<SeriesSnapshot<T>>,
    theirs: &[SeriesSnapshot<T>],
    times: Times,
) {
    join(
        ours,
        theirs,
        |a, b| a.label_values.cmp(&b.label_values),
        |side| match side {
            Side::Ours(series) => series.value.keep_time(times.ours, times),
            Side::Theirs(series) => series.value.keep_time(times.theirs, times),
            Side::Both(ours, theirs) => ours.value.merge(&theirs.value, times),
        },
    );
}

/// Who has an item.
enum Side<'a, T> {
    Ours(&'a mut T),
    /// A copy of theirs, which is ours now.
    Theirs(&'a mut T),
    Both(&'a mut T, &'a T),
}

/// The union of two sorted lists.
fn join<T: Clone>(
    ours: &mut Vec<T>,
    theirs: &[T],
    order: impl Fn(&T, &T) -> Ordering,
    mut settle: impl FnMut(Side<'_, T>),
) {
    let mut all = Vec::with_capacity(ours.len().max(theirs.len()));
    let mut left = std::mem::take(ours).into_iter().peekable();
    let mut right = theirs.iter().peekable();
    loop {
        let next = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) => order(a, b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let mine = if next.is_le() { left.next() } else { None };
        let other = if next.is_ge() { right.next() } else { None };
        match (mine, other) {
            (Some(mut mine), Some(other)) => {
                settle(Side::Both(&mut mine, other));
                all.push(mine);
            }
            (Some(mut mine), None) => {
                settle(Side::Ours(&mut mine));
                all.push(mine);
            }
            (None, Some(other)) => {
                let mut other = other.clone();
                settle(Side::Theirs(&mut other));
                all.push(other);
            }
            (None, None) => {}
        }
    }
    *ours = all;
}
