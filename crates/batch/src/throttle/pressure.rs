//! [`Pressure`]: a source that says how much of something is used.

/// A source that says how much of something is used.
///
/// Closures that return `Option<Reading>` are sources. It is read by one thread at a time, at most
/// once per sampling interval, and should return within microseconds: whoever asks the throttle at
/// that moment waits for it. A panic counts as no reading.
pub trait Pressure: Send + Sync {
    /// What it says now; `None` if that cannot be told, which holds nobody back.
    fn read(&self) -> Option<Reading>;

    /// The name by which events and errors know it.
    fn name(&self) -> &'static str {
        "custom"
    }
}

impl<F> Pressure for F
where
    F: Fn() -> Option<Reading> + Send + Sync,
{
    fn read(&self) -> Option<Reading> {
        self()
    }
}

/// How much of something is used.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Reading {
    /// How much is used, in the source's unit: bytes for memory.
    pub used: u64,
    /// How much there is, in the same unit.
    pub limit: u64,
    /// The share that is used, in per cent: 0 or more, and more than 100 beyond the limit.
    pub percent: f64,
}

impl Reading {
    /// So much of that limit. Anything of a limit of 0 is 100 per cent.
    #[must_use]
    pub fn new(used: u64, limit: u64) -> Self {
        let percent = if limit == 0 {
            100.0
        } else {
            used as f64 * 100.0 / limit as f64
        };
        Self {
            used,
            limit,
            percent,
        }
    }

    /// A share alone, in per cent; `used` is the share rounded, of a limit of 100.
    ///
    /// `None` for what is not a number; what is negative counts as 0.
    #[must_use]
    pub fn from_percent(percent: f64) -> Option<Self> {
        if percent.is_nan() {
            return None;
        }
        let percent = percent.max(0.0);
        Some(Self {
            used: percent.round() as u64, // saturates
            limit: 100,
            percent,
        })
    }
}
