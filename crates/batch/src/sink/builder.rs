//! [`BulkSinkBuilder`]: the settings of a sink.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use brolly_sync::{ThreadTimer, Timer, WaitList};

use crate::cancel::CancelToken;
use crate::config::{CONCURRENCY, checked_concurrency, checked_size};
use crate::error::ConfigError;
use crate::limiter::Limiter;
use crate::primitive::Mutex;
use crate::retry::RetryPolicy;
use crate::sink::batch::Sender;
use crate::sink::gate::BulkGate;
use crate::sink::ledger::Ledger;
use crate::sink::store::BulkStore;
use crate::sink::{BulkSink, Shared};

/// Collects the settings of a [`BulkSink`].
#[must_use = "a builder does nothing until it builds"]
pub struct BulkSinkBuilder<T, S: BulkStore<T>> {
    batch_size: usize,
    max_concurrent: usize,
    strict_order: bool,
    buffer: usize,
    retry: Option<Arc<dyn RetryPolicy<S::Error>>>,
    gate: Option<Arc<dyn BulkGate>>,
    timer: Option<Arc<dyn Timer>>,
    token: Option<CancelToken>,
    limiter: Option<Limiter>,
    items: PhantomData<fn(T)>,
}

impl<T, S: BulkStore<T>> BulkSinkBuilder<T, S> {
    pub(super) fn new() -> Self {
        Self {
            batch_size: 20,
            max_concurrent: 4,
            strict_order: false,
            buffer: 500,
            retry: None,
            gate: None,
            timer: None,
            token: None,
            limiter: None,
            items: PhantomData,
        }
    }

    /// The most items in one call of the store: 1 to 1,048,576; 20 unless set.
    pub fn batch_size(mut self, items: usize) -> Self {
        self.batch_size = items;
        self
    }

    /// The most batches that are under way at a time, over all calls of this sink and its clones:
    /// 1 to 1,048,576; 4 unless set. A batch that waits for its next attempt counts.
    pub fn max_concurrent(mut self, batches: usize) -> Self {
        self.max_concurrent = batches;
        self
    }

    /// Whether items reach the store strictly in order; they do not unless set.
    ///
    /// In strict order one batch is under way at a time, whatever
    /// [`max_concurrent`](Self::max_concurrent) says. Inserts take turns in the order of their
    /// first polls, each sends what is in the buffer before its own items, and the first item that
    /// is not stored ends it: what is behind it goes to the buffer unsent. The order within a
    /// batch is the store's: one that must not skip an item fails the whole call.
    pub fn strict_order(mut self, strict_order: bool) -> Self {
        self.strict_order = strict_order;
        self
    }

    /// How many items the buffer keeps: 1 to 1,048,576; 500 unless set.
    pub fn buffer(mut self, items: usize) -> Self {
        self.buffer = items;
        self
    }

    /// When a batch is tried again, and what of it: only items that failed are sent again, and of
    /// these only those whose error the policy wants to see again. The wait is the longest that it
    /// asks for. No attempt is repeated unless set. A panic of the store is never repeated.
    pub fn retry(mut self, policy: impl RetryPolicy<S::Error> + 'static) -> Self {
        self.retry = Some(Arc::new(policy));
        self
    }

    /// Who is asked before each batch and told of each batch's end, such as a circuit breaker;
    /// nobody unless set.
    pub fn gate(mut self, gate: impl BulkGate + 'static) -> Self {
        self.gate = Some(Arc::new(gate));
        self
    }

    /// What measures the waits between attempts; a [`ThreadTimer`] of the sink's own unless set.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// A bound that this sink's batches share with other work, on top of
    /// [`max_concurrent`](Self::max_concurrent). Within an item of the same limiter the first batch
    /// needs no permit of its own. In strict order a call holds one permit from its beginning to its
    /// end, and calls take turns in the order in which they got theirs.
    pub fn limiter(mut self, limiter: &Limiter) -> Self {
        self.limiter = Some(limiter.clone());
        self
    }

    /// Ends what this sink does when the token says so: batches that have not started go to the
    /// buffer, and so do those under way if it is cancelled and not only drained; if drained, they
    /// end with all their attempts. Whatever is inserted later goes to the buffer at once.
    pub fn cancel_with(mut self, token: &CancelToken) -> Self {
        self.token = Some(token.clone());
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] names the setting, its value and what is allowed.
    pub fn build(self, store: S) -> Result<BulkSink<T, S>, ConfigError> {
        let batch_size = checked_size("batch_size", self.batch_size, CONCURRENCY)?;
        let max_concurrent = checked_concurrency("max_concurrent", self.max_concurrent)?;
        let buffer = checked_size("buffer", self.buffer, CONCURRENCY)?;
        let limit = if self.strict_order { 1 } else { max_concurrent };
        Ok(BulkSink {
            shared: Arc::new(Shared {
                sender: Sender {
                    store,
                    retry: self.retry,
                    gate: self.gate,
                    timer: self.timer.unwrap_or_else(|| Arc::new(ThreadTimer::new())),
                },
                batch_size,
                limit,
                token: self.token,
                limiter: self.limiter,
                strict_order: self.strict_order,
                turns: WaitList::new(vec![(); limit]),
                ledger: Arc::new(Mutex::new(Ledger::new(buffer))),
            }),
        })
    }
}

impl<T, S: BulkStore<T>> fmt::Debug for BulkSinkBuilder<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkSinkBuilder")
            .field("batch_size", &self.batch_size)
            .field("max_concurrent", &self.max_concurrent)
            .field("strict_order", &self.strict_order)
            .field("buffer", &self.buffer)
            .finish_non_exhaustive()
    }
}
