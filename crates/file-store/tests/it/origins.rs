//! What the file manager that this one follows got wrong, and this one may not.

use std::time::Duration;

use crate::support::{World, number, whole};

/// It served what it had cached for 300 seconds, whatever became of the file.
#[tokio::test]
async fn a_change_is_seen_at_the_next_read_and_not_when_a_time_to_live_is_over() {
    let world = World::new();
    world.put("a", "one");
    world.settle("a");
    world.put("a", "two");
    assert_eq!(world.store.read("a").await.expect("read"), "two");
}

/// It kept a lock for every path it had ever been asked for.
#[tokio::test]
async fn the_table_of_locks_does_not_grow_with_the_paths_of_the_past() {
    let world = World::new();
    for number in 0..1_000 {
        let path = format!("file{number}");
        world.store.write(&path, "one").await.expect("written");
        drop(world.store.lock(&path).await.expect("locked"));
    }
    assert_eq!(world.store.stats().locked_paths, 0);
}

/// It truncated the file and wrote, so that readers, and everybody after a crash, met a part of it.
#[test]
fn a_reader_in_the_middle_of_a_write_meets_the_old_file() {
    let world = World::new();
    world.put("a", whole(0, 1_000));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for version in 1..100 {
                let contents = whole(version, 100_000);
                world.store.write_blocking("a", contents).expect("written");
            }
        });
        while !writer.is_finished() {
            number(&std::fs::read(world.path("a")).expect("it is always there"));
        }
    });
}

/// It invalidated after writing only, so that a read in between put the old bytes back.
#[test]
fn a_read_during_a_write_does_not_bring_the_old_bytes_back() {
    let world = World::new();
    world.put("a", whole(0, 10));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for version in 1..200 {
                world
                    .store
                    .write_blocking("a", whole(version, 10))
                    .expect("written");
                let content = world.store.read_blocking("a").expect("read");
                assert_eq!(number(&content), version);
            }
        });
        while !writer.is_finished() {
            world.store.read_blocking("a").expect("read");
        }
    });
}

/// Its writes took no lock.
#[tokio::test]
async fn writes_take_the_lock_of_the_path() {
    let world = World::new();
    let held = world.store.lock("a").await.expect("locked");
    let write = tokio::time::timeout(Duration::from_millis(10), world.store.write("a", "one"));
    assert!(write.await.is_err());
    assert!(!world.path("a").exists());
    drop(held);
}

/// Its cache and its locks took two spellings of a path for two files.
#[tokio::test]
async fn two_spellings_of_a_path_are_one_file() {
    let world = World::new();
    world.put("d/a", "one");
    world.settle("d/a");
    let _held = world.store.lock("d/a").await.expect("locked");
    let other = world.store.lock("d/../d/./a");
    assert!(
        tokio::time::timeout(Duration::from_millis(10), other)
            .await
            .is_err()
    );
    world.store.read("./d//a").await.expect("read");
    assert_eq!(world.store.stats().cached_files, 1);
}

/// It read any path, and made directories anywhere.
#[tokio::test]
async fn nothing_outside_of_the_root_is_read_or_made() {
    let world = World::new();
    assert!(world.store.read("/etc/hostname").await.is_err());
    let outside = world.outside("new");
    assert!(world.store.write(outside.join("a"), "one").await.is_err());
    assert!(world.store.write("../new/a", "one").await.is_err());
    assert!(!outside.exists());
}

/// A file of any size went into its cache, which counted files only.
#[test]
fn a_large_file_cannot_fill_the_memory() {
    let world = World::with(|builder| builder.max_file_size(1_000).max_cached_bytes(5_000));
    for number in 0..20 {
        let path = format!("file{number}");
        world.put(&path, vec![0; 900]);
        world.settle(&path);
    }
    assert!(world.store.stats().cached_bytes <= 5_000);
    world.put("large", vec![0; 1_001]);
    assert!(world.store.read_blocking("large").is_err());
}
