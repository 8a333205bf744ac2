//! What a read from the cache costs: one system call, and no memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::support::World;

struct Counting;

std::thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting neither allocates
// nor unwinds, since the counter needs no initialisation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_read_from_the_cache_allocates_nothing() {
    let world = World::new();
    world.put("some/file", "one");
    world.settle("some/file");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let hits = world.store.stats().hits;
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        world.store.read_blocking("some/file").expect("read");
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    runtime.block_on(async {
        let before = ALLOCATIONS.get();
        for _ in 0..100 {
            world.store.read("some/file").await.expect("read");
        }
        assert_eq!(ALLOCATIONS.get() - before, 0);
    });
    assert_eq!(world.store.stats().hits, hits + 200);
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_from_the_cache_is_one_system_call() {
    const ROOT: &str = "BROLLY_TEST_CALLS";
    if let Some(root) = std::env::var_os(ROOT) {
        let store = brolly_file_store::FileStore::builder(root)
            .settle(std::time::Duration::ZERO)
            .build()
            .expect("a store");
        store.read_blocking("a").expect("read");
        // Marks that the trace shows.
        drop(std::fs::metadata("/mark/begin"));
        for _ in 0..100 {
            store.read_blocking("a").expect("read");
        }
        drop(std::fs::metadata("/mark/end"));
        assert_eq!(store.stats().hits, 100);
        return;
    }
    let world = World::new();
    world.put("a", "one");
    world.settle("a");
    let log = world.outside("log");
    let traced = std::process::Command::new("strace")
        .args(["-f", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().expect("a test runs"))
        .args(["--exact", "cost::a_read_from_the_cache_is_one_system_call"])
        .env(ROOT, world.path(""))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    match traced {
        Ok(status) if status.success() => {}
        Ok(_) => return, // This system lets nobody look on.
        Err(_) => {
            println!("SKIPPED: strace is missing; Debian package strace");
            return;
        }
    }
    let log = std::fs::read_to_string(log).expect("text");
    let between: Vec<&str> = log
        .lines()
        .skip_while(|line| !line.contains("/mark/begin"))
        .skip(1)
        .take_while(|line| !line.contains("/mark/end"))
        .collect();
    let thread = between.first().and_then(|line| line.split_once(' '));
    let (thread, _) = thread.expect("there are calls");
    let calls = between.iter().filter(|line| line.starts_with(thread));
    assert_eq!(calls.count(), 100, "{between:#?}");
}
