//! [`Ending`]: how one resource ends, with its type erased: it is undone once, or closed until that
//! succeeds.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use crate::managed::Close;
use crate::panics::{contain, contained, discard};
use crate::scope::error::CleanupCause;

pub(crate) type Ended = Result<(), CleanupCause>;

type Boxed<'a> = Pin<Box<dyn Future<Output = Ended> + Send + 'a>>;

/// A resource in the hands of a scope.
pub(crate) trait Ending: Send {
    /// Ends it. Dropped before it is ready, it is to be called again; panics have become values.
    fn end(&mut self) -> Boxed<'_>;

    /// Whether nothing is left to be tried after an ending that failed.
    fn is_spent(&self) -> bool;
}

/// What a cleanup may return: nothing, or a result.
pub trait Cleanup: sealed::Sealed {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<E> Sealed for Result<(), E> {}
}

impl Cleanup for () {
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Cleanup for Result<(), E> {
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.map_err(Into::into)
    }
}

type UndoFn<R> = Box<dyn FnOnce(R) -> Boxed<'static> + Send>;

/// A resource that is undone by a function which takes it; without one it is dropped.
///
/// 1. While a handle has it, the resource is there and nothing runs.
/// 2. Once undoing has begun, what runs stays here: whoever looks next goes on with it.
pub(crate) struct Undo<R> {
    pub(crate) resource: Option<R>,
    pub(crate) undo: Option<UndoFn<R>>,
    running: Option<Boxed<'static>>,
}

impl<R: Send + 'static> Undo<R> {
    pub(crate) fn new(resource: R) -> Self {
        Self {
            resource: Some(resource),
            undo: None,
            running: None,
        }
    }

    pub(crate) fn set<F, Fut>(&mut self, undo: F)
    where
        F: FnOnce(R) -> Fut + Send + 'static,
        Fut: Future<Output: Cleanup> + Send + 'static,
    {
        self.undo = Some(Box::new(move |resource| {
            let work = undo(resource);
            Box::pin(async move { work.await.into_result().map_err(CleanupCause::Failed) })
        }));
    }

    /// Begins to undo, unless that has begun.
    fn begin(&mut self) -> Ended {
        let Some(resource) = self.resource.take() else {
            return Ok(());
        };
        let begun = match self.undo.take() {
            Some(undo) => contain(|| Some(undo(resource))),
            None => contain(|| {
                drop(resource);
                None
            }),
        };
        self.running = begun.map_err(|message| CleanupCause::Panicked { message })?;
        Ok(())
    }
}

impl<R: Send + 'static> Ending for Undo<R> {
    fn end(&mut self) -> Boxed<'_> {
        Box::pin(async move {
            self.begin()?;
            let Some(running) = &mut self.running else {
                return Ok(());
            };
            let ended = poll_fn(|cx| match contain(|| running.as_mut().poll(cx)) {
                Ok(poll) => poll,
                Err(message) => Poll::Ready(Err(CleanupCause::Panicked { message })),
            })
            .await;
            discard(self.running.take());
            ended
        })
    }

    fn is_spent(&self) -> bool {
        self.resource.is_none() && self.running.is_none()
    }
}

/// A resource that knows how to close; it stays open until that succeeds.
pub(crate) struct Closing<R>(pub(crate) Box<R>);

impl<R: Close> Ending for Closing<R> {
    fn end(&mut self) -> Boxed<'_> {
        Box::pin(close(&mut *self.0))
    }

    fn is_spent(&self) -> bool {
        false
    }
}

/// Closes a resource; panics have become values.
pub(crate) async fn close<R: Close>(resource: &mut R) -> Ended {
    match contained(async { resource.close().await }).await {
        Ok(closed) => closed.map_err(|error| CleanupCause::Failed(Box::new(error))),
        Err(message) => Err(CleanupCause::Panicked { message }),
    }
}
