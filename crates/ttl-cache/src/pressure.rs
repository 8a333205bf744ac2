//! Giving room back when memory is short.

use std::hash::{BuildHasher, Hash};

use crate::cache::Cache;
use crate::error::ConfigError;

/// How much to give up when memory is short.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Pressure {
    /// Half of the entries.
    Aggressive,
    /// A quarter of them.
    Conservative,
    /// Depends on how much of the memory is in use, from zero to one: nothing up to 0.8, and twice
    /// what is above, up to half of the entries.
    Adaptive(f64),
}

impl Pressure {
    /// The share of entries to give up.
    ///
    /// # Errors
    ///
    /// A pressure that is not between zero and one.
    pub fn share(self) -> Result<f64, ConfigError> {
        match self {
            Self::Aggressive => Ok(0.5),
            Self::Conservative => Ok(0.25),
            Self::Adaptive(pressure) => {
                let pressure = share("pressure", pressure)?;
                Ok((2.0 * (pressure - 0.8)).clamp(0.0, 0.5))
            }
        }
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Evicts entries until only this share of them is left, and returns how many went.
    ///
    /// Expired ones go first, then those that the eviction policy chooses. The bounds stay as they
    /// are: the cache may fill up again.
    ///
    /// # Errors
    ///
    /// A share that is not between zero and one.
    pub fn shrink_to(&self, share_kept: f64) -> Result<u64, ConfigError> {
        let kept = share("share_kept", share_kept)?;
        let live = self.len();
        let keep = (live as f64 * kept).round() as u64;
        Ok(self.inner.evict(live.saturating_sub(keep)))
    }

    /// Evicts what the pressure asks for, and returns how many entries went.
    ///
    /// # Errors
    ///
    /// A pressure that is not between zero and one.
    pub fn relieve(&self, pressure: Pressure) -> Result<u64, ConfigError> {
        self.shrink_to(1.0 - pressure.share()?)
    }
}

fn share(field: &'static str, value: f64) -> Result<f64, ConfigError> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::new(field, value, "from 0 to 1"))
    }
}
