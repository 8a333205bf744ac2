//! What no caller should say ends with an error that says what is wrong.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use brolly_file_store::{BuildError, Error, FileStore, PathFault};

use crate::support::World;

#[test]
fn limits_of_zero_are_refused_with_their_names() {
    let dir = tempfile::tempdir().expect("a directory");
    let builder = || FileStore::builder(dir.path());
    for (builder, name) in [
        (builder().max_files(0), "max_files"),
        (builder().max_cached_bytes(0), "max_cached_bytes"),
        (builder().max_file_size(0), "max_file_size"),
    ] {
        match builder.build() {
            Err(BuildError::Setting { field, value, .. }) => assert_eq!((field, value), (name, 0)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_greatest_limits_are_fine() {
    let world = World::with(|builder| {
        builder
            .max_files(u64::MAX)
            .max_cached_bytes(u64::MAX)
            .max_file_size(u64::MAX)
            .settle(Duration::MAX)
    });
    world.put("a", "one");
    assert_eq!(world.store.read_blocking("a").expect("read"), "one");
    world.put("empty", "");
    assert_eq!(world.store.read_blocking("empty").expect("read"), "");
    // A file that says it is larger than any memory.
    let file = std::fs::File::create(world.path("sparse")).expect("made");
    if file.set_len(1 << 43).is_ok() {
        let error = world.store.read_blocking("sparse").expect_err("too large");
        assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
    }
}

#[test]
fn a_root_that_is_none_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("file"), "").expect("written");
    for (root, kind) in [
        (dir.path().join("none"), std::io::ErrorKind::NotFound),
        (dir.path().join("file"), std::io::ErrorKind::NotADirectory),
        (Path::new("").to_owned(), std::io::ErrorKind::NotFound),
    ] {
        match FileStore::builder(&root).build() {
            Err(BuildError::Root { path, source }) => {
                assert_eq!(path, root);
                let kinds = [kind, std::io::ErrorKind::InvalidInput];
                assert!(kinds.contains(&source.kind()), "{source:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Every operation, with one path.
async fn all(store: &FileStore, path: &Path) -> Vec<(&'static str, Result<(), Error>)> {
    vec![
        ("read", store.read(path).await.map(drop)),
        ("read_blocking", store.read_blocking(path).map(drop)),
        ("text", store.read_to_string(path).await.map(drop)),
        ("write", store.write(path, "x").await),
        ("write_blocking", store.write_blocking(path, "x")),
        ("lock", store.lock(path).await.map(drop)),
        ("lock_blocking", store.lock_blocking(path).map(drop)),
        ("metadata", store.metadata(path).await.map(drop)),
        ("exists", store.exists(path).await.map(drop)),
        ("leftovers", store.remove_leftovers(path).await.map(drop)),
        // Last, since they may take the file away.
        ("remove", store.remove(path).await),
        ("remove_blocking", store.remove_blocking(path)),
    ]
}

#[tokio::test]
async fn paths_that_name_nothing_are_refused_by_everything() {
    let world = World::new();
    for (bytes, expected) in [
        (&b""[..], PathFault::Empty),
        (b"a\0b", PathFault::ZeroByte),
        (b"\0", PathFault::ZeroByte),
        (b"/\0", PathFault::ZeroByte),
    ] {
        let path = Path::new(OsStr::from_bytes(bytes));
        for (what, result) in all(&world.store, path).await {
            match result {
                Err(Error::InvalidPath { fault, path: told }) => {
                    assert_eq!((fault, &*told), (expected, path), "{what}");
                }
                other => panic!("{what} {path:?}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn paths_that_leave_the_root_are_refused_by_everything() {
    let world = World::new();
    std::fs::write(world.outside("secret"), "secret").expect("written");
    std::fs::create_dir(world.path("a")).expect("made");
    std::os::unix::fs::symlink("../secret", world.path("link")).expect("linked");
    std::os::unix::fs::symlink("..", world.path("up")).expect("linked");
    let absolute = world.outside("secret");
    for path in [
        "../secret",
        "a/../../secret",
        "up/secret",
        "/etc/passwd",
        absolute.to_str().expect("text"),
    ] {
        for (what, result) in all(&world.store, Path::new(path)).await {
            let refused = matches!(result, Err(Error::Outside { .. }));
            assert!(refused, "{what} {path:?}: {result:?}");
        }
    }
    for (what, result) in all(&world.store, Path::new("link")).await {
        match result {
            Err(Error::Outside { .. }) => {}
            // The link is inside, and is taken away.
            Ok(()) if what == "remove" => {}
            Err(error) if what == "remove_blocking" && error.is_not_found() => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(
        std::fs::read(world.outside("secret")).expect("there"),
        b"secret"
    );
}

#[tokio::test]
async fn names_that_are_too_long_are_refused_by_the_system() {
    let world = World::new();
    let name = "x".repeat(300);
    let path = "d/".repeat(4_000);
    for path in [name, path] {
        for (what, result) in all(&world.store, Path::new(&path)).await {
            if what.starts_with("lock") && path.len() < 4_000 {
                continue; // Nothing but the path is needed for it.
            }
            let error = result.expect_err(what);
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::InvalidFilename,
                "{what}: {error:?}"
            );
        }
    }
    assert!(world.names("").is_empty());
}

#[test]
fn the_longest_names_can_be_written_and_locked() {
    let world = World::with(|builder| builder.process_locks(true));
    let (a, b) = ("x".repeat(255), format!("{}y", "x".repeat(254)));
    let held = world.store.lock_blocking(&a).expect("locked");
    world.store.write_blocking(&b, "two").expect("another one");
    held.write_blocking("one").expect("written");
    drop(held);
    assert_eq!(world.names(""), [a, b]);
}

#[test]
fn names_that_are_no_text_are_fine() {
    let world = World::new();
    let name = Path::new(OsStr::from_bytes(b"\xff\xfe\n\x01"));
    world.store.write_blocking(name, "one").expect("written");
    assert_eq!(world.store.read_blocking(name).expect("read"), "one");
    world.store.remove_blocking(name).expect("removed");
}

#[test]
fn text_that_is_none_is_told_with_its_place() {
    let world = World::new();
    world.put("a", b"abc\xff");
    match world.store.read_to_string_blocking("a") {
        Err(Error::NotUtf8 { path, valid_up_to }) => {
            assert_eq!((path.to_str(), valid_up_to), (Some("a"), 3));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_too_large_is_told_with_its_size_and_the_limit() {
    let world = World::with(|builder| builder.max_file_size(3));
    world.put("a", "1234");
    world.put("b", "123");
    match world.store.read_blocking("a") {
        Err(Error::TooLarge { path, size, limit }) => {
            assert_eq!((path.to_str(), size, limit), (Some("a"), 4, 3));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.store.read_blocking("b").expect("read"), "123");
}

#[cfg(target_os = "linux")]
#[test]
fn files_of_no_disk_are_read_and_not_kept() {
    let store = FileStore::builder("/proc/self")
        .settle(Duration::ZERO)
        .build()
        .expect("a store");
    for _ in 0..3 {
        let status = store.read_to_string_blocking("status").expect("read");
        assert!(status.starts_with("Name:"));
    }
    assert_eq!(store.stats().hits, 0);
    let root = FileStore::builder("/").build().expect("a store");
    let error = root.read_blocking("dev/null").expect_err("a device");
    assert!(
        error
            .to_string()
            .ends_with("is a device, not a regular file")
    );
    let error = root.read_blocking("/dev/zero").expect_err("a device");
    assert!(matches!(error, Error::NotAFile { .. }));
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};
    fn poll<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }
    let world = World::new();
    world.put("a", "one");
    let is_no_runtime = |error| matches!(error, Error::NoRuntime { .. });
    assert!(is_no_runtime(
        poll(world.store.read("a")).expect_err("no runtime")
    ));
    assert!(is_no_runtime(
        poll(world.store.write("a", "two")).expect_err("no runtime")
    ));
    assert_eq!(world.store.stats().locked_paths, 0);
    world.settle("a");
    let content = poll(world.store.read("a")).expect("a hit needs none");
    assert_eq!(content, "one");
}
