//! Values that are served in the place of fresh ones: while these are loaded, or if that fails.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::begin::{Reason, Wish};
use super::error::LoadError;
use crate::inner::{Found, Inner, Look};

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// A value that needs no loading; else what was found.
    #[inline]
    pub(crate) fn find_fresh<Q>(&self, hash: u64, key: &Q) -> Result<V, Found<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.layout.aged && self.layout.keep == 0 {
            // Neither the age of a value nor what was before matters.
            return self.get(key).ok_or(Found::Missing);
        }
        match self.find(hash, key, Look::Count) {
            Found::Fresh { value, age, left }
                if !self.loads.is_due(age, left, || self.chance(hash)) =>
            {
                Ok(value)
            }
            found => Err(found),
        }
    }

    /// Chance enough to spread loads: it differs by key and by the nanosecond.
    fn chance(&self, hash: u64) -> u64 {
        // The finish of SplitMix64 (Steele, Lea, Flood 2014): any bit changes all others.
        let mixed = hash ^ self.clock.now().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A value that is served while it is loaded anew, and why that is.
    pub(super) fn older(&self, found: Found<V>) -> Option<(V, Reason)> {
        match found {
            Found::Fresh { value, left, .. } => Some((value, Reason::Due { left })),
            Found::Stale { value, since }
                if covers(self.loads.rules.stale_while_revalidate, since) =>
            {
                Some((value, Reason::Stale))
            }
            _ => None,
        }
    }

    pub(super) fn serve(&self, older: V, reason: Reason) -> V {
        if reason == Reason::Stale {
            self.loads.counters.served_stale();
        }
        older
    }

    /// Whether a value may be served in the place of a failure to fulfil this wish.
    #[inline]
    pub(super) fn serves_instead(&self, wish: Wish) -> bool {
        self.layout.keep != 0 && wish.reason != Reason::Told
    }

    /// The result, or a value that is served in the place of a failure.
    #[inline]
    pub(super) fn or_instead<E>(
        &self,
        hash: u64,
        key: &K,
        result: Result<V, LoadError<E>>,
    ) -> Result<V, LoadError<E>> {
        match result {
            Ok(_) | Err(LoadError::Reentrant) => result,
            Err(error) => self.instead(hash, key).ok_or(error),
        }
    }

    /// A value that can be served although its load failed.
    pub(super) fn instead(&self, hash: u64, key: &K) -> Option<V> {
        let keep = self.loads.rules.keeps_stale_for()?;
        match self.find(hash, key, Look::Peek) {
            Found::Fresh { value, .. } => Some(value),
            Found::Stale { value, since } if since <= keep => {
                self.loads.counters.served_stale();
                Some(value)
            }
            _ => None,
        }
    }
}

/// Whether a value so long past its time to live is served while it is loaded anew.
fn covers(window: Option<Duration>, since: Duration) -> bool {
    window.is_some_and(|window| since <= window)
}
