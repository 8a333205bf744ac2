//! [`Map`]: a bounded, ordered map over an iterator, as [`Work`] and as a future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::drive::Drive;
use crate::error::ItemError;
use crate::panic::Panic;
use crate::work::Work;

/// Room reserved ahead on the word of an iterator's size hint, which may be wrong.
const MAX_RESERVED: usize = 1 << 20;

/// The future of [`BatchProcessor::map`](crate::BatchProcessor::map).
///
/// As with any `async fn`, polling it again after it has returned its results panics.
#[must_use = "futures do nothing unless polled"]
pub struct Map<I: Iterator, F, Fut, R, E> {
    drive: Drive<MapWork<I, R, E>, F, Fut>,
}

impl<I, F, Fut, R, E> Map<I, F, Fut, R, E>
where
    I: Iterator,
    F: FnMut(I::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    pub(crate) fn new(items: I, limit: usize, f: F) -> Self {
        Self {
            drive: Drive::new(MapWork::new(items), limit, f),
        }
    }
}

impl<I, F, Fut, R, E> Future for Map<I, F, Fut, R, E>
where
    I: Iterator,
    F: FnMut(I::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Output = Vec<Result<R, ItemError<E>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.drive)
            .poll(cx)
            .map(MapWork::into_results)
    }
}

impl<I: Iterator, F, Fut, R, E> fmt::Debug for Map<I, F, Fut, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = self.drive.work();
        f.debug_struct("Map")
            .field("started", &work.map(|work| work.started))
            .finish_non_exhaustive()
    }
}

/// Items in order of the iterator; results filed by position.
pub(crate) struct MapWork<I, R, E> {
    items: Option<I>,
    started: usize,
    /// A gap, left by an item that is overtaken by a later one, holds a placeholder until then.
    results: Vec<Result<R, ItemError<E>>>,
}

impl<I: Iterator, R, E> MapWork<I, R, E> {
    pub(crate) fn new(items: I) -> Self {
        let expected = items.size_hint().0.min(MAX_RESERVED);
        Self {
            items: Some(items),
            started: 0,
            results: Vec::with_capacity(expected),
        }
    }

    /// Files the result of an item that did not end next in line.
    #[cold]
    fn file(&mut self, tag: usize, result: Result<R, ItemError<E>>) {
        while self.results.len() <= tag {
            self.results
                .push(Err(ItemError::Panicked(Panic::placeholder())));
        }
        self.results[tag] = result;
    }

    pub(crate) fn into_results(self) -> Vec<Result<R, ItemError<E>>> {
        debug_assert_eq!(self.started, self.results.len(), "every item has ended");
        self.results
    }
}

impl<I: Iterator, R, E> Work for MapWork<I, R, E> {
    type Item = I::Item;
    type Output = R;
    type Error = E;

    #[inline]
    fn next(&mut self) -> Option<(usize, I::Item)> {
        let Some(item) = self.items.as_mut()?.next() else {
            self.items = None; // an iterator is never asked again after its end
            return None;
        };
        let tag = self.started;
        self.started += 1;
        Some((tag, item))
    }

    #[inline]
    fn finish(&mut self, tag: usize, result: Result<R, ItemError<E>>) {
        if tag == self.results.len() {
            self.results.push(result);
        } else {
            self.file(tag, result);
        }
    }

    fn may_have_next(&self) -> bool {
        self.items
            .as_ref()
            .is_some_and(|items| items.size_hint().1 != Some(0))
    }

    fn most_in_flight(&self) -> usize {
        self.items
            .as_ref()
            .and_then(|items| items.size_hint().1)
            .unwrap_or(usize::MAX)
    }
}
