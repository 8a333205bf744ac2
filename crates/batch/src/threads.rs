//! The blocking engine, which calls a function on a bounded number of scoped threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Builder, Scope};

use crate::cancel::Stopped;
use crate::control::{Control, Order, Pass, under};
use crate::error::ItemError;
use crate::limiter::Surroundings;
use crate::panic::{Panic, Payload, contained};
use crate::primitive::{Condvar, Mutex, MutexGuard, lock, wait};
use crate::work::Work;

/// Runs some [`Work`] to its end on at most `limit` threads, one of which is the caller's, and
/// returns it.
///
/// A thread is started when there is an item for it and no idle thread to take it; where the
/// system refuses one, those that exist do the work. A panic of the work itself (an iterator's,
/// not an item's) stops the run and goes on in the caller.
///
/// What runs cannot be dropped, so a run that is ended early starts nothing more and lets what runs
/// come to its end.
pub(crate) fn run<W, F>(work: W, limit: usize, control: Control, call: F) -> W
where
    W: Work + Send,
    W::Item: Send,
    F: Fn(W::Item) -> Result<W::Output, W::Error> + Sync,
{
    let bell = (!control.is_free()).then(Arc::<Bell>::default);
    let crew = Crew {
        limit: limit.min(work.most_in_flight()).max(1),
        state: Mutex::new(State {
            work,
            door: Some(control),
            stopped: None,
            threads: 1,
            idle: 0,
            running: 0,
            over: false,
            panic: None,
        }),
        something_to_do: Condvar::new(),
        bell,
        around: Surroundings::here(),
        call,
    };
    std::thread::scope(|scope| crew.labour(scope));
    let state = crew
        .state
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match state.panic {
        None => state.work,
        Some(payload) => resume_unwind(payload),
    }
}

struct Crew<W, F> {
    limit: usize,
    state: Mutex<State<W>>,
    /// Notified once for an item that an idle thread may take, and to all when the run is over.
    something_to_do: Condvar,
    /// Rung for the thread at the door. None in a run without control.
    bell: Option<Arc<Bell>>,
    /// The items that the caller runs in.
    around: Surroundings,
    call: F,
}

struct State<W> {
    work: W,
    /// Whoever starts an item of a controlled run takes this out, and puts it back when the item is
    /// admitted, so that nothing is waited for, and no foreign code runs, under the lock.
    door: Option<Control>,
    stopped: Option<Stopped>,
    threads: usize,
    idle: usize,
    running: usize,
    over: bool,
    panic: Option<Payload>,
}

impl<W, F> Crew<W, F>
where
    W: Work + Send,
    W::Item: Send,
    F: Fn(W::Item) -> Result<W::Output, W::Error> + Sync,
{
    /// What every thread does until the run is over.
    fn labour<'scope, 'env>(&'env self, scope: &'scope Scope<'scope, 'env>) {
        let mut state = lock(&self.state);
        while !state.over {
            let next = match state.stopped {
                _ if state.door.is_none() => Ok(None), // somebody else is starting an item
                None => catch_unwind(AssertUnwindSafe(|| state.work.next())),
                Some(why) => catch_unwind(AssertUnwindSafe(|| {
                    while state.work.stop(why) {}
                    None
                })),
            };
            match next {
                Ok(Some((tag, item))) => {
                    let admitted;
                    (state, admitted) = match &self.bell {
                        None => (state, Some((item, None))),
                        Some(bell) => self.pass_door(state, bell, tag, item),
                    };
                    let Some((item, mut pass)) = admitted else {
                        continue;
                    };
                    state.running += 1;
                    let recruit = self.recruit(&mut state);
                    drop(state);
                    if recruit && !self.spawn(scope) {
                        lock(&self.state).threads -= 1;
                    }
                    let called = AssertUnwindSafe(|| under(&mut pass, || (self.call)(item)));
                    let result = match catch_unwind(called) {
                        Ok(result) => result.map_err(ItemError::Failed),
                        Err(payload) => {
                            let index = lock(&self.state).work.index(tag);
                            Err(ItemError::Panicked(Panic::new(index, payload)))
                        }
                    };
                    state = lock(&self.state);
                    state.work.finish(tag, result);
                    state.running -= 1;
                    if let Some(bell) = &self.bell
                        && state.door.is_none()
                    {
                        bell.ring(); // fewer run now
                    }
                    // Returned once the result is filed: whoever starts on it knows of a failure.
                    if let Some(pass) = pass {
                        drop(state);
                        contained(|| drop(pass)); // it may wake others
                        state = lock(&self.state);
                    }
                }
                Ok(None) if state.running == 0 && state.door.is_some() => {
                    state.over = true;
                    self.something_to_do.notify_all();
                }
                Ok(None) => {
                    state.idle += 1;
                    state = wait(&self.something_to_do, state);
                    state.idle -= 1;
                }
                Err(payload) => {
                    state.panic = Some(payload);
                    state.over = true;
                    self.something_to_do.notify_all();
                }
            }
        }
    }

    /// Waits until the item may start, and returns it with what it holds while it runs; none if
    /// the run was ended instead.
    #[expect(clippy::type_complexity, reason = "used once, in the only caller")]
    fn pass_door<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<W>>,
        bell: &Arc<Bell>,
        tag: usize,
        item: W::Item,
    ) -> (MutexGuard<'a, State<W>>, Option<(W::Item, Pass)>) {
        let mut control = state.door.take().expect("looked at with the lock held");
        let waker = Waker::from(Arc::clone(bell));
        let mut cx = Context::from_waker(&waker);
        let mut admission = loop {
            let running = state.running;
            let closed = state.work.closed();
            drop(state);
            // Timers and gates may be the caller's.
            let asked = catch_unwind(AssertUnwindSafe(|| {
                match (closed, control.poll_order(&mut cx)) {
                    (Some(why), _) => Poll::Ready(Err(why)),
                    (None, Order::GoOn) => control.poll_admit(running, &mut cx).map(Ok),
                    (None, Order::Drain(why) | Order::Drop(why)) => Poll::Ready(Err(why)),
                }
            }));
            match asked {
                Ok(Poll::Ready(admission)) => break admission,
                Ok(Poll::Pending) => bell.wait(),
                Err(payload) => {
                    contained(|| drop(item));
                    contained(|| drop(control)); // it leaves lines, which may wake others
                    state = lock(&self.state);
                    state.panic = Some(payload);
                    state.over = true;
                    self.something_to_do.notify_all();
                    return (state, None);
                }
            }
            state = lock(&self.state);
        };
        let mut item = Some(item);
        state = lock(&self.state);
        let mut returned = None;
        if let (Ok(pass), Some(why)) = (&mut admission, state.work.closed()) {
            returned = pass.take(); // what ended while the gates were asked has closed the work
            admission = Err(why);
        }
        if admission.is_err() {
            drop(state);
            contained(|| drop(returned));
            control.leave_gates();
            contained(|| drop(item.take()));
            state = lock(&self.state);
        }
        state.door = Some(control);
        match admission {
            Ok(pass) => {
                let item = item.expect("it is dropped only when it is not admitted");
                (state, Some((item, pass)))
            }
            Err(why) => {
                state.stopped = Some(why);
                state.work.turned_back(tag, why);
                (state, None)
            }
        }
    }

    /// Sees to it that somebody looks for the next item: wakes an idle thread, or says that a
    /// thread should be started.
    fn recruit(&self, state: &mut State<W>) -> bool {
        if !state.work.may_have_next() {
            return false;
        }
        if state.idle > 0 {
            self.something_to_do.notify_one();
            return false;
        }
        let hire = state.threads < self.limit;
        state.threads += usize::from(hire);
        hire
    }

    fn spawn<'scope, 'env>(&'env self, scope: &'scope Scope<'scope, 'env>) -> bool {
        #[cfg(all(test, not(brolly_loom)))]
        if tests::refuses() {
            return false;
        }
        Builder::new()
            .name("brolly-batch".to_owned())
            .spawn_scoped(scope, move || self.around.enter(|| self.labour(scope)))
            .is_ok()
    }
}

/// Wakes the thread at the door.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Bell {
    fn ring(&self) {
        *lock(&self.rung) = true;
        self.condition.notify_one(); // only one thread is at the door
    }

    fn wait(&self) {
        let mut rung = lock(&self.rung);
        while !*rung {
            rung = wait(&self.condition, rung);
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests;
