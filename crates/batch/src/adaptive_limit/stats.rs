//! What an adaptive limit has decided and why: [`LimitDecision`], [`LimitReason`], [`AdaptiveStats`].

use std::time::Duration;

/// How an item ended, as far as the limit is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It was done; its latency counts.
    Success,
    /// It was refused, or timed out: a sign that there were too many.
    Overload,
    /// It says nothing about load: a bad request, a cached answer, a cancelled item.
    Ignored,
}

/// Why a limit changed, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum LimitReason {
    /// The first window: queues were filling and connections were opened, so it was left out.
    Start,
    /// All went well with the limit in use, so it grew.
    Grow,
    /// Less than half of the limit was in use, so nothing was learnt and nothing changed.
    Idle,
    /// An item ended with [`Verdict::Overload`], so the limit shrank.
    Overload,
    /// Latency was more than is tolerated, so the limit shrank.
    Latency,
    /// The limit was halved for one window, to see the latency without a queue.
    Probe,
    /// There was no more of a queue than is tolerated: the limit is what it was before.
    Probed,
    /// Half of the limit was much faster, since the rest was a queue: half is the limit now.
    ProbeKept,
}

/// One decision, made at the end of a window of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LimitDecision {
    /// When, by the limit's clock.
    pub at: Duration,
    /// The limit before.
    pub from: usize,
    /// The limit after.
    pub to: usize,
    /// Why.
    pub reason: LimitReason,
    /// The mean latency of the window's successes, if there were any.
    pub latency: Option<Duration>,
    /// What latency was compared with, once it is known. Always `None` for AIMD.
    pub baseline: Option<Duration>,
    /// The most items that were in flight together.
    pub in_flight: usize,
    /// How many items the window consisted of.
    pub samples: u32,
}

/// The state of an [`AdaptiveLimit`](super::AdaptiveLimit) at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AdaptiveStats {
    /// The limit.
    pub limit: usize,
    /// Samples that have started and not ended.
    pub in_flight: usize,
    /// What latency is compared with, once it is known. Always `None` for AIMD.
    pub baseline: Option<Duration>,
    /// How many samples ended with [`Verdict::Success`].
    pub successes: u64,
    /// How many samples ended with [`Verdict::Overload`].
    pub overloads: u64,
    /// How many samples ended with [`Verdict::Ignored`], or were dropped.
    pub ignored: u64,
    /// How many decisions were made, including those that changed nothing.
    pub decisions: u64,
}
