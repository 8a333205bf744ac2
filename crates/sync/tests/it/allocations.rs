//! What allocates, and how often: counted per thread by the allocator of this test binary.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::pending;
use std::task::Waker;
use std::time::Duration;

use brolly_sync::{Backoff, Flight, ManualClock, ThreadTimer, Timer, TimerExt, WaitList};

use crate::support::poll;

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

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(code: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    code();
    ALLOCATIONS.get() - before
}

#[test]
fn a_flight_allocates_twice_and_once_more_to_wait() {
    let ready = allocations_of(|| {
        let flight = Flight::new(async { 7 });
        let mut join = flight.join().unwrap();
        assert!(poll(&mut join, Waker::noop()).is_ready());
    });
    assert_eq!(ready, 2);
    let waiting = allocations_of(|| {
        let flight = Flight::new(pending::<u8>());
        let (mut first, mut second) = (flight.join().unwrap(), flight.join().unwrap());
        assert!(poll(&mut first, Waker::noop()).is_pending());
        assert!(poll(&mut second, Waker::noop()).is_pending());
    });
    assert_eq!(waiting, 3);
}

#[test]
fn sleeping_allocates_only_when_more_sleep_than_ever_before() {
    let manual = ManualClock::new();
    let thread = ThreadTimer::new();
    for timer in [&manual as &dyn Timer, &thread] {
        let sleep = || {
            let mut sleep = timer.sleep(Duration::from_secs(3600));
            assert!(poll(&mut sleep, Waker::noop()).is_pending());
        };
        sleep();
        assert_eq!(allocations_of(|| (0..100).for_each(|_| sleep())), 0);
    }
}

#[test]
fn a_timed_wait_in_line_allocates_nothing() {
    let clock = ManualClock::new();
    let list = WaitList::<u8>::new(Vec::new());
    let wait = || {
        let mut timed = std::pin::pin!(clock.timeout(Duration::from_secs(1), list.take()));
        assert!(poll(&mut timed, Waker::noop()).is_pending());
    };
    wait();
    assert_eq!(allocations_of(|| (0..100).for_each(|_| wait())), 0);
}

#[test]
fn a_delay_allocates_nothing() {
    let mut backoff = Backoff::builder().build().unwrap();
    let drawn = allocations_of(|| {
        let mut fresh = backoff.fresh();
        for _ in 0..100 {
            backoff.next_delay();
            fresh.next_delay();
        }
    });
    assert_eq!(drawn, 0);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_sleep_of_tokio_s_allocates_once() {
    let timer = brolly_sync::TokioTimer::current();
    let slept = allocations_of(|| {
        let mut sleep = timer.sleep(Duration::from_secs(3600));
        assert!(poll(&mut sleep, Waker::noop()).is_pending());
    });
    assert_eq!(slept, 1);
}
