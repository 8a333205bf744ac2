//! Polling by hand, with wakers that count, and loads that obey the test.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&wakes));
        (wakes, waker)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// A waker that panics when it is woken.
pub(crate) fn panicking_waker() -> Waker {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    Waker::from(Arc::new(Bomb))
}

/// Steers a load from outside: what it sees, and when it goes on.
#[derive(Debug)]
pub(crate) struct Control<T> {
    value: Mutex<Option<T>>,
    waker: Mutex<Option<Waker>>,
    polls: AtomicUsize,
    drops: AtomicUsize,
}

impl<T: Send + 'static> Control<T> {
    /// The control, and a load that is pending until [`finish`](Self::finish).
    pub(crate) fn new() -> (Arc<Self>, Steered<T>) {
        let control = Arc::new(Self {
            value: Mutex::new(None),
            waker: Mutex::new(None),
            polls: AtomicUsize::new(0),
            drops: AtomicUsize::new(0),
        });
        let load = Steered(Arc::clone(&control));
        (control, load)
    }

    /// Wakes the load without anything having happened.
    pub(crate) fn stir(&self) {
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn finish(&self, value: T) {
        *self.value.lock().unwrap() = Some(value);
        self.stir();
    }

    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    pub(crate) fn drops(&self) -> usize {
        self.drops.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct Steered<T>(Arc<Control<T>>);

impl<T> Future for Steered<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.polls.fetch_add(1, Ordering::SeqCst);
        // The waker comes first: a value that arrives in between then wakes it.
        *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
        let value = self.0.value.lock().unwrap().take();
        value.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for Steered<T> {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::SeqCst);
    }
}
