//! [`Progress`]: how far a run is, batch by batch, for a callback or for whoever watches.

mod tally;
mod watch;

use std::fmt;
use std::future::Future;
use std::mem;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::panic::contained;
use crate::primitive::{Mutex, lock};

pub use watch::{Counted, Numbered, Watched};
pub(crate) use watch::{Watch, counting};

/// A batch of items that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchDone {
    /// Which batch of the run, from 0.
    pub index: usize,
    /// The positions of its items among the inputs. Only the last batch of a run may be shorter
    /// than the others, unless their size adapts itself.
    pub items: Range<usize>,
    /// How many of its items failed or panicked.
    pub failed: usize,
    /// How many items of the whole run have ended, batches that are not complete included.
    pub done: usize,
    /// How many items the run has: what the iterator promises, until it has ended and it is known.
    /// `None` if it makes no exact promise.
    pub total: Option<usize>,
}

/// How far a run is, to be looked at and waited for from anywhere. Clones watch the same run.
///
/// ```
/// use brolly_batch::{BatchProcessor, Progress};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = BatchProcessor::builder().batch_size(2).build()?;
/// let (mut progress, publish) = Progress::channel();
/// let run = processor
///     .map(0..5, |n| async move { Ok::<_, ()>(n) })
///     .on_progress(publish);
/// let watcher = tokio::spawn(async move {
///     while progress.changed().await {
///         println!("{} items are done", progress.snapshot().done);
///     }
///     progress.snapshot()
/// });
/// run.await;
/// let last = watcher.await?;
/// assert_eq!((last.done, last.batches, last.total), (5, 3, Some(5)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Progress {
    board: Arc<Board>,
    /// The version that this handle's owner was told about.
    seen: u64,
}

/// What a [`Progress`] shows at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgressSnapshot {
    /// How many items had ended when the last batch did.
    pub done: usize,
    /// How many of those in complete batches failed or panicked.
    pub failed: usize,
    /// How many batches have ended.
    pub batches: usize,
    /// How many items there are, as far as is known; see [`BatchDone::total`].
    pub total: Option<usize>,
    /// Whether the run is over, or was dropped: nothing changes any more.
    pub ended: bool,
}

impl Progress {
    /// A handle, and the callback that moves it: for
    /// [`Map::on_progress`](crate::Map::on_progress) and
    /// [`MapBatches::on_progress`](crate::MapBatches::on_progress). The handle ends when the
    /// callback is dropped, as it is by a run that ends or is dropped itself.
    pub fn channel() -> (Self, impl FnMut(BatchDone) + Send + 'static) {
        let progress = Self {
            board: Arc::default(),
            seen: 0,
        };
        let publisher = Publisher(Arc::clone(&progress.board));
        (progress, move |batch| publisher.publish(&batch))
    }

    /// How far the run is.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        lock(&self.board.state).snapshot
    }

    /// Waits until a batch ends that this handle has not been told about. Returns false when there
    /// will be none, because the run is over. Batches that end together are one change.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: the change is there for the next call.
    #[must_use = "futures do nothing unless polled"]
    pub fn changed(&mut self) -> impl Future<Output = bool> + Send {
        Changed {
            progress: self,
            ticket: None,
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Board {
    state: Mutex<BoardState>,
}

#[derive(Default)]
struct BoardState {
    snapshot: ProgressSnapshot,
    version: u64,
    /// Who waits, by ticket, until woken.
    waiters: Vec<(u64, Waker)>,
    next_ticket: u64,
}

impl Board {
    fn update(&self, change: impl FnOnce(&mut BoardState)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let waiters = mem::take(&mut state.waiters);
        drop(state);
        for (_, waker) in waiters {
            contained(|| waker.wake());
        }
    }
}

struct Publisher(Arc<Board>);

impl Publisher {
    fn publish(&self, batch: &BatchDone) {
        self.0.update(|state| {
            state.version += 1;
            let snapshot = &mut state.snapshot;
            snapshot.done = batch.done;
            snapshot.failed = snapshot.failed.saturating_add(batch.failed);
            snapshot.batches = snapshot.batches.saturating_add(1);
            snapshot.total = batch.total;
        });
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.0.update(|state| state.snapshot.ended = true);
    }
}

struct Changed<'a> {
    progress: &'a mut Progress,
    ticket: Option<u64>,
}

impl Future for Changed<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        let waker = cx.waker().clone(); // foreign code, and so is its destructor: not under the lock
        let mut state = lock(&this.progress.board.state);
        if state.version != this.progress.seen {
            this.progress.seen = state.version;
            return Poll::Ready(true);
        }
        if state.snapshot.ended {
            return Poll::Ready(false);
        }
        let ticket = *this.ticket.get_or_insert_with(|| {
            state.next_ticket += 1;
            state.next_ticket
        });
        let stale = match state.waiters.iter_mut().find(|(of, _)| *of == ticket) {
            Some((_, place)) => Some(mem::replace(place, waker)),
            None => {
                state.waiters.push((ticket, waker));
                None
            }
        };
        drop(state);
        drop(stale);
        Poll::Pending
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = lock(&self.progress.board.state);
        let place = state.waiters.iter().position(|(of, _)| *of == ticket);
        let stale = place.map(|place| state.waiters.swap_remove(place));
        drop(state);
        drop(stale);
    }
}
