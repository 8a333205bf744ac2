//! [`ManualClock`]: time that moves only when told to, and the sleepers it wakes when it does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::Clock;
use crate::contain::wake;
use crate::nano_clock::saturating_nanos;
use crate::primitive::{AtomicU64, Mutex, lock};
use crate::sleepers::{Armed, Key, Sleepers};
use crate::timer::{Listing, Sleep, Timer};

/// A clock and a timer that move only when told to. Clones share the time and the sleepers.
///
/// It counts whole nanoseconds and stops at its end, about 584 years after its origin, instead of
/// wrapping; a sleep beyond its end never ends.
///
/// ```
/// use std::time::Duration;
/// use brolly_sync::{Clock, ManualClock, TimerExt};
///
/// let clock = ManualClock::new();
/// std::thread::scope(|scope| {
///     let sleeper = scope.spawn(|| clock.sleep_blocking(Duration::from_secs(3600)));
///     while clock.sleeping() == 0 {
///         std::thread::yield_now();
///     }
///     clock.advance(Duration::from_secs(3600)); // an hour, at once
///     sleeper.join().expect("it woke up");
/// });
/// assert_eq!(clock.now(), Duration::from_secs(3600));
/// ```
#[derive(Clone, Default)]
#[doc(alias = "mock")]
#[doc(alias = "pause")]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Relaxed suffices: the time is one number, read-modify-writes of one number never run
    /// backwards, and for the sleepers the lock orders what matters (see `Listing::poll`).
    nanos: AtomicU64,
    sleepers: Mutex<Sleepers>,
}

impl ManualClock {
    /// A clock that reads zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward, then wakes the sleepers that are due, the earliest deadline first
    /// and those of one deadline in the order in which they fell asleep.
    ///
    /// The time jumps: whoever is woken reads the new time, not its own deadline. Wakers are called
    /// on this thread, outside every lock, so they may use the clock.
    pub fn advance(&self, by: Duration) {
        let by = saturating_nanos(by);
        // The closure never declines, so the update cannot fail.
        let _ = self
            .shared
            .nanos
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some(now.saturating_add(by))
            });
        self.wake_due();
    }

    /// Moves the time forward to `now` and wakes as [`advance`](Self::advance) does; leaves the
    /// time alone if it is already later, since a clock never runs backwards.
    pub fn set(&self, now: Duration) {
        self.shared
            .nanos
            .fetch_max(saturating_nanos(now), Ordering::Relaxed);
        self.wake_due();
    }

    /// How many sleeps were polled and are neither over nor dropped.
    #[must_use]
    pub fn sleeping(&self) -> usize {
        lock(&self.shared.sleepers).len()
    }

    /// The earliest deadline somebody sleeps for. `set` to it takes time to its next event.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        lock(&self.shared.sleepers).next_deadline()
    }

    fn wake_due(&self) {
        loop {
            let waker = {
                let mut sleepers = lock(&self.shared.sleepers);
                sleepers.pop_due(self.now())
            };
            match waker {
                Some(waker) => wake(waker),
                None => return,
            }
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.shared.now()
    }
}

impl Timer for ManualClock {
    fn sleep_until(&self, deadline: Duration) -> Sleep {
        Sleep::listed(deadline, Arc::clone(&self.shared) as Arc<dyn Listing>)
    }
}

impl Shared {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

impl Listing for Shared {
    /// The time is read under the lock. So either this sleeper is listed before a mover of the
    /// time locks the list, which then finds it, or it locks after the mover, and then it reads
    /// the new time, which was written before the mover locked.
    fn poll(&self, deadline: Duration, key: &mut Option<Key>, cx: &mut Context<'_>) -> Poll<()> {
        let mut fresh = None;
        loop {
            let mut sleepers = lock(&self.sleepers);
            if self.now() >= deadline {
                let own = key.take().and_then(|key| sleepers.cancel(key));
                drop(sleepers);
                drop(own);
                return Poll::Ready(());
            }
            let armed = sleepers.arm(key, deadline, cx.waker(), &mut fresh);
            drop(sleepers);
            match armed {
                Armed::Yes => return Poll::Pending,
                Armed::Replaced(old) => {
                    drop(old);
                    return Poll::Pending;
                }
                Armed::NeedsWaker => fresh = Some(cx.waker().clone()),
            }
        }
    }

    fn cancel(&self, key: Key) {
        let waker = lock(&self.sleepers).cancel(key);
        drop(waker);
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock")
            .field("now", &self.now())
            .field("sleeping", &self.sleeping())
            .finish()
    }
}
