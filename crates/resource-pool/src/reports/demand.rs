//! [`Demand`]: what a pool was asked for within some time, as an adviser of sizes wants it; and
//! [`scaling_signal`], the short answer.

use std::time::Duration;

use crate::reports::stats::{Stats, quantile};

/// What a pool was asked for between two looks at its figures.
///
/// The shape is what sizing formulas ask for: `arrivals_per_second` and `hold_seconds` make the
/// offered load in Erlang, and the rest says how well the present size copes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Demand {
    /// How long the time between the two looks was.
    pub over: Duration,
    /// How many asked: those who were served, those who ran out of time, were refused or told an
    /// error, and by how many the line has grown. Who gave up by itself is not known.
    pub arrivals: u64,
    /// The same in a second.
    pub arrivals_per_second: f64,
    /// How many were handed a resource.
    pub served: u64,
    /// Of these, how many got an idle one at once.
    pub hits: u64,
    /// Of these, how many had to wait, for a return, a check or a creation.
    pub misses: u64,
    /// Attempts to create and checks that failed.
    pub errors: u64,
    /// Callers who got nothing because everything was taken: out of time, or not willing to wait.
    pub exhaustions: u64,
    /// Resources that were closed, in a second.
    pub churn_per_second: f64,
    /// The mean time that a resource was held, by Little's law: the mean number in use, divided by
    /// how many were served in a second. `None` when nobody was served.
    pub hold_seconds: Option<f64>,
    /// The mean time that those who were served had waited, who did not wait at all included.
    /// `None` when nobody was served.
    pub wait_seconds: Option<f64>,
    /// Half of those who were served had waited for no longer; an upper bound, a quarter too high at
    /// most, as are the next two.
    pub wait_p50: Duration,
    /// 95 of 100 had waited for no longer.
    pub wait_p95: Duration,
    /// 99 of 100 had waited for no longer.
    pub wait_p99: Duration,
    /// How many were in use, as a mean over the time.
    pub mean_in_use: f64,
    /// The same as a share of how many there could have been: from 0 to 1, and more while more are held
    /// than a maximum that was lowered.
    pub mean_utilization: f64,
    /// How many are in use now.
    pub in_use: usize,
    /// How many are idle now.
    pub idle: usize,
    /// How many callers are in line now.
    pub waiting: usize,
    /// The minimum, now.
    pub min: usize,
    /// The maximum, now.
    pub max: usize,
}

impl Demand {
    /// What happened between two looks at the same pool. The earlier one may be missing: then it is
    /// everything since the pool was built.
    #[must_use]
    pub fn between(before: Option<&Stats>, after: &Stats) -> Self {
        let since = |count: fn(&Stats) -> u64| {
            let before = before.map_or(0, count);
            count(after).saturating_sub(before)
        };
        let past = |time: fn(&Stats) -> Duration| {
            let before = before.map_or(Duration::ZERO, time);
            time(after).saturating_sub(before).as_secs_f64()
        };
        let over = past(|it| it.age);
        let per_second = |amount: f64| if over > 0.0 { amount / over } else { 0.0 };
        let (served, misses) = (since(|it| it.acquisitions), since(|it| it.wait.count));
        let misses = misses.min(served);
        let exhaustions = since(|it| it.timeouts.saturating_add(it.refusals));
        let grown = after
            .waiting
            .saturating_sub(before.map_or(0, |it| it.waiting));
        let arrivals = served
            .saturating_add(exhaustions)
            .saturating_add(since(|it| it.errors))
            .saturating_add(grown as u64);
        let per_served = |amount: f64| (served > 0).then(|| amount / served as f64);
        let held = past(|it| it.hold.total);
        let capacity = past(|it| it.capacity);
        let waits = fresh_waits(before, after, served - misses);
        Self {
            over: after
                .age
                .saturating_sub(before.map_or(Duration::ZERO, |it| it.age)),
            arrivals,
            arrivals_per_second: per_second(arrivals as f64),
            served,
            hits: served - misses,
            misses,
            errors: since(|it| it.create_failures.saturating_add(it.check_failures)),
            exhaustions,
            churn_per_second: per_second(since(|it| it.closed) as f64),
            hold_seconds: per_served(held),
            wait_seconds: per_served(past(|it| it.wait.total)),
            wait_p50: quantile(&waits, 0.5),
            wait_p95: quantile(&waits, 0.95),
            wait_p99: quantile(&waits, 0.99),
            mean_in_use: per_second(held),
            mean_utilization: if capacity > 0.0 { held / capacity } else { 0.0 },
            in_use: after.in_use,
            idle: after.idle,
            waiting: after.waiting,
            min: after.min,
            max: after.max,
        }
    }

    /// How many resources would be in use on average if everybody who asked was served: arrivals
    /// times hold, in Erlang. Where nobody was served, what is in use and in line now.
    #[must_use]
    pub fn offered_load(&self) -> f64 {
        match self.hold_seconds {
            Some(hold) => self.arrivals_per_second * hold,
            None => (self.in_use as f64 + self.waiting as f64).max(self.mean_in_use),
        }
    }
}

/// How long those waited who were served meanwhile: times and numbers, those who did not wait first.
fn fresh_waits(before: Option<&Stats>, after: &Stats, hits: u64) -> Vec<(Duration, u64)> {
    let earlier = before.map_or(&[][..], |it| &it.wait.buckets);
    let count_before = |end: Duration| {
        let found = earlier.binary_search_by_key(&end, |(end, _)| *end);
        found.map_or(0, |at| earlier[at].1)
    };
    let fresh = after
        .wait
        .buckets
        .iter()
        .map(|&(end, count)| (end, count.saturating_sub(count_before(end))));
    std::iter::once((Duration::ZERO, hits))
        .chain(fresh)
        .collect()
}

/// Which way a pool's size should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Scale {
    /// More than 80 % are in use, or somebody waits.
    Up,
    /// It is right.
    Stay,
    /// Less than 30 % are in use, and nobody waits.
    Down,
}

/// What the figures of one moment say about the size of a pool.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Signal {
    /// Which way.
    pub scale: Scale,
    /// The share of the maximum in use: from 0 to 1, and more after the maximum was lowered.
    pub utilization: f64,
    /// How many wait for each resource that there may be; 0 when nobody waits.
    pub queue_pressure: f64,
}

const BUSY: f64 = 0.8;
const QUIET: f64 = 0.3;

/// Which way a pool should be scaled, by the figures of one moment. A closed pool stays.
///
/// One moment is all it knows: to act by it is to follow every burst. [`Controller`](crate::Controller)
/// looks at the time between.
#[must_use]
pub fn scaling_signal(stats: &Stats) -> Signal {
    let max = stats.max.max(1) as f64;
    let utilization = stats.in_use as f64 / max;
    let scale = match (stats.is_closed, stats.waiting) {
        (true, _) => Scale::Stay,
        (false, 1..) => Scale::Up,
        (false, 0) if utilization > BUSY => Scale::Up,
        (false, 0) if utilization < QUIET => Scale::Down,
        (false, 0) => Scale::Stay,
    };
    Signal {
        scale,
        utilization,
        queue_pressure: stats.waiting as f64 / max,
    }
}
