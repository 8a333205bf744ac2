//! What allocates, and how much: counted per thread by the allocator of this test binary.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use brolly_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder};

use crate::support::{SECOND, fail, poll, succeed, with_clock};

struct Counting;

std::thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting neither allocates
// nor unwinds, since the counters need no initialisation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + layout.size());
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

/// How often and how many bytes the code allocates on this thread.
fn allocated_by<T>(code: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = (ALLOCATIONS.get(), BYTES.get());
    let made = code();
    (made, ALLOCATIONS.get() - before.0, BYTES.get() - before.1)
}

fn kinds() -> [CircuitBreakerBuilder; 4] {
    let builder = || CircuitBreaker::builder().name("a name of no great length");
    [
        builder().consecutive_failures(50),
        builder().count_window(64),
        builder().count_window(100).slow_call_rate(SECOND, 0.5),
        builder().time_window(SECOND),
    ]
}

#[test]
fn calls_allocate_nothing() {
    for builder in kinds() {
        let (breaker, _) = with_clock(builder);
        let calls = || {
            for _ in 0..4 {
                succeed(&breaker).unwrap();
                let _ = breaker.call_sync(|| Ok::<_, ()>(black_box(1)));
            }
            fail(&breaker).unwrap();
            let mut call = std::pin::pin!(breaker.call(|| async { Ok::<_, ()>(1) }));
            assert!(poll(call.as_mut()).is_ready());
            drop(breaker.try_acquire_owned());
        };
        // The cells of this thread for a new breaker.
        calls();
        let ((), allocations, _) = allocated_by(|| (0..100).for_each(|_| calls()));
        assert_eq!(allocations, 0);
        breaker.force_open();
        let ((), allocations, _) = allocated_by(|| {
            for _ in 0..100 {
                assert!(black_box(succeed(&breaker)).is_err());
            }
        });
        assert_eq!(allocations, 0);
    }
}

#[test]
fn a_breaker_of_a_template_takes_64_bytes_with_its_handle() {
    for builder in [
        CircuitBreaker::builder(),
        CircuitBreaker::builder().count_window(64),
    ] {
        let template = builder.totals(false).template().unwrap();
        let (breaker, allocations, bytes) = allocated_by(|| {
            let breaker = template.create();
            succeed(&breaker).unwrap();
            fail(&breaker).unwrap();
            breaker
        });
        assert_eq!((allocations, bytes + size_of_val(&breaker)), (1, 64));
    }
}
