//! [`Event`]: one change of state; and the log that hands events to listeners.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::name::Name;
use crate::primitive::{Mutex, MutexGuard, lock};
use crate::state::State;

/// One change of a breaker's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Event {
    /// Its number in the log, from 1, without gaps. Breakers that were made from one template share
    /// a log.
    pub sequence: u64,
    /// The breaker; empty if it has no name.
    pub name: Name,
    /// What it was.
    pub from: State,
    /// What it became.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// How many times the state of this breaker had been set.
    pub generation: u64,
    /// When, by the breaker's clock.
    #[cfg_attr(feature = "serde", serde(with = "crate::duration"))]
    pub at: Duration,
}

/// Why a state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Reason {
    /// So many failures in a row or in the window.
    Failures,
    /// The share of failures in the window.
    FailureRate,
    /// The share of slow calls in the window.
    SlowCallRate,
    /// The open time was over, and a call came.
    OpenTimeOver,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// Too many probes failed.
    ProbesFailed,
    /// The probes did not decide it in time.
    ProbesOverdue,
    /// Somebody asked for it.
    Manual,
    /// It was imported.
    Imported,
}

/// Who is told of events, on the thread that changed the state.
pub(crate) type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// The latest events, and who is told of them.
///
/// Events are entered by the holder of a breaker's `BUSY` bit, so those of one breaker stand in the
/// order of its changes. Whoever enters one delivers afterwards, holding nothing: one thread at a
/// time takes event after event until none is left, so listeners are told once, in order, and may
/// do with breakers what they like. What they cause comes after what they were told.
pub(crate) struct EventLog {
    state: Mutex<LogState>,
    capacity: usize,
    listeners: Box<[Listener]>,
    panics: AtomicU64,
}

/// An event that was entered and that nobody sees yet.
#[must_use = "it is to go after the new state was published"]
pub(crate) struct Entered<'a> {
    _state: MutexGuard<'a, LogState>,
}

#[derive(Default)]
struct LogState {
    latest: VecDeque<Event>,
    /// The number of the latest event.
    sequence: u64,
    /// The number of the next event to be delivered is one more.
    delivered: u64,
    is_delivering: bool,
    /// Events that left the log before they were delivered.
    missed: u64,
}

impl EventLog {
    pub(crate) fn new(capacity: usize, listeners: Vec<Listener>) -> Self {
        Self {
            state: Mutex::new(LogState::default()),
            capacity: capacity.max(1),
            listeners: listeners.into(),
            panics: AtomicU64::new(0),
        }
    }

    /// Enters an event; its sequence is set here. No foreign code runs. Nobody sees it before what
    /// is returned goes.
    pub(crate) fn enter(&self, mut event: Event) -> Entered<'_> {
        let mut state = lock(&self.state);
        state.sequence += 1;
        event.sequence = state.sequence;
        if state.latest.len() >= self.capacity {
            state.latest.pop_front();
        }
        state.latest.push_back(event);
        if self.listeners.is_empty() {
            state.delivered = state.sequence;
        }
        Entered { _state: state }
    }

    /// Tells the listeners what they were not told yet, unless somebody is at it.
    pub(crate) fn deliver(&self) {
        if self.listeners.is_empty() {
            return;
        }
        let mut is_ours = false;
        loop {
            let event = {
                let mut state = lock(&self.state);
                if state.is_delivering && !is_ours {
                    return;
                }
                match state.next_undelivered() {
                    Some(event) => {
                        state.is_delivering = true;
                        is_ours = true;
                        event
                    }
                    None => {
                        state.is_delivering = false;
                        return;
                    }
                }
            };
            for listener in &self.listeners {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| listener(&event))) {
                    self.panics.fetch_add(1, Relaxed);
                    // What a panic carries may panic when it is dropped, and so may what that one
                    // carries; the second is leaked rather than dropped.
                    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                        std::mem::forget(second);
                    }
                }
            }
        }
    }

    /// The events after `sequence` that are still there, the oldest first.
    pub(crate) fn since(&self, sequence: u64) -> Vec<Event> {
        let state = lock(&self.state);
        let events = state.latest.iter();
        events
            .filter(|event| event.sequence > sequence)
            .cloned()
            .collect()
    }

    /// Events that no listener was told of, and calls of listeners that panicked.
    pub(crate) fn lost(&self) -> (u64, u64) {
        (lock(&self.state).missed, self.panics.load(Relaxed))
    }
}

impl LogState {
    fn next_undelivered(&mut self) -> Option<Event> {
        let oldest = self.latest.front()?.sequence;
        if oldest > self.delivered + 1 {
            self.missed += oldest - self.delivered - 1;
            self.delivered = oldest - 1;
        }
        let at = usize::try_from(self.delivered + 1 - oldest).ok()?;
        let event = self.latest.get(at)?.clone();
        self.delivered = event.sequence;
        Some(event)
    }
}
