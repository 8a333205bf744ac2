//! Ending what is on the list, newest first, whatever fails, and whether anybody waits for it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Home, Known, State};
use crate::panics::{contain, discard};
use crate::scope::ending::Ending;
use crate::scope::error::{CleanupCause, CleanupError};

impl Home {
    /// Ends something that nobody waits for: what is ready at once is done, the spawner does the
    /// rest, and what is left then is reported and stays on the list, if it was there.
    pub(crate) fn end_now(self: &Arc<Self>, what: Known, ending: Box<dyn Ending>) {
        let out = self.take_out(what, ending);
        self.run_or_leave(async move {
            if let Err(error) = out.end().await {
                error.report();
            }
        });
    }

    /// Ends everything there is, newest first. Nobody waits for it.
    pub(crate) fn end_all_now(self: &Arc<Self>) {
        let has_work = self.locked(|list| {
            list.is_over = true;
            let mut entries = list.entries.values();
            entries.any(|it| matches!(it.state, State::Here(_)))
        });
        if !has_work {
            return;
        }
        let remains = Remains(Arc::clone(self));
        let patience = match self.spawner {
            Some(_) => Patience::Endless,
            None => Patience::OneLook,
        };
        self.run_or_leave(async move {
            let Remains(home) = &remains;
            end_all(home, patience, |error| home.report(&error)).await;
        });
    }

    /// Looks at a task once; if it has to wait, the spawner goes on with it.
    fn run_or_leave(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut task: brolly_sync::Task = Box::pin(task);
        let mut cx = Context::from_waker(Waker::noop());
        match (
            contain(|| self.look(|| task.as_mut().poll(&mut cx).is_ready())),
            &self.spawner,
        ) {
            (Ok(false), Some(spawner)) => {
                let _ = contain(|| spawner.spawn(task));
            }
            _ => discard(task),
        }
    }

    /// A look is taken as the runtime's tasks take it: a cleanup that needs the runtime finds it,
    /// though the thread may be one that knows of none.
    #[cfg(feature = "tokio")]
    fn look<T>(&self, look: impl FnOnce() -> T) -> T {
        // At the end of a thread nothing can be entered any more.
        let can_enter = match tokio::runtime::Handle::try_current() {
            Ok(_) => true,
            Err(error) => error.is_missing_context(),
        };
        let runtime = self.runtime.as_ref().filter(|_| can_enter);
        let _entered = runtime.map(tokio::runtime::Handle::enter);
        look()
    }

    #[cfg(not(feature = "tokio"))]
    fn look<T>(&self, look: impl FnOnce() -> T) -> T {
        look()
    }

    fn take_out(self: &Arc<Self>, what: Known, ending: Box<dyn Ending>) -> Out {
        self.locked(|list| {
            if let Some(entry) = list.entries.get_mut(&what.seat) {
                entry.state = State::Ending;
                entry.is_doomed = true;
            }
        });
        Out {
            home: Arc::clone(self),
            what,
            ending: Some(ending),
            is_watched: false,
        }
    }

    /// The newest of the entries before `end` that is to be ended, and what it is to be ended with.
    fn step(self: &Arc<Self>, end: u64) -> Option<Step> {
        let (what, ending) = self.locked(|list| {
            let mut older = list.entries.range_mut(..end).rev();
            older.find_map(|(seat, entry)| {
                let ending = match std::mem::replace(&mut entry.state, State::Ending) {
                    State::Ending => return None,
                    State::Here(ending) => Some(ending),
                    State::Held => {
                        entry.state = State::Held;
                        None
                    }
                };
                entry.is_doomed = true;
                Some((entry.known(*seat), ending))
            })
        })?;
        Some(match ending {
            None => Step::InUse(what),
            ending => Step::Out(Out {
                home: Arc::clone(self),
                what,
                ending,
                is_watched: true,
            }),
        })
    }
}

enum Step {
    Out(Out),
    InUse(Known),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Endless,
    /// Each ending is looked at once and left if it has to wait.
    OneLook,
}

/// Ends everything that is on the list now, newest first, whatever fails.
pub(crate) async fn end_all(
    home: &Arc<Home>,
    patience: Patience,
    mut tell: impl FnMut(CleanupError),
) {
    let mut end = home.locked(|list| list.next);
    while let Some(step) = home.step(end) {
        match step {
            Step::InUse(what) => {
                end = what.seat;
                tell(what.error(CleanupCause::InUse));
            }
            Step::Out(out) => {
                end = out.what.seat;
                let ended = match patience {
                    Patience::Endless => Some(out.end().await),
                    Patience::OneLook => one_look(out.unwatched().end()).await,
                };
                if let Some(Err(failed)) = ended {
                    tell(failed.error);
                }
            }
        }
    }
}

async fn one_look<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Something in the hands of the one who ends it. Dropped before that, it goes back to the list.
struct Out {
    home: Arc<Home>,
    what: Known,
    ending: Option<Box<dyn Ending>>,
    /// Somebody waits for it, who knows when it is left.
    is_watched: bool,
}

/// An ending that failed, and where to say so.
struct Failed {
    home: Arc<Home>,
    error: CleanupError,
}

impl Failed {
    fn report(&self) {
        self.home.report(&self.error);
    }
}

impl Out {
    fn unwatched(mut self) -> Self {
        self.is_watched = false;
        self
    }

    async fn end(mut self) -> Result<(), Failed> {
        let ended = match &mut self.ending {
            Some(ending) => ending.end().await,
            None => Ok(()),
        };
        let ending = self.ending.take();
        match ended {
            Ok(()) => {
                self.home.remove(self.what.seat);
                discard(ending);
                Ok(())
            }
            Err(cause) => {
                self.put_back(ending);
                Err(Failed {
                    home: Arc::clone(&self.home),
                    error: self.what.error(cause),
                })
            }
        }
    }

    /// What can be tried again stays on the list, as long as there is a scope to try.
    fn put_back(&self, ending: Option<Box<dyn Ending>>) {
        let mut ending = ending;
        let removed = self.home.locked(|list| {
            let can_be_tried = ending.as_ref().is_some_and(|it| !it.is_spent());
            if list.is_over || !can_be_tried {
                return list.remove(self.what.seat);
            }
            if let Some(entry) = list.entries.get_mut(&self.what.seat)
                && let Some(ending) = ending.take()
            {
                entry.state = State::Here(ending);
            }
            None
        });
        discard((removed, ending));
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let Some(ending) = self.ending.take() else {
            return;
        };
        self.put_back(Some(ending));
        if !self.is_watched || self.home.locked(|list| list.is_over) {
            self.home.report(&self.what.error(CleanupCause::Unfinished));
        }
    }
}

/// What a scope that is gone has left. Dropped before all has ended, it says so for each.
struct Remains(Arc<Home>);

impl Drop for Remains {
    fn drop(&mut self) {
        let Self(home) = self;
        let mut end = u64::MAX;
        while let Some(step) = home.step(end) {
            match step {
                Step::InUse(what) => end = what.seat,
                Step::Out(out) => {
                    end = out.what.seat;
                    drop(out);
                }
            }
        }
    }
}
