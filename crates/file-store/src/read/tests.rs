//! Files that change at the worst moment: between two steps of a read.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use crate::steps::{Step, with_hook};
use crate::{Content, Error, FileStore, Stats};

const OLD: &[u8] = b"the old bytes";
const NEW: &[u8] = b"the NEW bytes";

/// Longer than a thread is held up between two steps, so that what was just changed counts as such.
const SETTLE: Duration = Duration::from_millis(200);

struct World {
    dir: tempfile::TempDir,
    store: FileStore,
}

impl World {
    /// A file of old bytes that has settled and is not cached.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let builder = FileStore::builder(dir.path()).settle(SETTLE);
        let store = builder.build().expect("a store");
        fs::write(dir.path().join("file"), OLD).expect("written");
        std::thread::sleep(SETTLE + Duration::from_millis(50));
        Self { dir, store }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("file")
    }

    fn read(&self) -> Result<Content, Error> {
        self.store.read_blocking("file")
    }

    /// Reads, and does something once, after a step.
    fn read_and(&self, at: Step, then: impl FnOnce(&Path) + 'static) -> Result<Content, Error> {
        let path = self.path();
        let mut then = Some(then);
        let hook = move |step| {
            if step == at
                && let Some(then) = then.take()
            {
                then(&path);
            }
            Ok(())
        };
        with_hook(hook, || self.read())
    }

    fn stats(&self) -> Stats {
        self.store.stats()
    }
}

fn overwrite(path: &Path, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path);
    let file = file.expect("it is there");
    file.write_all_at(bytes, 0).expect("written");
}

fn rename_over(path: &Path) {
    let other = path.with_file_name("other");
    fs::write(&other, NEW).expect("written");
    fs::rename(other, path).expect("renamed");
}

#[test]
fn a_settled_file_is_kept_after_one_read() {
    let world = World::new();
    assert_eq!(world.read().expect("read"), OLD);
    assert_eq!(world.read().expect("read"), OLD);
    assert_eq!((world.stats().file_reads, world.stats().hits), (1, 1));
}

#[test]
fn what_is_overwritten_while_it_is_read_is_read_once_more_and_not_kept() {
    for at in [Step::Opened, Step::BytesRead] {
        let world = World::new();
        let content = world.read_and(at, |path| overwrite(path, NEW));
        assert_eq!(content.expect("read"), NEW, "{at:?}");
        assert_eq!(world.stats().cached_files, 0, "{at:?}");
        assert_eq!(world.stats().unsettled_reads, 1, "{at:?}");
    }
}

#[test]
fn what_is_half_overwritten_when_it_is_read_is_not_kept() {
    let world = World::new();
    let (half, rest) = NEW.split_at(9);
    // A writer that writes one half before the bytes are read, and the other after.
    let path = world.path();
    let hook = move |step| {
        match step {
            Step::Opened => overwrite(&path, half),
            Step::BytesRead => {
                let file = fs::OpenOptions::new().write(true).open(&path);
                let file = file.expect("it is there");
                file.write_all_at(rest, half.len() as u64).expect("written");
            }
            _ => {}
        }
        Ok(())
    };
    with_hook(hook, || world.read()).expect("read");
    assert_eq!(world.stats().cached_files, 0);
    assert_eq!(world.read().expect("read"), NEW);
}

#[test]
fn what_changes_after_it_was_kept_is_read_again() {
    for change in [rename_over, |path: &Path| overwrite(path, NEW)] {
        let world = World::new();
        let content = world.read_and(Step::Checked, change);
        assert_eq!(content.expect("read"), OLD, "it was so when it was read");
        assert_eq!(world.read().expect("read"), NEW);
        assert_eq!(world.stats().hits, 0);
    }
}

#[test]
fn a_write_through_the_store_during_a_read_keeps_it_out_of_the_cache() {
    let world = World::new();
    let store = world.store.clone();
    let content = world.read_and(Step::Checked, move |_| {
        store.write_blocking("file", NEW).expect("written");
    });
    assert_eq!(content.expect("read"), OLD, "it was so when it was read");
    assert_eq!(world.stats().cached_files, 0);
    assert_eq!(world.read().expect("read"), NEW);
}

#[test]
fn a_file_that_always_changes_is_read_and_not_kept() {
    let world = World::new();
    let path = world.path();
    let mut byte = 0;
    let hook = move |step| {
        if step == Step::BytesRead {
            byte += 1;
            overwrite(&path, &[byte]);
        }
        Ok(())
    };
    let content = with_hook(hook, || world.read()).expect("read");
    assert_eq!(content.len(), OLD.len());
    let stats = world.stats();
    assert_eq!((stats.cached_files, stats.unsettled_reads), (0, 1));
}

#[test]
fn a_file_that_grows_over_the_limit_while_it_is_read_is_too_large() {
    let world = World::new();
    let limit = OLD.len() as u64;
    let store = FileStore::builder(world.dir.path()).max_file_size(limit);
    let store = store.build().expect("a store");
    assert_eq!(store.read_blocking("file").expect("read"), OLD);
    let path = world.path();
    let hook = move |step| {
        if step == Step::Opened {
            let file = fs::OpenOptions::new().write(true).open(&path);
            let file = file.expect("it is there");
            file.write_all_at(&[b'x'; 100_000], limit).expect("written");
        }
        Ok(())
    };
    match with_hook(hook, || store.read_blocking("file")) {
        Err(Error::TooLarge {
            size, limit: told, ..
        }) => {
            assert_eq!(told, limit);
            assert!(
                (limit + 1..limit + 1_000).contains(&size),
                "it read on to {size}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_read_to_its_end() {
    let world = World::new();
    let content = world.read_and(Step::Opened, |path| {
        overwrite(path, &[b'x'; 100_000]);
    });
    assert_eq!(content.expect("read"), [b'x'; 100_000]);
}

#[test]
fn a_file_that_grows_while_it_is_read_takes_no_more_memory_than_is_allowed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, [b'x'; 60_000]).expect("written");
    let builder = FileStore::builder(dir.path()).max_file_size(100_000);
    let store = builder.build().expect("a store");
    // Each time anew, as it is read once more after it has changed.
    let hook = move |step| {
        match step {
            Step::Opened => overwrite(&path, &[b'x'; 100_000]),
            Step::Checked => fs::write(&path, [b'x'; 60_000]).expect("written"),
            _ => {}
        }
        Ok(())
    };
    let content = with_hook(hook, || store.read_blocking("file")).expect("read");
    let bytes = Vec::from(content);
    assert_eq!(bytes.len(), 100_000);
    assert!(bytes.capacity() <= 100_001, "{}", bytes.capacity());
}

/// Reads on another thread, and stops there after a step. When the others have done what they do, it
/// goes on. What they do begins while that read is under way, and may wait for it.
fn while_another_reads<T: Send>(
    world: &World,
    at: Step,
    change: fn(&Path),
    others: impl FnOnce() -> T + Send,
) -> (Content, T) {
    let (stopped, has_stopped) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let first = scope.spawn(move || {
            let hook = move |step| {
                if step == at {
                    let _ = stopped.send(());
                    let _ = may_go_on.recv();
                }
                Ok(())
            };
            with_hook(hook, || world.read()).expect("read")
        });
        has_stopped.recv().expect("it stops");
        change(&world.path());
        let second = scope.spawn(others);
        // Long enough to come to wait for the first. Should it not, it reads by itself, and is right.
        std::thread::sleep(Duration::from_millis(30));
        drop(go_on);
        let second = second.join().expect("no panic");
        (first.join().expect("no panic"), second)
    })
}

#[test]
fn who_waits_for_a_read_that_began_before_the_change_does_not_take_its_bytes() {
    for at in [Step::Opened, Step::BytesRead, Step::Checked] {
        for change in [rename_over, |path: &Path| overwrite(path, NEW)] {
            let world = World::new();
            let (_, second) = while_another_reads(&world, at, change, || world.read());
            assert_eq!(second.expect("read"), NEW, "{at:?}");
            assert_eq!(world.read().expect("read"), NEW, "{at:?}");

            let world = World::new();
            let (_, second) = while_another_reads(&world, at, change, || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("a runtime");
                runtime.block_on(world.store.read("file"))
            });
            assert_eq!(second.expect("read"), NEW, "{at:?}");
        }
    }
}

#[test]
fn who_waits_for_a_read_of_a_file_that_was_missing_finds_it_when_it_is_there() {
    let world = World::new();
    let away = world.path().with_file_name("away");
    fs::rename(world.path(), &away).expect("renamed");
    // There is no step to stop at where nothing is opened, so this is tried often.
    for _ in 0..200 {
        std::thread::scope(|scope| {
            scope.spawn(|| world.read().map(drop));
            fs::rename(&away, world.path()).expect("renamed");
            assert_eq!(world.read().expect("it is there"), OLD);
        });
        fs::rename(world.path(), &away).expect("renamed");
    }
}

#[test]
fn who_waits_for_a_read_shares_it_where_nothing_changes() {
    let world = World::new();
    let others = || (world.read().expect("read"), world.read().expect("read"));
    let (first, (second, third)) = while_another_reads(&world, Step::Opened, |_| {}, others);
    assert!(first.is_same(&second) && second.is_same(&third));
    assert_eq!(world.stats().file_reads, 1);
}
