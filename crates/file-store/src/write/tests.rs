//! Replacements that are cut short: by an error, or by the end of the process, at every step.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::OFlags;

use super::temporary::is_temporary_name;
use super::*;
use crate::stamp::Moment;
use crate::steps::with_hook;

const STEPS: [Step; 7] = [
    Step::Created,
    Step::HalfWritten,
    Step::Written,
    Step::Permitted,
    Step::Synced,
    Step::Renamed,
    Step::DirectorySynced,
];

const OLD: &[u8] = b"the old content";

fn new() -> Vec<u8> {
    (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn place(dir: &Path, name: &str) -> Place {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Place {
        dir: rustix::fs::open(dir, flags, Mode::empty()).expect("a directory"),
        name: name.as_bytes().to_vec(),
        path: name.as_bytes().to_vec(),
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("text"))
        .collect();
    names.sort();
    names
}

/// Long after whatever was made just now.
fn tomorrow() -> Moment {
    Moment(Moment::now().0 + 2 * 24 * 60 * 60 * 1_000_000_000)
}

#[test]
fn a_file_is_replaced_in_all_its_steps() {
    let dir = tempfile::tempdir().expect("a directory");
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let hook = {
        let seen = std::rc::Rc::clone(&seen);
        move |step| {
            seen.borrow_mut().push(step);
            Ok(())
        }
    };
    with_hook(hook, || replace(&place(dir.path(), "file"), OLD, true)).expect("written");
    assert_eq!(*seen.borrow(), STEPS);
    assert_eq!(fs::read(dir.path().join("file")).expect("read"), OLD);
    assert_eq!(names(dir.path()), ["file"]);
}

#[test]
fn an_error_at_any_step_leaves_the_old_file_and_nothing_else() {
    for failing in STEPS {
        for has_old in [true, false] {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("file");
            if has_old {
                fs::write(&path, OLD).expect("written");
            }
            let hook = move |step| {
                if step == failing {
                    Err(Errno::NOSPC)
                } else {
                    Ok(())
                }
            };
            let result = with_hook(hook, || replace(&place(dir.path(), "file"), &new(), true));
            let is_renamed = matches!(failing, Step::Renamed | Step::DirectorySynced);
            if is_renamed {
                assert_eq!(result, Err(Failed::NotDurable(Errno::NOSPC)));
                assert_eq!(fs::read(&path).expect("read"), new());
            } else {
                assert!(
                    matches!(
                        result,
                        Err(Failed::Refused(Refusal::System(_, Errno::NOSPC)))
                    ),
                    "{failing:?}: {result:?}"
                );
                let old = fs::read(&path).ok();
                assert_eq!(old.as_deref(), has_old.then_some(OLD), "{failing:?}");
            }
            let expected = if has_old || is_renamed {
                vec!["file"]
            } else {
                vec![]
            };
            assert_eq!(names(dir.path()), expected, "{failing:?}");
        }
    }
}

#[test]
fn a_write_that_may_not_last_counts_as_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = crate::FileStore::builder(dir.path()).build();
    let store = store.expect("a store");
    for (failing, writes) in [(Step::Synced, 0), (Step::Renamed, 1)] {
        let hook = move |step| (step != failing).then_some(()).ok_or(Errno::IO);
        let written = with_hook(hook, || store.write_blocking("file", "new"));
        assert!(written.is_err(), "{failing:?}");
        assert_eq!(store.stats().writes, writes, "{failing:?}");
    }
}

/// Not a test by itself: the process that is killed.
#[test]
fn child_that_stops() {
    let (Ok(dir), Ok(at)) = (
        std::env::var("BROLLY_TEST_DIR"),
        std::env::var("BROLLY_TEST_STOP_AT"),
    ) else {
        return;
    };
    let hook = move |step| {
        if format!("{step:?}") == at {
            println!("\nstopped at {at}");
            loop {
                std::thread::park();
            }
        }
        Ok(())
    };
    let place = place(Path::new(&dir), "file");
    with_hook(hook, || replace(&place, &new(), true)).expect("written");
}

#[test]
fn a_kill_at_any_step_leaves_the_old_file_or_the_new_one_whole() {
    for stop_at in STEPS {
        for has_old in [true, false] {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("file");
            if has_old {
                fs::write(&path, OLD).expect("written");
            }
            let mut child = Command::new(std::env::current_exe().expect("a test runs"))
                .args(["--exact", "write::tests::child_that_stops", "--nocapture"])
                .env("BROLLY_TEST_DIR", dir.path())
                .env("BROLLY_TEST_STOP_AT", format!("{stop_at:?}"))
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts");
            let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let stopped = lines
                .map_while(Result::ok)
                .any(|line| line.starts_with("stopped at"));
            assert!(stopped, "{stop_at:?} was not reached");

            // While it lives, its file is no leftover, however late it is.
            let there = place(dir.path(), "file");
            let removed = remove_leftovers(there.dir.as_fd(), tomorrow()).expect("listed");
            assert_eq!(removed, 0, "{stop_at:?}");
            child.kill().expect("it lives");
            child.wait().expect("it ends");

            let is_renamed = matches!(stop_at, Step::Renamed | Step::DirectorySynced);
            match fs::read(&path) {
                Ok(content) if is_renamed => assert!(content == new(), "{stop_at:?}"),
                Ok(content) => assert!(has_old && content == OLD, "{stop_at:?}"),
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
                    assert!(!has_old && !is_renamed, "{stop_at:?}");
                }
            }
            let leftovers = names(dir.path())
                .iter()
                .filter(|name| is_temporary_name(name.as_bytes()))
                .count() as u64;
            assert_eq!(leftovers, u64::from(!is_renamed), "{stop_at:?}");
            // What is young may be just about to be locked.
            let removed = remove_leftovers(there.dir.as_fd(), Moment::now()).expect("listed");
            assert_eq!(removed, 0, "{stop_at:?}");
            let removed = remove_leftovers(there.dir.as_fd(), tomorrow()).expect("listed");
            assert_eq!(removed, leftovers, "{stop_at:?}");
            assert!(names(dir.path()).iter().all(|name| name == "file"));
        }
    }
}

#[test]
fn only_files_of_our_name_are_leftovers() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in [
        ".brolly-file-store.1-2-3.tmp",
        ".brolly-file-store.1-2-3",
        "brolly-file-store.1-2-3.tmp",
        ".brolly-file-store.tmp",
        "x.tmp",
    ] {
        fs::write(dir.path().join(name), "").expect("written");
    }
    fs::create_dir(dir.path().join(".brolly-file-store.1-2-4.tmp")).expect("made");
    std::os::unix::fs::symlink("x.tmp", dir.path().join(".brolly-file-store.1-2-5.tmp"))
        .expect("linked");
    let there = place(dir.path(), "file");
    let removed = remove_leftovers(there.dir.as_fd(), tomorrow()).expect("listed");
    assert_eq!(removed, 1);
    assert_eq!(names(dir.path()).len(), 6);
    assert!(dir.path().join("x.tmp").exists());
}

#[test]
fn a_temporary_file_gives_nobody_more_than_the_file_it_replaces() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, OLD).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    let folder = dir.path().to_owned();
    let hook = move |step| {
        if matches!(step, Step::Created | Step::Written) {
            let temporary = names(&folder).remove(0);
            let mode = fs::metadata(folder.join(temporary))
                .expect("there")
                .permissions();
            assert_eq!(mode.mode() & 0o7777, 0o600);
        }
        Ok(())
    };
    with_hook(hook, || replace(&place(dir.path(), "file"), b"new", true)).expect("written");
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn a_sweep_does_not_lock_what_somebody_is_about_to_lock() {
    use rustix::fs::FlockOperation::{NonBlockingLockExclusive, Unlock};
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let dir = tempfile::tempdir().expect("a directory");
    let file = fs::File::create(dir.path().join(".brolly-file-store.1-2-3.tmp")).expect("made");
    let is_over = AtomicBool::new(false);
    let missed = std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            let there = place(dir.path(), "file");
            while !is_over.load(Relaxed) {
                let removed = remove_leftovers(there.dir.as_fd(), Moment::now());
                assert_eq!(removed.expect("listed"), 0);
            }
        });
        let is_missed = |_: &u32| {
            let locked = rustix::fs::flock(&file, NonBlockingLockExclusive);
            rustix::fs::flock(&file, Unlock).expect("unlocked");
            locked.is_err()
        };
        let missed = (0..200_000).filter(is_missed).count();
        is_over.store(true, Relaxed);
        sweeper.join().expect("no panic");
        missed
    });
    assert_eq!(missed, 0);
}
