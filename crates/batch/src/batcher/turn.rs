//! [`Turn`]: the task of one batch, which lingers, runs the bulk function, and answers.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use brolly_sync::Sleep;

use super::cell::{Phase, SharedBatch, Yield};
use super::error::BatchError;
use super::foreign::{contain, discard};
use super::shared::Shared;
use super::state::Step;

/// The duty to answer one batch. Dropped before that, it tells the callers so.
pub(super) struct Turn<K, V, E, P> {
    shared: Arc<Shared<K, V, E, P>>,
    batch: SharedBatch<K, V, E>,
    /// When the first key came, if the batch lingers.
    opened: Duration,
    sleep: Option<Sleep>,
    is_done: bool,
}

/// The whole life of a batch.
///
/// The bulk function's future is dropped within the same call that catches its panics, so a panic
/// of its destructor is one of the batch's too.
pub(super) async fn run<K, V, E, P, F, R>(
    mut turn: Turn<K, V, E, P>,
    bulk: impl FnOnce(Vec<K>) -> F,
    read: fn(R) -> Yield<V, E>,
) where
    F: Future<Output = R>,
{
    let Some(keys) = poll_fn(|cx| turn.poll_start(cx)).await else {
        return;
    };
    let expected = keys.len();
    let ended = {
        let mut work = pin!(async { read(bulk(keys).await) });
        poll_fn(|cx| match contain(|| work.as_mut().poll(cx)) {
            Ok(polled) => polled.map(Ok),
            Err(message) => Poll::Ready(Err(message)),
        })
        .await
    };
    turn.answer(match ended {
        Ok(brought) => brought.checked(expected),
        Err(message) => Yield::Failed(BatchError::Panicked { message }),
    });
}

impl<V, E> Yield<V, E> {
    fn checked(self, expected: usize) -> Self {
        let got = match &self {
            Self::Values(values) => values.len(),
            Self::Each(answers) => answers.len(),
            Self::Failed(_) => return self,
        };
        if got == expected {
            return self;
        }
        // One by one: two destructors that panic would abort within one drop of them all.
        match self {
            Self::Values(values) => values.into_iter().for_each(discard),
            Self::Each(answers) => answers.into_iter().for_each(discard),
            Self::Failed(_) => unreachable!("returned above"),
        }
        Self::Failed(BatchError::WrongCount { expected, got })
    }
}

impl<K, V, E, P> Turn<K, V, E, P> {
    pub(super) fn new(shared: Arc<Shared<K, V, E, P>>, batch: SharedBatch<K, V, E>) -> Self {
        Self {
            shared,
            batch,
            opened: Duration::ZERO,
            sleep: None,
            is_done: false,
        }
    }

    /// Begins to linger: the time counts from here, which is where the first key came.
    pub(super) fn open(&mut self) {
        let linger = self.shared.config.linger;
        if !linger.is_zero() && linger != Duration::MAX {
            self.opened = self.shared.timer.now();
        }
    }

    /// Ready with the keys when the batch may start, or with nothing if it is over.
    fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<K>>> {
        let (mut fresh, mut elapsed) = (None, None);
        loop {
            let step = self.shared.with(|state, after| {
                state.step(
                    &self.batch,
                    self.opened,
                    elapsed,
                    &mut fresh,
                    cx.waker(),
                    after,
                )
            });
            match step {
                Step::Start(keys) => {
                    self.sleep = None;
                    return Poll::Ready(Some(keys));
                }
                Step::Over => {
                    self.is_done = true;
                    return Poll::Ready(None);
                }
                Step::NeedsWaker => fresh = Some(cx.waker().clone()),
                Step::Wait => {
                    self.sleep = None;
                    return Poll::Pending;
                }
                Step::Until(end) => {
                    let sleep = match &mut self.sleep {
                        Some(sleep) if sleep.deadline() == end => sleep,
                        other => other.insert(self.shared.timer.sleep_until(end)),
                    };
                    if Pin::new(sleep).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.sleep = None;
                    elapsed = Some(end);
                }
            }
        }
    }

    /// Answers a started batch. Room in flight is given back before the callers are woken.
    fn answer(&mut self, brought: Yield<V, E>) {
        self.is_done = true;
        let has_failed = matches!(brought, Yield::Failed(_));
        let joiner = self.shared.hooks.joiner.as_ref();
        match joiner {
            Some(joiner) => self.batch.answer(brought, joiner.copy),
            None => self.batch.answer(brought, |_| {
                unreachable!("keys are joined only by a batcher that can copy values")
            }),
        }
        self.shared
            .with(|state, after| state.land(has_failed, after));
        self.batch.wake_all();
    }
}

impl<K, V, E, P> Drop for Turn<K, V, E, P> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let error = BatchError::Dropped;
        let found = self
            .shared
            .with(|state, after| state.withdraw(&self.batch, Some(&error), after));
        match found {
            Phase::Filling | Phase::Ready | Phase::Granted => self.batch.wake_all(),
            Phase::Started => self.answer(Yield::Failed(error)),
            // All callers left, and the task was not polled since: nothing is owed to anybody.
            Phase::Over => {}
        }
    }
}
