//! The end of a loan against its return, in all their interleavings.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-batch --lib --release`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::held::Held;
use super::loan::Loan;
use crate::worker_pool::WorkerPool;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A pool of one permit, which an item holds, and the loan of that item.
fn item() -> (WorkerPool, Held, Arc<Loan>) {
    let pool = WorkerPool::of_one();
    let held = pool.try_acquire().map(Held::Root);
    let held = held.expect("nobody else takes it");
    (pool, held, Arc::new(Loan::new()))
}

#[test]
fn a_permit_whose_loan_comes_back_as_its_item_ends_is_returned_once() {
    check(|| {
        let (pool, held, loan) = item();
        let lent = Loan::try_lend(&loan);
        assert!(lent.is_some());
        let nested = thread::spawn(move || drop(lent));
        loan.end(held);
        nested.join().unwrap();
        assert_eq!(pool.active(), 0);
        assert!(Loan::try_lend(&loan).is_none());
    });
}

#[test]
fn a_loan_that_is_handed_on_as_its_item_ends_keeps_the_permit_until_it_is_back() {
    check(|| {
        let (pool, held, loan) = item();
        let lent = Loan::try_lend(&loan);
        let mut next = Loan::borrow(&loan);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut next).poll(&mut context).is_pending());
        let nested = thread::spawn(move || drop(lent));
        loan.end(held);
        nested.join().unwrap();
        match Pin::new(&mut next).poll(&mut context) {
            Poll::Ready(Some(lent)) => {
                assert_eq!(pool.active(), 1);
                drop(lent);
            }
            Poll::Ready(None) => {}
            Poll::Pending => panic!("neither served nor refused"),
        }
        assert_eq!(pool.active(), 0);
    });
}

#[test]
fn a_waiter_dropped_with_the_loan_in_hand_as_the_item_ends_returns_the_permit() {
    check(|| {
        let (pool, held, loan) = item();
        let lent = Loan::try_lend(&loan);
        let mut next = Loan::borrow(&loan);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut next).poll(&mut context).is_pending());
        drop(lent); // handed to the one who waits
        let nested = thread::spawn(move || drop(next));
        loan.end(held);
        nested.join().unwrap();
        assert_eq!(pool.active(), 0);
    });
}

/// The second item runs on the loan of the first, and a third one on that of the second.
#[test]
fn a_line_of_items_that_end_together_returns_the_permit_once() {
    check(|| {
        let (pool, held, first) = item();
        let lent = Loan::try_lend(&first).expect("nobody else takes it");
        let second = Arc::new(Loan::new());
        let last = Loan::try_lend(&second);
        assert!(last.is_some());
        let ends = thread::spawn(move || second.end(Held::Lent(lent)));
        first.end(held);
        ends.join().unwrap();
        assert_eq!(pool.active(), 1);
        drop(last);
        assert_eq!(pool.active(), 0);
    });
}
