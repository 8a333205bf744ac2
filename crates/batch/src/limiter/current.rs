//! The permits of the items that run on this thread, the innermost last.

use std::cell::RefCell;
use std::sync::Arc;

use super::loan::Loan;
use super::permit::LimiterPermit;
use super::view::View;

thread_local! {
    static CURRENT: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// An item as a thread knows it.
pub(super) enum Known {
    /// It runs here.
    Here(LimiterPermit),
    /// It runs on another thread, and a part of it here.
    Elsewhere(Shadow),
}

/// What it takes to nest under a permit.
#[derive(Clone)]
pub(super) struct Shadow {
    pub(super) origin: View,
    pub(super) loan: Arc<Loan>,
}

impl Known {
    /// The view of a limiter of the same root from the item; `None` for one of another root.
    fn nest(&self, of: &View) -> Option<View> {
        match self {
            Self::Here(permit) => permit.nest(of),
            Self::Elsewhere(Shadow { origin, loan }) => {
                let same = origin.root().is(of.root());
                same.then(|| View::nested(of, origin, Arc::clone(loan)))
            }
        }
    }

    fn shadow(&self) -> Option<Shadow> {
        match self {
            Self::Here(permit) => permit.shadow(),
            Self::Elsewhere(shadow) => Some(shadow.clone()),
        }
    }
}

/// Gives it back where the thread has ended so far that it keeps nothing any more.
#[inline]
pub(super) fn push(known: Known) -> Result<(), Known> {
    let mut known = Some(known);
    let _ = CURRENT.try_with(|current| current.borrow_mut().extend(known.take()));
    known.map_or(Ok(()), Err)
}

#[inline]
pub(super) fn pop() -> Option<Known> {
    CURRENT
        .try_with(|current| current.borrow_mut().pop())
        .ok()
        .flatten()
}

/// How a limiter is seen from the innermost item of its root that runs here.
#[inline]
pub(super) fn nest(of: &View) -> Option<View> {
    CURRENT
        .try_with(|current| {
            let current = current.borrow();
            current.iter().rev().find_map(|known| known.nest(of))
        })
        .ok()
        .flatten()
}

/// All that is known here, the innermost last.
pub(super) fn shadows() -> Vec<Shadow> {
    CURRENT
        .try_with(|current| current.borrow().iter().filter_map(Known::shadow).collect())
        .unwrap_or_default()
}
