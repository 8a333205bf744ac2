//! The seal against real trees.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Difference, Manifest, Seal};
use crate::clock::wait_for_next_tick;

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("dir");
    for path in ["a", "d/b", "d/e/c", "f/g"] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(path, "text").expect("write");
    }
    wait_for_next_tick();
    dir
}

fn scan(dir: &tempfile::TempDir) -> Manifest {
    Manifest::scan(dir.path()).expect("scan")
}

fn paths(list: &[&str]) -> Vec<PathBuf> {
    list.iter().map(PathBuf::from).collect()
}

#[test]
fn an_untouched_tree_differs_in_nothing() {
    let dir = tree();
    let sealed = scan(&dir);
    assert_eq!(sealed.files(), 4);
    assert!(scan(&dir).difference(&sealed).is_empty());
}

#[test]
fn an_edit_of_the_same_size_with_its_time_put_back_is_seen() {
    let dir = tree();
    let sealed = scan(&dir);
    let path = dir.path().join("d/b");
    let modified = fs::metadata(&path).expect("stat").modified().expect("time");
    fs::write(&path, "TEXT").expect("write");
    fs::File::options()
        .write(true)
        .open(&path)
        .expect("open")
        .set_modified(modified)
        .expect("set");
    assert_eq!(scan(&dir).difference(&sealed).restore, paths(&["d/b"]));
}

#[test]
fn what_was_added_is_named_once_with_all_below_it() {
    let dir = tree();
    let sealed = scan(&dir);
    fs::create_dir_all(dir.path().join("new/deep")).expect("mkdir");
    fs::write(dir.path().join("new/deep/file"), "").expect("write");
    let expected = Difference {
        remove: paths(&["new"]),
        ..Difference::default()
    };
    assert_eq!(scan(&dir).difference(&sealed), expected);
}

#[test]
fn a_removed_directory_is_made_and_its_files_restored() {
    let dir = tree();
    let sealed = scan(&dir);
    fs::remove_dir_all(dir.path().join("d")).expect("remove");
    let difference = scan(&dir).difference(&sealed);
    assert_eq!(difference.make, paths(&["d", "d/e"]));
    assert_eq!(difference.restore, paths(&["d/b", "d/e/c"]));
    assert!(difference.remove.is_empty());
}

#[cfg(unix)]
#[test]
fn a_directory_replaced_by_a_link_is_replaced_and_never_followed() {
    let dir = tree();
    let sealed = scan(&dir);
    let outside = tree();
    fs::remove_dir_all(dir.path().join("d")).expect("remove");
    std::os::unix::fs::symlink(outside.path(), dir.path().join("d")).expect("link");
    let difference = scan(&dir).difference(&sealed);
    assert_eq!(difference.remove, paths(&["d"]));
    assert_eq!(difference.make, paths(&["d", "d/e"]));
}

#[test]
fn many_directories_are_scanned_by_many_threads_to_the_same_result() {
    let dir = tempfile::tempdir().expect("dir");
    for outer in 0..40 {
        for inner in 0..4 {
            let path = dir.path().join(format!("{outer}/{inner}"));
            fs::create_dir_all(&path).expect("mkdir");
            fs::write(path.join("file"), "").expect("write");
        }
    }
    wait_for_next_tick();
    let first = scan(&dir);
    assert_eq!(first.files(), 160);
    assert_eq!(first, scan(&dir));
}

#[test]
fn a_seal_reads_back_and_a_torn_one_is_none() {
    let dir = tree();
    let seal = Seal {
        commit: "abc".into(),
        place: "/somewhere".into(),
        manifest: scan(&dir),
    };
    let bytes = seal.encode();
    assert_eq!(Seal::decode(&bytes), Some(seal));
    for length in 0..bytes.len() {
        assert_eq!(Seal::decode(&bytes[..length]), None);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Write(usize),
    Remove(usize),
    Mkdir(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..9usize).prop_map(Op::Write),
        (0..9usize).prop_map(Op::Remove),
        (0..9usize).prop_map(Op::Mkdir)
    ]
}

const NAMES: [&str; 9] = ["a", "d", "d/b", "d/e", "d/e/c", "f", "f/g", "n", "n/m"];

fn apply(root: &Path, op: &Op) {
    // An operation that the tree does not allow just does not happen.
    let _ = match op {
        Op::Write(at) => fs::write(root.join(NAMES[*at]), "changed"),
        Op::Remove(at) => {
            let path = root.join(NAMES[*at]);
            if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            }
        }
        Op::Mkdir(at) => fs::create_dir_all(root.join(NAMES[*at])),
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn following_the_difference_always_leads_back(ops in proptest::collection::vec(op(), 0..8)) {
        let dir = tree();
        let sealed = scan(&dir);
        for op in &ops {
            apply(dir.path(), op);
        }
        let difference = scan(&dir).difference(&sealed);
        for path in &difference.remove {
            let path = dir.path().join(path);
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("named things exist");
        }
        for path in &difference.make {
            fs::create_dir(dir.path().join(path)).expect("parents come first");
        }
        for path in &difference.restore {
            fs::write(dir.path().join(path), "text").expect("its directory exists");
        }
        let after = scan(&dir).difference(&sealed);
        // Restored files have new times, and nothing else differs.
        prop_assert!(after.make.is_empty() && after.chmod.is_empty());
        prop_assert_eq!(after.remove, after.restore);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Seal::decode(&bytes), None);
    }
}
