//! A cached read is never stale, whatever happens to the file behind the store's back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use crate::support::World;

#[test]
fn a_file_that_is_left_alone_is_read_once() {
    let world = World::new();
    world.put("a", "one");
    world.settle("a");
    let before = world.store.stats();
    for _ in 0..100 {
        assert_eq!(world.store.read_blocking("a").expect("read"), "one");
    }
    let after = world.store.stats();
    assert_eq!(after.hits, before.hits + 100);
    assert_eq!(after.file_reads, before.file_reads);
}

#[test]
fn an_edit_of_the_same_size_in_the_same_tick_is_seen_every_time() {
    let world = World::new();
    world.put("a", "________");
    for round in 0..1_000_u32 {
        let contents = format!("{round:08}");
        world.overwrite("a", contents.as_bytes());
        // Looking at the file makes newer kernels write a finer time at the next change. The second
        // change comes after a read and in its tick.
        assert_eq!(world.store.read_blocking("a").expect("read"), *contents);
        let contents = format!("{:08}", round + 50_000_000);
        world.overwrite("a", contents.as_bytes());
        assert_eq!(world.store.read_blocking("a").expect("read"), *contents);
    }
}

#[tokio::test]
async fn tasks_see_an_edit_of_the_same_size_in_the_same_tick_every_time() {
    let world = World::new();
    world.put("a", "________");
    for round in 0..1_000_u32 {
        let contents = format!("{round:08}");
        world.overwrite("a", contents.as_bytes());
        assert_eq!(world.store.read("a").await.expect("read"), *contents);
    }
}

#[test]
fn a_young_file_is_read_again_until_it_has_settled() {
    let world = World::with(|builder| builder.settle(Duration::from_secs(3600)));
    world.put("a", "one");
    for _ in 0..5 {
        assert_eq!(world.store.read_blocking("a").expect("read"), "one");
    }
    let stats = world.store.stats();
    assert_eq!((stats.hits, stats.file_reads), (0, 5));
    assert_eq!((stats.unsettled_reads, stats.cached_files), (5, 0));
}

/// Sets the time of the content back to what it was.
fn restore_time(world: &World, path: &str, then: &fs::Metadata) {
    let time = Timespec {
        tv_sec: then.mtime(),
        tv_nsec: then.mtime_nsec(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, world.path(path), &times, AtFlags::empty()).expect("set");
}

#[test]
fn an_edit_that_hides_its_size_and_time_is_seen() {
    let world = World::new();
    for round in 0..5 {
        world.put("a", "one");
        world.settle("a");
        let then = fs::metadata(world.path("a")).expect("there");
        world.overwrite("a", b"two");
        restore_time(&world, "a", &then);
        let now = fs::metadata(world.path("a")).expect("there");
        assert_eq!(
            (now.len(), now.mtime(), now.mtime_nsec(), now.ino()),
            (then.len(), then.mtime(), then.mtime_nsec(), then.ino()),
        );
        assert_eq!(
            world.store.read_blocking("a").expect("read"),
            "two",
            "round {round}"
        );
    }
}

#[test]
fn a_file_renamed_over_a_cached_one_is_seen_though_it_looks_the_same() {
    let world = World::new();
    world.put("a", "one");
    let then = fs::metadata(world.path("a")).expect("there");
    world.put("b", "two");
    restore_time(&world, "b", &then);
    world.settle("a");
    fs::rename(world.path("b"), world.path("a")).expect("renamed");
    assert_eq!(world.store.read_blocking("a").expect("read"), "two");
}

#[test]
fn another_file_with_the_same_size_and_the_same_times_is_told_apart() {
    let world = World::new();
    let times = |path: &str| {
        let metadata = fs::metadata(world.path(path)).expect("there");
        (metadata.mtime_nsec(), metadata.ctime_nsec())
    };
    // Two files of one tick of the filesystem's clock; that nobody looks at them in between keeps
    // newer kernels from telling them apart.
    let twins = (0..1_000).any(|_| {
        fs::create_dir_all(world.path("d")).expect("made");
        fs::create_dir_all(world.path("e")).expect("made");
        fs::write(world.path("d/a"), "one").expect("written");
        fs::write(world.path("e/a"), "two").expect("written");
        times("d/a") == times("e/a")
    });
    if !twins {
        return; // This filesystem gives no two files the same time.
    }
    world.settle("d/a");
    fs::rename(world.path("d"), world.path("f")).expect("renamed");
    fs::rename(world.path("e"), world.path("d")).expect("renamed");
    assert_eq!(world.store.read_blocking("d/a").expect("read"), "two");
}

#[test]
fn every_other_change_of_a_cached_file_is_seen() {
    let world = World::new();
    let read = |path: &str| world.store.read_blocking(path);
    world.put("d/a", "one");
    world.settle("d/a");
    let file = fs::OpenOptions::new().write(true).open(world.path("d/a"));
    file.expect("there").set_len(2).expect("cut");
    assert_eq!(read("d/a").expect("read"), "on");

    world.settle("d/a");
    fs::remove_file(world.path("d/a")).expect("removed");
    assert!(read("d/a").expect_err("removed").is_not_found());

    world.put("d/a", "three");
    world.settle("d/a");
    world.put("e/a", "other");
    fs::rename(world.path("d"), world.path("f")).expect("renamed");
    fs::rename(world.path("e"), world.path("d")).expect("renamed");
    assert_eq!(read("d/a").expect("read"), "other");
    assert_eq!(read("f/a").expect("read"), "three");

    std::os::unix::fs::symlink("f/a", world.path("link")).expect("linked");
    world.settle("link");
    fs::remove_file(world.path("link")).expect("removed");
    std::os::unix::fs::symlink("d/a", world.path("link")).expect("linked");
    assert_eq!(read("link").expect("read"), "other");
}

#[test]
fn a_cached_file_that_moves_out_is_not_found_where_it_was() {
    let world = World::new();
    world.put("a", "one");
    world.settle("a");
    fs::rename(world.path("a"), world.outside("a")).expect("moved");
    std::os::unix::fs::symlink("../a", world.path("a")).expect("linked");
    let error = world.store.read_blocking("a").expect_err("outside");
    assert!(matches!(error, brolly_file_store::Error::Outside { .. }));
}

#[test]
fn what_was_torn_by_a_writer_in_place_does_not_stay() {
    let world = World::new();
    let len = 1 << 18;
    world.put("a", vec![0; len]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..300_u32 {
                world.overwrite("a", &vec![round as u8; len]);
                assert_eq!(
                    world.store.read_blocking("a").expect("read"),
                    vec![round as u8; len],
                    "round {round}"
                );
            }
        });
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                world.store.read_blocking("a").expect("read");
            }
        });
        let written = writer.join();
        is_over.store(true, SeqCst);
        written.expect("all was seen");
    });
}

#[test]
fn a_file_that_grows_while_it_is_read_is_bounded_and_never_kept_short() {
    let world = World::with(|builder| builder.max_file_size(1 << 20));
    world.put("log", "");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            use std::io::Write;
            let file = fs::OpenOptions::new().append(true).open(world.path("log"));
            let mut file = file.expect("there");
            for _ in 0..2_000 {
                file.write_all(&[b'x'; 1_000]).expect("written");
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            match world.store.read_blocking("log") {
                Ok(content) => {
                    assert!(content.len() >= last && content.len() <= 1 << 20);
                    last = content.len();
                }
                Err(brolly_file_store::Error::TooLarge { size, limit, .. }) => {
                    assert!(size > limit && limit == 1 << 20);
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
}
