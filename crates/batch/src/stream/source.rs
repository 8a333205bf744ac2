//! [`Source`]: where the items of a [`MapStream`](crate::MapStream) come from.

use std::fmt;
use std::task::Context;

#[cfg(feature = "futures-core")]
use {futures_core::Stream, std::collections::VecDeque, std::pin::Pin, std::task::Poll};

/// Where the items of a [`MapStream`](crate::MapStream) come from: [`FromIter`] or `FromStream`.
///
/// Not to be implemented elsewhere; it may get more methods.
pub trait Source: sealed::Sealed {
    /// What it hands out.
    type Item;

    /// Fetches until `count` items are there to be handed out, or there are no more for now, in
    /// which case the task is woken when there are. Does nothing where nothing has to be fetched.
    /// Returns whether it was `count` that ended it, so that there may be more at once.
    fn fetch(&mut self, count: usize, cx: &mut Context<'_>) -> bool;

    /// Whether an item was fetched and not handed out.
    fn has_fetched(&self) -> bool;

    /// The next item, if one is there.
    fn next(&mut self) -> Option<Self::Item>;

    /// Drops what was not handed out: there are no more from now on.
    fn close(&mut self);

    /// Whether there are no more, now or later.
    fn is_over(&self) -> bool;

    /// The most items there can be.
    fn at_most(&self) -> usize;
}

mod sealed {
    pub trait Sealed {}
    impl<I> Sealed for super::FromIter<I> {}
    #[cfg(feature = "futures-core")]
    impl<S: futures_core::Stream> Sealed for super::FromStream<S> {}
}

/// The items of an iterator.
pub struct FromIter<I> {
    /// None after the end: an iterator is never asked again.
    items: Option<I>,
    at_most: usize,
}

impl<I> FromIter<I> {
    pub(crate) fn new(items: Option<I>, at_most: usize) -> Self {
        Self { items, at_most }
    }
}

impl<I: Iterator> Source for FromIter<I> {
    type Item = I::Item;

    fn fetch(&mut self, _count: usize, _cx: &mut Context<'_>) -> bool {
        false
    }

    fn has_fetched(&self) -> bool {
        false
    }

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        let item = self.items.as_mut()?.next();
        if item.is_none() {
            self.items = None;
        }
        item
    }

    fn close(&mut self) {
        self.items = None;
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.items.is_none()
    }

    fn at_most(&self) -> usize {
        self.at_most
    }
}

impl<I> fmt::Debug for FromIter<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromIter").finish_non_exhaustive()
    }
}

/// The items of a stream.
#[cfg(feature = "futures-core")]
#[cfg_attr(docsrs, doc(cfg(feature = "futures-core")))]
pub struct FromStream<S: Stream> {
    /// None after the end: a stream is never polled again.
    stream: Option<Pin<Box<S>>>,
    fetched: VecDeque<S::Item>,
}

#[cfg(feature = "futures-core")]
impl<S: Stream> FromStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream: Some(Box::pin(stream)),
            fetched: VecDeque::new(),
        }
    }
}

#[cfg(feature = "futures-core")]
impl<S: Stream> Source for FromStream<S> {
    type Item = S::Item;

    fn fetch(&mut self, count: usize, cx: &mut Context<'_>) -> bool {
        while self.fetched.len() < count {
            let Some(stream) = &mut self.stream else {
                return false;
            };
            match stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => self.fetched.push_back(item),
                Poll::Ready(None) => self.stream = None,
                Poll::Pending => return false,
            }
        }
        self.stream.is_some()
    }

    fn has_fetched(&self) -> bool {
        !self.fetched.is_empty()
    }

    fn next(&mut self) -> Option<S::Item> {
        self.fetched.pop_front()
    }

    fn close(&mut self) {
        self.stream = None;
        self.fetched.clear();
    }

    fn is_over(&self) -> bool {
        self.stream.is_none() && self.fetched.is_empty()
    }

    /// A stream's hint is not asked for: it is polled for a moment only, and may change.
    fn at_most(&self) -> usize {
        usize::MAX
    }
}

#[cfg(feature = "futures-core")]
impl<S: Stream> fmt::Debug for FromStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromStream").finish_non_exhaustive()
    }
}
