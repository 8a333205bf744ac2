//! [`Acquire`]: the future of one resource: at its first poll the fast way, and then in line.
//!
//! Written by hand so that the fast way is small enough to become part of the caller: what an async
//! function returns goes through memory in pieces, which a processor cannot forward as one.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::AcquireError;
use crate::guard::{Guard, OwnedGuard};
use crate::line::wait::{Wait, one};
use crate::manager::Manager;
use crate::places::loan::Loan;
use crate::shared::Shared;

type Site = &'static Location<'static>;

const ENDED: &str = "an acquire is not asked again once it was ready";

type Acquired<T, M> = Result<T, AcquireError<<M as Manager>::Error>>;

/// A resource that goes back to a pool that is borrowed.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Acquire<'a, M: Manager> {
    shared: &'a Shared<M>,
    way: Way<'a, M>,
}

/// A resource that keeps its pool alive.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct AcquireOwned<'a, M: Manager> {
    shared: &'a Arc<Shared<M>>,
    way: Way<'a, M>,
}

struct Way<'a, M: Manager> {
    /// `None` once it was ready.
    site: Option<Site>,
    limit: Option<Duration>,
    wait: Option<Wait<'a, M>>,
}

impl<'a, M: Manager> Acquire<'a, M> {
    #[inline]
    pub(crate) fn new(shared: &'a Shared<M>, site: Site, limit: Option<Duration>) -> Self {
        let way = Way::new(site, limit);
        Self { shared, way }
    }
}

impl<'a, M: Manager> AcquireOwned<'a, M> {
    #[inline]
    pub(crate) fn new(shared: &'a Arc<Shared<M>>, site: Site, limit: Option<Duration>) -> Self {
        let way = Way::new(site, limit);
        Self { shared, way }
    }
}

impl<'a, M: Manager> Way<'a, M> {
    #[inline]
    fn new(site: Site, limit: Option<Duration>) -> Self {
        Self {
            site: Some(site),
            limit,
            wait: None,
        }
    }

    #[inline]
    fn poll(
        &mut self,
        shared: &'a Shared<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Acquired<Loan<M::Resource>, M>> {
        let site = self.site.expect(ENDED);
        if self.wait.is_none()
            && let Some(loan) = shared.try_fast(site)
            && let Some(loan) = shared.admit(loan)
        {
            self.site = None;
            return Poll::Ready(Ok(loan));
        }
        self.poll_wait(shared, site, cx)
    }

    #[inline(never)]
    fn poll_wait(
        &mut self,
        shared: &'a Shared<M>,
        site: Site,
        cx: &mut Context<'_>,
    ) -> Poll<Acquired<Loan<M::Resource>, M>> {
        let limit = self.limit;
        loop {
            let begin = || Wait::new(shared, site, 1, limit);
            let wait = self.wait.get_or_insert_with(begin);
            let Poll::Ready(outcome) = Pin::new(wait).poll(cx) else {
                return Poll::Pending;
            };
            let acquired = match one::<M>(outcome).map(|loan| shared.admit(loan)) {
                Ok(Some(loan)) => Ok(loan),
                // A hook that refuses a resource sends its caller back in line, with the time that
                // it has left.
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            self.wait = None;
            self.site = None;
            return Poll::Ready(acquired);
        }
    }
}

impl<'a, M: Manager> Future for Acquire<'a, M> {
    type Output = Acquired<Guard<'a, M>, M>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = self.shared;
        let polled = self.way.poll(shared, cx);
        polled.map_ok(|loan| Guard::new(shared, loan))
    }
}

impl<M: Manager> Future for AcquireOwned<'_, M> {
    type Output = Acquired<OwnedGuard<M>, M>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = self.shared;
        let polled = self.way.poll(shared, cx);
        polled.map_ok(|loan| OwnedGuard::new(Arc::clone(shared), loan))
    }
}
