//! A panic harms only the item it happens in.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use brolly_batch::{DenseDag, ItemError, Outcome};

use crate::support::{poll, processor, run, yield_times};

/// The position and message of a panic, if the result is one.
fn panic_of<R, E>(result: &Result<R, ItemError<E>>) -> Option<(usize, &str)> {
    match result {
        Err(ItemError::Panicked(panic)) => Some((panic.index(), panic.message())),
        _ => None,
    }
}

#[test]
fn a_panic_in_the_function_is_the_result_of_its_item_alone() {
    let results = run(processor(2).map(0..4, |n| {
        assert_ne!(n, 1, "one is not welcome");
        async move { Ok::<_, Infallible>(n) }
    }));
    let (index, message) = panic_of(&results[1]).unwrap();
    assert_eq!(index, 1);
    assert!(message.contains("one is not welcome"), "{message}");
    for n in [0, 2, 3] {
        assert_eq!(results[n], Ok(n));
    }
}

#[test]
fn a_panic_in_the_future_is_the_result_of_its_item_alone() {
    for yields in [0, 2] {
        let results = run(processor(3).map(0..30, |n| async move {
            yield_times(yields).await;
            if n % 10 == 4 {
                panic!("number {n}");
            }
            yield_times(n % 3).await;
            Ok::<_, Infallible>(n)
        }));
        for (n, result) in results.iter().enumerate() {
            match n % 10 {
                4 => assert_eq!(panic_of(result), Some((n, &*format!("number {n}")))),
                _ => assert_eq!(*result, Ok(n)),
            }
        }
    }
}

#[test]
fn a_panic_in_a_blocking_function_is_the_result_of_its_item_alone() {
    let results = processor(3).map_blocking(0..30, |n| match n % 10 {
        4 => panic!("number {n}"),
        _ => Ok::<_, Infallible>(n),
    });
    for (n, result) in results.iter().enumerate() {
        match n % 10 {
            4 => assert_eq!(panic_of(result), Some((n, &*format!("number {n}")))),
            _ => assert_eq!(*result, Ok(n)),
        }
    }
}

#[test]
fn a_processor_is_as_good_as_new_after_panics() {
    let processor = processor(2);
    let all = run(processor.map(0..5, |_| async { panic!("all of them") }));
    let all: Vec<Result<(), ItemError<()>>> = all;
    assert!(all.iter().all(|result| panic_of(result).is_some()));
    let fine = run(processor.map(0..5, |n| async move { Ok::<_, ()>(n) }));
    assert!(fine.iter().all(Result::is_ok));
}

#[test]
fn a_payload_that_is_no_string_is_reported_as_such() {
    let results = processor(1).map_blocking([()], |()| -> Result<(), ()> { panic_any(42_u8) });
    let (_, message) = panic_of(&results[0]).unwrap();
    assert_eq!(message, "the panic's payload is not a string");
}

#[test]
fn a_payload_that_panics_when_dropped_does_no_harm() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("once more");
        }
    }
    let results = processor(1).map_blocking(0..2, |n| match n {
        0 => panic_any(Grenade),
        _ => Ok::<_, ()>(n),
    });
    assert!(panic_of(&results[0]).is_some());
    assert_eq!(results[1], Ok(1));
}

/// A future that panics when it is dropped, ready after as many polls as it is told.
struct Sticky(usize);

impl Future for Sticky {
    type Output = Result<(), ()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.0 == 0 {
            return Poll::Ready(Ok(()));
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Sticky {
    fn drop(&mut self) {
        panic!("not going");
    }
}

#[test]
fn a_future_that_panics_when_dropped_fails_alone() {
    let results = run(processor(2).map(0..6, Sticky));
    for (n, result) in results.iter().enumerate() {
        assert_eq!(panic_of(result), Some((n, "not going")));
    }
}

#[test]
fn a_panic_of_the_iterator_reaches_the_caller() {
    let items = || {
        (0..10).inspect(|n| {
            if *n == 5 {
                panic!("no more items");
            }
        })
    };
    let message = |caught: Result<_, Box<dyn std::any::Any + Send>>| {
        let _: Vec<Result<i32, ItemError<()>>> = match caught {
            Ok(results) => results,
            Err(payload) => return *payload.downcast_ref::<&str>().unwrap(),
        };
        "no panic"
    };
    let ordered = catch_unwind(AssertUnwindSafe(|| {
        run(processor(3).map(items(), |n| async move {
            yield_times(1).await;
            Ok(n)
        }))
    }));
    assert_eq!(message(ordered), "no more items");
    let blocking = catch_unwind(AssertUnwindSafe(|| processor(3).map_blocking(items(), Ok)));
    assert_eq!(message(blocking), "no more items");
}

#[test]
fn a_node_that_panics_blocks_its_dependents_like_any_failure() {
    let dag = DenseDag::from_edges(4, &[(0, 1), (1, 2)]).unwrap();
    let asynchronous = run(dag.run(2, |n| async move {
        yield_times(1).await;
        match n {
            0 => panic!("node 0"),
            _ => Ok::<_, ()>(n),
        }
    }));
    let blocking = dag.run_blocking(2, |n| match n {
        0 => panic!("node 0"),
        _ => Ok::<_, ()>(n),
    });
    for outcomes in [asynchronous.unwrap(), blocking.unwrap()] {
        assert!(
            matches!(&outcomes[0], Outcome::Failed(ItemError::Panicked(panic))
            if panic.index() == 0 && panic.message() == "node 0")
        );
        assert_eq!(outcomes[1], Outcome::Blocked { by: [0].into() });
        assert_eq!(outcomes[2], Outcome::Blocked { by: [1].into() });
        assert_eq!(outcomes[3], Outcome::Done(3));
    }
}

/// Inside, nodes go by their rank: here the last node comes first.
#[test]
fn a_panic_carries_the_index_of_its_node() {
    let dag = DenseDag::from_edges(3, &[(2, 0)]).unwrap();
    let index = |outcomes: Vec<Outcome<(), ()>>| match &outcomes[2] {
        Outcome::Failed(ItemError::Panicked(panic)) => panic.index(),
        other => unreachable!("node 2 panics, but is {other:?}"),
    };
    for yields in [0, 1] {
        let asynchronous = run(dag.run(2, |node| async move {
            yield_times(yields).await;
            assert_ne!(node, 2);
            Ok(())
        }));
        assert_eq!(index(asynchronous.unwrap()), 2);
    }
    let blocking = dag.run_blocking(2, |node| {
        assert_ne!(node, 2);
        Ok(())
    });
    assert_eq!(index(blocking.unwrap()), 2);
}

#[test]
fn a_future_that_panicked_is_dropped_at_once_and_never_polled_again() {
    let polls = Cell::new(0);
    let kept = RefCell::new(None::<Waker>);
    let token = Rc::new(());
    let mut map = processor(2).map(0..2, |n| {
        let (polls, kept, token) = (&polls, &kept, Rc::clone(&token));
        std::future::poll_fn(move |cx| {
            if n == 1 {
                return Poll::<Result<(), Infallible>>::Pending; // the map goes on
            }
            let _owned = &token;
            polls.set(polls.get() + 1);
            *kept.borrow_mut() = Some(cx.waker().clone());
            assert_eq!(polls.get(), 1, "the second poll panics");
            Poll::Pending
        })
    });
    assert!(poll(&mut map, Waker::noop()).is_pending());
    let waker = kept.take().unwrap();
    waker.wake_by_ref();
    assert!(poll(&mut map, Waker::noop()).is_pending());
    assert_eq!(
        (polls.get(), Rc::strong_count(&token)),
        (2, 2),
        "item 1 holds on"
    );
    waker.wake();
    assert!(poll(&mut map, Waker::noop()).is_pending());
    assert_eq!(polls.get(), 2);
}
