//! What a token promises to those who wait for it.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use brolly_batch::{CancelToken, Stopped};

use crate::support::{Wakes, poll, run, within_a_minute};

#[test]
fn a_token_moves_in_one_direction() {
    let token = CancelToken::new();
    let state = || (token.is_draining(), token.is_cancelled());
    assert_eq!(state(), (false, false));
    token.drain();
    assert_eq!(state(), (true, false));
    token.clone().cancel();
    assert_eq!(state(), (false, true));
    token.drain();
    assert_eq!(state(), (false, true));
}

#[test]
fn whoever_waits_is_woken_once_for_what_it_waits_for() {
    let token = CancelToken::new();
    let (wakes, waker) = Wakes::new();
    let (mut cancelled, mut stopping) = (token.cancelled(), token.stopping());
    assert!(poll(&mut cancelled, &waker).is_pending());
    assert!(poll(&mut stopping, &waker).is_pending());
    token.drain();
    assert_eq!(wakes.count(), 1);
    assert!(poll(&mut stopping, &waker).is_ready());
    assert!(poll(&mut cancelled, &waker).is_pending());
    token.cancel();
    token.cancel();
    assert_eq!(wakes.count(), 2);
    assert_eq!(poll(&mut cancelled, &waker), Poll::Ready(()));
    assert_eq!(
        poll(&mut cancelled, &waker),
        Poll::Ready(()),
        "and stays so"
    );
    run(token.cancelled());
    run(token.stopping());
}

#[test]
fn the_last_waker_is_the_one_that_counts() {
    let token = CancelToken::new();
    let mut cancelled = token.cancelled();
    let (old, first) = Wakes::new();
    let (new, second) = Wakes::new();
    assert!(poll(&mut cancelled, &first).is_pending());
    assert!(poll(&mut cancelled, &second).is_pending());
    token.cancel();
    assert_eq!((old.count(), new.count()), (0, 1));
}

#[test]
fn a_waiter_dropped_at_any_poll_keeps_no_waker() {
    for polls in 0..3 {
        for cancel in [false, true] {
            let token = CancelToken::new();
            let (wakes, waker) = Wakes::new();
            let mut cancelled = token.cancelled();
            for _ in 0..polls {
                assert!(poll(&mut cancelled, &waker).is_pending());
            }
            if cancel {
                token.cancel();
            }
            drop(cancelled);
            drop(waker);
            assert_eq!(Arc::strong_count(&wakes), 1);
            assert_eq!(wakes.count(), usize::from(cancel && polls > 0));
        }
    }
}

#[test]
fn a_waker_that_panics_leaves_nobody_asleep() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }
    let token = CancelToken::new();
    let bad = Waker::from(Arc::new(Panics));
    let (wakes, good) = Wakes::new();
    let mut waiters = [token.cancelled(), token.cancelled(), token.cancelled()];
    for (waiter, waker) in waiters.iter_mut().zip([&good, &bad, &good]) {
        assert!(poll(waiter, waker).is_pending());
    }
    token.cancel();
    assert_eq!(wakes.count(), 2);
}

#[test]
fn a_waker_may_use_the_token_it_is_woken_by() {
    struct Uses(CancelToken);
    impl Wake for Uses {
        fn wake(self: Arc<Self>) {
            assert!(self.0.is_cancelled());
            let mut cancelled = self.0.cancelled();
            assert!(poll(&mut cancelled, Waker::noop()).is_ready());
            self.0.cancel();
        }
    }
    within_a_minute(|| {
        let token = CancelToken::new();
        let waker = Waker::from(Arc::new(Uses(token.clone())));
        let mut cancelled = Box::pin(token.cancelled());
        let mut cx = Context::from_waker(&waker);
        assert!(cancelled.as_mut().poll(&mut cx).is_pending());
        token.cancel();
    });
}

#[test]
fn threads_and_tasks_wait_for_the_same_token() {
    within_a_minute(|| {
        let token = CancelToken::new();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| token.cancelled_blocking());
            }
            thread::yield_now();
            token.cancel();
        });
    });
}

#[test]
fn the_reasons_say_what_happened() {
    assert_eq!(Stopped::Cancelled.to_string(), "the run was cancelled");
    let late = Stopped::DeadlineExceeded.to_string();
    assert_eq!(late, "the deadline of the run has passed");
}
