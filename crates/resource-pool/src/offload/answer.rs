//! One value from a thread to whoever polls for it; it comes back if nobody does any more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::panics::{discard, wake};
use crate::primitive::{Mutex, lock};

enum State<T> {
    Waiting(Option<Waker>),
    Told(T),
    /// Taken, or not wanted any more.
    Over,
}

/// Who will know.
pub(super) struct Teller<T>(Arc<Mutex<State<T>>>);

/// Who wants to know. If nobody tells, this never ends.
pub(super) struct Told<T>(Arc<Mutex<State<T>>>);

pub(super) fn answer<T>() -> (Teller<T>, Told<T>) {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    (Teller(Arc::clone(&state)), Told(state))
}

impl<T> Teller<T> {
    /// Tells. The value comes back if nobody wants to know.
    pub(super) fn tell(self, value: T) -> Option<T> {
        let waker = {
            let mut state = lock(&self.0);
            match &mut *state {
                State::Waiting(waker) => {
                    let waker = waker.take();
                    *state = State::Told(value);
                    waker
                }
                State::Told(_) | State::Over => return Some(value),
            }
        };
        if let Some(waker) = waker {
            wake(waker);
        }
        None
    }
}

impl<T> Future for Told<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let fresh = cx.waker().clone();
        let (outcome, before) = {
            let mut state = lock(&self.0);
            match std::mem::replace(&mut *state, State::Over) {
                State::Told(value) => (Poll::Ready(value), Some(fresh)),
                State::Waiting(before) => {
                    *state = State::Waiting(Some(fresh));
                    (Poll::Pending, before)
                }
                State::Over => (Poll::Pending, Some(fresh)),
            }
        };
        discard(before);
        outcome
    }
}

impl<T> Told<T> {
    /// Wants to know no more. What was told and not taken comes back.
    pub(super) fn end(&self) -> Option<T> {
        let left = std::mem::replace(&mut *lock(&self.0), State::Over);
        match left {
            State::Told(value) => Some(value),
            left => {
                discard(left);
                None
            }
        }
    }
}

impl<T> Drop for Told<T> {
    fn drop(&mut self) {
        discard(self.end());
    }
}
