//! [`Watch`]: tells a callback about batches, as an iterator hands items out and futures end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::BatchDone;
use super::tally::Tally;
use crate::panic::contained;
use crate::primitive::{Mutex, lock};

pub(crate) struct Watch<C> {
    state: Mutex<State<C>>,
}

struct State<C> {
    tally: Tally,
    /// Taken out by whoever calls it, so that no lock is held meanwhile.
    callback: Option<C>,
}

impl<C: FnMut(BatchDone)> Watch<C> {
    pub(crate) fn new(batch_size: usize, total: Option<usize>, callback: C) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                tally: Tally::new(batch_size, total),
                callback: Some(callback),
            }),
        })
    }

    fn update(&self, change: impl FnOnce(&mut Tally)) {
        let mut state = lock(&self.state);
        change(&mut state.tally);
        // Without the callback somebody else is calling it, and will report this batch as well.
        while let Some(mut callback) = state.callback.take() {
            let Some(batch) = state.tally.next_complete() else {
                state.callback = Some(callback);
                return;
            };
            drop(state);
            contained(|| callback(batch));
            state = lock(&self.state);
            state.callback = Some(callback);
        }
    }
}

/// The iterator of a map that is watched: numbers the items, and notes when there are no more.
pub struct Watched<I, C> {
    items: I,
    next: usize,
    watch: Arc<Watch<C>>,
}

impl<I, C> Watched<I, C> {
    pub(crate) fn new(items: I, watch: &Arc<Watch<C>>) -> Self {
        Self {
            items,
            next: 0,
            watch: Arc::clone(watch),
        }
    }
}

impl<I: Iterator, C: FnMut(BatchDone)> Iterator for Watched<I, C> {
    type Item = Numbered<I::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(item) = self.items.next() else {
            self.watch.update(Tally::over);
            return None;
        };
        let index = self.next;
        self.next += 1;
        self.watch.update(Tally::handed_out);
        Some(Numbered { index, item })
    }
}

/// An item of a map that is watched. It has no clones, so that nobody counts an item once for each
/// of its attempts.
pub struct Numbered<T> {
    index: usize,
    item: T,
}

impl<T> fmt::Debug for Numbered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbered")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl<I, C> fmt::Debug for Watched<I, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of an item whose end is counted; see [`Map::on_progress`](crate::Map::on_progress).
    ///
    /// One that is dropped before its end is not counted.
    #[must_use = "futures do nothing unless polled"]
    pub struct Counted<Fut, C> {
        #[pin]
        future: Fut,
        index: usize,
        watch: Arc<Watch<C>>,
    }
}

/// Makes a function of items into one of numbered items whose ends are counted.
pub(crate) fn counting<T, F, Fut, C>(
    mut f: F,
    watch: Arc<Watch<C>>,
) -> impl FnMut(Numbered<T>) -> Counted<Fut, C>
where
    F: FnMut(T) -> Fut,
    C: FnMut(BatchDone),
{
    move |Numbered { index, item }| {
        let panicked = OnPanic::new(index, &watch);
        let future = f(item);
        panicked.defuse();
        Counted {
            future,
            index,
            watch: Arc::clone(&watch),
        }
    }
}

impl<Fut, C, R, E> Future for Counted<Fut, C>
where
    Fut: Future<Output = Result<R, E>>,
    C: FnMut(BatchDone),
{
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let panicked = OnPanic::new(*this.index, this.watch);
        let polled = this.future.poll(cx);
        panicked.defuse();
        if let Poll::Ready(result) = &polled {
            let succeeded = result.is_ok();
            this.watch
                .update(|tally| tally.ended(*this.index, succeeded));
        }
        polled
    }
}

impl<Fut, C> fmt::Debug for Counted<Fut, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// Counts an item as failed when dropped, unless defused: an item that panics ends, too.
struct OnPanic<'a, C: FnMut(BatchDone)> {
    index: usize,
    watch: Option<&'a Watch<C>>,
}

impl<'a, C: FnMut(BatchDone)> OnPanic<'a, C> {
    fn new(index: usize, watch: &'a Watch<C>) -> Self {
        Self {
            index,
            watch: Some(watch),
        }
    }

    fn defuse(mut self) {
        self.watch = None;
    }
}

impl<C: FnMut(BatchDone)> Drop for OnPanic<'_, C> {
    fn drop(&mut self) {
        if let Some(watch) = self.watch {
            watch.update(|tally| tally.ended(self.index, false));
        }
    }
}
