//! Reading, writing, removing, and what is told of files.

use std::fs;
use std::time::{Duration, SystemTime};

use brolly_file_store::{Content, Error};

use crate::support::World;

#[tokio::test]
async fn what_is_written_is_read() {
    let world = World::new();
    let store = &world.store;
    store.write("a.txt", "some text").await.expect("written");
    assert_eq!(store.read("a.txt").await.expect("read"), "some text");
    assert_eq!(
        store.read_to_string("a.txt").await.expect("read"),
        "some text"
    );
    assert_eq!(fs::read(world.path("a.txt")).expect("read"), b"some text");
}

#[test]
fn what_is_written_by_threads_is_read_by_threads() {
    let world = World::new();
    let store = &world.store;
    store.write_blocking("a.txt", "some text").expect("written");
    assert_eq!(store.read_blocking("a.txt").expect("read"), "some text");
    assert_eq!(
        store.read_to_string_blocking("a.txt").expect("read"),
        "some text"
    );
    store.remove_blocking("a.txt").expect("removed");
    assert!(!store.exists_blocking("a.txt").expect("known"));
}

#[tokio::test]
async fn everything_works_the_same_with_checks_on_other_threads() {
    let world = World::with(|builder| builder.check_inline(false));
    let store = &world.store;
    store.write("a.txt", "one").await.expect("written");
    assert_eq!(store.read("a.txt").await.expect("read"), "one");
    world.settle("a.txt");
    let hits = store.stats().hits;
    assert_eq!(store.read("a.txt").await.expect("read"), "one");
    assert_eq!(store.stats().hits, hits + 1);
    world.put("a.txt", "two");
    assert_eq!(store.read("a.txt").await.expect("read"), "two");
    assert_eq!(store.metadata("a.txt").await.expect("there").len, 3);
    drop(store.lock("a.txt").await.expect("locked"));
    store.remove("a.txt").await.expect("removed");
    assert!(!store.exists("a.txt").await.expect("known"));
}

#[tokio::test]
async fn a_missing_file_is_not_found_and_found_once_it_is_there() {
    let world = World::new();
    for _ in 0..2 {
        let error = world.store.read("a.txt").await.expect_err("missing");
        assert!(error.is_not_found());
        assert_eq!(error.path(), std::path::Path::new("a.txt"));
        let error = std::io::Error::from(error);
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
    assert_eq!(world.store.stats().file_reads, 2, "not cached");
    world.put("a.txt", "there");
    assert_eq!(world.store.read("a.txt").await.expect("read"), "there");
    let error = world.store.remove("b.txt").await.expect_err("missing");
    assert!(error.is_not_found());
}

#[tokio::test]
async fn removing_takes_the_file_away() {
    let world = World::new();
    world.put("a.txt", "there");
    world.settle("a.txt");
    world.store.remove("a.txt").await.expect("removed");
    assert!(!world.path("a.txt").exists());
    let error = world.store.read("a.txt").await.expect_err("removed");
    assert!(error.is_not_found());
    assert_eq!(world.store.stats().removals, 1);
}

#[tokio::test]
async fn metadata_is_told_of_files_only() {
    let world = World::new();
    world.put("dir/a.txt", "12345");
    let metadata = world.store.metadata("dir/a.txt").await.expect("there");
    assert_eq!(metadata.len, 5);
    let age = SystemTime::now().duration_since(metadata.modified);
    assert!(age.expect("in the past") < Duration::from_secs(60));
    let mode = {
        use std::os::unix::fs::PermissionsExt;
        let permissions = fs::metadata(world.path("dir/a.txt")).expect("there");
        permissions.permissions().mode() & 0o7777
    };
    assert_eq!(metadata.mode, mode);
    for (path, is_there) in [
        ("dir/a.txt", true),
        ("dir", false),
        ("none", false),
        ("none/a.txt", false),
        ("dir/a.txt/b", false),
    ] {
        assert_eq!(
            world.store.exists(path).await.expect(path),
            is_there,
            "{path}"
        );
    }
    assert!(matches!(
        world.store.exists("../root").await,
        Err(Error::Outside { .. })
    ));
}

#[test]
fn times_before_1970_and_long_after_are_told() {
    let world = World::new();
    world.put("a.txt", "1");
    for seconds in [-1_000_000_000_i64, 0, 4_000_000_000] {
        let time = rustix::fs::Timespec {
            tv_sec: seconds,
            tv_nsec: 7,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        let path = world.path("a.txt");
        rustix::fs::utimensat(rustix::fs::CWD, &path, &times, rustix::fs::AtFlags::empty())
            .expect("set");
        let told = world.store.metadata_blocking("a.txt").expect("there");
        let expected = fs::metadata(&path).expect("there").modified();
        assert_eq!(told.modified, expected.expect("known"));
    }
}

#[test]
fn content_is_shared_and_keeps_what_it_was() {
    let world = World::new();
    world.put("a.txt", "one");
    world.settle("a.txt");
    let first = world.store.read_blocking("a.txt").expect("read");
    let second = world.store.read_blocking("a.txt").expect("read");
    assert_eq!(first.as_ptr(), second.as_ptr());
    world.put("a.txt", "two");
    assert_eq!(world.store.read_blocking("a.txt").expect("read"), b"two");
    assert_eq!(first.to_str(), Ok("one"));
    assert_eq!(Vec::from(first), b"one");
    assert_eq!(format!("{second:?}"), "Content { len: 3, .. }");
}

#[test]
fn alone_content_becomes_a_vector_without_a_copy() {
    let world = World::with(|builder| builder.settle(Duration::MAX));
    world.put("a.txt", "one");
    let content: Content = world.store.read_blocking("a.txt").expect("read");
    let at = content.as_ptr();
    let bytes = Vec::from(content);
    assert_eq!(bytes.as_ptr(), at);
}

#[test]
fn statistics_are_exact() {
    let world = World::with(|builder| builder.max_files(2));
    world.put("a", "1");
    world.put("b", "22");
    world.put("c", "333");
    world.settle("a");
    let before = world.store.stats();
    for _ in 0..5 {
        world.store.read_blocking("a").expect("read");
    }
    let after = world.store.stats();
    assert_eq!(after.hits, before.hits + 5);
    assert_eq!(after.file_reads, before.file_reads);
    assert_eq!(after.cached_files, 1);
    assert!(after.cached_bytes > 1);

    world.put("a", "4444");
    world.store.read_blocking("a").expect("read");
    let changed = world.store.stats();
    assert_eq!(changed.outdated, 1);
    assert_eq!(changed.file_reads, after.file_reads + 1);

    for path in ["a", "b", "c"] {
        world.settle(path);
    }
    let full = world.store.stats();
    assert_eq!((full.cached_files, full.evictions), (2, 1));
    world.store.write_blocking("c", "5").expect("written");
    assert_eq!(world.store.stats().writes, 1);
    world.store.clear_cache();
    assert_eq!(world.store.stats().cached_files, 0);
    assert_eq!(world.store.stats().cached_bytes, 0);
}

#[test]
fn the_cache_holds_no_more_bytes_than_it_may() {
    let world = World::with(|builder| builder.max_cached_bytes(10_000));
    for name in 0..20 {
        world.put(&name.to_string(), vec![0; 1_000]);
    }
    for name in 0..20 {
        world.settle(&name.to_string());
        assert!(world.store.stats().cached_bytes <= 10_000);
    }
    assert!(world.store.stats().evictions >= 10);
    world.put("large", vec![1; 20_000]);
    std::thread::sleep(Duration::from_millis(50));
    for _ in 0..3 {
        let content = world.store.read_blocking("large").expect("read");
        assert_eq!(content.len(), 20_000);
    }
    assert!(world.store.stats().cached_bytes <= 10_000);
}

#[test]
fn handles_share_one_store() {
    let world = World::new();
    let other = world.store.clone();
    world.put("a", "1");
    world.settle("a");
    other.read_blocking("a").expect("read");
    assert_eq!(other.stats(), world.store.stats());
    assert_eq!(other.root(), world.path("").canonicalize().expect("there"));
    assert!(format!("{other:?}").starts_with("FileStore { root: "));
}

#[cfg(feature = "serde")]
#[test]
fn statistics_are_data() {
    let world = World::new();
    world.put("a", "one");
    world.settle("a");
    let stats = world.store.stats();
    let json = serde_json::to_value(stats).expect("plain data");
    assert_eq!(json["hits"], 1);
    assert_eq!(json["cached_files"], 1);
    let back: brolly_file_store::Stats = serde_json::from_value(json).expect("the same data");
    assert_eq!(back, stats);
}
