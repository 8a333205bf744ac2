//! [`Sampler`]: reads the sources now and then, and knows whether the throttle is open.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use brolly_sync::Timer;

use super::error::Throttled;
use super::event::{EventLog, ThrottleChange, ThrottleEvent};
use super::level::Level;
use super::line::Line;
use super::pressure::{Pressure, Reading};
use super::stats::ThrottleStats;
use crate::panic::{contained, wake};
use crate::primitive::{AtomicU64, Mutex, Ordering, lock};

/// Who is told of changes, on the thread that read the sources.
pub(super) type Listener = Box<dyn Fn(&ThrottleEvent) + Send + Sync>;

pub(super) struct Source {
    /// Asked for once: it is foreign code.
    name: &'static str,
    pressure: Box<dyn Pressure>,
    level: Level,
}

impl Source {
    pub(super) fn new(pressure: Box<dyn Pressure>, level: Level) -> Self {
        Self {
            name: pressure.name(),
            pressure,
            level,
        }
    }

    fn read(&self) -> Option<Reading> {
        let mut reading = None;
        contained(|| reading = self.pressure.read());
        reading.filter(|reading| !reading.percent.is_nan())
    }
}

/// What one look at the throttle shows.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) is_open: bool,
    /// Looking again before this time shows the same.
    pub(super) next: Duration,
}

/// Invariants:
///
/// 1. Who has set `sampling` reads the sources and publishes, and nobody else; so changes are in
///    order and listeners are told of each once, in order.
/// 2. `phase` changes under the lock of `state` only, and joining the line checks it under the same
///    lock. So either a waiter finds the throttle open, or the opening finds the waiter.
pub(super) struct Sampler {
    timer: Arc<dyn Timer>,
    max_wait: Duration,
    interval: Duration,
    sources: Box<[Source]>,
    listener: Option<Listener>,
    /// The time in nanoseconds before which the sources are not read again.
    due: AtomicU64,
    /// 1 while somebody reads the sources.
    sampling: AtomicU64,
    /// How often the throttle has changed: odd while it is closed.
    phase: AtomicU64,
    admitted: AtomicU64,
    refused: AtomicU64,
    state: Mutex<State>,
}

struct State {
    line: Line,
    log: EventLog,
    /// Whether each source is high.
    high: Box<[bool]>,
    /// The source that is fullest, and what it said.
    fullest: Option<(usize, Reading)>,
    closed_at: Duration,
    closed_total: Duration,
    waited_total: Duration,
    samples: u64,
    silent: u64,
}

impl Sampler {
    /// Reads the sources for the first time.
    pub(super) fn new(
        timer: Arc<dyn Timer>,
        (max_wait, interval): (Duration, Duration),
        sources: Vec<Source>,
        listener: Option<Listener>,
    ) -> Self {
        let sampler = Self {
            state: Mutex::new(State {
                line: Line::default(),
                log: EventLog::default(),
                high: vec![false; sources.len()].into(),
                fullest: None,
                closed_at: Duration::ZERO,
                closed_total: Duration::ZERO,
                waited_total: Duration::ZERO,
                samples: 0,
                silent: 0,
            }),
            timer,
            max_wait,
            interval,
            sources: sources.into(),
            listener,
            due: AtomicU64::new(0),
            sampling: AtomicU64::new(0),
            phase: AtomicU64::new(0),
            admitted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        sampler.look(sampler.timer.now());
        sampler
    }

    pub(super) fn timer(&self) -> &Arc<dyn Timer> {
        &self.timer
    }

    pub(super) fn max_wait(&self) -> Duration {
        self.max_wait
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Whether work may start, by a reading that is not older than the interval and what the cheap
    /// clock lags.
    pub(super) fn is_open(&self) -> bool {
        self.sources.is_empty() || self.look(self.timer.coarse()).is_open
    }

    /// How often the throttle has changed.
    pub(super) fn phase(&self) -> u64 {
        self.phase.load(Ordering::Relaxed)
    }

    /// Looks at the throttle, reading the sources if that is due and nobody is at it.
    pub(super) fn look(&self, now: Duration) -> Look {
        // Relaxed: at worst somebody tries to sample too early, and is stopped below.
        let due = Duration::from_nanos(self.due.load(Ordering::Relaxed));
        if now < due {
            return self.cached(due);
        }
        // Acquire pairs with the release in `Turn::drop`: whoever reads the sources sees what the
        // one before has left.
        if self.sampling.swap(1, Ordering::Acquire) != 0 {
            return self.cached(now.saturating_add(self.interval));
        }
        let _turn = Turn(self);
        let due = Duration::from_nanos(self.due.load(Ordering::Relaxed));
        if now < due {
            return self.cached(due);
        }
        self.sample();
        // Counted from the end, so that slow sources are not read without a pause.
        let next = self.timer.now().saturating_add(self.interval);
        let nanos = u64::try_from(next.as_nanos()).unwrap_or(u64::MAX);
        self.due.store(nanos, Ordering::Relaxed);
        self.cached(next)
    }

    /// Takes a place in line, or keeps it. `None` if the throttle is open, else whether the place is
    /// the first.
    pub(super) fn join(&self, ticket: &mut Option<u64>, waker: Waker) -> Option<bool> {
        let mut state = lock(&self.state);
        if !self.is_closed() {
            drop(state);
            drop(waker);
            return None;
        }
        let (stale, is_first) = state.line.join(ticket, waker);
        drop(state);
        drop(stale);
        Some(is_first)
    }

    /// Gives a place in line back.
    pub(super) fn leave(&self, ticket: u64, waited: Duration) {
        let (next, own) = {
            let mut state = lock(&self.state);
            state.waited_total = state.waited_total.saturating_add(waited);
            state.line.leave(ticket)
        };
        // Places are given back in destructors, where a second panic would end the process.
        contained(|| drop(own));
        if let Some(next) = next {
            wake(next);
        }
    }

    pub(super) fn count_admitted(&self) {
        self.admitted.fetch_add(1, Ordering::Relaxed);
    }

    /// The error for one that has waited so long.
    pub(super) fn refuse(&self, waited: Duration) -> Throttled {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let fullest = lock(&self.state).fullest;
        let (source_name, reading) = self.named(fullest);
        Throttled {
            source_name,
            used: reading.map_or(0, |reading| reading.used),
            limit: reading.map_or(0, |reading| reading.limit),
            percent: reading.map_or(0.0, |reading| reading.percent),
            waited,
        }
    }

    pub(super) fn stats(&self) -> ThrottleStats {
        let now = self.timer.now();
        let state = lock(&self.state);
        let phase = self.phase();
        let throttled = phase % 2 == 1;
        let closed_now = if throttled {
            now.saturating_sub(state.closed_at)
        } else {
            Duration::ZERO
        };
        let (source, reading) = self.named(state.fullest);
        ThrottleStats {
            source,
            used: reading.map_or(0, |reading| reading.used),
            limit: reading.map_or(0, |reading| reading.limit),
            percent: reading.map_or(0.0, |reading| reading.percent),
            throttled,
            throttles: phase.div_ceil(2),
            releases: phase / 2,
            admitted: self.admitted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            waiting: state.line.len(),
            waited_total: state.waited_total,
            throttled_total: state.closed_total.saturating_add(closed_now),
            samples: state.samples,
            silent: state.silent,
        }
    }

    pub(super) fn events_since(&self, sequence: u64) -> Vec<ThrottleEvent> {
        lock(&self.state).log.since(sequence)
    }

    fn is_closed(&self) -> bool {
        self.phase() % 2 == 1
    }

    fn cached(&self, next: Duration) -> Look {
        Look {
            is_open: !self.is_closed(),
            next,
        }
    }

    /// Reads the sources and publishes what they say. By invariant 1 only one thread is here.
    fn sample(&self) {
        // Foreign code, so no lock is held.
        let readings: Vec<_> = self.sources.iter().map(Source::read).collect();
        let at = self.timer.now();

        let mut state = lock(&self.state);
        state.samples += 1;
        let mut fullest = None;
        for (index, (source, reading)) in self.sources.iter().zip(&readings).enumerate() {
            let percent = reading.map(|reading| reading.percent);
            state.silent += u64::from(percent.is_none());
            let high = source.level.is_high(state.high[index], percent);
            state.high[index] = high;
            if let Some(reading) = *reading {
                // Whoever is high comes first, then whoever is nearest to the own threshold.
                let share = reading.percent / f64::from(source.level.threshold.max(1));
                let rank = (high, share);
                if fullest.is_none_or(|(_, _, other)| rank > other) {
                    fullest = Some((index, reading, rank));
                }
            }
        }
        state.fullest = fullest.map(|(index, reading, _)| (index, reading));
        let close = state.high.contains(&true);
        if close == self.is_closed() {
            return;
        }

        let change = if close {
            state.closed_at = at;
            ThrottleChange::Throttled
        } else {
            let closed = at.saturating_sub(state.closed_at);
            state.closed_total = state.closed_total.saturating_add(closed);
            ThrottleChange::Released
        };
        self.phase.fetch_add(1, Ordering::Relaxed);
        let (source, reading) = self.named(state.fullest);
        let event = state.log.enter(ThrottleEvent {
            sequence: 0,
            change,
            source,
            reading,
            at,
        });
        let wakers = if close {
            Vec::new()
        } else {
            state.line.take_wakers()
        };
        drop(state);

        for waker in wakers {
            wake(waker);
        }
        if let Some(listener) = &self.listener {
            contained(|| listener(&event));
        }
    }

    /// A reading with the name of its source.
    fn named(&self, fullest: Option<(usize, Reading)>) -> (&'static str, Option<Reading>) {
        match fullest {
            Some((index, reading)) => (self.sources[index].name, Some(reading)),
            None => ("", None),
        }
    }
}

/// The right to read the sources, given back even if something panics.
struct Turn<'a>(&'a Sampler);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.sampling.store(0, Ordering::Release); // pairs with the swap in `look`
    }
}
