//! [`Timeline`]: the snapshots of the last minutes, for what is asked over a window.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use brolly_metrics_core::Snapshot;

use crate::steady_time::SteadyTime;

/// Into how many steps the span is divided.
const STEPS: u32 = 30;

/// The newest snapshot and enough older ones to look back over a span of time.
///
/// Keeps at most 32 snapshots, however often one comes: of those within a thirtieth of the span
/// only the first is kept. Time is that of the snapshots; a step back counts as no time passing.
#[derive(Clone, Debug)]
pub struct Timeline {
    span: Duration,
    time: SteadyTime,
    kept: VecDeque<(Duration, Arc<Snapshot>)>,
    newest: Option<(Duration, Arc<Snapshot>)>,
}

impl Timeline {
    /// A timeline over which one can look back this far.
    #[must_use]
    pub fn new(span: Duration) -> Self {
        Self {
            span,
            time: SteadyTime::default(),
            kept: VecDeque::new(),
            newest: None,
        }
    }

    /// Adds a snapshot, which becomes the newest.
    pub fn push(&mut self, snapshot: Arc<Snapshot>) {
        let since_epoch = snapshot.timestamp.duration_since(SystemTime::UNIX_EPOCH);
        let at = since_epoch.unwrap_or_default();
        let now = self.time.advance(at, Duration::MAX);
        if let Some((time, before)) = self.newest.take() {
            let step = self.span / STEPS;
            let last = self.kept.back().map(|(last, _)| *last);
            if last.is_none_or(|last| time.saturating_sub(last) >= step) {
                self.kept.push_back((time, before));
            }
        }
        // One that is older than the span is enough to look back over it.
        while self.kept.len() > 1 && now.saturating_sub(self.kept[1].0) >= self.span {
            self.kept.pop_front();
        }
        // Rounding of the step cannot make it more than this.
        while self.kept.len() > STEPS as usize + 1 {
            self.kept.pop_front();
        }
        self.newest = Some((now, snapshot));
    }

    /// The newest snapshot.
    #[must_use]
    pub fn newest(&self) -> Option<&Arc<Snapshot>> {
        self.newest.as_ref().map(|(_, snapshot)| snapshot)
    }

    /// A snapshot about `window` older than the newest, and by how much: the newest of those that
    /// are at least that old, or the oldest there is. None when there is no time between any older
    /// snapshot and the newest.
    #[must_use]
    pub fn back(&self, window: Duration) -> Option<(&Arc<Snapshot>, Duration)> {
        let (now, _) = self.newest.as_ref()?;
        let age = |time: &Duration| now.saturating_sub(*time);
        let old = self.kept.partition_point(|(time, _)| age(time) >= window);
        let (time, snapshot) = self.kept.get(old.saturating_sub(1))?;
        let age = age(time);
        (!age.is_zero()).then_some((snapshot, age))
    }
}
