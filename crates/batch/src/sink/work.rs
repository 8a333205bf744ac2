//! [`Sending`]: the batches of one insert or flush as [`Work`], and what comes of them.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use crate::cancel::Stopped;
use crate::error::ItemError;
use crate::primitive::lock;
use crate::sink::batch::Sent;
use crate::sink::error::SinkError;
use crate::sink::held::{Batch, Held, Origin};
use crate::sink::ledger::Number;
use crate::sink::report::{Flushed, Inserted};
use crate::work::Work;

/// Batches of the buffer first, batches of the insert's own items second; either may be none.
///
/// The tag of a batch is the position of its first item among the insert's own, or [`OF_BUFFER`].
pub(super) struct Sending<T, E> {
    origin: Arc<Origin<T>>,
    batch_size: usize,
    stop_at: StopAt,
    stopped: bool,
    /// What of the buffer is still to be sent.
    buffered: Range<Number>,
    own: Option<Held<T>>,
    own_begun: usize,
    /// Of the insert's own items.
    results: Vec<Result<(), SinkError<E>>>,
    flushed: usize,
    /// The first failure of an item of the buffer.
    failure: Option<SinkError<E>>,
}

/// After what nothing more is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopAt {
    Nothing,
    Rejection,
    AnyFailure,
}

const OF_BUFFER: usize = usize::MAX;

impl<T, E> Sending<T, E> {
    /// The items of an insert, behind those of the buffer that are older if `older_first`.
    pub(super) fn insert(own: Held<T>, batch_size: usize, older_first: bool) -> Self {
        let first = own.number().start;
        let (buffered, stop_at) = match older_first {
            true => (0..first, StopAt::AnyFailure),
            false => (0..0, StopAt::Nothing),
        };
        let origin = Arc::clone(own.origin());
        Self {
            results: (0..own.len()).map(|_| Err(SinkError::NotTried)).collect(),
            own: Some(own),
            ..Self::new(origin, batch_size, buffered, stop_at)
        }
    }

    /// What is in the buffer now, each item once.
    pub(super) fn flush(origin: Arc<Origin<T>>, batch_size: usize, stop_at: StopAt) -> Self {
        let end = lock(origin.ledger()).end();
        Self::new(origin, batch_size, 0..end, stop_at)
    }

    fn new(
        origin: Arc<Origin<T>>,
        batch_size: usize,
        buffered: Range<Number>,
        stop_at: StopAt,
    ) -> Self {
        Self {
            origin,
            batch_size,
            stop_at,
            stopped: false,
            buffered,
            own: None,
            own_begun: 0,
            results: Vec::new(),
            flushed: 0,
            failure: None,
        }
    }

    pub(super) fn into_inserted(mut self) -> Inserted<E> {
        if let Some(own) = &mut self.own {
            own.put_back(); // what was not sent
        }
        let dropped = self.origin.dropped();
        let failed = self.results.iter().filter(|result| result.is_err()).count();
        Inserted {
            stored: self.results.len() - failed,
            failed,
            buffered: failed.saturating_sub(dropped),
            dropped,
            displaced: self.origin.displaced(),
            flushed: self.flushed,
            results: self.results,
        }
    }

    pub(super) fn into_flushed(self) -> Flushed<E> {
        Flushed {
            flushed: self.flushed,
            remaining: lock(self.origin.ledger()).buffered(),
            dropped: self.origin.displaced(), // it has no items of its own
            failure: self.failure,
        }
    }

    /// Files one error for all items of a batch that did not end, but for those that the store had
    /// confirmed before.
    fn file_batch(&mut self, tag: usize, error: impl Fn() -> SinkError<E>) {
        let confirmed = self.origin.take_confirmed();
        let Some(own) = self.own.as_ref().filter(|_| tag != OF_BUFFER) else {
            self.flushed += confirmed.len();
            self.file(tag, vec![Err(error())]); // the first failure is all that is kept
            return;
        };
        let size = self.batch_size.min(self.results.len() - tag);
        let first = own.number().start + tag as Number;
        let result = |number| match confirmed.binary_search(&number) {
            Ok(_) => Ok(()),
            Err(_) => Err(error()),
        };
        let results = (first..).take(size).map(result).collect();
        self.file(tag, results);
    }

    fn file(&mut self, tag: usize, results: Vec<Result<(), SinkError<E>>>) {
        self.stopped |= results.iter().any(|result| match (self.stop_at, result) {
            (StopAt::AnyFailure, result) => result.is_err(),
            (StopAt::Rejection, result) => matches!(result, Err(SinkError::Rejected(_))),
            (StopAt::Nothing, _) => false,
        });
        if tag != OF_BUFFER {
            for (place, result) in self.results[tag..].iter_mut().zip(results) {
                *place = result;
            }
            return;
        }
        for result in results {
            match result {
                Ok(()) => self.flushed += 1,
                Err(error) => _ = self.failure.get_or_insert(error),
            }
        }
    }
}

impl<T, E> Work for Sending<T, E> {
    type Item = Batch<T>;
    type Output = Sent<E>;
    type Error = Infallible;

    fn next(&mut self) -> Option<(usize, Batch<T>)> {
        if self.stopped {
            return None;
        }
        let numbers = self.buffered.clone();
        if let Some(batch) = Batch::of_buffer(&self.origin, numbers, self.batch_size) {
            self.buffered.start = batch.last_number() + 1;
            return Some((OF_BUFFER, batch));
        }
        self.buffered = 0..0;
        let batch = self.own.as_mut()?.next_batch(self.batch_size)?;
        let tag = self.own_begun;
        self.own_begun += batch.len();
        Some((tag, batch))
    }

    fn finish(&mut self, tag: usize, result: Result<Sent<E>, ItemError<Infallible>>) {
        match result {
            Ok(sent) => self.file(tag, sent.results),
            // The batch was dropped, so its items are in the buffer.
            Err(ItemError::Panicked(panic)) => self.file_batch(tag, || SinkError::Panicked {
                message: Arc::from(panic.message()),
            }),
            Err(ItemError::Failed(never)) => match never {},
            Err(ItemError::Cancelled | ItemError::DeadlineExceeded) => {
                self.file_batch(tag, || SinkError::Cancelled);
            }
        }
    }

    fn stop(&mut self, _why: Stopped) -> bool {
        self.stopped = true;
        for result in &mut self.results[self.own_begun..] {
            *result = Err(SinkError::Cancelled);
        }
        self.own_begun = self.results.len();
        false
    }

    fn may_have_next(&self) -> bool {
        let has_own = self.own.as_ref().is_some_and(|own| own.len() > 0);
        let numbers = self.buffered.clone();
        !self.stopped && (has_own || lock(self.origin.ledger()).has(numbers))
    }

    fn most_in_flight(&self) -> usize {
        usize::MAX
    }
}
