//! [`Stats`]: the figures of a pool at one moment; [`Waits`]: how long callers waited.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::core::Core;
use crate::manager::{CloseReason, Manager};
use crate::places::record::{HOLD_BUCKETS, bucket_end};
use crate::primitive::lock;
use crate::shared::Shared;
use crate::upkeep::check::DEGRADED_AFTER;

/// Four buckets for each doubling, from 1 µs to about an hour: quantiles err by a quarter at most.
const WAIT_BUCKETS: usize = 128;

/// How long callers waited who did not get an idle resource at once.
pub(crate) struct Waits {
    buckets: [AtomicU64; WAIT_BUCKETS],
    count: AtomicU64,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }
}

impl Waits {
    pub(crate) fn record(&self, waited: Duration) {
        let nanos = brolly_sync::saturating_nanos(waited);
        self.buckets[bucket(nanos)].fetch_add(1, Relaxed);
        self.count.fetch_add(1, Relaxed);
        let sum = self.sum.fetch_add(nanos, Relaxed);
        if sum.checked_add(nanos).is_none() {
            self.sum.store(u64::MAX, Relaxed);
        }
        if nanos > self.max.load(Relaxed) {
            self.max.fetch_max(nanos, Relaxed);
        }
    }

    fn read(&self) -> WaitStats {
        let buckets = self.buckets.each_ref().map(|it| it.load(Relaxed));
        let count = buckets.iter().sum::<u64>();
        let max = self.max.load(Relaxed);
        let total = self.sum.load(Relaxed);
        let buckets: Vec<_> = (0..WAIT_BUCKETS)
            .filter(|it| buckets[*it] > 0)
            .map(|it| (Duration::from_nanos(upper_end(it)), buckets[it]))
            .collect();
        let max = Duration::from_nanos(max);
        WaitStats {
            count,
            total: Duration::from_nanos(total),
            mean: Duration::from_nanos(total / count.max(1)),
            p50: quantile(&buckets, 0.5).min(max),
            p95: quantile(&buckets, 0.95).min(max),
            p99: quantile(&buckets, 0.99).min(max),
            max,
            buckets,
        }
    }
}

/// The upper end of the bucket that this share of all falls into; buckets are times and numbers, the
/// shortest first. Zero where there are none.
pub(crate) fn quantile(buckets: &[(Duration, u64)], share: f64) -> Duration {
    let count: u64 = buckets.iter().map(|(_, count)| count).sum();
    let rank = ((count as f64 * share).ceil() as u64).max(1);
    let mut seen = 0;
    let bucket = buckets.iter().find(|(_, count)| {
        seen += count;
        seen >= rank
    });
    bucket.map_or(Duration::ZERO, |(end, _)| *end)
}

/// Micros in a floating-point manner: exponent, and two bits of mantissa.
fn bucket(nanos: u64) -> usize {
    let micros = nanos / 1000;
    if micros < 4 {
        return micros as usize;
    }
    let exponent = micros.ilog2();
    let mantissa = (micros >> (exponent - 2)) & 3;
    ((exponent - 1) as usize * 4 + mantissa as usize).min(WAIT_BUCKETS - 1)
}

/// The upper end of a bucket, in nanoseconds.
fn upper_end(bucket: usize) -> u64 {
    let next = bucket as u64 + 1;
    if next < 4 {
        return next * 1000;
    }
    let (exponent, mantissa) = (next / 4 + 1, next % 4);
    ((4 + mantissa) << (exponent - 2)).saturating_mul(1000)
}

/// The figures of a pool at one moment.
///
/// The sizes are read under one lock, so they always add up:
/// `idle + in_use + creating + reserved == size`. The counters are taken beside it and may differ
/// from the sizes by what happens meanwhile.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// The pool's name.
    pub name: String,
    /// How many resources there are, those included that are being created or closed.
    #[doc(alias = "total")]
    pub size: usize,
    /// How many there may be.
    pub max: usize,
    /// How many are kept, once the pool is warm.
    pub min: usize,
    /// How many are kept idle, once the pool is warm.
    pub min_idle: usize,
    /// How many can be had at once.
    pub idle: usize,
    /// How many are handed out, or granted to somebody who is about to wake up.
    #[doc(alias = "active")]
    pub in_use: usize,
    /// How many are being created.
    pub creating: usize,
    /// How many are being checked or closed.
    pub reserved: usize,
    /// How many were written off when their lease was over, and have not come back. Not part of
    /// `size`.
    pub abandoned: usize,
    /// How many callers are in line.
    pub waiting: usize,
    /// The most that were in use at once, as far as it was seen; exact with one shard and the
    /// hottest first.
    pub peak: usize,
    /// How often a resource was handed out.
    pub acquisitions: u64,
    /// Of these, how often an idle one was there.
    pub hits: u64,
    /// Of these, how often the caller had to wait, for a return, a check or a creation.
    pub misses: u64,
    /// Callers who ran out of time.
    #[doc(alias = "exhaustions")]
    pub timeouts: u64,
    /// Callers who would not wait and got nothing.
    pub refusals: u64,
    /// Callers who were told that no resource could be created.
    pub errors: u64,
    /// Resources that were created.
    #[doc(alias = "creations")]
    pub created: u64,
    /// Attempts to create that failed.
    pub create_failures: u64,
    /// Attempts to create that the gate did not let begin.
    pub gate_refusals: u64,
    /// Checks that failed.
    pub check_failures: u64,
    /// Resources that were closed, or are about to be, for any reason.
    #[doc(alias = "closures")]
    pub closed: u64,
    /// The same by reason, without those that never occurred.
    pub closed_by: Vec<(CloseReason, u64)>,
    /// How many were closed in a second, as a mean since the pool was built.
    pub churn_per_second: f64,
    /// Resources that were detached.
    pub detached: u64,
    /// Checkouts that were reported as leaks.
    pub leaks: u64,
    /// Those that came back after all.
    pub late_returns: u64,
    /// Leases that were ended.
    pub reclaimed: u64,
    /// How long those waited who had to.
    pub wait: WaitStats,
    /// For how long resources were held.
    pub hold: HoldStats,
    /// The share of `max` in use now: from 0 to 100, and more after the maximum was lowered.
    pub utilization: f64,
    /// The same as a mean over time, since the pool was built: what was held of what could have been,
    /// whatever the maximum was at the time.
    pub mean_utilization: f64,
    /// What could have been held since the pool was built: the maximum times the time that it was the
    /// maximum.
    pub capacity: Duration,
    /// How long ago the pool was built.
    pub age: Duration,
    /// Three checks in a row have failed, and none has passed since.
    pub is_degraded: bool,
    /// The pool is closed.
    pub is_closed: bool,
    /// How long ago idle resources were checked last.
    pub last_health_check: Option<Duration>,
}

/// How long callers waited. Quantiles are upper bounds, a quarter too high at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WaitStats {
    /// How many waited, and got something.
    pub count: u64,
    /// All together.
    pub total: Duration,
    /// The mean.
    pub mean: Duration,
    /// Half of them waited for no longer.
    pub p50: Duration,
    /// 95 of 100 waited for no longer.
    pub p95: Duration,
    /// 99 of 100 waited for no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
    /// How many waited for up to a time, as pairs of that time and the number, without those that are
    /// zero; each number counts what the one before does not.
    pub buckets: Vec<(Duration, u64)>,
}

/// For how long resources were held, by a coarse clock: single times err by a few milliseconds, the
/// total does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HoldStats {
    /// All together, those that last included.
    pub total: Duration,
    /// How many have ended.
    pub count: u64,
    /// The mean of those.
    pub mean: Duration,
    /// Half of them were over after this; an upper bound, four times too high at most, as are the
    /// next two. `Duration::MAX` beyond an hour.
    pub p50: Duration,
    /// 95 of 100 were over after this.
    pub p95: Duration,
    /// 99 of 100 were over after this.
    pub p99: Duration,
    /// How many ended within a time, as pairs of that time and the number; each number counts what
    /// the one before does not. The last time is `Duration::MAX`.
    pub buckets: Vec<(Duration, u64)>,
}

impl<M: Manager> Shared<M> {
    pub(crate) fn stats(&self) -> Stats {
        let now = self.time.coarse();
        let (mut acquisitions, mut held, mut lasting) = (0_u64, 0_u64, 0_u64);
        let mut times = [0_u64; HOLD_BUCKETS];
        for (_, record) in self.idle.records() {
            acquisitions += record.uses();
            held = held.saturating_add(record.held());
            if let Some(since) = record.held_since() {
                lasting = lasting.saturating_add(now.saturating_sub(since));
            }
            for (sum, count) in times.iter_mut().zip(record.hold_times()) {
                *sum += count;
            }
        }
        let hold = HoldStats::of(held, lasting, &times);
        let held = held.saturating_add(lasting);
        let wait = self.waits.read();
        let mut core = lock(&self.core);
        let idle = self.idle.idle();
        let in_use = core
            .size
            .saturating_sub(idle + core.checking + core.closing);
        core.peak = core.peak.max(in_use);
        let Core {
            size,
            max,
            min,
            min_idle,
            creating,
            ref counts,
            ..
        } = *core;
        let lived = now.saturating_sub(self.began);
        let capacity = core.capacity.until(now, max);
        let closed = counts.closed.iter().sum::<u64>();
        let misses = wait.count.min(acquisitions);
        Stats {
            name: self.rules.name.to_string(),
            size: size + creating,
            max,
            min,
            min_idle,
            idle,
            in_use,
            creating,
            reserved: core.checking + core.closing,
            abandoned: core.abandoned,
            waiting: core.line.waiting(),
            peak: core.peak,
            acquisitions,
            hits: acquisitions - misses,
            misses,
            timeouts: counts.timeouts,
            refusals: counts.refusals,
            errors: counts.errors,
            created: counts.created,
            create_failures: counts.create_failures,
            gate_refusals: counts.gate_refusals,
            check_failures: counts.check_failures,
            closed,
            churn_per_second: per_second(closed, lived),
            closed_by: CloseReason::ALL
                .into_iter()
                .zip(counts.closed)
                .filter(|(_, count)| *count > 0)
                .collect(),
            detached: counts.detached,
            leaks: counts.leaks,
            late_returns: counts.late_returns,
            reclaimed: counts.reclaimed,
            wait,
            hold,
            utilization: 100.0 * in_use as f64 / max as f64,
            mean_utilization: 100.0 * held as f64 / (capacity as f64).max(1.0),
            capacity: wide_nanos(capacity),
            age: Duration::from_nanos(lived),
            is_degraded: core.failed_checks >= DEGRADED_AFTER,
            is_closed: core.is_closed,
            last_health_check: counts
                .last_health_check
                .map(|at| Duration::from_nanos(now.saturating_sub(at))),
        }
    }
}

impl HoldStats {
    /// From what was held by those that have ended and those that last, in nanoseconds.
    fn of(ended: u64, lasting: u64, times: &[u64; HOLD_BUCKETS]) -> Self {
        let end = |bucket| match bucket_end(bucket) {
            u64::MAX => Duration::MAX,
            end => Duration::from_nanos(end),
        };
        let buckets: Vec<_> = (0..HOLD_BUCKETS).map(|it| (end(it), times[it])).collect();
        let count = times.iter().sum::<u64>();
        Self {
            total: Duration::from_nanos(ended.saturating_add(lasting)),
            count,
            mean: Duration::from_nanos(ended / count.max(1)),
            p50: quantile(&buckets, 0.5),
            p95: quantile(&buckets, 0.95),
            p99: quantile(&buckets, 0.99),
            buckets,
        }
    }
}

/// What could have been held up to now, for a maximum that changes: the area under it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    before: u128,
    since: u64,
}

impl Capacity {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            before: 0,
            since: now,
        }
    }

    /// In nanoseconds of one place, if `max` is the maximum since it was changed last.
    pub(crate) fn until(&self, now: u64, max: usize) -> u128 {
        let lately = u128::from(now.saturating_sub(self.since));
        self.before
            .saturating_add(lately.saturating_mul(max as u128))
    }

    /// The maximum, `max` up to now, changes.
    pub(crate) fn change(&mut self, now: u64, max: usize) {
        self.before = self.until(now, max);
        self.since = self.since.max(now);
    }
}

fn wide_nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    match u64::try_from(nanos / SECOND) {
        Ok(seconds) => Duration::new(seconds, (nanos % SECOND) as u32),
        Err(_) => Duration::MAX,
    }
}

/// A mean over time; zero where there was none.
fn per_second(count: u64, nanos: u64) -> f64 {
    match nanos {
        0 => 0.0,
        nanos => count as f64 * 1e9 / nanos as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_end_of_a_bucket_is_where_the_next_one_begins() {
        for number in 0..WAIT_BUCKETS - 1 {
            let end = upper_end(number);
            assert_eq!(bucket(end), number + 1, "bucket {number}");
            assert_eq!(bucket(end - 1), number, "bucket {number}");
        }
    }

    #[test]
    fn quantiles_of_waits_are_upper_bounds() {
        let waits = Waits::default();
        for millis in 1..=100 {
            waits.record(Duration::from_millis(millis));
        }
        let read = waits.read();
        assert_eq!(read.count, 100);
        assert_eq!(read.max, Duration::from_millis(100));
        assert!(read.p50 >= Duration::from_millis(50) && read.p50 < Duration::from_millis(63));
        assert!(read.p95 >= Duration::from_millis(95));
    }
}
