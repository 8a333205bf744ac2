//! What is alive at most, in bytes, and how often a run allocates: counted per thread by the
//! allocator of this test binary.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;

use crate::support::{processor, run, yield_times};

struct Counting;

std::thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting neither allocates
// nor unwinds, since the counters need no initialisation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        count(signed(layout.size()));
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        count(signed(size) - signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that were alive during `code` beyond those before it.
fn peak_of(code: impl FnOnce()) -> usize {
    let before = LIVE.get();
    PEAK.set(before);
    code();
    usize::try_from(PEAK.get() - before).expect("the peak is no less than the beginning")
}

/// As heavy as what is measured beside it is light.
const ITEM_BYTES: usize = 64 * 1024;
const ITEMS: usize = 1_000;
const LIMIT: usize = 8;
const BUFFER: usize = 4;
/// Places, wakers, and the stream itself.
const BOOKS: usize = 16 * 1024;

fn items() -> impl Iterator<Item = Vec<u8>> {
    (0..ITEMS).map(|_| vec![7; ITEM_BYTES])
}

fn assert_bounded(peak: usize, items: usize) {
    assert!(peak >= ITEM_BYTES, "items are measured: {peak}");
    assert!(peak <= items * ITEM_BYTES + BOOKS, "{peak} bytes at once");
}

#[test]
fn a_slow_consumer_of_fast_work_finds_no_more_alive_than_limit_and_buffer() {
    for ordered in [false, true] {
        let peak = peak_of(|| {
            run(async {
                let map = processor(LIMIT).map(items(), |item| async { Ok::<_, ()>(item) });
                let mut results = match ordered {
                    true => map.ordered(),
                    false => map.as_completed(),
                }
                .buffer(BUFFER);
                let mut taken = 0;
                while let Some((_, item)) = results.next().await {
                    yield_times(3).await;
                    taken += item.map_or(0, |item| item.len());
                }
                assert_eq!(taken, ITEMS * ITEM_BYTES);
            });
        });
        assert_bounded(peak, LIMIT + BUFFER + 1); // and the one in the consumer's hand
    }
}

#[test]
fn a_fast_producer_for_slow_work_is_not_pulled_ahead_of_it() {
    let peak = peak_of(|| {
        run(async {
            let lengths = processor(LIMIT).map(items(), |item| async move {
                yield_times(5).await;
                Ok::<_, ()>(item.len())
            });
            let lengths = lengths.await;
            assert_eq!(lengths, vec![Ok(ITEM_BYTES); ITEMS]);
        });
    });
    let results = 2 * ITEMS * size_of::<Result<usize, brolly_batch::ItemError<()>>>();
    assert_bounded(peak - results.min(peak / 2), LIMIT + 1);
}

#[test]
fn a_run_allocates_by_its_limit_and_not_by_its_items() {
    let allocations_of = |items: usize| {
        let before = ALLOCATIONS.get();
        run(async {
            let map = processor(LIMIT).map(0..items, |item| async move {
                yield_times(1).await;
                Ok::<_, ()>(item)
            });
            assert_eq!(map.await.len(), items);
        });
        ALLOCATIONS.get() - before
    };
    let few = allocations_of(100);
    let many = allocations_of(10_000);
    assert!(few >= LIMIT, "places are made: {few}");
    assert!(
        many <= few + 2,
        "{few} for a hundred items, {many} for ten thousand"
    );
}

/// The counting counts: what is kept is seen.
#[test]
fn what_is_kept_is_seen() {
    let mut kept = VecDeque::new();
    let peak = peak_of(|| kept.extend(items().take(20)));
    assert!(peak >= 20 * ITEM_BYTES);
    drop(kept);
}
