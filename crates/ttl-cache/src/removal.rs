//! What leaves the cache, why, and who is told.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::primitive::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Why an entry left the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RemovalCause {
    /// Its time was over.
    Expired,
    /// It had to make room.
    #[doc(alias = "Evicted")]
    Size,
    /// It was removed, cleared or invalidated.
    Explicit,
    /// Its key was written again.
    Replaced,
    /// It never entered: it alone is heavier than the cache may be, or its weigher panicked.
    Rejected,
}

impl fmt::Display for RemovalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "expired",
            Self::Size => "size",
            Self::Explicit => "explicit",
            Self::Replaced => "replaced",
            Self::Rejected => "rejected",
        })
    }
}

pub(crate) type Listener<K, V> = Box<dyn Fn(K, V, RemovalCause) + Send + Sync>;

/// Entries that have left under a lock, to be told and dropped after it.
#[must_use = "entries are told and dropped after the lock is released"]
pub(crate) struct Removed<K, V> {
    /// Somebody is told, or a destructor runs.
    matter: bool,
    first: Option<(K, V, RemovalCause)>,
    more: Vec<(K, V, RemovalCause)>,
}

impl<K, V> Removed<K, V> {
    /// Nothing yet, of entries that matter if `listens`, or if they have destructors.
    #[inline]
    pub(crate) fn none(listens: bool) -> Self {
        Self {
            matter: listens || std::mem::needs_drop::<(K, V)>(),
            first: None,
            more: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, key: K, value: V, cause: RemovalCause) {
        if !self.matter {
            // Plain data that nobody is told of.
        } else if self.first.is_none() {
            self.first = Some((key, value, cause));
        } else {
            self.more.push((key, value, cause));
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

/// Tells a listener, and contains its panics.
pub(crate) struct Deliveries<K, V> {
    listener: Option<Listener<K, V>>,
    panics: AtomicU64,
}

impl<K, V> Deliveries<K, V> {
    pub(crate) fn new(listener: Option<Listener<K, V>>) -> Self {
        Self {
            listener,
            panics: AtomicU64::new(0),
        }
    }

    /// Whether anybody is told.
    #[inline(always)]
    pub(crate) fn listens(&self) -> bool {
        self.listener.is_some()
    }

    /// Where to put entries that leave.
    #[inline(always)]
    pub(crate) fn removed(&self) -> Removed<K, V> {
        Removed::none(self.listens())
    }

    /// How often the listener panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// Must be called without a lock.
    #[inline]
    pub(crate) fn deliver(&self, removed: Removed<K, V>) {
        if !removed.is_empty() {
            self.deliver_all(removed);
        }
    }

    fn deliver_all(&self, removed: Removed<K, V>) {
        let Some(listener) = &self.listener else {
            return;
        };
        for (key, value, cause) in removed.first.into_iter().chain(removed.more) {
            let told = catch_unwind(AssertUnwindSafe(|| listener(key, value, cause)));
            if let Err(payload) = told {
                self.panics.fetch_add(1, Relaxed);
                drop_payload(payload);
            }
        }
    }
}

impl<K, V> fmt::Debug for Deliveries<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries")
            .field("listener", &self.listener.is_some())
            .field("panics", &self.panics())
            .finish()
    }
}

/// Drops what somebody panicked with, whose destructor may panic in its turn.
pub(crate) fn drop_payload(payload: Box<dyn std::any::Any + Send>) {
    std::mem::forget(catch_unwind(AssertUnwindSafe(|| drop(payload))));
}
