//! Shows that memory of expired entries is freed while nobody uses the cache.
//!
//! `cargo run -p brolly-ttl-cache --example maintainer`

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::sleep;
use std::time::Duration;

use brolly_ttl_cache::Cache;

/// Counts the bytes that are in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all work is done by the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Relaxed);
        // SAFETY: passed on as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: passed on as it came.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache: Cache<u64, String> = Cache::builder()
        .max_capacity(200_000)
        .time_to_live(Duration::from_secs(1))
        .build()?;
    let maintainer = cache.spawn_maintainer(Duration::from_millis(100))?;

    let before = IN_USE.load(Relaxed);
    for key in 0..100_000 {
        cache.insert(key, "x".repeat(100));
    }
    let filled = IN_USE.load(Relaxed) - before;
    println!("{filled:>12} bytes with 100,000 entries");

    // Nobody reads or writes from here on.
    let mut waited = Duration::ZERO;
    let left = loop {
        sleep(Duration::from_millis(500));
        waited += Duration::from_millis(500);
        let left = IN_USE.load(Relaxed).saturating_sub(before);
        println!("{left:>12} bytes after {waited:?}");
        if left < filled / 10 || waited > Duration::from_secs(10) {
            break left;
        }
    };
    assert!(left < filled / 10, "the memory of expired entries is freed");
    assert!(maintainer.is_running());
    Ok(())
}
