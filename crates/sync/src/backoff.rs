//! [`Backoff`]: how long to wait before the next attempt.

mod random;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use random::Random;

/// Delays that grow exponentially up to a limit, spread at random so that those who failed
/// together do not come back together.
///
/// The jitters and the reason for them: Marc Brooker, *Exponential Backoff and Jitter*, AWS
/// Architecture Blog, 2015. Drawing a delay allocates nothing, reads no clock, and never panics or
/// wraps, up to `Duration::MAX`.
///
/// ```
/// use std::time::Duration;
/// use brolly_sync::{Backoff, Jitter};
///
/// let mut backoff = Backoff::builder()
///     .initial(Duration::from_millis(100))
///     .max(Duration::from_millis(350))
///     .jitter(Jitter::None)
///     .build()?;
/// let delays = [(); 4].map(|()| backoff.next_delay().as_millis());
/// assert_eq!(delays, [100, 200, 350, 350]);
/// # Ok::<(), brolly_sync::BackoffError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    settings: BackoffBuilder,
    /// The next delay before jitter.
    base: Duration,
    attempts: u64,
    random: Random,
}

/// How delays are spread. *Base* is the delay without jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// Not at all.
    None,
    /// Anywhere from zero to the base: the widest spread, and the least load when many retry.
    #[default]
    Full,
    /// Anywhere from half the base to the base: never shorter than half.
    Equal,
    /// Anywhere within this fraction of the base to either side, from 0 to 1. The limit holds, so
    /// the upper side is cut off there.
    Proportional(f64),
    /// From the base to this fraction of it more, from 0 to 1: never shorter than the base, and the
    /// only one that goes beyond the limit, by that fraction of it.
    Above(f64),
}

impl Backoff {
    /// Settings to begin with: 100 ms, doubled each time, up to 30 s, full jitter.
    pub fn builder() -> BackoffBuilder {
        BackoffBuilder {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(30),
            factor: 2.0,
            jitter: Jitter::Full,
            seed: None,
        }
    }

    /// The delay before the next attempt. Never more than the limit, but for [`Jitter::Above`].
    pub fn next_delay(&mut self) -> Duration {
        let base = self.base;
        // Rounding must not keep a short delay where it is.
        let least = match self.settings.factor > 1.0 {
            true => base.saturating_add(Duration::from_nanos(1)),
            false => base,
        };
        let longer = times(base, self.settings.factor).max(least);
        self.base = longer.min(self.settings.max);
        self.attempts = self.attempts.saturating_add(1);
        match self.settings.jitter {
            Jitter::None => base,
            Jitter::Full => self.random.between(Duration::ZERO, base),
            Jitter::Equal => self.random.between(base / 2, base),
            Jitter::Proportional(fraction) => {
                let shortest = times(base, 1.0 - fraction).min(base);
                let longest = times(base, 1.0 + fraction).clamp(base, self.settings.max);
                self.random.between(shortest, longest)
            }
            Jitter::Above(fraction) => {
                let longest = times(base, 1.0 + fraction).max(base);
                self.random.between(base, longest)
            }
        }
    }

    /// Starts over with the initial delay. The random sequence goes on.
    pub fn reset(&mut self) {
        self.base = self.settings.initial;
        self.attempts = 0;
    }

    /// How many delays were drawn since the start or the last reset.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// The same settings from the start, with a random sequence of its own. A clone, in contrast,
    /// repeats what this one does from here on.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self {
            settings: self.settings,
            base: self.settings.initial,
            attempts: 0,
            random: Random::new(None),
        }
    }
}

/// Settings of a [`Backoff`], checked by [`build`](Self::build).
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is built yet"]
pub struct BackoffBuilder {
    initial: Duration,
    max: Duration,
    factor: f64,
    jitter: Jitter,
    seed: Option<u64>,
}

impl BackoffBuilder {
    /// The first delay before jitter: more than zero, at most the limit.
    pub fn initial(mut self, initial: Duration) -> Self {
        self.initial = initial;
        self
    }

    /// The limit of every delay, jitter included unless it is [`Jitter::Above`].
    pub fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// What each delay is multiplied by to get the next: at least 1, and finite.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// How delays are spread.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Makes the delays the same in every run. Without a seed each value draws its own sequence.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`BackoffError`] with the setting that is out of its range.
    pub fn build(self) -> Result<Backoff, BackoffError> {
        if self.initial.is_zero() || self.initial > self.max {
            return Err(BackoffError::Initial {
                value: self.initial,
                max: self.max,
            });
        }
        if !(self.factor.is_finite() && self.factor >= 1.0) {
            return Err(BackoffError::Factor { value: self.factor });
        }
        if let Jitter::Proportional(value) | Jitter::Above(value) = self.jitter
            && !(0.0..=1.0).contains(&value)
        {
            return Err(BackoffError::Jitter { value });
        }
        Ok(Backoff {
            settings: self,
            base: self.initial,
            attempts: 0,
            random: Random::new(self.seed),
        })
    }
}

/// A setting of a [`Backoff`] is out of its range.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum BackoffError {
    /// The initial delay is zero, or longer than the limit.
    Initial {
        /// What was set.
        value: Duration,
        /// The limit that was set.
        max: Duration,
    },
    /// The factor is less than 1, or not finite.
    Factor {
        /// What was set.
        value: f64,
    },
    /// The fraction of a proportional jitter is not within 0 and 1.
    Jitter {
        /// What was set.
        value: f64,
    },
}

impl BackoffError {
    /// The name of the setting.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Initial { .. } => "initial",
            Self::Factor { .. } => "factor",
            Self::Jitter { .. } => "jitter",
        }
    }
}

impl fmt::Display for BackoffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field();
        match self {
            Self::Initial { value, max } => {
                write!(
                    f,
                    "{field} is {value:?}; allowed: 1ns to max, which is {max:?}"
                )
            }
            Self::Factor { value } => write!(f, "{field} is {value}; allowed: finite, at least 1"),
            Self::Jitter { value } => write!(f, "{field} is {value}; allowed: 0 to 1"),
        }
    }
}

impl Error for BackoffError {}

/// `base * factor`, rounded as floating point does, `Duration::MAX` where it is more than that.
fn times(base: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(base.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}
