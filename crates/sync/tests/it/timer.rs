//! A sleep ends at its deadline and not before, wakes once, and leaves nothing behind.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use brolly_sync::{Clock, ManualClock, Sleep, Timer, TimerExt, WaitList};

use crate::support::{Wakes, panicking_waker, poll};

const SECOND: Duration = Duration::from_secs(1);

/// Notes its name when it is woken.
struct Named(u32, Arc<Mutex<Vec<u32>>>);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn advancing_wakes_those_who_are_due_in_order_of_deadline() {
    let clock = ManualClock::new();
    let order = Arc::default();
    let mut sleeps: Vec<Sleep> = Vec::new();
    for (name, secs) in [(0, 3), (1, 1), (2, 2), (3, 1), (4, 9), (5, 2)] {
        let mut sleep = clock.sleep(secs * SECOND);
        let waker = Waker::from(Arc::new(Named(name, Arc::clone(&order))));
        assert!(poll(&mut sleep, &waker).is_pending());
        sleeps.push(sleep);
    }
    clock.advance(SECOND / 2);
    assert!(order.lock().unwrap().is_empty());
    clock.advance(3 * SECOND);
    assert_eq!(*order.lock().unwrap(), [1, 3, 2, 5, 0]);
    assert_eq!(
        (clock.sleeping(), clock.next_deadline()),
        (1, Some(9 * SECOND))
    );
    clock.advance(SECOND);
    assert_eq!(order.lock().unwrap().len(), 5, "nobody is woken twice");
    for (sleep, over) in sleeps.iter_mut().zip([true, true, true, true, false, true]) {
        assert_eq!(poll(sleep, Waker::noop()).is_ready(), over);
    }
}

#[test]
fn a_sleep_whose_time_has_come_does_not_wait() {
    let clock = ManualClock::new();
    clock.set(5 * SECOND);
    for deadline in [0, 4, 5] {
        let mut sleep = clock.sleep_until(deadline * SECOND);
        assert!(poll(&mut sleep, Waker::noop()).is_ready());
        assert!(poll(&mut sleep, Waker::noop()).is_ready(), "and stays over");
    }
    assert_eq!(clock.sleeping(), 0);
}

#[test]
fn the_time_counts_from_the_call_and_not_from_the_first_poll() {
    let clock = ManualClock::new();
    let mut sleep = clock.sleep(SECOND);
    assert_eq!(sleep.deadline(), SECOND);
    clock.advance(SECOND);
    assert!(poll(&mut sleep, Waker::noop()).is_ready());
}

#[test]
fn a_dropped_sleep_is_forgotten() {
    let clock = ManualClock::new();
    let (wakes, waker) = Wakes::new();
    let mut sleep = clock.sleep(SECOND);
    assert!(poll(&mut sleep, &waker).is_pending());
    assert_eq!(clock.sleeping(), 1);
    drop(sleep);
    assert_eq!((clock.sleeping(), clock.next_deadline()), (0, None));
    clock.advance(SECOND);
    assert_eq!((wakes.count(), Arc::strong_count(&wakes)), (0, 2));
}

#[test]
fn a_sleep_seen_to_be_over_before_it_was_woken_is_forgotten() {
    struct Late(Mutex<Option<Sleep>>, AtomicBool);
    impl Wake for Late {
        // Looks at a sleep of the same deadline, which is due but was not woken yet.
        fn wake(self: Arc<Self>) {
            let mut sleep = self.0.lock().unwrap().take().unwrap();
            self.1
                .store(poll(&mut sleep, Waker::noop()).is_ready(), Ordering::SeqCst);
        }
    }
    let clock = ManualClock::new();
    let (mut first, mut second) = (clock.sleep(SECOND), clock.sleep(SECOND));
    let (wakes, waker) = Wakes::new();
    let late = Arc::new(Late(Mutex::new(None), AtomicBool::new(false)));
    assert!(poll(&mut first, &Waker::from(Arc::clone(&late))).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    *late.0.lock().unwrap() = Some(second);
    clock.advance(SECOND);
    assert!(late.1.load(Ordering::SeqCst));
    assert_eq!((wakes.count(), clock.sleeping()), (0, 0));
}

#[test]
fn the_waker_of_the_latest_poll_is_the_one_that_counts() {
    let clock = ManualClock::new();
    let ((old_wakes, old), (new_wakes, new)) = (Wakes::new(), Wakes::new());
    let mut sleep = clock.sleep(SECOND);
    assert!(poll(&mut sleep, &old).is_pending());
    assert!(poll(&mut sleep, &new).is_pending());
    clock.advance(SECOND);
    assert_eq!((old_wakes.count(), new_wakes.count()), (0, 1));
}

#[test]
fn a_waker_may_use_the_clock_it_is_called_from() {
    struct Again(ManualClock, Mutex<Option<Duration>>);
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            let mut next = self.0.sleep(SECOND);
            assert!(poll(&mut next, Waker::noop()).is_pending());
            self.0.advance(Duration::ZERO);
            *self.1.lock().unwrap() = Some(self.0.now());
        }
    }
    let clock = ManualClock::new();
    let again = Arc::new(Again(clock.clone(), Mutex::new(None)));
    let mut sleep = clock.sleep(SECOND);
    assert!(poll(&mut sleep, &Waker::from(Arc::clone(&again))).is_pending());
    clock.advance(3 * SECOND);
    assert_eq!(*again.1.lock().unwrap(), Some(3 * SECOND), "time jumps");
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_waking() {
    let clock = ManualClock::new();
    let (wakes, waker) = Wakes::new();
    let (mut first, mut second) = (clock.sleep(SECOND), clock.sleep(2 * SECOND));
    assert!(poll(&mut first, &panicking_waker()).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    clock.advance(2 * SECOND);
    assert_eq!(wakes.count(), 1);
}

#[test]
fn for_ever_is_a_deadline_like_any_other() {
    let clock = ManualClock::new();
    clock.advance(SECOND);
    let mut never = clock.sleep(Duration::MAX);
    assert_eq!(never.deadline(), Duration::MAX);
    assert!(poll(&mut never, Waker::noop()).is_pending());
    clock.set(Duration::MAX);
    assert!(poll(&mut never, Waker::noop()).is_pending());
}

#[test]
fn a_million_cancelled_sleeps_leave_nothing_behind() {
    let clock = ManualClock::new();
    let mut held: Vec<Sleep> = Vec::new();
    for number in 0..1_000_000_u64 {
        let mut sleep = clock.sleep(Duration::from_nanos(number % 977 + 1));
        assert!(poll(&mut sleep, Waker::noop()).is_pending());
        held.push(sleep);
        if held.len() == 100 {
            held.clear();
        }
    }
    drop(held);
    assert_eq!(clock.sleeping(), 0);
}

#[test]
fn a_result_that_is_there_needs_no_look_at_the_clock() {
    #[derive(Debug)]
    struct Untouchable;
    impl Clock for Untouchable {
        fn now(&self) -> Duration {
            panic!("nobody asks for the time");
        }
    }
    impl Timer for Untouchable {
        fn sleep_until(&self, _: Duration) -> Sleep {
            panic!("nobody sleeps");
        }
    }
    assert_eq!(Untouchable.timeout_blocking(SECOND, async { 7 }), Ok(7));
}

#[test]
fn a_result_in_time_beats_the_end_of_the_time() {
    let clock = ManualClock::new();
    let list = WaitList::new(Vec::new());
    let mut timed = Box::pin(clock.timeout(SECOND, list.take()));
    assert!(poll(&mut timed, Waker::noop()).is_pending());
    list.put(7);
    clock.advance(SECOND);
    assert_eq!(poll(&mut timed, Waker::noop()), Poll::Ready(Ok(7)));
}

#[test]
fn a_wait_that_is_over_gives_back_its_place() {
    let clock = ManualClock::new();
    let list = WaitList::new(Vec::new());
    let (wakes, waker) = Wakes::new();
    let mut timed = Box::pin(clock.timeout(SECOND, list.take()));
    assert!(poll(&mut timed, &waker).is_pending());
    clock.advance(SECOND);
    assert_eq!(wakes.count(), 1);
    let elapsed = match poll(&mut timed, &waker) {
        Poll::Ready(Err(elapsed)) => elapsed,
        other => panic!("not over: {other:?}"),
    };
    assert_eq!(elapsed.after, SECOND);
    assert_eq!(elapsed.to_string(), "not ready after 1s");
    assert_eq!(list.waiting(), 0);
    list.put(7);
    assert_eq!(list.idle(), 1);
}

#[test]
fn a_timed_wait_can_be_dropped_at_every_point() {
    let clock = ManualClock::new();
    let list = WaitList::<u8>::new(Vec::new());
    for polls in 0..3 {
        let mut timed = Box::pin(clock.timeout(SECOND, list.take()));
        for _ in 0..polls {
            assert!(poll(&mut timed, Waker::noop()).is_pending());
        }
        drop(timed);
        assert_eq!((clock.sleeping(), list.waiting()), (0, 0));
    }
}

#[test]
fn no_time_at_all_still_asks_the_future_once() {
    let clock = ManualClock::new();
    assert_eq!(clock.timeout_blocking(Duration::ZERO, async { 7 }), Ok(7));
    let list = WaitList::<u8>::new(Vec::new());
    assert!(clock.timeout_blocking(Duration::ZERO, list.take()).is_err());
    assert_eq!(list.waiting(), 0);
}

#[test]
fn a_thread_waits_by_the_manual_clock() {
    let clock = ManualClock::new();
    let list = WaitList::<u8>::new(Vec::new());
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| clock.sleep_blocking(SECOND));
        let taker = scope.spawn(|| clock.timeout_blocking(2 * SECOND, list.take()));
        while clock.sleeping() < 2 {
            thread::yield_now();
        }
        clock.advance(SECOND);
        sleeper.join().unwrap();
        assert!(!taker.is_finished());
        clock.advance(SECOND);
        assert!(taker.join().unwrap().is_err());
    });
}

#[test]
fn a_blocked_thread_looks_only_when_it_is_woken() {
    let (polls, waker) = (AtomicUsize::new(0), Mutex::new(None::<Waker>));
    let wake = || {
        let waker = waker.lock().unwrap().take();
        waker.unwrap().wake();
    };
    let future = poll_fn(|cx| {
        *waker.lock().unwrap() = Some(cx.waker().clone());
        if polls.fetch_add(1, Ordering::SeqCst) == 2 {
            return Poll::Ready(());
        }
        Poll::Pending
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            for woken in 1..=2 {
                while polls.load(Ordering::SeqCst) < woken || waker.lock().unwrap().is_none() {
                    thread::yield_now();
                }
                // Time to look without being woken, for one that would.
                thread::sleep(Duration::from_millis(3));
                assert_eq!(polls.load(Ordering::SeqCst), woken);
                wake();
            }
        });
        assert_eq!(ManualClock::new().timeout_blocking(SECOND, future), Ok(()));
    });
    assert_eq!(polls.load(Ordering::SeqCst), 3);
}

#[test]
fn a_timer_can_be_chosen_at_run_time_and_shared() {
    let manual = ManualClock::new();
    let timer: Arc<dyn Timer> = Arc::new(manual.clone());
    let clock: Arc<dyn Clock> = Arc::<dyn Timer>::clone(&timer);
    let mut sleep = timer.sleep(SECOND);
    assert!(poll(&mut sleep, Waker::noop()).is_pending());
    manual.advance(SECOND);
    assert_eq!(
        (clock.now(), clock.coarse(), clock.coarse_lag()),
        (SECOND, SECOND, Duration::ZERO)
    );
    assert!(poll(&mut sleep, Waker::noop()).is_ready());
    let by_reference: &dyn Timer = &*timer;
    assert_eq!(by_reference.timeout_blocking(SECOND, async { 1 }), Ok(1));
}

#[test]
fn advancing_from_many_threads_loses_no_sleeper() {
    let clock = ManualClock::new();
    let awake = AtomicUsize::new(0);
    thread::scope(|scope| {
        for step in 1..=4 {
            let (clock, awake) = (&clock, &awake);
            scope.spawn(move || {
                for _ in 0..200 {
                    clock.sleep_blocking(step * SECOND);
                }
                awake.fetch_add(1, Ordering::SeqCst);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while awake.load(Ordering::SeqCst) < 4 {
                    clock.advance(SECOND);
                    thread::yield_now();
                }
            });
        }
    });
    assert_eq!(clock.sleeping(), 0);
}
