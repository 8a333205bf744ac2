//! The store against the files themselves, over random operations.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;

use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use crate::support::World;

/// `d/c` and `e/c` are one file: `e` is a link to `d`. `l` is a link to `a` or to `b`.
const PATHS: [&str; 6] = ["a", "b", "d/c", "e/c", "l", "d/../a"];

#[derive(Clone, Debug)]
enum Op {
    Read(usize),
    ReadAsync(usize),
    /// Through the store.
    Write(usize, u8, usize),
    Remove(usize),
    /// Behind its back.
    Put(usize, u8, usize),
    Overwrite(usize, u8),
    /// In place, and the time of the content is set back.
    Forge(usize, u8),
    RenameOver(usize, u8, usize),
    Truncate(usize, u64),
    Append(usize, u8),
    Delete(usize),
    /// `l` leads to the other file from now on.
    Relink(bool),
    SwapFiles,
    Clear,
    /// Until files have settled.
    Wait,
}

fn op() -> impl Strategy<Value = Op> {
    let path = 0..PATHS.len();
    let len = 0_usize..40;
    prop_oneof![
        8 => path.clone().prop_map(Op::Read),
        4 => path.clone().prop_map(Op::ReadAsync),
        2 => (path.clone(), any::<u8>(), len.clone()).prop_map(|(p, b, n)| Op::Write(p, b, n)),
        1 => path.clone().prop_map(Op::Remove),
        1 => (path.clone(), any::<u8>(), len.clone()).prop_map(|(p, b, n)| Op::Put(p, b, n)),
        3 => (path.clone(), any::<u8>()).prop_map(|(p, b)| Op::Overwrite(p, b)),
        3 => (path.clone(), any::<u8>()).prop_map(|(p, b)| Op::Forge(p, b)),
        2 => (path.clone(), any::<u8>(), len).prop_map(|(p, b, n)| Op::RenameOver(p, b, n)),
        1 => (path.clone(), 0_u64..40).prop_map(|(p, n)| Op::Truncate(p, n)),
        1 => (path.clone(), any::<u8>()).prop_map(|(p, b)| Op::Append(p, b)),
        1 => path.prop_map(Op::Delete),
        1 => any::<bool>().prop_map(Op::Relink),
        1 => Just(Op::SwapFiles),
        1 => Just(Op::Clear),
        2 => Just(Op::Wait),
    ]
}

fn world() -> World {
    let world = World::with(|builder| builder.max_files(4));
    for path in ["a", "b", "d/c"] {
        world.put(path, "the first content of the file");
    }
    symlink("d", world.path("e")).expect("linked");
    symlink("a", world.path("l")).expect("linked");
    world
}

/// Does it; whatever cannot be done because a file is missing is not done.
fn apply(world: &World, runtime: &tokio::runtime::Runtime, op: &Op) {
    let path = |at: usize| world.path(PATHS[at]);
    let len = |at: usize| fs::metadata(path(at)).map_or(0, |metadata| metadata.len() as usize);
    match *op {
        Op::Read(at) => {
            let ours = world.store.read_blocking(PATHS[at]).map(Vec::from);
            check(PATHS[at], ours, fs::read(path(at)));
        }
        Op::ReadAsync(at) => {
            let ours = runtime.block_on(world.store.read(PATHS[at])).map(Vec::from);
            check(PATHS[at], ours, fs::read(path(at)));
        }
        Op::Write(at, byte, len) => {
            let contents = vec![byte; len];
            world
                .store
                .write_blocking(PATHS[at], &contents)
                .expect("written");
            assert_eq!(fs::read(path(at)).expect("there"), contents);
        }
        Op::Remove(at) => {
            let was_there = path(at).symlink_metadata().is_ok();
            let removed = runtime.block_on(world.store.remove(PATHS[at]));
            assert_eq!(removed.is_ok(), was_there, "{removed:?}");
        }
        Op::Put(at, byte, len) => fs::write(path(at), vec![byte; len]).expect("written"),
        Op::Overwrite(at, byte) if path(at).exists() => {
            world.overwrite(PATHS[at], &vec![byte; len(at)]);
        }
        Op::Forge(at, byte) if path(at).exists() => {
            let then = fs::metadata(path(at)).expect("there");
            world.overwrite(PATHS[at], &vec![byte; len(at)]);
            let time = Timespec {
                tv_sec: then.mtime(),
                tv_nsec: then.mtime_nsec(),
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            rustix::fs::utimensat(CWD, path(at), &times, AtFlags::empty()).expect("set");
        }
        Op::RenameOver(at, byte, len) => {
            fs::write(world.path("new"), vec![byte; len]).expect("written");
            fs::rename(world.path("new"), path(at)).expect("renamed");
        }
        Op::Truncate(at, len) => {
            if let Ok(file) = fs::OpenOptions::new().write(true).open(path(at)) {
                file.set_len(len).expect("cut");
            }
        }
        Op::Append(at, byte) => {
            use std::io::Write;
            if let Ok(mut file) = fs::OpenOptions::new().append(true).open(path(at)) {
                file.write_all(&[byte]).expect("written");
            }
        }
        Op::Delete(at) => drop(fs::remove_file(path(at))),
        Op::Relink(to_a) => {
            drop(fs::remove_file(world.path("l")));
            symlink(if to_a { "a" } else { "b" }, world.path("l")).expect("linked");
        }
        Op::SwapFiles => {
            drop(fs::rename(world.path("a"), world.path("new")));
            drop(fs::rename(world.path("b"), world.path("a")));
            drop(fs::rename(world.path("new"), world.path("b")));
        }
        Op::Clear => world.store.clear_cache(),
        Op::Wait => std::thread::sleep(Duration::from_millis(26)),
        Op::Overwrite(..) | Op::Forge(..) => {}
    }
}

fn check(
    path: &str,
    ours: Result<Vec<u8>, brolly_file_store::Error>,
    real: std::io::Result<Vec<u8>>,
) {
    match (ours, real) {
        (Ok(ours), Ok(real)) => assert_eq!(ours, real, "{path}"),
        (Err(ours), Err(real)) => assert_eq!(ours.kind(), real.kind(), "{path}"),
        (ours, real) => panic!("{path}: {ours:?}, but {real:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn reads_are_what_the_files_hold(ops in prop::collection::vec(op(), 1..60)) {
        let world = world();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        for op in &ops {
            apply(&world, &runtime, op);
        }
        for at in 0..PATHS.len() {
            apply(&world, &runtime, &Op::Read(at));
        }
        let stats = world.store.stats();
        assert!(stats.cached_files <= 4);
        assert_eq!(stats.locked_paths, 0);
    }
}

#[test]
fn the_model_reads_from_the_cache_too() {
    let world = world();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for op in [Op::Wait, Op::Read(0), Op::Read(0), Op::ReadAsync(0)] {
        apply(&world, &runtime, &op);
    }
    assert_eq!(world.store.stats().hits, 2);
}
