//! Which paths are one.

use std::path::Path;

use crate::support::World;

#[test]
fn spellings_of_a_path_share_one_entry() {
    let world = World::new();
    world.put("d/a", "one");
    world.settle("d/a");
    let before = world.store.stats();
    let absolute = world.path("d/a");
    let canonical = world.store.root().join("d/a");
    for spelling in [
        Path::new("d/a"),
        Path::new("./d/a"),
        Path::new("d//a"),
        Path::new("d/./a"),
        Path::new("d/a/"),
        &absolute,
        &canonical,
    ] {
        let content = world.store.read_blocking(spelling).expect("read");
        assert_eq!(content, "one", "{spelling:?}");
    }
    let after = world.store.stats();
    assert_eq!(after.hits, before.hits + 7);
    assert_eq!(after.cached_files, 1);
}

#[test]
fn a_root_reached_through_a_link_takes_both_of_its_names() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("real")).expect("made");
    std::os::unix::fs::symlink("real", dir.path().join("link")).expect("linked");
    let store = brolly_file_store::FileStore::builder(dir.path().join("link"))
        .build()
        .expect("a store");
    store
        .write_blocking(dir.path().join("link/a"), "one")
        .expect("written");
    let real = dir.path().canonicalize().expect("there").join("real/a");
    assert_eq!(store.read_blocking(real).expect("read"), "one");
}

#[test]
fn a_relative_root_stays_where_it_was() {
    let here = std::env::current_dir().expect("a directory");
    let store = brolly_file_store::FileStore::builder(".")
        .build()
        .expect("a store");
    assert!(store.exists_blocking("Cargo.toml").expect("known"));
    let absolute = here.join("Cargo.toml");
    assert!(store.exists_blocking(absolute).expect("known"));
}

#[test]
fn a_write_through_one_way_is_seen_through_all() {
    let world = World::new();
    world.put("d/a", "one");
    std::os::unix::fs::symlink("d", world.path("e")).expect("linked");
    for path in ["d/a", "e/a", "e/../d/a"] {
        world.settle(path);
    }
    world.store.write_blocking("e/a", "two").expect("written");
    for path in ["d/a", "e/a", "e/../d/a"] {
        assert_eq!(world.store.read_blocking(path).expect("read"), "two");
    }
}
