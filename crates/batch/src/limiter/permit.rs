//! [`LimiterPermit`]: the right to run one item, under which others may nest.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::Limiter;
use super::current::{self, Known, Shadow};
use super::held::Held;
use super::loan::Loan;
use super::view::View;

/// The right to run one item of a [`Limiter`], given back on drop.
///
/// It is owned: it may move to another task or thread and outlive the handle it came from.
#[must_use = "a permit is returned as soon as it is dropped"]
pub struct LimiterPermit {
    /// `None` while it is entered, and known to the thread instead.
    held: Option<Item>,
}

struct Item {
    held: Held,
    /// The view it was acquired through; `None` for a pool, which the permit itself knows.
    through: Option<View>,
    /// Made when the first nests under it.
    loan: OnceLock<Arc<Loan>>,
}

impl LimiterPermit {
    /// `through` may be left out for what a pool itself gave.
    #[inline]
    pub(super) fn new(through: Option<View>, held: Held) -> Self {
        Self {
            held: Some(Item {
                held,
                through,
                loan: OnceLock::new(),
            }),
        }
    }

    /// The limiter as it is seen from the item that holds this permit: the first item of it runs
    /// on this permit, further ones on what is free outside.
    ///
    /// All limiters taken from one permit share that one place. A limiter that outlives its permit
    /// is like the outer one.
    #[must_use]
    pub fn limiter(&self) -> Limiter {
        let item = self.held.as_ref().expect("only the thread sees it entered");
        Limiter {
            view: item.with_origin(|origin| View::nested(origin, origin, item.loan())),
        }
    }

    /// Runs code of the item that holds this permit, so that [`Limiter::here`] knows of it.
    ///
    /// For those who drive items themselves: once around each poll of a future, or around a
    /// blocking call. It must be left on the thread that entered it, which is why it takes a
    /// function.
    #[inline]
    pub fn enter<R>(&mut self, code: impl FnOnce() -> R) -> R {
        /// Comes back to its place however the code ends.
        struct Entered<'a>(&'a mut LimiterPermit);

        impl Drop for Entered<'_> {
            fn drop(&mut self) {
                if let Some(Known::Here(permit)) = current::pop() {
                    *self.0 = permit;
                }
            }
        }

        let permit = std::mem::replace(self, Self { held: None });
        let _entered = match current::push(Known::Here(permit)) {
            Ok(()) => Some(Entered(self)),
            Err(back) => {
                if let Known::Here(permit) = back {
                    *self = permit;
                }
                None
            }
        };
        code()
    }

    /// What another thread has to know to nest under this permit.
    pub(super) fn shadow(&self) -> Option<Shadow> {
        let item = self.held.as_ref()?;
        Some(item.with_origin(|origin| Shadow {
            origin: origin.clone(),
            loan: item.loan(),
        }))
    }

    /// The view of a limiter of the same root from here; `None` for one of another root.
    pub(super) fn nest(&self, of: &View) -> Option<View> {
        let item = self.held.as_ref()?;
        item.with_origin(|origin| {
            let same = origin.root().is(of.root());
            same.then(|| View::nested(of, origin, item.loan()))
        })
    }
}

impl Item {
    fn with_origin<R>(&self, look: impl FnOnce(&View) -> R) -> R {
        match (&self.through, &self.held) {
            (Some(view), _) => look(view),
            (None, Held::Root(permit)) => look(&View::Root(permit.pool())),
            (None, Held::Lent(_) | Held::Counted(_)) => {
                unreachable!("what no pool gave came through a view")
            }
        }
    }

    fn loan(&self) -> Arc<Loan> {
        Arc::clone(self.loan.get_or_init(|| Arc::new(Loan::new())))
    }
}

impl Drop for LimiterPermit {
    #[inline]
    fn drop(&mut self) {
        let Some(item) = self.held.take() else {
            return;
        };
        match item.loan.into_inner() {
            None => drop(item.held),
            Some(loan) => loan.end(item.held),
        }
    }
}

impl fmt::Debug for LimiterPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loan = self.held.as_ref().and_then(|item| item.loan.get());
        f.debug_struct("LimiterPermit")
            .field("nested_under", &loan.is_some())
            .finish_non_exhaustive()
    }
}
