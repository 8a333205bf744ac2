//! [`Lease`] and [`OwnedLease`]: a target that was picked. Its load is given back when the lease is
//! dropped.

use std::fmt;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;

use crate::router::Shared;
use crate::router::health::Verdict;
use crate::router::query::PickReason;
use crate::router::state::{Known, Picked, Ticket};

const HELD: &str = "a lease has its target until it is dropped or ended";

/// What a lease is, whoever keeps the router alive.
struct Held<K: Eq + Hash, T, P: Deref<Target = Shared<K, T>>> {
    router: P,
    target: Option<Arc<Known<K, T>>>,
    ticket: Ticket,
}

impl<K: Eq + Hash, T, P: Deref<Target = Shared<K, T>>> Held<K, T, P> {
    #[inline]
    fn target(&self) -> &Known<K, T> {
        self.target.as_ref().expect(HELD)
    }

    fn end(&mut self, verdict: Verdict) {
        // First: a clock that panics must not cost the load.
        let now = self.router.time_of(verdict);
        let target = self.target.take().expect(HELD);
        self.router
            .give_back_with(target, self.ticket, (verdict, now));
    }
}

impl<K: Eq + Hash, T, P: Deref<Target = Shared<K, T>>> Drop for Held<K, T, P> {
    #[inline]
    fn drop(&mut self) {
        if let Some(target) = self.target.take() {
            self.router.give_back(target, self.ticket);
        }
    }
}

macro_rules! lease {
    ($name:ty, $text:literal, $($generics:tt)*) => {
        impl<$($generics)* K: Eq + Hash, T> $name {
            /// Who was picked.
            #[must_use]
            pub fn id(&self) -> &K {
                &self.0.target().id
            }

            /// Why this one.
            #[must_use]
            pub fn reason(&self) -> PickReason {
                self.0.ticket.reason
            }

            /// Ends the lease and says that the target did its work: the count of its failures in a
            /// row begins anew, and a trial is passed.
            pub fn succeed(mut self) {
                self.0.end(Verdict::Success);
            }

            /// Ends the lease and says that the target failed. After as many in a row as the
            /// router's [`Ejection`](crate::Ejection) says, it is left out for a time.
            pub fn fail(mut self) {
                self.0.end(Verdict::Failure);
            }

            /// [`succeed`](Self::succeed) or [`fail`](Self::fail), as the result says, which is
            /// given back.
            pub fn settle<R, E>(self, result: Result<R, E>) -> Result<R, E> {
                if result.is_ok() {
                    self.succeed();
                } else {
                    self.fail();
                }
                result
            }
        }

        impl<$($generics)* K: Eq + Hash, T> Deref for $name {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                &self.0.target().value
            }
        }

        impl<$($generics)* K: Eq + Hash + fmt::Debug, T> fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($text)
                    .field("id", self.id())
                    .field("reason", &self.reason())
                    .finish_non_exhaustive()
            }
        }
    };
}

/// A target that was picked, with one unit of its load.
///
/// It is the target's value by [`Deref`]. Dropped, it gives its unit back and says nothing about how
/// the target did; [`succeed`](Self::succeed), [`fail`](Self::fail) and [`settle`](Self::settle) do
/// both. A target that is removed meanwhile lives on until its last lease has ended.
#[must_use = "the load is given back at once if the lease is dropped"]
pub struct Lease<'a, K: Eq + Hash, T>(Held<K, T, &'a Shared<K, T>>);

/// A [`Lease`] that borrows nothing and can be sent anywhere.
#[must_use = "the load is given back at once if the lease is dropped"]
pub struct OwnedLease<K: Eq + Hash, T>(Held<K, T, Arc<Shared<K, T>>>);

lease!(Lease<'a, K, T>, "Lease", 'a,);
lease!(OwnedLease<K, T>, "OwnedLease",);

impl<'a, K: Eq + Hash, T> Lease<'a, K, T> {
    #[inline]
    pub(super) fn new(router: &'a Shared<K, T>, picked: Picked<K, T>) -> Self {
        Self(Held {
            router,
            target: Some(picked.target),
            ticket: picked.ticket,
        })
    }
}

impl<K: Eq + Hash, T> OwnedLease<K, T> {
    pub(super) fn new(router: Arc<Shared<K, T>>, picked: Picked<K, T>) -> Self {
        Self(Held {
            router,
            target: Some(picked.target),
            ticket: picked.ticket,
        })
    }
}
