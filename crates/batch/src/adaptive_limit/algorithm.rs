//! [`LimitAlgorithm`]: how a limit is found, with the settings of each way.

use std::time::Duration;

use crate::config::{checked_duration, checked_size};
use crate::error::ConfigError;

/// How an [`AdaptiveLimit`](super::AdaptiveLimit) finds its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum LimitAlgorithm {
    /// For services that say when they have too much.
    Aimd(Aimd),
    /// For services that only get slower.
    Gradient(Gradient),
}

/// Additive increase, multiplicative decrease, as in TCP (Chiu and Jain, 1989): a step up for each
/// window of successes, down to a fraction at a sign of overload.
///
/// A sign is an item that ended with [`Verdict::Overload`](super::Verdict::Overload), and, if a
/// latency is set, a window whose mean latency was more. Without a latency and without such
/// outcomes the limit grows to its maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct Aimd {
    /// What is added for a window of successes: 1 to 1,024; 1 by default.
    pub increase: usize,
    /// What is left after a sign of overload, in percent: 10 to 99; 90 by default.
    pub decrease_percent: usize,
    /// The mean latency above which a window is a sign of overload; none by default.
    pub latency: Option<Duration>,
}

/// Latency against the latency of an unloaded service: what is more than that is time in a queue.
///
/// The idea is that of Gradient2 in Netflix's concurrency-limits; the measure of an unloaded
/// service is another. A long-term average learns the latency of a steady overload, takes it for
/// normal, and lets the limit grow without end. Here the baseline is the least mean latency of a
/// window. It may rise only by a probe: one window at half of the limit, whose mean becomes the
/// baseline. Where the whole limit took clearly more than what is tolerated of that, most of it
/// was a queue: then the probe's limit stays, and the next probe follows at once. Otherwise probes
/// come at intervals that double up to [`probe_interval`](Self::probe_interval).
///
/// So a service that got slower for good first costs some of the limit; the next probe, due at the
/// latest when half of the limit is gone, takes the new latency for the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct Gradient {
    /// How much latency is fine, in percent of the baseline: 101 to 1,000; 150 by default. Above it
    /// the limit shrinks; below it the limit grows, at the baseline by its square root.
    pub tolerance_percent: usize,
    /// The most windows between two probes: 1 to 1,048,576; 50 by default.
    pub probe_interval: usize,
}

impl Default for Aimd {
    fn default() -> Self {
        Self {
            increase: 1,
            decrease_percent: 90,
            latency: None,
        }
    }
}

impl Default for Gradient {
    fn default() -> Self {
        Self {
            tolerance_percent: 150,
            probe_interval: 50,
        }
    }
}

impl Default for LimitAlgorithm {
    /// A gradient with its defaults.
    fn default() -> Self {
        Self::Gradient(Gradient::default())
    }
}

impl From<Aimd> for LimitAlgorithm {
    fn from(settings: Aimd) -> Self {
        Self::Aimd(settings)
    }
}

impl From<Gradient> for LimitAlgorithm {
    fn from(settings: Gradient) -> Self {
        Self::Gradient(settings)
    }
}

impl LimitAlgorithm {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Aimd(aimd) => {
                checked_size("increase", aimd.increase, 1..=1024)?;
                checked_size("decrease_percent", aimd.decrease_percent, 10..=99)?;
                if let Some(latency) = aimd.latency {
                    let least = Duration::from_nanos(1);
                    checked_duration("latency", latency, least..=Duration::MAX)?;
                }
            }
            Self::Gradient(gradient) => {
                let Gradient {
                    tolerance_percent,
                    probe_interval,
                } = *gradient;
                checked_size("tolerance_percent", tolerance_percent, 101..=1000)?;
                checked_size("probe_interval", probe_interval, 1..=1 << 20)?;
            }
        }
        Ok(())
    }
}
