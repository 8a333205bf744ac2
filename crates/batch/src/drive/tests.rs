//! What a run does when it is told to end, or to wait.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use brolly_sync::ManualClock;

use super::*;
use crate::control::{Gate, Pass};
use crate::error::ItemError;
use crate::map::MapWork;
use crate::{CancelToken, Limiter, WorkerPool};

type Results = Vec<Result<u32, ItemError<()>>>;

const CANCELLED: Result<u32, ItemError<()>> = Err(ItemError::Cancelled);
const LATE: Result<u32, ItemError<()>> = Err(ItemError::DeadlineExceeded);

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A run of items `0..n`, and the wake-ups of its task.
struct Run {
    wakes: Arc<Wakes>,
    results: Option<Results>,
    future: Pin<Box<dyn Future<Output = Results>>>,
}

impl Run {
    fn new<Fut>(
        items: impl Iterator<Item = u32> + 'static,
        limit: usize,
        control: Control,
        f: impl FnMut(u32) -> Fut + 'static,
    ) -> Self
    where
        Fut: Future<Output = Result<u32, ()>> + 'static,
    {
        let drive = Drive::new(MapWork::new(items), limit, control, f);
        Self {
            wakes: Arc::default(),
            results: None,
            future: Box::pin(async { drive.await.into_results() }),
        }
    }

    fn poll(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.wakes));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => false,
            Poll::Ready(results) => {
                self.results = Some(results);
                true
            }
        }
    }

    /// Polls for as long as somebody asked for it, and returns the results if it ended.
    fn go(&mut self) -> Option<&Results> {
        loop {
            let before = self.wakes.0.load(SeqCst);
            if self.poll() || self.wakes.0.load(SeqCst) == before {
                return self.results.as_ref();
            }
        }
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(SeqCst)
    }
}

/// Counts futures that are alive.
struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Even items end at once, odd ones never.
async fn odd_ones_hang(n: u32) -> Result<u32, ()> {
    if n % 2 == 1 {
        pending::<()>().await;
    }
    Ok(n)
}

#[test]
fn a_cancel_wakes_the_task_once_and_drops_what_runs() {
    let token = CancelToken::new();
    let alive = Rc::new(Cell::new(0));
    let control = Control::default().cancel_with(&token);
    let counted = Rc::clone(&alive);
    let mut run = Run::new(0..100, 3, control, move |n| {
        let alive = Alive::new(&counted);
        async move {
            let _alive = alive;
            odd_ones_hang(n).await
        }
    });
    assert_eq!(run.go(), None);
    assert_eq!((alive.get(), run.wakes()), (3, 0));
    token.cancel();
    assert_eq!(run.wakes(), 1);
    let results = run.go().expect("it is over");
    let expected: Results = (0..100)
        .map(|n| {
            if [0, 2, 4].contains(&n) {
                Ok(n)
            } else {
                CANCELLED
            }
        })
        .collect();
    assert_eq!(results, &expected);
    assert_eq!(alive.get(), 0);
}

#[test]
fn a_drain_lets_what_runs_end_and_starts_nothing_more() {
    let token = CancelToken::new();
    let open = Rc::new(Cell::new(false));
    let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
    let control = Control::default().cancel_with(&token);
    let (gate, kept) = (Rc::clone(&open), Rc::clone(&wakers));
    let mut run = Run::new(0..600, 3, control, move |n| {
        let (gate, kept) = (Rc::clone(&gate), Rc::clone(&kept));
        poll_fn(move |cx| {
            if gate.get() {
                return Poll::Ready(Ok(n));
            }
            kept.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
    });
    assert_eq!(run.go(), None);
    token.drain();
    assert_eq!(run.go(), None, "three are still running");
    open.set(true);
    wakers.take().into_iter().for_each(Waker::wake);
    let results = run.go().expect("it is over");
    let expected: Results = (0..600)
        .map(|n| if n < 3 { Ok(n) } else { CANCELLED })
        .collect();
    assert_eq!(results, &expected);
}

#[test]
fn a_cancel_after_a_drain_drops_what_still_runs() {
    let token = CancelToken::new();
    let control = Control::default().cancel_with(&token);
    let mut run = Run::new(0..6, 2, control, odd_ones_hang);
    assert_eq!(run.go(), None);
    token.drain();
    assert_eq!(run.go(), None);
    token.cancel();
    let results = run.go().expect("it is over");
    assert_eq!(results[..3], [Ok(0), CANCELLED, Ok(2)]);
}

#[test]
fn a_run_of_a_token_that_was_used_before_starts_nothing() {
    for stop in [CancelToken::cancel, CancelToken::drain] {
        let token = CancelToken::new();
        stop(&token);
        let control = Control::default().cancel_with(&token);
        let mut run = Run::new(0..1_000, 2, control, |_| async { panic!("it started") });
        assert_eq!(run.go(), Some(&vec![CANCELLED; 1_000]));
        assert!(run.wakes() >= 3, "a poll marks a bounded number of items");
    }
}

#[test]
fn an_item_may_cancel_its_own_run() {
    let token = CancelToken::new();
    let control = Control::default().cancel_with(&token);
    let mut run = Run::new(0..10, 2, control, move |n| {
        if n == 4 {
            token.cancel();
        }
        ready(Ok(n))
    });
    let results = run.go().expect("it is over").clone();
    assert_eq!(results[..5], [0, 1, 2, 3, 4].map(Ok));
    assert_eq!(results[5..], [const { CANCELLED }; 5]);
}

#[test]
fn a_deadline_counts_from_the_first_poll_and_drops_what_runs() {
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let control = Control::default().deadline(Arc::new(clock.clone()), second);
    let mut run = Run::new(0..4, 2, control, odd_ones_hang);
    clock.advance(second * 9);
    assert_eq!(run.go(), None);
    clock.advance(second - Duration::from_nanos(1));
    assert_eq!((run.wakes(), run.go()), (0, None));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(run.wakes(), 1);
    assert_eq!(run.go(), Some(&vec![Ok(0), LATE, Ok(2), LATE]));
    assert_eq!(clock.sleeping(), 0);
}

#[test]
fn a_deadline_of_zero_starts_nothing_and_one_without_end_never_comes() {
    let clock = ManualClock::new();
    let zero = Control::default().deadline(Arc::new(clock.clone()), Duration::ZERO);
    let mut run = Run::new(0..2, 2, zero, |_| async { panic!("it started") });
    assert_eq!(run.go(), Some(&vec![LATE, LATE]));

    let never = Control::default().deadline(Arc::new(clock.clone()), Duration::MAX);
    let mut run = Run::new(0..2, 2, never, |n| ready(Ok(n)));
    assert_eq!(run.go(), Some(&vec![Ok(0), Ok(1)]));
}

#[test]
fn a_run_that_is_dropped_leaves_no_waiter_behind() {
    let token = CancelToken::new();
    let clock = ManualClock::new();
    for polls in 0..4 {
        let control = Control::default()
            .cancel_with(&token)
            .deadline(Arc::new(clock.clone()), Duration::from_secs(1));
        let mut run = Run::new(0..4, 2, control, odd_ones_hang);
        for _ in 0..polls {
            run.poll();
        }
        drop(run);
        assert_eq!(clock.sleeping(), 0);
    }
}

#[test]
fn an_item_holds_its_pass_until_it_has_ended() {
    let pool = WorkerPool::new(3).unwrap();
    let watched = pool.clone();
    let control = Control::default().limiter(Limiter::from(pool.clone()).gate());
    let mut run = Run::new((0..50).filter(|n| n % 5 != 4), 10, control, move |n| {
        let watched = watched.clone();
        async move {
            assert!((1..=3).contains(&watched.active()));
            let mut again = n % 3;
            poll_fn(|cx| {
                if again == 0 {
                    return Poll::Ready(());
                }
                again -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            assert!(n != 7, "seven");
            Ok(n)
        }
    });
    let results = run.go().expect("it is over");
    assert_eq!(results.len(), 40);
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    assert_eq!((pool.active(), pool.waiting()), (0, 0));
}

#[test]
fn a_run_at_its_end_waits_for_no_permit() {
    let pool = WorkerPool::new(1).unwrap();
    let _held = pool.acquire_blocking();
    let control = Control::default().limiter(Limiter::from(pool.clone()).gate());
    let mut run = Run::new((0..5).filter(|n| *n > 9), 10, control, |n| ready(Ok(n)));
    assert_eq!(run.go(), Some(&vec![]));
}

#[test]
fn a_cancelled_run_leaves_the_line_and_reports_the_item_that_stood_in_it() {
    let pool = WorkerPool::new(1).unwrap();
    let held = pool.acquire_blocking();
    for stop in [CancelToken::drain, CancelToken::cancel] {
        let token = CancelToken::new();
        let control = Control::default()
            .limiter(Limiter::from(pool.clone()).gate())
            .cancel_with(&token);
        let mut run = Run::new(0..2, 10, control, |n| ready(Ok(n)));
        assert_eq!(run.go(), None);
        assert_eq!(pool.waiting(), 1);
        stop(&token);
        assert_eq!(run.go(), Some(&vec![CANCELLED; 2]));
        assert_eq!(pool.waiting(), 0);
    }
    drop(held);
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
    let running = Rc::new(Cell::new(0));
    let control = Control::default().throttle(OneAtATime);
    let mut run = Run::new(0..20, 10, control, move |n| {
        let alive = Alive::new(&running);
        let running = Rc::clone(&running);
        let mut again = 2;
        poll_fn(move |cx| {
            let _ = &alive;
            assert_eq!(running.get(), 1);
            if again == 0 {
                return Poll::Ready(Ok(n));
            }
            again -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    });
    let expected: Results = (0..20).map(Ok).collect();
    assert_eq!(run.go(), Some(&expected));
}

#[test]
fn a_destructor_that_panics_when_its_future_is_dropped_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a destructor");
        }
    }
    let token = CancelToken::new();
    let control = Control::default().cancel_with(&token);
    let mut run = Run::new(0..5, 2, control, |_| async {
        let _bomb = Bomb;
        pending().await
    });
    assert_eq!(run.go(), None);
    token.cancel();
    assert_eq!(run.go(), Some(&vec![CANCELLED; 5]));
}
