//! [`OnBlockingPool`]: a function on the threads that a tokio runtime keeps for such.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::{JoinHandle, spawn_blocking};

use crate::limiter::{Limiter, Surroundings};

/// The future of one call on the pool; see
/// [`BatchProcessor::map_on_blocking_pool`](crate::BatchProcessor::map_on_blocking_pool).
///
/// Dropping it keeps a call from starting, not from ending.
#[must_use = "a result nobody waits for is lost"]
pub struct OnBlockingPool<T> {
    call: JoinHandle<T>,
}

/// Makes a function that blocks into one of futures, whose run takes permits of this limiter.
///
/// A call borrows the permit of its item and takes it along: what nests in it on its thread knows of
/// it, and when the item is dropped, the permit is not free before the call has ended.
pub(crate) fn on_blocking_pool<T, O>(
    f: impl Fn(T) -> O + Send + Sync + 'static,
    limiter: Option<Limiter>,
) -> impl FnMut(T) -> OnBlockingPool<O>
where
    T: Send + 'static,
    O: Send + 'static,
{
    let f = Arc::new(f);
    move |item| {
        let f = Arc::clone(&f);
        let around = Surroundings::here();
        let permit = limiter.as_ref().and_then(Limiter::try_acquire);
        OnBlockingPool {
            call: spawn_blocking(move || {
                around.enter(|| match permit {
                    None => f(item),
                    Some(mut permit) => permit.enter(|| f(item)),
                })
            }),
        }
    }
}

impl<T> Future for OnBlockingPool<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.call).poll(cx).map(|ended| match ended {
            Ok(output) => output,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => resume_unwind(payload), // the item's panic, which the map reports
                Err(error) => panic!("the runtime has dropped the call: {error}"),
            },
        })
    }
}

impl<T> Drop for OnBlockingPool<T> {
    fn drop(&mut self) {
        self.call.abort();
    }
}

impl<T> fmt::Debug for OnBlockingPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnBlockingPool")
            .field("ended", &self.call.is_finished())
            .finish_non_exhaustive()
    }
}
