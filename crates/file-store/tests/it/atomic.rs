//! A write replaces a file as a whole.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use brolly_file_store::{Error, FileKind};

use crate::support::{World, number, whole};

#[test]
fn nobody_ever_sees_a_part_of_a_write() {
    let world = World::new();
    world
        .store
        .write_blocking("a", whole(0, 1))
        .expect("written");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    let content = world.store.read_blocking("a").expect("it is always there");
                    assert_eq!(content.len() as u64 / 8, number(&content) % 5_000 + 1);
                    let content = fs::read(world.path("a")).expect("it is always there");
                    assert_eq!(content.len() as u64 / 8, number(&content) % 5_000 + 1);
                }
            });
        }
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let world = &world;
                scope.spawn(move || {
                    for round in 0..200_u64 {
                        let number = round * 7_919 + writer;
                        let contents = whole(number, (number % 5_000 + 1) as usize);
                        world.store.write_blocking("a", contents).expect("written");
                    }
                })
            })
            .collect();
        let outcomes: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_over.store(true, SeqCst);
        for outcome in outcomes {
            outcome.expect("written");
        }
    });
    assert_eq!(world.names(""), ["a"]);
}

#[test]
fn directories_on_the_way_are_made() {
    let world = World::with(|builder| builder.durable(true));
    world
        .store
        .write_blocking("some/new/dir/a", "one")
        .expect("written");
    assert_eq!(
        fs::read(world.path("some/new/dir/a")).expect("read"),
        b"one"
    );
    assert_eq!(world.names("some/new/dir"), ["a"]);
}

#[test]
fn permissions_stay_as_they_were() {
    let world = World::new();
    world.put("a", "one");
    for mode in [0o600, 0o644, 0o755, 0o640, 0o4755, 0o444] {
        let path = world.path("a");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        world.store.write_blocking("a", "two").expect("written");
        let now = fs::metadata(&path).expect("there").permissions().mode() & 0o7777;
        assert_eq!(now, mode, "{mode:o} became {now:o}");
    }
}

#[test]
fn a_new_file_has_the_permissions_of_any_new_file() {
    let world = World::new();
    world.put("usual", "one");
    world.store.write_blocking("ours", "one").expect("written");
    let mode = |name| {
        let metadata = fs::metadata(world.path(name)).expect("there");
        metadata.permissions().mode()
    };
    assert_eq!(mode("ours"), mode("usual"));
}

#[test]
fn the_owner_stays_where_we_may_set_it() {
    let world = World::new();
    world.put("a", "one");
    let path = world.path("a");
    if std::os::unix::fs::chown(&path, Some(1234), Some(4321)).is_err() {
        return; // Only root may give files away.
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o6750)).expect("set");
    world.store.write_blocking("a", "two").expect("written");
    let now = fs::metadata(&path).expect("there");
    assert_eq!((now.uid(), now.gid()), (1234, 4321));
    assert_eq!(now.mode() & 0o7777, 0o6750);
}

#[test]
fn a_link_is_followed_and_stays() {
    let world = World::new();
    world.put("d/target", "one");
    symlink("d/target", world.path("link")).expect("linked");
    symlink("d/new", world.path("dangling")).expect("linked");
    world.store.write_blocking("link", "two").expect("written");
    world
        .store
        .write_blocking("dangling", "three")
        .expect("written");
    assert_eq!(fs::read(world.path("d/target")).expect("read"), b"two");
    assert_eq!(fs::read(world.path("d/new")).expect("read"), b"three");
    assert!(world.path("link").is_symlink());
    world.store.remove_blocking("link").expect("removed");
    assert!(!world.path("link").is_symlink());
    assert!(world.path("d/target").exists());
}

#[test]
fn hard_links_keep_the_old_content() {
    let world = World::new();
    world.put("a", "one");
    fs::hard_link(world.path("a"), world.path("b")).expect("linked");
    world.store.write_blocking("a", "two").expect("written");
    assert_eq!(world.store.read_blocking("b").expect("read"), "one");
}

#[test]
fn what_is_no_file_is_not_replaced() {
    let world = World::new();
    world.put("dir/a", "one");
    let made = std::process::Command::new("mkfifo")
        .arg(world.path("pipe"))
        .status();
    assert!(made.expect("every Unix has it").success());
    let write = |path: &str| world.store.write_blocking(path, "two");
    for (path, expected) in [
        ("dir", FileKind::Directory),
        (".", FileKind::Directory),
        ("pipe", FileKind::Fifo),
    ] {
        match write(path) {
            Err(Error::NotAFile { kind, .. }) => assert_eq!(kind, expected, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
        let removed = world.store.remove_blocking(path);
        assert!(matches!(removed, Err(Error::NotAFile { .. })), "{path}");
    }
    let error = write("dir/a/b").expect_err("no directory");
    assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
    assert_eq!(world.names(""), ["dir", "pipe"]);
    assert_eq!(fs::read(world.path("dir/a")).expect("read"), b"one");
}

#[test]
fn what_is_too_large_is_not_written() {
    let world = World::with(|builder| builder.max_file_size(10));
    world
        .store
        .write_blocking("a", "0123456789")
        .expect("written");
    match world.store.write_blocking("a", "0123456789x") {
        Err(Error::TooLarge { path, size, limit }) => {
            assert_eq!((path.to_str(), size, limit), (Some("a"), 11, 10));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.store.read_blocking("a").expect("read"), "0123456789");
    assert_eq!(world.names(""), ["a"]);
}

#[test]
fn a_panic_while_the_contents_are_asked_for_changes_nothing() {
    struct Panics;
    impl AsRef<[u8]> for Panics {
        fn as_ref(&self) -> &[u8] {
            panic!("no bytes");
        }
    }
    let world = World::new();
    world.put("a", "one");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for _ in 0..2 {
        let writing =
            std::panic::AssertUnwindSafe(|| runtime.block_on(world.store.write("a", Panics)));
        let panic = std::panic::catch_unwind(writing).expect_err("it panics");
        assert_eq!(panic.downcast_ref(), Some(&"no bytes"));
        let writing = std::panic::AssertUnwindSafe(|| world.store.write_blocking("a", Panics));
        std::panic::catch_unwind(writing).expect_err("it panics");
    }
    assert_eq!(world.names(""), ["a"]);
    assert_eq!(world.store.stats().locked_paths, 0);
    assert_eq!(world.store.read_blocking("a").expect("read"), "one");
}

#[test]
fn writing_sweeps_a_directory_of_leftovers_once() {
    let world = World::new();
    let leftover = |number: u32, is_old: bool| {
        let name = format!(".brolly-file-store.1-2-{number}.tmp");
        world.put(&name, "half");
        if is_old {
            let file = fs::File::open(world.path(&name)).expect("there");
            let then = std::time::SystemTime::now() - std::time::Duration::from_secs(61);
            file.set_modified(then).expect("set");
        }
        name
    };
    let store = &world.store;
    leftover(1, true);
    let young = leftover(2, false); // Its process may be just about to lock it.
    let held = fs::File::open(world.path(leftover(3, true))).expect("there");
    held.lock().expect("locked");
    store.write_blocking("a", "one").expect("written");
    assert_eq!(world.names("").len(), 3);
    assert_eq!(store.stats().leftovers_removed, 1);

    drop(held);
    store.write_blocking("a", "two").expect("written");
    assert_eq!(world.names("").len(), 3, "the directory is known");
    assert_eq!(store.remove_leftovers_blocking(".").expect("swept"), 1);
    assert_eq!(store.stats().leftovers_removed, 2);
    assert_eq!(world.names(""), [young, "a".to_owned()]);
    store.write_blocking("d/a", "one").expect("written");
    assert_eq!(store.remove_leftovers_blocking("d").expect("swept"), 0);
    let error = store.remove_leftovers_blocking("a").expect_err("a file");
    assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
}

/// The system ends a write in its middle: a limit on the size of files stands in for a full disk.
#[test]
fn a_write_that_the_disk_ends_in_its_middle_leaves_the_old_file() {
    const ROOT: &str = "BROLLY_TEST_FULL";
    if let Some(root) = std::env::var_os(ROOT) {
        let store = brolly_file_store::FileStore::builder(root)
            .build()
            .expect("a store");
        let error = store
            .write_blocking("a", vec![1; 1 << 20])
            .expect_err("full");
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge, "{error:?}");
        assert!(matches!(
            error,
            Error::Io {
                action: "write",
                ..
            }
        ));
        return;
    }
    let world = World::new();
    world.put("a", "one");
    let limited = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("a test runs"))
        .args([
            "--exact",
            "atomic::a_write_that_the_disk_ends_in_its_middle_leaves_the_old_file",
        ])
        .env(ROOT, world.path(""))
        .stdout(std::process::Stdio::null())
        .status();
    assert!(limited.expect("there is a shell").success());
    assert_eq!(fs::read(world.path("a")).expect("read"), b"one");
    assert_eq!(world.names(""), ["a"]);
}

/// The order of the system calls, as the system sees it.
#[test]
fn a_durable_write_is_synced_before_and_after_its_rename() {
    if std::env::var_os("BROLLY_TEST_DURABLE").is_some() {
        let root = std::env::var_os("BROLLY_TEST_DURABLE").expect("it is set");
        let store = brolly_file_store::FileStore::builder(root)
            .build()
            .expect("a store");
        store.write_blocking("new/file", "one").expect("written");
        return;
    }
    let world = World::new();
    let log = world.outside("log");
    let traced = std::process::Command::new("strace")
        .args([
            "-f",
            "-e",
            "trace=mkdirat,write,fsync,rename,renameat,renameat2,openat",
        ])
        .arg("-o")
        .arg(&log)
        .arg(std::env::current_exe().expect("a test runs"))
        .args([
            "--exact",
            "atomic::a_durable_write_is_synced_before_and_after_its_rename",
        ])
        .env("BROLLY_TEST_DURABLE", world.path(""))
        .stdout(std::process::Stdio::null())
        .status();
    match traced {
        Ok(status) if status.success() => {}
        Ok(_) => return, // This system lets nobody look on.
        Err(_) => {
            println!("SKIPPED: strace is missing; Debian package strace");
            return;
        }
    }
    let log = fs::read_to_string(log).expect("text");
    let calls: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once(' ').map(|(_, call)| call.trim()))
        .collect();
    let find = |from: usize, what: &str| {
        let at = calls[from..].iter().position(|call| call.contains(what));
        from + at.unwrap_or_else(|| panic!("no {what} after {from} in {log}"))
    };
    let made = find(0, "mkdirat(");
    let parent_synced = find(made, "fsync(");
    let created = find(parent_synced, "O_EXCL");
    let written = find(created, "\"one\"");
    let synced = find(written, "fsync(");
    let renamed = find(synced, "rename");
    let directory_synced = find(renamed, "fsync(");
    assert!(directory_synced > renamed);
}
