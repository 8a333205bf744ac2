//! [`ThreadTimer`]: one thread that waits for everybody, under any runtime or none.

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::Clock;
use crate::contain::wake;
use crate::primitive::{Condvar, Mutex, lock, start_thread, wait, wait_at_most};
use crate::sleepers::{Armed, Key, Sleepers};
use crate::system_clock::SystemClock;
use crate::timer::{Listing, Sleep, Timer};

/// The longest single wait of the thread: platforms differ in what they make of longer ones.
const LONGEST_NAP: Duration = Duration::from_secs(24 * 60 * 60);

/// How many wakers are taken under one lock.
const BATCH: usize = 32;

/// A timer with a thread of its own. Clones share the thread.
///
/// The thread starts when somebody sleeps for the first time. It ends when the last clone of the
/// timer and the last sleep are gone; dropping a timer does not wait for that. A sleep outlives the
/// timer it came from.
///
/// Falling asleep, waking and cancelling take one short lock and O(log n) time. Memory is bounded
/// by the greatest number of sleeps at one time.
///
/// Wakers are called on the timer's thread: one that blocks delays the sleepers behind it. Where
/// the operating system refuses a thread, sleeps stay correct by asking to be polled again at once,
/// which tries again to start one.
///
/// ```
/// use std::time::Duration;
/// use brolly_sync::{Clock, ThreadTimer, TimerExt};
///
/// let timer = ThreadTimer::new();
/// let start = timer.now();
/// timer.sleep_blocking(Duration::from_millis(2));
/// assert!(timer.now() - start >= Duration::from_millis(2));
/// ```
pub struct ThreadTimer<C = SystemClock>
where
    C: Clock + 'static,
{
    handles: Arc<Handles<C>>,
}

/// Closes the timer when the last handle goes.
struct Handles<C: Clock + 'static>(Arc<Core<C>>);

struct Core<C> {
    /// This very value, for the thread to hold.
    itself: Weak<Self>,
    clock: C,
    state: Mutex<State>,
    /// Notified when the thread, asleep, has something to do before the end of its nap.
    rouse: Condvar,
}

/// The thread's part of the state follows this table; `closed` is set once.
///
/// | running | nap | the thread |
/// |---|---|---|
/// | false | None | does not exist, or is about to end without another look |
/// | true | None | is awake, and looks at the list before it sleeps or ends |
/// | true | Some(t) | sleeps until t at the latest, or is being roused |
#[derive(Default)]
struct State {
    sleepers: Sleepers,
    running: bool,
    nap: Option<Duration>,
    closed: bool,
}

impl ThreadTimer {
    /// A timer over a new [`SystemClock`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock::new())
    }
}

impl Default for ThreadTimer {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock + 'static> ThreadTimer<C> {
    /// A timer over a clock that runs at the speed of real time. One that runs slower makes the
    /// thread look again; one that runs faster makes sleeps end late.
    ///
    /// The thread reads the clock while the timer's lock is held, so reading it must neither use
    /// the timer nor panic.
    #[must_use]
    pub fn with_clock(clock: C) -> Self {
        let core = Arc::new_cyclic(|itself| Core {
            itself: Weak::clone(itself),
            clock,
            state: Mutex::new(State::default()),
            rouse: Condvar::new(),
        });
        Self {
            handles: Arc::new(Handles(core)),
        }
    }

    /// How many sleeps were polled and are neither over nor dropped.
    #[must_use]
    pub fn sleeping(&self) -> usize {
        lock(&self.core().state).sleepers.len()
    }

    /// Ends the thread's nap if its time is over: the part of the operating system in a model.
    #[cfg(brolly_loom)]
    #[doc(hidden)]
    pub fn time_has_passed(&self) {
        let state = lock(&self.core().state);
        if state
            .nap
            .is_some_and(|until| until <= self.core().clock.now())
        {
            self.core().rouse.notify_one();
        }
    }

    fn core(&self) -> &Arc<Core<C>> {
        &self.handles.0
    }
}

impl<C: Clock + 'static> Clone for ThreadTimer<C> {
    fn clone(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
        }
    }
}

impl<C: Clock + 'static> Clock for ThreadTimer<C> {
    fn now(&self) -> Duration {
        self.core().clock.now()
    }

    fn coarse(&self) -> Duration {
        self.core().clock.coarse()
    }

    fn coarse_lag(&self) -> Duration {
        self.core().clock.coarse_lag()
    }
}

impl<C: Clock + 'static> Timer for ThreadTimer<C> {
    fn sleep_until(&self, deadline: Duration) -> Sleep {
        Sleep::listed(deadline, Arc::clone(self.core()) as Arc<dyn Listing>)
    }
}

impl<C: Clock + 'static> Drop for Handles<C> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.closed = true;
        self.0.rouse_if_over(&state);
    }
}

impl<C: Clock + 'static> Listing for Core<C> {
    fn poll(&self, deadline: Duration, key: &mut Option<Key>, cx: &mut Context<'_>) -> Poll<()> {
        let mut fresh = None;
        loop {
            // A sleeper listed after this reading is found by the thread: it reads the clock again
            // before it sleeps, and is roused if it sleeps for longer.
            let due = self.clock.now() >= deadline;
            let mut state = lock(&self.state);
            if due {
                let own = key.take().and_then(|key| state.sleepers.cancel(key));
                self.rouse_if_over(&state);
                drop(state);
                drop(own);
                return Poll::Ready(());
            }
            let armed = state.sleepers.arm(key, deadline, cx.waker(), &mut fresh);
            match armed {
                Armed::NeedsWaker => {
                    drop(state);
                    fresh = Some(cx.waker().clone());
                }
                Armed::Yes => {
                    let starts = self.attend(&mut state, deadline);
                    drop(state);
                    if starts {
                        self.start();
                    }
                    return Poll::Pending;
                }
                Armed::Replaced(old) => {
                    drop(state);
                    drop(old);
                    return Poll::Pending;
                }
            }
        }
    }

    fn cancel(&self, key: Key) {
        let mut state = lock(&self.state);
        let waker = state.sleepers.cancel(key);
        self.rouse_if_over(&state);
        drop(state);
        drop(waker);
    }
}

impl<C: Clock + 'static> Core<C> {
    /// Sees to it that the thread looks at the list before `deadline`; true if the thread must be
    /// started, which is the caller's part.
    fn attend(&self, state: &mut State, deadline: Duration) -> bool {
        if state.nap.is_some_and(|until| deadline < until) {
            self.rouse.notify_one();
        }
        !std::mem::replace(&mut state.running, true)
    }

    /// Lets the thread end if it sleeps for nobody.
    fn rouse_if_over(&self, state: &State) {
        if state.closed && state.nap.is_some() && state.sleepers.len() == 0 {
            self.rouse.notify_one();
        }
    }

    /// Starts the thread. If that is refused, everybody on the list is woken, and whoever looks
    /// again tries again.
    fn start(&self) {
        let core = self.itself.upgrade().expect("a sleep or a handle holds it");
        if start_thread("brolly-timer", move || core.serve()).is_ok() {
            return;
        }
        let mut state = lock(&self.state);
        state.running = false;
        let mut listed = Vec::with_capacity(state.sleepers.len());
        while let Some(waker) = state.sleepers.pop_due(Duration::MAX) {
            listed.push(waker);
        }
        drop(state);
        listed.into_iter().for_each(wake);
    }

    /// The thread's life.
    fn serve(&self) {
        let mut due: Vec<Waker> = Vec::with_capacity(BATCH);
        let mut state = lock(&self.state);
        loop {
            let now = self.clock.now();
            while due.len() < BATCH
                && let Some(waker) = state.sleepers.pop_due(now)
            {
                due.push(waker);
            }
            if !due.is_empty() {
                drop(state);
                due.drain(..).for_each(wake);
                state = lock(&self.state);
                continue;
            }
            let next = state.sleepers.next_deadline();
            if next.is_none() && state.closed {
                state.running = false;
                return;
            }
            state.nap = Some(next.unwrap_or(Duration::MAX));
            state = match next {
                None => wait(&self.rouse, state),
                Some(next) => {
                    let left = next.saturating_sub(now).min(LONGEST_NAP);
                    wait_at_most(&self.rouse, state, left)
                }
            };
            state.nap = None;
        }
    }
}

impl<C: Clock + 'static> fmt::Debug for ThreadTimer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadTimer")
            .field("clock", &self.core().clock)
            .field("sleeping", &self.sleeping())
            .finish()
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests;
