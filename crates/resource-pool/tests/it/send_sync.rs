//! Handles, guards, and the futures they make, may go wherever their resources may.

use std::cell::Cell;
use std::convert::Infallible;

use brolly_resource_pool::{
    AcquireError, AddError, Blocking, ConfigError, CreateError, DrainReport, Event, Guard, Holder,
    Manager, OwnedGuard, Pool, PoolBuilder, RunError, Site, SiteHolders, Stats, Timeout,
    TryAcquireError, WarmUpError,
};

use crate::support::{Broken, Factory, lone};

fn is_shared<T: Send + Sync>() {}
fn is_sent<T: Send>(_: &T) {}
fn is_unpin<T: Unpin>() {}

struct Lonely;

impl Manager for Lonely {
    /// May be sent, but not shared.
    type Resource = Cell<u8>;
    type Error = Infallible;

    async fn create(&self) -> Result<Cell<u8>, Infallible> {
        Ok(Cell::new(0))
    }
}

#[test]
fn everything_public_is_send_and_sync() {
    is_shared::<Pool<Factory>>();
    is_shared::<Guard<'_, Factory>>();
    is_shared::<OwnedGuard<Factory>>();
    is_shared::<PoolBuilder<Factory>>();
    is_shared::<Blocking<Factory>>();
    is_shared::<(AcquireError<Broken>, Timeout<Broken>, CreateError<Broken>)>();
    is_shared::<(TryAcquireError, RunError<Broken>, WarmUpError<Broken>)>();
    is_shared::<(ConfigError, AddError<u8>, DrainReport, Event)>();
    is_shared::<(Holder, Site, SiteHolders, Stats)>();
    is_shared::<Pool<Lonely>>();
    is_unpin::<(Pool<Factory>, Guard<'_, Factory>, OwnedGuard<Factory>)>();
}

/// Found out at compile time: implemented twice for what is `Sync`, the call would be ambiguous.
macro_rules! is_not {
    ($trait:ident: $type:ty) => {{
        trait Ambiguous<A> {
            fn call() {}
        }
        impl<T: ?Sized> Ambiguous<()> for T {}
        struct Marked;
        impl<T: ?Sized + $trait> Ambiguous<Marked> for T {}
        <$type as Ambiguous<_>>::call();
    }};
}

#[test]
fn a_guard_of_what_may_not_be_shared_may_not_be_shared() {
    is_not!(Sync: Guard<'static, Lonely>);
    is_not!(Sync: OwnedGuard<Lonely>);
}

#[test]
fn every_future_can_be_spawned() {
    let bench = lone(|it| it.max_size(1));
    let pool = &bench.pool;
    is_sent(&pool.acquire());
    is_sent(&pool.acquire_owned());
    is_sent(&pool.acquire_timeout(crate::support::ms(1)));
    is_sent(&pool.acquire_many(1));
    is_sent(&pool.warm_up());
    is_sent(&pool.drain(crate::support::ms(1)));
    is_sent(&pool.maintain());
    is_sent(&pool.run(async |_| Ok(())));
    is_sent(&pool.with(async |_| ()));
}
