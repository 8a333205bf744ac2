//! [`Guard`] and [`OwnedGuard`]: a resource in somebody's hands. It goes back when the guard is
//! dropped.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread::panicking;
use std::time::Duration;

use crate::manager::{CloseReason, Manager, Usage};
use crate::places::loan::{Hold, Item, Loan};
use crate::places::record::Record;
use crate::reports::holders::Site;
use crate::shared::Shared;

const HELD: &str = "a guard holds its resource until it is dropped or taken apart";

/// A loan that goes back by itself.
struct Held<M: Manager, P: Deref<Target = Shared<M>>> {
    pool: P,
    item: Option<Box<Item<M::Resource>>>,
}

impl<M: Manager, P: Deref<Target = Shared<M>>> Held<M, P> {
    #[inline]
    fn new(pool: P, loan: Loan<M::Resource>) -> Self {
        Self::with(pool, loan, panicking())
    }

    #[inline]
    fn with(pool: P, loan: Loan<M::Resource>, was_panicking: bool) -> Self {
        let Loan { place, mut item } = loan;
        item.held = Some(Hold {
            place,
            was_panicking,
        });
        let item = Some(item);
        Self { pool, item }
    }

    #[inline]
    fn item(&self) -> &Item<M::Resource> {
        self.item.as_ref().expect(HELD)
    }

    /// Takes it apart; `None` if that was done before.
    #[inline]
    fn try_take(&mut self) -> Option<(Loan<M::Resource>, bool)> {
        let mut item = self.item.take()?;
        let Hold {
            place,
            was_panicking,
        } = item.held.take().expect(HELD);
        Some((Loan { place, item }, was_panicking))
    }

    fn take(&mut self) -> Loan<M::Resource> {
        self.try_take().expect(HELD).0
    }

    fn held(&self) -> &Hold {
        self.item().held.as_ref().expect(HELD)
    }

    fn record(&self) -> &Record {
        self.pool.idle.record(&self.held().place)
    }

    fn site(&self) -> Option<Site> {
        self.record().site().map(Site::of)
    }

    fn held_for(&self) -> Duration {
        let record = self.record();
        let since = record.held_since();
        let now = self.pool.time.coarse();
        Duration::from_nanos(since.map_or(0, |since| now.saturating_sub(since)))
    }

    fn set_label(&self, label: &str) {
        let (idle, place) = (&self.pool.idle, &self.held().place);
        let checkout = idle.record(place).uses();
        self.pool.labels.set(idle.number(place), checkout, label);
    }

    fn usage(&self) -> Usage {
        self.item().usage(self.pool.time.coarse())
    }
}

impl<M: Manager, P: Deref<Target = Shared<M>>> Drop for Held<M, P> {
    #[inline]
    fn drop(&mut self) {
        if let Some((loan, was_panicking)) = self.try_take() {
            let has_panicked = panicking() && !was_panicking;
            self.pool.give_back(loan, has_panicked);
        }
    }
}

macro_rules! guard {
    ($(#[$doc:meta])* $guard:ident $(<$life:lifetime>)?, $pool:ty) => {
        $(#[$doc])*
        #[must_use = "a resource that is not held goes back at once"]
        pub struct $guard<$($life,)? M: Manager>(Held<M, $pool>);

        impl<$($life,)? M: Manager> $guard<$($life,)? M> {
            #[inline]
            pub(crate) fn new(pool: $pool, loan: Loan<M::Resource>) -> Self {
                Self(Held::new(pool, loan))
            }

            /// Takes the resource out of the pool for good. Its place is free for another one.
            #[doc(alias = "take")]
            #[doc(alias = "into_inner")]
            #[doc(alias = "hijack")]
            #[must_use = "to get rid of a resource, discard it"]
            pub fn detach(mut this: Self) -> M::Resource {
                let loan = this.0.take();
                this.0.pool.detach(loan)
            }

            /// Gives the resource back to be closed, since it is of no more use.
            #[doc(alias = "close")]
            pub fn discard(mut this: Self) {
                let loan = this.0.take();
                this.0.pool.discard(loan, CloseReason::Discarded);
            }

            /// Where it was acquired.
            #[must_use]
            pub fn site(this: &Self) -> Option<Site> {
                this.0.site()
            }

            /// For how long it is held, by a coarse clock. Zero once its lease is over.
            #[must_use]
            pub fn held_for(this: &Self) -> Duration {
                this.0.held_for()
            }

            /// Says what it is held for: shown by [`Pool::holders`](crate::Pool::holders) until it
            /// goes back. What is beyond 256 bytes is cut off. Whoever says nothing pays nothing.
            #[doc(alias = "set_metadata")]
            pub fn set_label(this: &Self, label: impl AsRef<str>) {
                this.0.set_label(label.as_ref());
            }

            /// What the resource has been through.
            #[must_use]
            pub fn usage(this: &Self) -> Usage {
                this.0.usage()
            }
        }

        impl<$($life,)? M: Manager> Deref for $guard<$($life,)? M> {
            type Target = M::Resource;

            #[inline]
            fn deref(&self) -> &M::Resource {
                &self.0.item().resource
            }
        }

        impl<$($life,)? M: Manager> DerefMut for $guard<$($life,)? M> {
            #[inline]
            fn deref_mut(&mut self) -> &mut M::Resource {
                &mut self.0.item.as_mut().expect(HELD).resource
            }
        }

        impl<$($life,)? M: Manager> AsRef<M::Resource> for $guard<$($life,)? M> {
            fn as_ref(&self) -> &M::Resource {
                self
            }
        }

        impl<$($life,)? M: Manager> AsMut<M::Resource> for $guard<$($life,)? M> {
            fn as_mut(&mut self) -> &mut M::Resource {
                self
            }
        }

        impl<$($life,)? M: Manager> fmt::Debug for $guard<$($life,)? M>
        where
            M::Resource: fmt::Debug,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($guard)).field(&**self).finish()
            }
        }
    };
}

guard! {
    /// A resource that goes back to its pool when this is dropped: on any thread, in a runtime or
    /// not, also while a panic unwinds. Giving back neither waits nor allocates nor starts a task,
    /// unless the resource has to be closed.
    ///
    /// One that is leaked with `mem::forget` is shown by [`Pool::holders`](crate::Pool::holders)
    /// for ever; a lease timeout gives its place to another.
    ///
    /// Methods are functions, `Guard::detach(guard)`, so that they hide none of the resource.
    Guard<'a>, &'a Shared<M>
}

guard! {
    /// A [`Guard`] that borrows nothing and keeps what it needs of the pool alive. It costs one
    /// count of a reference more, up and down.
    OwnedGuard, Arc<Shared<M>>
}

impl<M: Manager> Guard<'_, M> {
    pub(crate) fn into_loan(mut this: Self) -> Loan<M::Resource> {
        this.0.take()
    }

    /// The same as an owned guard.
    pub fn into_owned(mut this: Self) -> OwnedGuard<M> {
        let pool = this.0.pool.arc();
        let pool = pool.expect("a guard that borrows a pool is outlived by it");
        let (loan, was_panicking) = this.0.try_take().expect(HELD);
        OwnedGuard(Held::with(pool, loan, was_panicking))
    }
}
