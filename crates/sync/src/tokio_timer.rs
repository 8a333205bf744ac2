//! [`TokioTimer`]: tokio's own timers, and its clock, which tests can pause.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::flight::{Spawn, Task};
use crate::timer::{Sleep, Timer};

/// A timer that waits in a tokio runtime, by tokio's clock.
///
/// Under tokio's paused clock it stands still and jumps with it. Its sleeps may be polled anywhere,
/// but end only while the runtime runs. tokio rounds a deadline up to the next millisecond. A
/// sleep costs one allocation.
///
/// # Panics
///
/// A sleep that is polled before its time and after its runtime was shut down panics, as tokio's
/// own do: a thread that waits by this timer must not outlive the runtime.
#[derive(Clone, Debug)]
pub struct TokioTimer {
    handle: Handle,
    origin: Instant,
}

impl TokioTimer {
    /// A timer in the runtime of the calling task.
    ///
    /// # Panics
    ///
    /// Outside of a runtime; [`new`](Self::new) takes a handle instead. Sleeping panics if the
    /// runtime was built without `enable_time`.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self::new(Handle::current())
    }

    /// A timer in this runtime, whose clock starts at zero now.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        let origin = {
            // A paused clock belongs to its runtime and is read inside of it only.
            let _inside = handle.enter();
            Instant::now()
        };
        Self { handle, origin }
    }
}

impl Clock for TokioTimer {
    fn now(&self) -> Duration {
        let _inside = self.handle.enter();
        self.origin.elapsed()
    }
}

impl Timer for TokioTimer {
    fn sleep_until(&self, deadline: Duration) -> Sleep {
        let timer = self.clone();
        Sleep::from_future(deadline, async move {
            // A deadline beyond the end of tokio's clock becomes one in about 30 years there.
            loop {
                let left = deadline.saturating_sub(timer.now());
                if left.is_zero() {
                    return;
                }
                let sleep = {
                    let _inside = timer.handle.enter();
                    tokio::time::sleep(left)
                };
                sleep.await;
            }
        })
    }
}

impl Spawn for Handle {
    fn spawn(&self, task: Task) {
        drop(Handle::spawn(self, task));
    }
}
