//! Readers that share one read of a file, with writers in between.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use crate::support::{World, number, whole};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_missing_file_share_one_read() {
    let world = World::new();
    world.put("large", vec![7; 8 << 20]);
    let readers: Vec<_> = (0..64)
        .map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move { store.read("large").await })
        })
        .collect();
    for reader in readers {
        let content = reader.await.expect("no panic").expect("read");
        assert_eq!(content.len(), 8 << 20);
    }
    let stats = world.store.stats();
    assert!(stats.file_reads < 64, "{stats:?}");
    // Whoever had the file read took what was read: each of the 64 is counted once.
    assert_eq!(stats.hits + stats.shared_reads + stats.file_reads, 64);
}

/// Readers remember what was written before they began, and must not get anything older.
fn check_freshness(write: impl Fn(&World, u64) + Sync, settles: bool) {
    const READERS: usize = 3;
    let world = World::new();
    world.put("a", whole(0, 2_000));
    let written = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let start = Barrier::new(READERS + 2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            start.wait();
            for version in 1..400 {
                write(&world, version);
                written.store(version, SeqCst);
                if settles && version % 20 == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(30));
                }
            }
        });
        for _ in 0..READERS {
            scope.spawn(|| {
                start.wait();
                while !is_over.load(SeqCst) {
                    let known = written.load(SeqCst);
                    let content = world.store.read_blocking("a").expect("read");
                    let read = number(&content);
                    assert!(read >= known, "{read} after {known} was written");
                }
            });
        }
        scope.spawn(|| {
            start.wait();
            runtime.block_on(async {
                while !is_over.load(SeqCst) {
                    let known = written.load(SeqCst);
                    let reads = (0..8).map(|_| {
                        let store = world.store.clone();
                        tokio::spawn(async move { store.read("a").await })
                    });
                    for read in reads.collect::<Vec<_>>() {
                        let content = read.await.expect("no panic").expect("read");
                        let read = number(&content);
                        assert!(read >= known, "{read} after {known} was written");
                    }
                }
            });
        });
        let outcome = writer.join();
        is_over.store(true, SeqCst);
        outcome.expect("written");
    });
    let last = world.store.read_blocking("a").expect("read");
    assert_eq!(number(&last), 399);
}

#[test]
fn no_reader_gets_what_a_write_had_replaced_before() {
    let write = |world: &World, version| {
        let contents = whole(version, 2_000);
        world.store.write_blocking("a", contents).expect("written");
    };
    check_freshness(write, true);
}

#[test]
fn no_reader_gets_what_was_replaced_behind_the_store_before() {
    let write = |world: &World, version| {
        std::fs::write(world.path("new"), whole(version, 2_000)).expect("written");
        std::fs::rename(world.path("new"), world.path("a")).expect("renamed");
    };
    check_freshness(write, false);
    check_freshness(write, true);
}

#[test]
fn a_runtime_that_goes_takes_no_other_reader_with_it() {
    let world = World::new();
    world.put("large", vec![7; 8 << 20]);
    for _ in 0..20 {
        world.store.clear_cache();
        let start = Arc::new(Barrier::new(2));
        let doomed = {
            let (store, start) = (world.store.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("a runtime");
                let reading = async {
                    start.wait();
                    tokio::select! {
                        biased;
                        _ = store.read("large") => {}
                        () = tokio::task::yield_now() => {}
                    }
                };
                runtime.block_on(reading);
                runtime.shutdown_background();
            })
        };
        start.wait();
        let content = world.store.read_blocking("large").expect("read");
        assert_eq!(content.len(), 8 << 20);
        doomed.join().expect("no panic");
    }
}
