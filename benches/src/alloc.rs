//! A global allocator that counts while asked to, and otherwise costs one predictable branch.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// The system's allocator with a counter before it.
pub struct Counting;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
/// Bytes in use since counting began; negative when older memory was given back.
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

/// What a piece of work took from the allocator.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// Calls that asked for memory; a reallocation is one.
    pub allocations: u64,
    /// Most bytes in use at once, above what was in use before.
    pub peak_bytes: i64,
    /// Bytes still in use when the work was done: its result.
    pub kept_bytes: i64,
}

/// Runs `work` and counts. One measurement at a time; other threads are counted too.
pub fn footprint<T>(work: impl FnOnce() -> T) -> (T, Footprint) {
    ALLOCATIONS.store(0, Relaxed);
    LIVE.store(0, Relaxed);
    PEAK.store(0, Relaxed);
    IS_COUNTING.store(true, Relaxed);
    let result = work();
    IS_COUNTING.store(false, Relaxed);
    let footprint = Footprint {
        allocations: ALLOCATIONS.load(Relaxed),
        peak_bytes: PEAK.load(Relaxed),
        kept_bytes: LIVE.load(Relaxed),
    };
    (result, footprint)
}

/// Bytes in use now, above what was in use when the surrounding [`footprint`] began.
pub fn live_bytes() -> i64 {
    LIVE.load(Relaxed)
}

fn grew(bytes: usize) {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
}

fn shrank(bytes: usize) {
    LIVE.fetch_sub(i64::try_from(bytes).unwrap_or(i64::MAX), Relaxed);
}

// SAFETY: every call goes to `System` with the layout it came with; the counters touch no memory
// that is handed out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IS_COUNTING.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
            grew(layout.size());
        }
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if IS_COUNTING.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
            grew(layout.size());
        }
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if IS_COUNTING.load(Relaxed) {
            shrank(layout.size());
        }
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if IS_COUNTING.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
            // Both blocks may live while the content moves, so both count for the peak.
            grew(new_size);
            shrank(layout.size());
        }
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
