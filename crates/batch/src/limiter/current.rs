//! The permits of the items that run on this thread, the innermost last.

use std::cell::RefCell;

use super::permit::LimiterPermit;

thread_local! {
    static CURRENT: RefCell<Vec<LimiterPermit>> = const { RefCell::new(Vec::new()) };
}

/// Gives the permit back where the thread has ended so far that it keeps nothing any more.
#[inline]
pub(super) fn push(permit: LimiterPermit) -> Result<(), LimiterPermit> {
    let mut permit = Some(permit);
    let _ = CURRENT.try_with(|current| current.borrow_mut().extend(permit.take()));
    permit.map_or(Ok(()), Err)
}

#[inline]
pub(super) fn pop() -> Option<LimiterPermit> {
    CURRENT
        .try_with(|current| current.borrow_mut().pop())
        .ok()
        .flatten()
}

/// What `look` finds at the innermost permit where it finds anything. It must run no foreign code.
#[inline]
pub(super) fn find<T>(mut look: impl FnMut(&LimiterPermit) -> Option<T>) -> Option<T> {
    CURRENT
        .try_with(|current| current.borrow().iter().rev().find_map(&mut look))
        .ok()
        .flatten()
}
