//! Looking at a breaker, taking its state along, and putting it back.

use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use super::{Gate, Probes};
use crate::event::Reason;
use crate::primitive::Spin;
use crate::saved::{ImportError, SavedSlice, SavedState, SavedWindow};
use crate::settings::{LARGEST_COUNT_WINDOW, nanos};
use crate::snapshot::{Snapshot, TotalCounts, WindowCounts};
use crate::state::State;
use crate::totals::Counter;
use crate::window::{Counts, Sample, Window};

impl Gate {
    /// The state as a call would meet it at this time.
    pub(crate) fn state(&self) -> State {
        let now = self.now();
        let mut spin = Spin::default();
        loop {
            let word = self.load();
            // As in `deadline_of`, with the precise time.
            let until = self.until.load(Acquire);
            let again = self.load();
            if again.is_same_epoch(word) && !again.is_busy() {
                return state_at(word.state(), until, now);
            }
            spin.wait();
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let mut busy = self.busy();
        self.gather_in(&mut busy);
        let (word, until) = (busy.word, self.until.load(Relaxed));
        let is_half_open = word.state() == State::HalfOpen;
        let cells = self.word.load(Relaxed);
        let counts = match is_half_open {
            true => Counts::default(),
            false => self.body.window.counts_at(self.cells(), now),
        };
        let openings = self.openings.load(Relaxed);
        drop(busy);
        let probes = match is_half_open {
            true => Probes::unpack(cells),
            false => Probes::default(),
        };
        let state = state_at(word.state(), until, now);
        let sum = self.totals.sum();
        let total = |counter: Counter| sum.of(counter);
        Snapshot {
            name: self.name().clone(),
            state,
            generation: word.generation(),
            retry_after: (state == State::Open && word.state() == State::Open && until != u64::MAX)
                .then(|| Duration::from_nanos(until.saturating_sub(now))),
            openings_in_a_row: openings.into(),
            window: WindowCounts {
                calls: counts.calls,
                failures: counts.failures,
                slow_calls: counts.slow,
            },
            probes_in_flight: probes.in_flight.into(),
            probe_successes: probes.successes.into(),
            probe_failures: probes.failures.into(),
            totals: TotalCounts {
                successes: total(Counter::Successes),
                failures: total(Counter::Failures),
                ignored: total(Counter::Ignored),
                cancelled: total(Counter::Cancelled),
                rejected: total(Counter::Rejected),
                slow_calls: total(Counter::Slow),
                opened: sum.opened,
            },
            last_failure_age: sum
                .last_failure()
                .map(|at| Duration::from_nanos(now.saturating_sub(at))),
        }
    }

    pub(crate) fn export(&self) -> SavedState {
        let now = self.now();
        let mut busy = self.busy();
        self.gather_in(&mut busy);
        let (state, until) = (busy.word.state(), self.until.load(Relaxed));
        let window = match &self.body.window {
            // It is cleared before anybody looks at it again.
            _ if !state.admits_all() => SavedWindow::Empty,
            Window::Consecutive => SavedWindow::Consecutive {
                failures: self.body.window.counts(self.cells()).failures,
            },
            Window::Word { .. } => {
                let bits = self.word.load(Relaxed);
                let filled = self.filled.load(Relaxed);
                let samples = (0..filled).rev().map(|at| Sample {
                    failed: bits >> at & 1 == 1,
                    slow: false,
                });
                SavedWindow::calls(samples)
            }
            Window::Ring(ring) => SavedWindow::calls(ring.samples()),
            Window::Buckets(buckets) => {
                buckets.advance(now);
                let slices = buckets.slices();
                let slices = slices
                    .map(|(age, counts)| SavedSlice::new(age, counts))
                    .collect();
                SavedWindow::Slices {
                    width: Some(Duration::from_nanos(buckets.width())),
                    slices,
                }
            }
        };
        let openings = self.openings.load(Relaxed);
        drop(busy);
        SavedState {
            state,
            open_for: match state {
                State::Open if until != u64::MAX => {
                    Some(Duration::from_nanos(until.saturating_sub(now)))
                }
                _ => None,
            },
            openings_in_a_row: openings.into(),
            window,
        }
    }

    pub(crate) fn import(&self, saved: &SavedState) -> Result<(), ImportError> {
        let samples = saved.window.check(&self.body.window)?;
        // Probes belong to the process that sent them out: here the next call is the first one.
        let (to, until) = match saved.state {
            State::HalfOpen => (State::Open, Some(0)),
            State::Open => (State::Open, Some(saved.open_for.map_or(u64::MAX, nanos))),
            other => (other, None),
        };
        let now = self.now();
        let until = until.map(|left: u64| now.saturating_add(left));
        let mut busy = self.busy();
        // Clears the window, too, unless it ends up open: then nobody asks what is in it.
        self.openings.store(0, Relaxed);
        self.body.window.clear(self.cells());
        let entered = self.change(&mut busy, to, Reason::Imported, now, until);
        let openings = u16::try_from(saved.openings_in_a_row).unwrap_or(u16::MAX);
        self.openings.store(openings, Relaxed);
        if matches!(to, State::Closed | State::MetricsOnly) {
            let mut counts = self.body.window.counts(self.cells());
            match (&self.body.window, &saved.window) {
                (Window::Buckets(buckets), SavedWindow::Slices { width, slices }) => {
                    let ours = buckets.width();
                    let theirs = width.map_or(ours, nanos);
                    let slices = slices.iter().map(|slice| slice.counts_in(ours, theirs));
                    buckets.restore(now, slices);
                    counts = buckets.counts();
                }
                (Window::Consecutive, SavedWindow::Consecutive { failures }) => {
                    self.word.store(u64::from(*failures), Relaxed);
                    counts.failures = *failures;
                }
                (window, _) => {
                    // Earlier ones would leave any window again.
                    let first = samples.len().saturating_sub(LARGEST_COUNT_WINDOW as usize);
                    for sample in &samples[first..] {
                        counts = window.push(self.cells(), *sample, now);
                    }
                }
            }
            busy.word = busy.word.with_quiet(self.body.window.is_quiet(counts));
        }
        drop(busy);
        drop(entered);
        self.log().deliver();
        Ok(())
    }
}

fn state_at(state: State, until: u64, now: u64) -> State {
    match state {
        State::Open if now >= until && until != u64::MAX => State::HalfOpen,
        State::HalfOpen if now >= until && until != u64::MAX => State::Open,
        other => other,
    }
}
