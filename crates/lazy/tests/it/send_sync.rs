//! Handles, and the futures they make, may go wherever their values may.

use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

use brolly_lazy::{
    ConfigError, Guard, Lazy, LazyBuilder, LazyMap, LazyMapBuilder, LoadError, Once, Reader, Stats,
    with_lazy,
};

fn is_shared<T: Send + Sync + 'static>() {}
fn is_sent<T: Send>(_: &T) {}
fn is_unpin<T: Unpin>() {}
fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}

#[test]
fn everything_public_is_send_and_sync() {
    is_shared::<Lazy<String, std::io::Error>>();
    is_shared::<LazyMap<String, String, std::io::Error>>();
    is_shared::<Once<String>>();
    is_shared::<Reader<String, std::io::Error>>();
    is_shared::<Guard<String>>();
    is_shared::<LoadError<std::io::Error>>();
    is_shared::<ConfigError>();
    is_shared::<LazyBuilder>();
    is_shared::<LazyMapBuilder>();
    is_shared::<Stats>();
    is_unpin::<(Lazy<String>, Once<String>, Guard<String>, Reader<String>)>();
    is_unwind_safe::<(ConfigError, Stats)>();
}

#[test]
fn every_future_can_be_spawned() {
    let lazy: Lazy<u32, String> = Lazy::fallible(|| async { Ok(7) });
    is_sent(&lazy.try_get());
    is_sent(&lazy.refresh());
    is_sent(&Lazy::new(|| async { 7 }).get());
    let mut reader = lazy.reader();
    is_sent(&reader.try_get());
    let map = LazyMap::new(1, |key: u32| async move { key }).unwrap();
    is_sent(&map.get(&1));
    is_sent(&map.try_get(&1));
    let once = Once::new();
    is_sent(&once.get_or_init(|| async { 7 }));
    is_sent(&once.get_or_try_init(|| async { Err::<u32, _>("no") }));
    is_sent(&with_lazy(lazy, |_, (): ()| async {})(()));
}

#[test]
fn a_future_of_a_map_borrows_neither_the_map_nor_the_key() {
    let future = {
        let map = LazyMap::new(1, |key: String| async move { key.len() }).unwrap();
        let key = String::from("four");
        map.get(key.as_str())
    };
    assert_eq!(*crate::support::now(future), 4);
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
fn values_that_may_not_be_shared_do_not_become_so() {
    is_not!(Sync: Lazy<Cell<u64>>);
    is_not!(Send: Lazy<Cell<u64>>);
    is_not!(Send: Lazy<Rc<u64>>);
    is_not!(Send: Guard<Rc<u64>>);
    is_not!(Sync: Guard<Cell<u64>>);
    is_not!(Sync: Once<Cell<u64>>);
    is_not!(Send: Once<Rc<u64>>);
    is_not!(Send: Lazy<u64, Rc<u64>>);
    is_not!(Send: LazyMap<Rc<u64>, u64>);
}
