//! [`Shared`]: the state of one adaptive limit behind its lock, and the pool it moves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::Clock;

use super::search::Search;
use super::stats::{AdaptiveStats, LimitDecision, Verdict};
use super::window::Window;
use crate::primitive::{AtomicU64, Mutex, Ordering, lock};
use crate::worker_pool::WorkerPool;

/// How many decisions are kept.
const HISTORY: usize = 64;

#[derive(Debug)]
pub(super) struct Shared {
    clock: Arc<dyn Clock>,
    pool: WorkerPool,
    /// The least number of successes in a window.
    least_samples: usize,
    in_flight: AtomicU64,
    /// Raised when items that run already no longer count. Written under the lock; a reader that is
    /// late has its sample left out, or judged by a limit that it missed by a moment.
    epoch: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    search: Search,
    window: Window,
    history: VecDeque<LimitDecision>,
    successes: u64,
    overloads: u64,
    ignored: u64,
    decisions: u64,
}

impl Shared {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        pool: WorkerPool,
        search: Search,
        least_samples: usize,
    ) -> Self {
        Self {
            clock,
            pool,
            least_samples,
            in_flight: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            state: Mutex::new(State {
                search,
                window: Window::default(),
                history: VecDeque::new(),
                successes: 0,
                overloads: 0,
                ignored: 0,
                decisions: 0,
            }),
        }
    }

    pub(super) fn pool(&self) -> &WorkerPool {
        &self.pool
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Counts an item in, and returns how many are in flight with it.
    pub(super) fn enter(&self) -> usize {
        let others = self.in_flight.fetch_add(1, Ordering::Relaxed);
        usize::try_from(others)
            .unwrap_or(usize::MAX)
            .saturating_add(1)
    }

    /// Counts an item out, and decides if that makes a window.
    pub(super) fn leave(&self, outcome: Verdict, started: Duration, epoch: u64, in_flight: usize) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let now = self.now();
        let moved = {
            let mut state = lock(&self.state);
            state.count(outcome);
            if epoch != self.epoch() || outcome == Verdict::Ignored {
                return;
            }
            match outcome {
                Verdict::Success => {
                    let latency = now.saturating_sub(started);
                    state.window.success(latency, in_flight);
                }
                Verdict::Overload => state.window.overload(in_flight),
                Verdict::Ignored => {}
            }
            self.decide(&mut state, now)
        };
        if moved {
            self.apply();
        }
    }

    /// Whether the limit changed.
    fn decide(&self, state: &mut State, now: Duration) -> bool {
        let limit = state.search.limit();
        let Some(seen) = state.window.end(self.least_samples, limit) else {
            return false;
        };
        let from = state.search.whole_limit();
        let step = state.search.step(&seen);
        let to = state.search.whole_limit();
        if step.new_epoch {
            self.epoch.fetch_add(1, Ordering::Relaxed);
        }
        if state.history.len() == HISTORY {
            state.history.pop_front();
        }
        state.decisions = state.decisions.saturating_add(1);
        state.history.push_back(LimitDecision {
            at: now,
            from,
            to,
            reason: step.reason,
            latency: seen.mean,
            baseline: state.search.baseline(),
            in_flight: seen.most_in_flight,
            samples: seen.samples,
        });
        from != to
    }

    /// Brings the pool to the limit, without the lock, since a resize wakes those who wait. Others
    /// may do so at the same time with an older or a newer limit: whoever sets one looks once more,
    /// so the last one set is the last one decided.
    fn apply(&self) {
        loop {
            let limit = self.limit();
            let resized = self.pool.resize(limit);
            debug_assert!(resized.is_ok(), "limits stay within checked bounds");
            if self.limit() == limit {
                return;
            }
        }
    }

    pub(super) fn limit(&self) -> usize {
        lock(&self.state).search.whole_limit()
    }

    pub(super) fn history(&self) -> Vec<LimitDecision> {
        lock(&self.state).history.iter().copied().collect()
    }

    pub(super) fn stats(&self) -> AdaptiveStats {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let state = lock(&self.state);
        AdaptiveStats {
            limit: state.search.whole_limit(),
            in_flight: usize::try_from(in_flight).unwrap_or(usize::MAX),
            baseline: state.search.baseline(),
            successes: state.successes,
            overloads: state.overloads,
            ignored: state.ignored,
            decisions: state.decisions,
        }
    }
}

impl State {
    fn count(&mut self, outcome: Verdict) {
        let counter = match outcome {
            Verdict::Success => &mut self.successes,
            Verdict::Overload => &mut self.overloads,
            Verdict::Ignored => &mut self.ignored,
        };
        *counter = counter.saturating_add(1);
    }
}
