//! [`block_on`]: drives one future on the calling thread, which sleeps between wake-ups.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use crate::primitive::{Condvar, Mutex, lock, wait};

/// A flag with a sleeper. `std::thread::park` is not used: its token is shared with whatever else
/// the caller's thread parks for, and taking that token could lose a wake-up of theirs.
struct Signal {
    raised: Mutex<bool>,
    condition: Condvar,
}

impl Signal {
    fn wait(&self) {
        let mut raised = lock(&self.raised);
        while !*raised {
            raised = wait(&self.condition, raised);
        }
        *raised = false;
    }
}

impl Wake for Signal {
    fn wake(self: StdArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        *lock(&self.raised) = true;
        self.condition.notify_one();
    }
}

/// Drives a future on this thread until it is ready. The thread sleeps between wake-ups.
///
/// It is no runtime: a future that needs one finds none here. Costs one allocation.
///
/// Must not be called from a task: it would block the executor's thread.
///
/// ```
/// assert_eq!(brolly_sync::block_on(async { 6 * 7 }), 42);
/// ```
///
/// # Panics
///
/// When the future does.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let signal = StdArc::new(Signal {
        raised: Mutex::new(false),
        condition: Condvar::new(),
    });
    let waker = Waker::from(StdArc::clone(&signal));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => signal.wait(),
        }
    }
}
