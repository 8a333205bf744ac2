//! One thread serves everybody, starts late, and does not outlive its work.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use brolly_sync::{Clock, ManualClock, ThreadTimer, Timer, TimerExt, WaitList};

use crate::support::{Wakes, panicking_waker, poll};

const MS: Duration = Duration::from_millis(1);

/// Hands itself out when it is woken.
struct Report(u32, Mutex<mpsc::Sender<u32>>);

impl Wake for Report {
    fn wake(self: Arc<Self>) {
        let _ = self.1.lock().unwrap().send(self.0);
    }
}

fn reporting(name: u32, to: &mpsc::Sender<u32>) -> Waker {
    Waker::from(Arc::new(Report(name, Mutex::new(to.clone()))))
}

/// Waits until the given value exists nowhere else: a thread that held it has ended.
fn becomes_unique<T>(value: &Arc<T>) -> bool {
    let start = Instant::now();
    while Arc::strong_count(value) > 1 {
        if start.elapsed() > Duration::from_secs(20) {
            return false;
        }
        thread::sleep(MS);
    }
    true
}

#[test]
fn a_sleep_never_ends_early() {
    let timer = ThreadTimer::new();
    for micros in [0, 1, 300, 2_000] {
        let start = timer.now();
        timer.sleep_blocking(Duration::from_micros(micros));
        assert!(timer.now() - start >= Duration::from_micros(micros));
    }
    assert_eq!(timer.sleeping(), 0);
}

#[test]
fn an_earlier_deadline_is_not_held_up_by_a_later_one() {
    let timer = ThreadTimer::new();
    let (to, woken) = mpsc::channel();
    let mut hour = timer.sleep(Duration::from_secs(3600));
    assert!(poll(&mut hour, &reporting(0, &to)).is_pending());
    thread::sleep(5 * MS); // lets the thread fall asleep; without it the test is merely weaker
    let deadline = timer.now() + 20 * MS;
    let mut sleeps: Vec<_> = [2, 1, 3]
        .into_iter()
        .map(|name| {
            let mut sleep = timer.sleep_until(deadline + name * MS);
            assert!(poll(&mut sleep, &reporting(name, &to)).is_pending());
            sleep
        })
        .collect();
    let order: Vec<_> = woken.iter().take(3).collect();
    assert_eq!(order, [1, 2, 3]);
    assert!(timer.now() >= deadline + 3 * MS);
    assert!(
        sleeps
            .iter_mut()
            .all(|sleep| poll(sleep, Waker::noop()).is_ready())
    );
    assert_eq!(timer.sleeping(), 1);
}

#[test]
fn a_timed_wait_of_a_thread_ends_on_time_or_with_its_value() {
    let timer = ThreadTimer::new();
    let list = WaitList::new(Vec::new());
    assert!(timer.timeout_blocking(2 * MS, list.take()).is_err());
    assert_eq!((list.waiting(), timer.sleeping()), (0, 0));
    thread::scope(|scope| {
        let taker = scope.spawn(|| timer.timeout_blocking(Duration::MAX, list.take()));
        while list.waiting() == 0 {
            thread::yield_now();
        }
        list.put(7);
        assert_eq!(taker.join().unwrap(), Ok(7));
    });
    assert_eq!(timer.sleeping(), 0);
}

#[test]
fn a_dropped_sleep_is_forgotten() {
    let timer = ThreadTimer::new();
    let (wakes, waker) = Wakes::new();
    for _ in 0..1_000 {
        let mut sleep = timer.sleep(Duration::from_secs(3600));
        assert!(poll(&mut sleep, &waker).is_pending());
    }
    assert_eq!((timer.sleeping(), Arc::strong_count(&wakes)), (0, 2));
}

#[test]
fn a_waker_that_panics_does_not_stop_the_timer() {
    let timer = ThreadTimer::new();
    let mut sleep = timer.sleep(MS);
    let _ = poll(&mut sleep, &panicking_waker());
    timer.sleep_blocking(2 * MS);
    timer.sleep_blocking(2 * MS);
}

#[test]
fn a_sleep_outlives_the_timer_it_came_from() {
    let (to, woken) = mpsc::channel();
    let timer = ThreadTimer::new();
    let (mut polled, mut unpolled) = (timer.sleep(5 * MS), timer.sleep(5 * MS));
    let _ = poll(&mut polled, &reporting(1, &to));
    drop(timer);
    let _ = poll(&mut unpolled, &reporting(2, &to));
    let mut names = [woken.recv().unwrap(), 0];
    names[1] = woken.recv().unwrap();
    names.sort_unstable();
    assert_eq!(names, [1, 2]);
    assert!(poll(&mut polled, Waker::noop()).is_ready());
}

#[test]
fn a_timer_may_be_dropped_on_its_own_thread() {
    type Timer = ThreadTimer<Arc<ManualClock>>;
    struct Holder(Mutex<Option<Timer>>, Mutex<mpsc::Sender<()>>);
    impl Wake for Holder {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
            self.1.lock().unwrap().send(()).unwrap();
        }
    }
    let clock = Arc::new(ManualClock::new());
    let timer = ThreadTimer::with_clock(Arc::clone(&clock));
    let (to, dropped) = mpsc::channel();
    let holder = Arc::new(Holder(Mutex::new(None), Mutex::new(to)));
    let mut sleep = timer.sleep(MS);
    assert!(poll(&mut sleep, &Waker::from(Arc::clone(&holder))).is_pending());
    *holder.0.lock().unwrap() = Some(timer);
    clock.advance(MS); // the thread looks at the clock again within a millisecond
    dropped.recv().unwrap();
    drop(sleep);
    assert!(becomes_unique(&clock));
}

#[test]
fn many_threads_sleep_by_one_timer() {
    let timer = ThreadTimer::new();
    thread::scope(|scope| {
        for thread in 0..8_u64 {
            let timer = timer.clone();
            scope.spawn(move || {
                for round in 0..30_u64 {
                    let micros = (thread * 37 + round * 101) % 900;
                    let start = timer.now();
                    timer.sleep_blocking(Duration::from_micros(micros));
                    assert!(timer.now() - start >= Duration::from_micros(micros));
                    drop(timer.sleep(Duration::from_secs(1)));
                }
            });
        }
    });
    assert_eq!(timer.sleeping(), 0);
}

#[test]
fn for_ever_is_a_deadline_like_any_other() {
    let timer = ThreadTimer::new();
    let mut never = timer.sleep(Duration::MAX);
    assert!(poll(&mut never, Waker::noop()).is_pending());
    timer.sleep_blocking(MS);
    assert!(poll(&mut never, Waker::noop()).is_pending());
}
