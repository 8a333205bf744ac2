//! [`Loan`]: the permit of an item, lent to one of its nested items at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::held::Held;
use crate::primitive::{Mutex, lock};
use crate::worker_pool::{AcquireMany, Permit, WorkerPool};

/// A line with one place. It ends when its item does: then it retires, and what the item held is
/// parked here until the one who has the loan gives it back.
///
/// What was parked is returned exactly once: it is parked before the pool retires, both the item
/// and whoever gives the loan back look afterwards, and the first who finds the pool empty takes
/// what is parked.
pub(super) struct Loan {
    place: WorkerPool,
    parked: Mutex<Option<Held>>,
}

impl Loan {
    pub(super) fn new() -> Self {
        Self {
            place: WorkerPool::of_one(),
            parked: Mutex::new(None),
        }
    }

    pub(super) fn try_lend(this: &Arc<Self>) -> Option<Lent> {
        let permit = this.place.try_acquire()?;
        Some(Self::lend(this, permit))
    }

    /// Waits for the loan.
    pub(super) fn borrow(this: &Arc<Self>) -> Borrow {
        Borrow {
            wait: Some(this.place.acquire_many(1)),
            loan: Arc::clone(this),
        }
    }

    fn lend(this: &Arc<Self>, permit: Permit) -> Lent {
        Lent {
            permit: Some(permit),
            loan: Arc::clone(this),
        }
    }

    /// Ends the loan: returns what the item held now, or as soon as nobody runs on it.
    pub(super) fn end(&self, held: Held) {
        let none = lock(&self.parked).replace(held.without_ended());
        drop(none);
        self.place.retire();
        self.settle();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.place.max() == 0
    }

    fn settle(&self) {
        if self.place.is_retired() {
            let parked = lock(&self.parked).take();
            drop(parked); // not under the lock: it wakes
        }
    }
}

/// The loan, while it is out.
pub(super) struct Lent {
    permit: Option<Permit>,
    loan: Arc<Loan>,
}

impl Lent {
    /// Gives the loan back for what the item had held, if that has ended.
    pub(super) fn take_over(self) -> Result<Held, Self> {
        // It was parked before the pool retired, and is there while the place is ours.
        let parked = match self.loan.has_ended() {
            true => lock(&self.loan.parked).take(),
            false => None,
        };
        parked.ok_or(self)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.loan.settle();
    }
}

/// The future of [`Loan::borrow`]: `None` once the loan has ended.
pub(super) struct Borrow {
    wait: Option<AcquireMany>,
    loan: Arc<Loan>,
}

impl Future for Borrow {
    type Output = Option<Lent>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Lent>> {
        let wait = self.wait.as_mut().expect("polled after completion");
        Pin::new(wait).poll(cx).map(|place| {
            self.wait = None;
            place.ok().map(|place| Loan::lend(&self.loan, place))
        })
    }
}

impl Drop for Borrow {
    fn drop(&mut self) {
        if let Some(wait) = self.wait.take() {
            drop(wait); // it may have been handed the loan, which ends here then
            self.loan.settle();
        }
    }
}
