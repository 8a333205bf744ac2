//! [`Event`]: what a pool tells about as it happens; [`Hooks`]: the user's functions.

use std::fmt;
use std::time::Duration;

use crate::controller::Resized;
use crate::manager::{CloseReason, Usage};
use crate::panics::contain;
use crate::reports::holders::{Holder, Site};

/// Something that happened in a pool. Told outside of every lock, on the thread it happened on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A resource was created.
    Created,
    /// An attempt to create one failed.
    CreateFailed {
        /// What was said.
        message: String,
    },
    /// The gate did not let a creation begin.
    Refused {
        /// For how long.
        retry_after: Duration,
    },
    /// A resource failed a check and will be closed.
    CheckFailed {
        /// What was said.
        message: String,
    },
    /// A resource is to be closed.
    Closed {
        /// Why.
        reason: CloseReason,
    },
    /// A resource is held for longer than the leak limit. Told once for each checkout.
    Leaked(Holder),
    /// A resource that was reported as leaked came back after all.
    ReturnedLate {
        /// Where it was acquired.
        site: Site,
        /// For how long it was held.
        held_for: Duration,
    },
    /// A lease is over: the place of the resource was given away.
    Reclaimed(Holder),
    /// A caller ran out of time.
    TimedOut {
        /// Where it asked.
        site: Site,
        /// How long it waited.
        waited: Duration,
    },
    /// The pool's controller has changed its maximum.
    Resized(Resized),
    /// Three checks in a row have failed.
    Degraded,
    /// A check has passed after that.
    Recovered,
}

type Change<R> = Box<dyn Fn(&mut R) + Send + Sync>;
type Listener = Box<dyn Fn(&Event) + Send + Sync>;
type Judge<R> = Box<dyn Fn(&mut R, &Usage) -> bool + Send + Sync>;

/// What the user wants to run at the turning points of a resource's life.
pub(crate) struct Hooks<R> {
    pub(crate) after_create: Option<Change<R>>,
    pub(crate) before_acquire: Option<Judge<R>>,
    pub(crate) after_release: Option<Judge<R>>,
    pub(crate) on_event: Option<Listener>,
}

impl<R> Hooks<R> {
    /// Tells an event; a panic of the listener ends here.
    pub(crate) fn tell(&self, event: &Event) {
        if let Some(listener) = &self.on_event {
            let _ = contain(|| listener(event));
        }
    }
}

impl<R> Default for Hooks<R> {
    fn default() -> Self {
        Self {
            after_create: None,
            before_acquire: None,
            after_release: None,
            on_event: None,
        }
    }
}

impl<R> fmt::Debug for Hooks<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("after_create", &self.after_create.is_some())
            .field("before_acquire", &self.before_acquire.is_some())
            .field("after_release", &self.after_release.is_some())
            .field("on_event", &self.on_event.is_some())
            .finish()
    }
}
