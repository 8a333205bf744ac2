//! [`Loan`]: a resource and the right to its place, in the hands of exactly one.

use crate::manager::Usage;
use crate::places::idle_set::Place;
use std::time::Duration;

/// A resource with what its holder alone may read and change. Times are nanoseconds of the pool's
/// clock.
pub(crate) struct Item<R> {
    pub(crate) resource: R,
    pub(crate) created: u64,
    /// Drawn once, at birth.
    pub(crate) expires_at: u64,
    /// Until then it may be handed out without another look.
    pub(crate) good_until: u64,
    /// When it came back last.
    pub(crate) returned: u64,
    pub(crate) generation: u64,
    pub(crate) uses: u64,
    /// While a guard holds it.
    pub(crate) held: Option<Hold>,
}

/// What a guard knows beside the resource. It lies with the resource, so that a guard is two words:
/// these travel in registers, where three would go through memory in pieces that the processor
/// cannot forward as one.
pub(crate) struct Hold {
    pub(crate) place: Place,
    /// The holder's thread was panicking already when it was acquired.
    pub(crate) was_panicking: bool,
}

pub(crate) struct Loan<R> {
    pub(crate) place: Place,
    pub(crate) item: Box<Item<R>>,
}

impl<R> Item<R> {
    pub(crate) fn usage(&self, now: u64) -> Usage {
        Usage::new(
            Duration::from_nanos(now.saturating_sub(self.created)),
            Duration::from_nanos(now.saturating_sub(self.returned)),
            self.uses,
        )
    }
}
