//! [`Loader`]: what makes a value, in a task, on the caller's thread, or on a thread of its own.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use brolly_sync::WaitList;

use crate::panics::{Payload, catch, discard};
use crate::recursion::{Identity, Running};

pub(crate) type BoxFuture<R> = Pin<Box<dyn Future<Output = R> + Send>>;

pub(crate) enum Loader<T, E> {
    /// Polled by whoever waits.
    Future(Box<dyn Fn() -> BoxFuture<Result<T, E>> + Send + Sync>),
    /// Called by whoever waits.
    Sync(Box<dyn Fn() -> Result<T, E> + Send + Sync>),
    /// Called on a thread that may be blocked.
    Blocking(Arc<dyn Fn() -> Result<T, E> + Send + Sync>),
}

/// Why a loader has returned nothing.
pub(crate) enum Unready {
    Panicked(Payload),
    Dropped,
}

impl<T, E> Loader<T, E> {
    pub(crate) fn future<Fut>(call: impl Fn() -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        Self::Future(Box::new(move || Box::pin(call())))
    }

    pub(crate) fn sync(call: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Self {
        Self::Sync(Box::new(call))
    }

    pub(crate) fn blocking(call: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Self {
        Self::Blocking(Arc::new(call))
    }
}

impl<T: Send + 'static, E: Send + 'static> Loader<T, E> {
    /// Calls the loader once. While its code runs, its thread is marked as inside of `what`.
    pub(crate) async fn call(&self, what: &Identity) -> Result<Result<T, E>, Unready> {
        match self {
            Self::Future(call) => {
                let called = catch(|| {
                    let _running = Running::of(what.clone());
                    call()
                });
                let loader = called.map_err(Unready::Panicked)?;
                let loaded = Contained::new(loader, what.clone()).await;
                loaded.map_err(Unready::Panicked)
            }
            Self::Sync(call) => catch(|| {
                let _running = Running::of(what.clone());
                call()
            })
            .map_err(Unready::Panicked),
            Self::Blocking(call) => {
                let (giver, arrival) = handed();
                let (call, what) = (Arc::clone(call), what.clone());
                start_blocking(Box::new(move || {
                    let result = catch(|| {
                        let _running = Running::of(what);
                        call()
                    });
                    giver.give(result);
                }));
                match arrival.take().await {
                    Some(result) => result.map_err(Unready::Panicked),
                    None => Err(Unready::Dropped),
                }
            }
        }
    }
}

/// A loader's future, polled and dropped at arm's length.
pub(crate) struct Contained<R> {
    /// `None` once it has ended.
    loader: Option<BoxFuture<R>>,
    what: Identity,
}

impl<R> Contained<R> {
    /// While the future is polled, its thread is marked as inside of `what`.
    pub(crate) fn new(loader: BoxFuture<R>, what: Identity) -> Self {
        Self {
            loader: Some(loader),
            what,
        }
    }
}

impl<R> Future for Contained<R> {
    type Output = Result<R, Payload>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let what = self.what.clone();
        let loader = self.loader.as_mut().expect("not polled after its end");
        let polled = catch(|| {
            let _running = Running::of(what);
            loader.as_mut().poll(cx)
        });
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => Ok(result),
            Err(payload) => Err(payload),
        };
        discard(self.loader.take());
        Poll::Ready(result)
    }
}

impl<R> Drop for Contained<R> {
    fn drop(&mut self) {
        discard(self.loader.take());
    }
}

/// A loader's future that cannot fail, as one that might have.
///
/// It drops the loader no sooner than it is dropped itself: an `async` block would do so before it
/// returns the value, which a destructor that panics would then take with it.
pub(crate) struct Infallibly<T>(BoxFuture<T>);

impl<T> Infallibly<T> {
    pub(crate) fn new(loader: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(loader))
    }
}

impl<T> Future for Infallibly<T> {
    type Output = Result<T, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

/// Owes a value. Dropped, it gives none, so that nobody waits for ever.
pub(crate) struct Giver<V>(Option<Arc<WaitList<Option<V>>>>);

/// Something that one gives and one waits for.
pub(crate) fn handed<V>() -> (Giver<V>, Arc<WaitList<Option<V>>>) {
    let list = Arc::new(WaitList::new(Vec::new()));
    (Giver(Some(Arc::clone(&list))), list)
}

impl<V> Giver<V> {
    pub(crate) fn give(mut self, value: V) {
        if let Some(list) = self.0.take() {
            list.put(Some(value));
        }
    }
}

impl<V> Drop for Giver<V> {
    fn drop(&mut self) {
        if let Some(list) = self.0.take() {
            list.put(None);
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Runs a job where blocking does no harm: on a thread of the runtime around the caller, if there
/// is one, or on a new one. Where neither is to be had, the job is dropped.
fn start_blocking(job: Job) {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn_blocking(job));
        return;
    }
    start_thread(job);
}

#[cfg(not(brolly_loom))]
fn start_thread(job: Job) {
    let builder = std::thread::Builder::new().name("brolly-lazy".to_owned());
    drop(builder.spawn(job));
}

#[cfg(brolly_loom)]
fn start_thread(job: Job) {
    loom::thread::spawn(job);
}
