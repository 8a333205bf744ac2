//! [`Map`]: a bounded, ordered map over an iterator, as [`Work`] and as a future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cancel::Stopped;
use crate::control::Control;
use crate::drive::Drive;
use crate::error::ItemError;
use crate::panic::Panic;
use crate::work::Work;

/// Bytes of results reserved ahead on the word of an iterator's size hint, which may be wrong.
const MAX_RESERVED_BYTES: usize = 1 << 20;

/// How many items that will never start are marked at a time, so that a poll stays short.
const STOPPED_AT_ONCE: usize = 256;

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
            drive: Drive::new(MapWork::new(items), limit, Control::default(), f),
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
    /// How many there will be, as the iterator said before its first item. It is asked only then: a
    /// size hint is code of the caller's, and the engines count on [`next`](Work::next) being the
    /// one place where that runs.
    at_least: usize,
    at_most: usize,
    started: usize,
    /// A gap, left by an item that is overtaken by a later one, holds a placeholder until then.
    results: Vec<Result<R, ItemError<E>>>,
}

impl<I: Iterator, R, E> MapWork<I, R, E> {
    pub(crate) fn new(items: I) -> Self {
        // No result is of size zero, since each can hold a panic.
        let most_reserved = const { MAX_RESERVED_BYTES / size_of::<Result<R, ItemError<E>>>() };
        let (at_least, at_most) = items.size_hint();
        Self {
            items: Some(items),
            at_least,
            at_most: at_most.unwrap_or(usize::MAX),
            started: 0,
            results: Vec::with_capacity(at_least.min(most_reserved)),
        }
    }

    /// Files the result of an item that did not end next in line.
    #[cold]
    fn file(&mut self, tag: usize, result: Result<R, ItemError<E>>) {
        while self.results.len() <= tag {
            self.push(Err(ItemError::Panicked(Panic::placeholder())));
        }
        self.results[tag] = result;
    }

    #[inline]
    fn push(&mut self, result: Result<R, ItemError<E>>) {
        if self.results.len() == self.results.capacity() {
            self.grow();
        }
        self.results.push(result);
    }

    /// Doubles the room for results, or makes it what the size hint said if that is less.
    #[cold]
    fn grow(&mut self) {
        let length = self.results.len();
        let expected = self.at_least.saturating_sub(length);
        self.results.reserve_exact(expected.min(length)); // if 0, the vector grows as it likes
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
            self.push(result);
        } else {
            self.file(tag, result);
        }
    }

    fn stop(&mut self, why: Stopped) -> bool {
        for _ in 0..STOPPED_AT_ONCE {
            let Some((tag, _dropped)) = self.next() else {
                return false;
            };
            self.finish(tag, Err(why.into()));
        }
        true
    }

    fn may_have_next(&self) -> bool {
        self.items.is_some() && self.started < self.at_most
    }

    fn most_in_flight(&self) -> usize {
        self.at_most
    }
}
