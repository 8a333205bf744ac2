//! One batch on its way to the store: admission, attempts, waits, and what each item's result is.

use std::sync::Arc;
use std::time::Duration;

use brolly_sync::Timer;

use crate::retry::RetryPolicy;
use crate::sink::contained::{Contained, contain};
use crate::sink::error::SinkError;
use crate::sink::gate::{BatchOutcome, BulkGate, BulkPass, Rejected};
use crate::sink::held::{Batch, Verdict};
use crate::sink::store::{BulkStore, Receipt};

/// How batches are sent: what all batches of a sink have in common.
pub(super) struct Sender<S, E> {
    pub(super) store: S,
    pub(super) retry: Option<Arc<dyn RetryPolicy<E>>>,
    pub(super) gate: Option<Arc<dyn BulkGate>>,
    pub(super) timer: Arc<dyn Timer>,
}

/// How each item of a batch ended, by its position in the batch as it was made.
pub(super) struct Sent<E> {
    pub(super) results: Vec<Result<(), SinkError<E>>>,
}

impl<S, E: Send + Sync> Sender<S, E> {
    /// Sends a batch until each of its items is stored or given up. What is given up is in the
    /// buffer when this ends, and so is what is not confirmed when it is dropped.
    pub(super) async fn send<T>(&self, mut batch: Batch<T>) -> Sent<E>
    where
        T: Send + Sync,
        S: BulkStore<T, Error = E>,
    {
        let mut sent = Sent::new(batch.len());
        let pass = match self.admit() {
            Ok(pass) => pass,
            Err(shut) => {
                sent.fail(&batch, || shut.error());
                return sent; // the batch goes to the buffer
            }
        };
        let mut failures = 0_u32;
        loop {
            batch.count_call();
            let answer = Contained::new(async { self.store.store(batch.items()).await }).await;
            failures = failures.saturating_add(1);
            let Some(wait) = self.take_in(answer, failures, &mut batch, &mut sent) else {
                break;
            };
            let may_retry = pass.as_ref().is_none_or(|pass| {
                contain(|| pass.may_retry()).unwrap_or(false) // a gate that panics is shut
            });
            let sleep = Contained::new(async { self.timer.sleep(wait).await });
            if !may_retry || sleep.await.is_err() {
                break;
            }
        }
        batch.end();
        if let Some(pass) = pass {
            let outcome = sent.outcome();
            let _ = contain(|| pass.end(outcome)); // the batch has ended all the same
        }
        sent
    }

    fn admit(&self) -> Result<Option<Box<dyn BulkPass>>, Shut> {
        let Some(gate) = &self.gate else {
            return Ok(None);
        };
        match contain(|| gate.admit()) {
            Ok(Ok(pass)) => Ok(Some(pass)),
            Ok(Err(rejected)) => Err(Shut::Rejected(rejected)),
            Err(message) => Err(Shut::Panicked(message)),
        }
    }

    /// Files what an attempt brought. Some items are left in the batch if there is another. Returns how long to wait for the next one, if there is one.
    fn take_in<T>(
        &self,
        answer: Result<Result<Receipt<E>, E>, Arc<str>>,
        failures: u32,
        batch: &mut Batch<T>,
        sent: &mut Sent<E>,
    ) -> Option<Duration> {
        match answer {
            Ok(Ok(Receipt::All)) => {
                sent.succeed(batch);
                batch.confirm();
                None
            }
            Ok(Ok(Receipt::Each(each))) if each.len() == batch.len() => {
                let positions: Vec<usize> = batch.positions().collect();
                let mut verdicts = Vec::with_capacity(each.len());
                let mut longest = None;
                for (result, position) in each.into_iter().zip(positions) {
                    let (result, verdict) = match result {
                        Ok(()) => (Ok(()), Verdict::Stored),
                        Err(error) => {
                            let wait = self.delay(failures, &error);
                            longest = longest.max(wait);
                            let verdict = match wait {
                                Some(_) => Verdict::Again,
                                None => Verdict::GivenUp,
                            };
                            (Err(SinkError::Refused(error)), verdict)
                        }
                    };
                    sent.results[position] = result;
                    verdicts.push(verdict);
                }
                batch.settle(&verdicts);
                longest
            }
            Ok(Ok(Receipt::Each(each))) => {
                let (given, answered) = (batch.len(), each.len());
                sent.fail(batch, || SinkError::WrongCount { given, answered });
                None
            }
            Ok(Err(error)) => {
                let wait = self.delay(failures, &error);
                let error = Arc::new(error);
                sent.fail(batch, || SinkError::CallFailed(Arc::clone(&error)));
                wait
            }
            Err(message) => {
                sent.fail(batch, || panicked(&message));
                None
            }
        }
    }

    /// What the policy says; a policy that panics gives up.
    fn delay(&self, failures: u32, error: &E) -> Option<Duration> {
        let retry = self.retry.as_ref()?;
        contain(|| retry.delay(failures, error)).unwrap_or(None)
    }
}

/// Why a batch was not let through.
enum Shut {
    Rejected(Rejected),
    Panicked(Arc<str>),
}

impl Shut {
    fn error<E>(&self) -> SinkError<E> {
        match self {
            &Self::Rejected(rejected) => SinkError::Rejected(rejected),
            Self::Panicked(message) => panicked(message),
        }
    }
}

fn panicked<E>(message: &Arc<str>) -> SinkError<E> {
    SinkError::Panicked {
        message: Arc::clone(message),
    }
}

impl<E> Sent<E> {
    /// A batch that is not sent at all, because the sink was told to start nothing more.
    pub(super) fn cancelled<T>(batch: &Batch<T>) -> Self {
        let mut sent = Self::new(batch.len());
        sent.fail(batch, || SinkError::Cancelled);
        sent
    }

    fn new(items: usize) -> Self {
        Self {
            results: (0..items).map(|_| Ok(())).collect(),
        }
    }

    /// Files a success for every item that is left in the batch.
    fn succeed<T>(&mut self, batch: &Batch<T>) {
        for position in batch.positions() {
            self.results[position] = Ok(());
        }
    }

    /// Files a failure for every item that is left in the batch.
    fn fail<T>(&mut self, batch: &Batch<T>, error: impl Fn() -> SinkError<E>) {
        for position in batch.positions() {
            self.results[position] = Err(error());
        }
    }

    fn outcome(&self) -> BatchOutcome {
        let stored = self.results.iter().filter(|result| result.is_ok()).count();
        match (stored, self.results.len() - stored) {
            (_, 0) => BatchOutcome::Stored,
            (0, _) => BatchOutcome::Failed,
            (stored, failed) => BatchOutcome::Partly { stored, failed },
        }
    }
}
