//! What may cross threads, checked when this compiles.

use std::panic::{RefUnwindSafe, UnwindSafe};

use brolly_file_store::{
    BuildError, Content, Error, FileStore, FileStoreBuilder, Metadata, PathGuard, Stats,
};

fn is_send_and_sync<T: Send + Sync + Unpin + 'static>() {}
fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
fn is_send<T: Send>(_: T) {}

#[test]
fn everything_may_be_sent_and_shared() {
    is_send_and_sync::<FileStore>();
    is_send_and_sync::<FileStoreBuilder>();
    is_send_and_sync::<PathGuard>();
    is_send_and_sync::<Content>();
    is_send_and_sync::<Error>();
    is_send_and_sync::<BuildError>();
    is_send_and_sync::<Metadata>();
    is_send_and_sync::<Stats>();
    is_unwind_safe::<Content>();
    is_unwind_safe::<Stats>();
}

#[test]
fn futures_may_be_sent() {
    let world = crate::support::World::new();
    let store = &world.store;
    is_send(store.read("a"));
    is_send(store.read_to_string("a"));
    is_send(store.write("a", "one"));
    is_send(store.remove("a"));
    is_send(store.lock("a"));
    is_send(store.metadata("a"));
    is_send(store.exists("a"));
    is_send(store.remove_leftovers("."));
    let held = store.lock_blocking("a").expect("locked");
    is_send(held.read());
    is_send(held.write("one"));
    is_send(held.remove());
}

#[test]
fn handles_are_as_small_as_a_pointer() {
    assert_eq!(size_of::<FileStore>(), size_of::<usize>());
    assert_eq!(size_of::<Content>(), size_of::<usize>());
    assert_eq!(size_of::<PathGuard>(), 2 * size_of::<usize>());
    assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
}
