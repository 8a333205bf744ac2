//! What becomes of failures: [`FailFast`] ends a map at the first, [`CollectErrors`] sorts them out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cancel::Stopped;
use crate::error::ItemError;
use crate::map::{Map, MapWork};
use crate::panic::contained;
use crate::planned::{Plan, Planned};
use crate::work::Work;

/// The future of [`Map::fail_fast`].
///
/// As with any `async fn`, polling it again after its end panics.
#[must_use = "futures do nothing unless polled"]
pub struct FailFast<I: Iterator, F, Fut, R, E> {
    run: Planned<FirstFailureWork<I, R, E>, F, Fut>,
}

impl<I: Iterator, F, Fut, R, E> FailFast<I, F, Fut, R, E> {
    pub(crate) fn new(plan: Plan<MapWork<I, R, E>, F>) -> Self {
        let work = FirstFailureWork::new(plan.work);
        Self {
            run: Planned::new(plan.settings, work, plan.begin),
        }
    }
}

impl<I, F, Fut, R, E> Future for FailFast<I, F, Fut, R, E>
where
    I: Iterator,
    F: FnMut(I::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Output = Result<Vec<R>, FirstFailure<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let run = &mut self.run;
        if let Poll::Ready(work) = Pin::new(&mut *run).poll(cx) {
            return Poll::Ready(work.into_verdict());
        }
        if run.work().is_none_or(|work| work.failure.is_none()) {
            return Poll::Pending;
        }
        let work = run.abandon().expect("it was looked at above");
        Poll::Ready(work.into_verdict())
    }
}

impl<I: Iterator, F, Fut, R, E> fmt::Debug for FailFast<I, F, Fut, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = self.run.work();
        f.debug_struct("FailFast")
            .field("started", &work.map(|work| work.map.started()))
            .finish_non_exhaustive()
    }
}

/// The failure that ended a run at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("item {index} failed, after {completed} that succeeded")]
#[non_exhaustive]
pub struct FirstFailure<E> {
    /// The position of the item among the inputs.
    pub index: usize,
    /// What became of it.
    #[source]
    pub error: ItemError<E>,
    /// How many items had succeeded by then. Their results are dropped.
    pub completed: usize,
}

/// A map that starts nothing more after a failure. Whoever drives it looks at `failure`.
pub(crate) struct FirstFailureWork<I: Iterator, R, E> {
    map: MapWork<I, R, E>,
    completed: usize,
    failure: Option<(usize, ItemError<E>)>,
    /// The first item that will not start because the run was ended early. That is a failure, too,
    /// but one that lets what runs come to its end.
    never_started: Option<(usize, Stopped)>,
}

impl<I: Iterator, R, E> FirstFailureWork<I, R, E> {
    pub(crate) fn new(map: MapWork<I, R, E>) -> Self {
        Self {
            map,
            completed: 0,
            failure: None,
            never_started: None,
        }
    }

    pub(crate) fn into_verdict(self) -> Result<Vec<R>, FirstFailure<E>> {
        let never_started = self.never_started.map(|(index, why)| (index, why.into()));
        if let Some((index, error)) = self.failure.or(never_started) {
            return Err(FirstFailure {
                index,
                error,
                completed: self.completed,
            });
        }
        let results = self.map.into_results().into_iter();
        Ok(results.filter_map(Result::ok).collect()) // all are, or there were a failure
    }
}

impl<I: Iterator, R, E> Work for FirstFailureWork<I, R, E> {
    type Item = I::Item;
    type Output = R;
    type Error = E;

    #[inline]
    fn next(&mut self) -> Option<(usize, I::Item)> {
        if self.failure.is_some() {
            return None;
        }
        self.map.next()
    }

    #[inline]
    fn finish(&mut self, tag: usize, result: Result<R, ItemError<E>>) {
        match result {
            Ok(value) => {
                self.completed += usize::from(self.failure.is_none());
                self.map.finish(tag, Ok(value));
            }
            // Whatever ends after the first failure is not reported; its place need not be filled.
            Err(error) if self.failure.is_some() => contained(|| drop(error)),
            Err(error) => self.failure = Some((tag, error)),
        }
    }

    /// One item that will not start is a failure; whether there is one takes a look.
    fn stop(&mut self, why: Stopped) -> bool {
        if self.never_started.is_none()
            && let Some((tag, _dropped)) = self.next()
        {
            self.never_started = Some((tag, why));
        }
        false
    }

    fn turned_back(&mut self, tag: usize, why: Stopped) {
        self.never_started.get_or_insert((tag, why));
    }

    fn closed(&self) -> Option<Stopped> {
        self.failure.as_ref().map(|_| Stopped::Failed)
    }

    fn may_have_next(&self) -> bool {
        self.failure.is_none() && self.map.may_have_next()
    }

    fn most_in_flight(&self) -> usize {
        self.map.most_in_flight()
    }
}

/// The future of [`Map::collect_errors`].
///
/// As with any `async fn`, polling it again after its end panics.
#[must_use = "futures do nothing unless polled"]
pub struct CollectErrors<I: Iterator, F, Fut, R, E> {
    map: Map<I, F, Fut, R, E>,
}

impl<I: Iterator, F, Fut, R, E> CollectErrors<I, F, Fut, R, E> {
    pub(crate) fn new(map: Map<I, F, Fut, R, E>) -> Self {
        Self { map }
    }
}

impl<I, F, Fut, R, E> Future for CollectErrors<I, F, Fut, R, E>
where
    I: Iterator,
    F: FnMut(I::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Output = Collected<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.map).poll(cx).map(Collected::from)
    }
}

impl<I: Iterator, F, Fut, R, E> fmt::Debug for CollectErrors<I, F, Fut, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CollectErrors").field(&self.map).finish()
    }
}

/// Results and failures apart, each with its position among the inputs, ascending.
///
/// The results of a blocking map convert into it as well.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected<R, E> {
    /// The items that succeeded.
    pub ok: Vec<(usize, R)>,
    /// The items that have no result, and why.
    pub failed: Vec<(usize, ItemError<E>)>,
}

impl<R, E> From<Vec<Result<R, ItemError<E>>>> for Collected<R, E> {
    fn from(results: Vec<Result<R, ItemError<E>>>) -> Self {
        let mut sorted = Self {
            ok: Vec::with_capacity(results.len()),
            failed: Vec::new(),
        };
        for (index, result) in results.into_iter().enumerate() {
            match result {
                Ok(value) => sorted.ok.push((index, value)),
                Err(error) => sorted.failed.push((index, error)),
            }
        }
        sorted
    }
}
