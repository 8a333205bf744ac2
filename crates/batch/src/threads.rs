//! The blocking engine, which calls a function on a bounded number of scoped threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{Builder, Scope};

use crate::error::ItemError;
use crate::panic::{Panic, Payload};
use crate::primitive::{Condvar, Mutex, lock, wait};
use crate::work::Work;

/// Runs some [`Work`] to its end on at most `limit` threads, one of which is the caller's, and
/// returns it.
///
/// A thread is started when there is an item for it and no idle thread to take it; where the
/// system refuses one, those that exist do the work. A panic of the work itself (an iterator's,
/// not an item's) stops the run and goes on in the caller.
pub(crate) fn run<W, F>(work: W, limit: usize, call: F) -> W
where
    W: Work + Send,
    W::Item: Send,
    F: Fn(W::Item) -> Result<W::Output, W::Error> + Sync,
{
    let crew = Crew {
        limit: limit.min(work.most_in_flight()).max(1),
        state: Mutex::new(State {
            work,
            threads: 1,
            idle: 0,
            running: 0,
            over: false,
            panic: None,
        }),
        something_to_do: Condvar::new(),
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
    call: F,
}

struct State<W> {
    work: W,
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
            match catch_unwind(AssertUnwindSafe(|| state.work.next())) {
                Ok(Some((tag, item))) => {
                    state.running += 1;
                    let recruit = self.recruit(&mut state);
                    drop(state);
                    if recruit && !self.spawn(scope) {
                        lock(&self.state).threads -= 1;
                    }
                    let result = match catch_unwind(AssertUnwindSafe(|| (self.call)(item))) {
                        Ok(result) => result.map_err(ItemError::Failed),
                        Err(payload) => {
                            let index = lock(&self.state).work.index(tag);
                            Err(ItemError::Panicked(Panic::new(index, payload)))
                        }
                    };
                    state = lock(&self.state);
                    state.work.finish(tag, result);
                    state.running -= 1;
                }
                Ok(None) if state.running == 0 => {
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
            .spawn_scoped(scope, move || self.labour(scope))
            .is_ok()
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use std::cell::Cell;
    use std::sync::{Mutex, mpsc};
    use std::time::Duration;

    use super::*;
    use crate::map::MapWork;

    thread_local! {
        /// How many threads the system will refuse to start for this one.
        static REFUSALS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn refuses() -> bool {
        let left = REFUSALS.get();
        REFUSALS.set(left.saturating_sub(1));
        left > 0
    }

    #[test]
    fn a_thread_that_was_refused_is_asked_for_again() {
        REFUSALS.set(3);
        let (sender, receiver) = mpsc::channel();
        let (sender, receiver) = (Mutex::new(sender), Mutex::new(receiver));
        let work = run(MapWork::new(0..5), 2, |n| match n {
            // Item 3 needs item 4 beside it.
            3 => lock(&receiver)
                .recv_timeout(Duration::from_secs(60))
                .map_err(|_| "nobody runs item 4"),
            4 => lock(&sender).send(()).map_err(|_| "item 3 is over"),
            _ => Ok(()),
        });
        assert!(work.into_results().iter().all(Result::is_ok));
    }
}
