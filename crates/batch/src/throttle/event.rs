//! [`ThrottleEvent`]: one change of a throttle; and the bounded log of them.

use std::collections::VecDeque;
use std::time::Duration;

use super::pressure::Reading;

/// How many events are kept.
const KEPT: usize = 64;

/// One change of a throttle.
///
/// There is one per change, however many items it holds back.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ThrottleEvent {
    /// Its number, from 1, without gaps.
    pub sequence: u64,
    /// What happened.
    pub change: ThrottleChange,
    /// The name of the source that is fullest; empty if none gave a reading.
    pub source: &'static str,
    /// What that source said.
    pub reading: Option<Reading>,
    /// When, by the throttle's clock.
    pub at: Duration,
}

/// What happened to a throttle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ThrottleChange {
    /// It closed: a source reached its threshold.
    Throttled,
    /// It opened: all sources are at their resume level or below.
    Released,
}

/// The latest events.
#[derive(Default)]
pub(super) struct EventLog {
    latest: VecDeque<ThrottleEvent>,
    sequence: u64,
}

impl EventLog {
    /// Enters an event and gives it its number.
    pub(super) fn enter(&mut self, mut event: ThrottleEvent) -> ThrottleEvent {
        self.sequence += 1;
        event.sequence = self.sequence;
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(event);
        event
    }

    pub(super) fn since(&self, sequence: u64) -> Vec<ThrottleEvent> {
        let events = self.latest.iter();
        events
            .filter(|event| event.sequence > sequence)
            .copied()
            .collect()
    }
}
