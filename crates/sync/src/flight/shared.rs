//! What the participants of a flight share: who may poll the load, who waits, and the outcome.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use super::waiters::{Armed, Waiters};
use super::{FlightError, Spawn, Task};
use crate::contain::{contain, discard, wake};
use crate::primitive::{Mutex, MutexGuard, ThreadKey, lock, this_thread};

/// How many wakers are taken under one lock.
const BATCH: usize = 16;

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A participant was polled from inside the load's own poll.
pub(super) struct Reentrant;

/// Invariants:
///
/// 1. The load is polled by whoever took it out of `State::load`, and by nobody else; it is put
///    back, or the flight lands, before that poll returns or unwinds.
/// 2. While the load is `Idle` and `stirred`, everybody who waits was woken since they last
///    looked, or was never told to wait, or is the one whose waker the load was polled with before
///    the flight was made and has had ever since. So it takes only one of them to look, and one who
///    never looks again holds up nobody.
/// 3. While the load is `Idle` and not `stirred`, its waker will be woken: it was polled with it.
/// 4. The outcome is set before `Landed`, and before anybody is woken for it.
/// 5. While `joined > 0`, the flight is not abandoned.
pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
    outcome: OnceLock<Result<T, FlightError>>,
}

/// | load | stirred | who does what next |
/// |---|---|---|
/// | Idle | true | the next participant to look takes it and polls it |
/// | Idle | false | whatever the load waits for wakes the flight |
/// | Polling | false | its poller puts it back, or lands |
/// | Polling | true | its poller puts it back and wakes everybody, itself included, or lands |
/// | Landed | any | everybody was woken, and finds the outcome |
/// | Abandoned | any | nobody: the last participant left, and nobody can join |
struct State<T> {
    load: Load<T>,
    stirred: bool,
    joined: usize,
    waiters: Waiters,
    spawner: Option<Arc<dyn Spawn>>,
    /// A driver was given to the spawner; it is one of those who joined.
    driven: bool,
}

enum Load<T> {
    Idle(Boxed<T>),
    Polling(ThreadKey),
    Landed,
    Abandoned,
}

impl<T: Send + Sync + 'static> Shared<T> {
    pub(super) fn new(load: Boxed<T>, spawner: Option<Arc<dyn Spawn>>) -> Self {
        Self {
            state: Mutex::new(State {
                load: Load::Idle(load),
                stirred: true,
                joined: 0,
                waiters: Waiters::default(),
                spawner,
                driven: false,
            }),
            outcome: OnceLock::new(),
        }
    }

    /// With one participant, who has polled the load with `waker`; and its seat.
    pub(super) fn polled(
        load: Boxed<T>,
        spawner: Option<Arc<dyn Spawn>>,
        waker: Waker,
    ) -> (Self, usize) {
        let shared = Self::new(load, spawner);
        let mut state = lock(&shared.state);
        state.joined = 1;
        let seat = state.waiters.sit(waker);
        drop(state);
        (shared, seat)
    }

    pub(super) fn outcome(&self) -> Option<&Result<T, FlightError>> {
        self.outcome.get()
    }

    pub(super) fn joined(&self) -> usize {
        lock(&self.state).joined
    }

    /// Adds a participant, unless the flight was abandoned.
    pub(super) fn join(&self) -> bool {
        // After the landing nobody counts participants any more.
        if self.outcome.get().is_some() {
            return true;
        }
        let mut state = lock(&self.state);
        if matches!(state.load, Load::Abandoned) {
            return false;
        }
        state.joined += 1;
        true
    }

    /// Removes a participant. The last one takes the load with it, or hands it to the spawner.
    pub(super) fn leave(self: &Arc<Self>, seat: Option<usize>) {
        if self.outcome.get().is_some() {
            return;
        }
        let mut state = lock(&self.state);
        let waker = seat.and_then(|seat| state.waiters.leave(seat));
        state.joined -= 1;
        if state.joined > 0 || !matches!(state.load, Load::Idle(_)) {
            drop(state);
            drop(waker);
            return;
        }
        if let Some(spawner) = state.spawner.clone() {
            state.driven = true;
            state.joined = 1;
            drop(state);
            self.drive(&spawner);
        } else {
            let load = std::mem::replace(&mut state.load, Load::Abandoned);
            drop(state);
            discard(load);
        }
        drop(waker);
    }

    /// Looks whether the flight has landed; if not, polls the load if it is free and stirred, and
    /// waits otherwise. Who `parks` leaves polling to the spawner while there is one.
    pub(super) fn poll(
        self: &Arc<Self>,
        seat: &mut Option<usize>,
        parks: bool,
        waker: &Waker,
    ) -> Poll<Result<&Result<T, FlightError>, Reentrant>> {
        let mut fresh = None;
        loop {
            if let Some(outcome) = self.outcome.get() {
                return Poll::Ready(Ok(outcome));
            }
            let mut state = lock(&self.state);
            match state.load {
                Load::Polling(thread) if thread == this_thread() => {
                    return Poll::Ready(Err(Reentrant));
                }
                Load::Landed => continue,
                _ => {}
            }
            if parks && let Some(spawner) = &state.spawner {
                if !state.driven {
                    let spawner = Arc::clone(spawner);
                    state.driven = true;
                    state.joined += 1;
                    drop(state);
                    self.drive(&spawner);
                    continue;
                }
            } else if state.stirred && matches!(state.load, Load::Idle(_)) {
                let load = std::mem::replace(&mut state.load, Load::Polling(this_thread()));
                state.stirred = false;
                drop(state);
                let Load::Idle(load) = load else {
                    unreachable!("matched as idle above");
                };
                if self.advance(load, seat, waker).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            let armed = state.waiters.arm(seat, waker, &mut fresh);
            drop(state);
            match armed {
                Armed::Yes => return Poll::Pending,
                Armed::Replaced(old) => {
                    drop(old);
                    return Poll::Pending;
                }
                Armed::NeedsWaker => fresh = Some(waker.clone()),
            }
        }
    }

    /// Polls the load once.
    fn advance(
        self: &Arc<Self>,
        load: Boxed<T>,
        seat: &mut Option<usize>,
        waker: &Waker,
    ) -> Poll<()> {
        let mut turn = Turn {
            flight: self,
            load: Some(load),
        };
        let load = turn.load.as_mut().expect("just put there").as_mut();
        let own = Waker::from(Arc::clone(self));
        let polled = contain(|| load.poll(&mut Context::from_waker(&own)));
        match polled {
            Ok(Poll::Pending) => {
                // A clone that panics leaves through the turn's destructor.
                let mut fresh = Some(waker.clone());
                let load = turn.load.take().expect("nobody else takes it");
                let mut state = lock(&self.state);
                state.load = Load::Idle(load);
                let armed = state.waiters.arm(seat, waker, &mut fresh);
                if state.stirred {
                    self.wake_all(state);
                } else {
                    drop(state);
                }
                drop((armed, fresh));
                Poll::Pending
            }
            Ok(Poll::Ready(value)) => {
                self.land(Ok(value), turn.load.take());
                Poll::Ready(())
            }
            Err(message) => {
                let message = Arc::from(message);
                self.land(Err(FlightError::Panicked { message }), turn.load.take());
                Poll::Ready(())
            }
        }
    }

    fn land(&self, outcome: Result<T, FlightError>, load: Option<Boxed<T>>) {
        // Only the one who polls lands, so this is the first outcome.
        let _ = self.outcome.set(outcome);
        let mut state = lock(&self.state);
        state.load = Load::Landed;
        let spawner = state.spawner.take();
        self.wake_all(state);
        discard((load, spawner));
    }

    /// Wakes everybody who waits, starting with a lock that is held and going on without it.
    fn wake_all<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) {
        if state.waiters.is_empty() {
            return;
        }
        let mut from = 0;
        loop {
            let mut wakers = [const { None }; BATCH];
            let more = state.waiters.take(&mut from, &mut wakers);
            drop(state);
            wakers.into_iter().flatten().for_each(wake);
            if !more {
                return;
            }
            state = lock(&self.state);
        }
    }

    /// Gives the flight a driver of its own. The caller has counted it already.
    fn drive(self: &Arc<Self>, spawner: &Arc<dyn Spawn>) {
        let driver: Task = Box::pin(Driver {
            flight: Arc::clone(self),
            seat: None,
        });
        // A spawner that panics drops the driver, which then leaves as from any other task.
        let _ = contain(|| spawner.spawn(driver));
    }
}

/// What the load waits for has happened.
impl<T: Send + Sync + 'static> Wake for Shared<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        let news = !std::mem::replace(&mut state.stirred, true);
        if news && matches!(state.load, Load::Idle(_)) {
            self.wake_all(state);
        }
    }
}

/// The right to poll the load. Given up by unwinding, it goes back to the flight.
struct Turn<'a, T: Send + Sync + 'static> {
    flight: &'a Arc<Shared<T>>,
    load: Option<Boxed<T>>,
}

impl<T: Send + Sync + 'static> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let Some(load) = self.load.take() else {
            return;
        };
        let mut state = lock(&self.flight.state);
        state.load = Load::Idle(load);
        if state.stirred {
            self.flight.wake_all(state);
        }
    }
}

/// A participant that lives in a task of the spawner and wants no result.
struct Driver<T: Send + Sync + 'static> {
    flight: Arc<Shared<T>>,
    seat: Option<usize>,
}

impl<T: Send + Sync + 'static> Future for Driver<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.flight
            .poll(&mut this.seat, false, cx.waker())
            .map(drop)
    }
}

impl<T: Send + Sync + 'static> Drop for Driver<T> {
    /// A driver dropped before the landing means that the spawner does not run tasks any more. The
    /// others are told, and those who left polling to it take over.
    fn drop(&mut self) {
        if self.flight.outcome.get().is_some() {
            return;
        }
        let spawner = lock(&self.flight.state).spawner.take();
        discard(spawner);
        self.flight.leave(self.seat.take());
        self.flight.wake_all(lock(&self.flight.state));
    }
}
