//! [`RetryBudget`]: how much may be tried again, over all runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::builder::check_rate;
use crate::error::ConfigError;
use crate::primitive::AtomicU64;

/// Limits the retries of many runs to a share of them, so that a service in trouble is not asked
/// several times as often as one that works.
///
/// Each run pays `share` of a retry in, up to a reserve, and each retry takes one out. The reserve
/// is full at first, so that a few early failures may be tried again. This is the retry budget of
/// Finagle, without its minimum a second. Clones are handles to the same budget.
#[derive(Clone)]
#[doc(alias = "throttle")]
pub struct RetryBudget(Arc<Shared>);

struct Shared {
    /// In thousandths of a retry. Relaxed: it is one number.
    balance: AtomicU64,
    deposit: u64,
    most: u64,
}

const RETRY: u64 = 1_000;

impl RetryBudget {
    /// A budget for this share of retries to runs, in steps of a thousandth, which may save up to
    /// `reserve` retries: a share of more than 0, at most 1, and a reserve of at least 1.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if one of them is out of its range.
    pub fn new(share: f64, reserve: u32) -> Result<Self, ConfigError> {
        check_rate("share", share)?;
        if reserve == 0 {
            return Err(ConfigError::out_of_range("reserve", 0, "at least 1"));
        }
        let most = u64::from(reserve) * RETRY;
        Ok(Self(Arc::new(Shared {
            balance: AtomicU64::new(most),
            deposit: ((share * RETRY as f64).round() as u64).max(1),
            most,
        })))
    }

    /// How many retries could be made at this moment.
    #[must_use]
    pub fn available(&self) -> u32 {
        u32::try_from(self.0.balance.load(Relaxed) / RETRY).unwrap_or(u32::MAX)
    }

    pub(super) fn deposit(&self) {
        let Shared {
            balance,
            deposit,
            most,
        } = &*self.0;
        let add =
            |balance: u64| (balance < *most).then(|| most.min(&(balance + deposit)).to_owned());
        // Full is no failure.
        let _ = balance.fetch_update(Relaxed, Relaxed, add);
    }

    /// Takes a retry out; false if there is none.
    pub(super) fn withdraw(&self) -> bool {
        let take = |balance: u64| balance.checked_sub(RETRY);
        self.0.balance.fetch_update(Relaxed, Relaxed, take).is_ok()
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}
