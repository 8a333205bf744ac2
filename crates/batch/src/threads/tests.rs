//! What a run on threads does when it is told to end, or to wait, or gets no threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, Mutex, mpsc};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use super::*;
use crate::control::Gate;
use crate::error::ItemError;
use crate::map::MapWork;
use crate::{CancelToken, Limiter, WorkerPool};

thread_local! {
    /// How many threads the system will refuse to start for this one.
    static REFUSALS: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn refuses() -> bool {
    let left = REFUSALS.get();
    REFUSALS.set(left.saturating_sub(1));
    left > 0
}

#[test]
fn a_thread_that_was_refused_is_asked_for_again() {
    REFUSALS.set(3);
    let (sender, receiver) = mpsc::channel();
    let (sender, receiver) = (Mutex::new(sender), Mutex::new(receiver));
    let work = run(MapWork::new(0..5), 2, Control::default(), |n| match n {
        // Item 3 needs item 4 beside it.
        3 => lock(&receiver)
            .recv_timeout(Duration::from_secs(60))
            .map_err(|_| "nobody runs item 4"),
        4 => lock(&sender).send(()).map_err(|_| "item 3 is over"),
        _ => Ok(()),
    });
    assert!(work.into_results().iter().all(Result::is_ok));
}

type Results = Vec<Result<u32, ItemError<()>>>;

const CANCELLED: Result<u32, ItemError<()>> = Err(ItemError::Cancelled);

#[test]
fn a_cancel_lets_what_runs_end_and_starts_nothing_more() {
    for stop in [CancelToken::cancel, CancelToken::drain] {
        let token = CancelToken::new();
        let control = Control::default().cancel_with(&token);
        let together = Barrier::new(3);
        let work = run(MapWork::new(0..1_000), 3, control, |n| {
            together.wait();
            if n == 1 {
                stop(&token);
            }
            together.wait();
            Ok(n)
        });
        let expected: Results = (0..1_000)
            .map(|n| if n < 3 { Ok(n) } else { CANCELLED })
            .collect();
        assert_eq!(work.into_results(), expected);
    }
}

#[test]
fn a_deadline_of_zero_starts_nothing() {
    let clock = brolly_sync::ManualClock::new();
    let control = Control::default().deadline(Arc::new(clock), Duration::ZERO);
    let work = run(MapWork::new(0..3), 3, control, |_| -> Result<u32, ()> {
        panic!("it started")
    });
    assert_eq!(
        work.into_results(),
        vec![Err(ItemError::DeadlineExceeded); 3]
    );
}

/// Says no until it is opened, then hands out the permits of a pool.
struct Shutter {
    open: Arc<Mutex<(bool, Option<Waker>)>>,
    pool: WorkerPool,
}

impl Gate for Shutter {
    fn poll_admit(&mut self, in_flight: usize, cx: &mut Context<'_>) -> Poll<Pass> {
        let mut state = lock(&self.open);
        state.1 = Some(cx.waker().clone());
        match state.0 {
            true => Limiter::from(self.pool.clone())
                .gate()
                .poll_admit(in_flight, cx),
            false => Poll::Pending,
        }
    }
}

#[test]
fn a_thread_that_waits_to_be_admitted_is_woken_by_its_gate() {
    let open = Arc::new(Mutex::new((false, None::<Waker>)));
    let pool = WorkerPool::new(100).unwrap();
    let control = Control::default().limiter(Shutter {
        open: Arc::clone(&open),
        pool: pool.clone(),
    });
    let running = AtomicUsize::new(0);
    thread::scope(|scope| {
        let opener = scope.spawn(|| {
            while lock(&open).1.is_none() {
                thread::yield_now();
            }
            assert_eq!(running.load(SeqCst), 0);
            lock(&open).0 = true;
            let waker = lock(&open).1.take().expect("it waits");
            waker.wake();
        });
        let work = run(MapWork::new(0..50), 4, control, |n| {
            running.fetch_add(1, SeqCst);
            assert!((1..=4).contains(&pool.active()));
            Ok::<_, ()>(n)
        });
        assert_eq!(work.into_results(), (0..50).map(Ok).collect::<Vec<_>>());
        opener.join().unwrap();
    });
    assert_eq!(pool.active(), 0);
}

#[test]
fn a_thread_that_waits_to_be_admitted_is_woken_by_a_cancel() {
    let open = Arc::new(Mutex::new((false, None::<Waker>)));
    let token = CancelToken::new();
    let control = Control::default().cancel_with(&token).limiter(Shutter {
        open: Arc::clone(&open),
        pool: WorkerPool::new(1).unwrap(),
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            while lock(&open).1.is_none() {
                thread::yield_now();
            }
            token.cancel();
        });
        let work = run(MapWork::new(0..5), 4, control, Ok::<u32, ()>);
        assert_eq!(work.into_results(), vec![CANCELLED; 5]);
    });
}

/// Yes only if nothing runs.
struct OneAtATime;

impl Gate for OneAtATime {
    fn poll_admit(&mut self, in_flight: usize, _cx: &mut Context<'_>) -> Poll<Pass> {
        match in_flight {
            0 => Poll::Ready(None),
            _ => Poll::Pending, // asked again when one of its own run ends
        }
    }
}

#[test]
fn a_gate_is_asked_again_when_an_item_ends() {
    let running = AtomicUsize::new(0);
    let control = Control::default().throttle(OneAtATime);
    let work = run(MapWork::new(0..200), 4, control, |n| {
        let alone = running.fetch_add(1, SeqCst) == 0;
        thread::yield_now();
        running.fetch_sub(1, SeqCst);
        alone.then_some(n).ok_or(())
    });
    assert_eq!(work.into_results(), (0..200).map(Ok).collect::<Vec<_>>());
}

/// A clock that is out of order.
#[derive(Debug)]
struct Broken;

impl brolly_sync::Clock for Broken {
    fn now(&self) -> Duration {
        panic!("a clock");
    }
}

impl brolly_sync::Timer for Broken {
    fn sleep_until(&self, _deadline: Duration) -> brolly_sync::Sleep {
        panic!("a timer");
    }
}

#[test]
fn a_timer_that_panics_ends_the_run_for_all_its_threads() {
    let control = Control::default().deadline(Arc::new(Broken), Duration::from_secs(1));
    let caught = std::panic::catch_unwind(AssertUnwindSafe(|| {
        run(MapWork::new(0..5), 3, control, Ok::<u32, ()>);
    }));
    assert!(caught.is_err());
}
