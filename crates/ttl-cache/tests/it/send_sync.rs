//! Handles may be shared and sent wherever their entries may.

use std::cell::Cell;
use std::sync::Arc;

use brolly_ttl_cache::{
    Cache, CacheBuilder, ConfigError, EvictionPolicy, InsertError, Iter, Keys, RandomState,
    Refusal, RemovalCause, Stats,
};

fn is_shared<T: Send + Sync + 'static>() {}
fn is_sent<T: Send + 'static>() {}

#[test]
fn everything_public_is_send_and_sync() {
    is_shared::<Cache<String, Arc<[u8]>>>();
    is_shared::<Iter<String, Vec<u8>>>();
    is_shared::<Keys<String, Vec<u8>>>();
    is_shared::<ConfigError>();
    is_shared::<InsertError<String, String>>();
    is_shared::<Refusal>();
    is_shared::<RandomState>();
    is_shared::<Stats>();
    is_shared::<EvictionPolicy>();
    is_shared::<RemovalCause>();
    is_sent::<CacheBuilder<String, String>>();
}

/// Found out at compile time: implemented twice for what is `Send`, the call would be ambiguous.
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
fn entries_that_may_not_be_shared_do_not_become_so() {
    is_not!(Sync: Cache<u64, Cell<u64>>);
    is_not!(Send: Cache<u64, Cell<u64>>);
    is_not!(Send: Cache<u64, std::rc::Rc<u64>>);
    is_not!(Send: Cache<std::rc::Rc<u64>, u64>);
    is_not!(Sync: Iter<u64, Cell<u64>>);
}
