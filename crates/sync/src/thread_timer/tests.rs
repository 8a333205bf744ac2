//! The thread's life, seen from inside: when it naps, and that it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{Core, ThreadTimer};
use crate::primitive::{lock, refusal::refuse};
use crate::{Clock, ManualClock, Sleep, Timer, TimerExt};

const HOUR: Duration = Duration::from_secs(3600);

fn poll(sleep: &mut Sleep, waker: &Waker) -> Poll<()> {
    Pin::new(sleep).poll(&mut Context::from_waker(waker))
}

fn becomes(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > Duration::from_secs(20) {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// A timer whose thread is surely asleep, with the sleep that it sleeps for. The clock stands
/// still, so the nap lasts for an hour unless it is ended.
fn napping() -> (ManualClock, ThreadTimer<ManualClock>, Sleep) {
    let clock = ManualClock::new();
    let timer = ThreadTimer::with_clock(clock.clone());
    let mut sleep = timer.sleep(HOUR);
    assert!(poll(&mut sleep, Waker::noop()).is_pending());
    assert!(becomes(|| lock(&timer.core().state).nap == Some(HOUR)));
    (clock, timer, sleep)
}

fn ends(core: &Weak<Core<ManualClock>>) -> bool {
    becomes(|| core.strong_count() == 0)
}

#[test]
fn a_timer_that_was_never_used_has_no_thread() {
    let timer = ThreadTimer::with_clock(ManualClock::new());
    let core = Arc::downgrade(timer.core());
    drop(timer.sleep(HOUR));
    drop(timer.clone());
    assert_eq!(core.strong_count(), 1);
    drop(timer);
    assert_eq!(core.strong_count(), 0);
}

#[test]
fn the_thread_ends_with_the_timer_when_that_goes_last() {
    let (_, timer, sleep) = napping();
    let core = Arc::downgrade(timer.core());
    drop(sleep);
    assert!(
        becomes(|| lock(&timer.core().state).nap.is_some()),
        "it waits for more"
    );
    drop(timer.clone());
    assert!(lock(&timer.core().state).running);
    drop(timer);
    assert!(ends(&core));
}

#[test]
fn the_thread_ends_with_a_dropped_sleep_when_that_goes_last() {
    let (_, timer, sleep) = napping();
    let core = Arc::downgrade(timer.core());
    drop(timer);
    drop(sleep);
    assert!(ends(&core));
}

#[test]
fn the_thread_ends_with_a_finished_sleep_when_that_goes_last() {
    let (clock, timer, mut sleep) = napping();
    let core = Arc::downgrade(timer.core());
    drop(timer);
    clock.advance(HOUR); // the thread does not notice: its nap is one of real time
    assert!(poll(&mut sleep, Waker::noop()).is_ready());
    drop(sleep);
    assert!(ends(&core));
}

#[test]
fn a_sleep_that_is_polled_after_the_thread_has_ended_starts_another() {
    struct Bell(mpsc::SyncSender<()>);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            let _ = self.0.try_send(());
        }
    }
    let timer = ThreadTimer::new();
    let core = Arc::clone(timer.core());
    timer.sleep_blocking(Duration::from_millis(1));
    let mut late = timer.sleep(Duration::from_millis(5));
    drop(timer);
    assert!(becomes(|| !lock(&core.state).running));
    let (bell, rings) = mpsc::sync_channel(1);
    if poll(&mut late, &Waker::from(Arc::new(Bell(bell)))).is_pending() {
        rings
            .recv_timeout(Duration::from_secs(20))
            .expect("it is woken");
        assert!(poll(&mut late, Waker::noop()).is_ready());
    }
}

#[test]
fn one_thread_serves_all() {
    let (_, timer, _sleep) = napping();
    let before = Arc::strong_count(timer.core());
    let mut more: Vec<_> = (1..50).map(|hours| timer.sleep(hours * HOUR)).collect();
    for sleep in &mut more {
        assert!(poll(sleep, Waker::noop()).is_pending());
    }
    assert_eq!(Arc::strong_count(timer.core()), before + more.len());
}

#[test]
fn a_sleep_ends_on_time_even_while_threads_are_refused() {
    let timer = ThreadTimer::new();
    refuse(20);
    let start = timer.now();
    timer.sleep_blocking(Duration::from_millis(2));
    assert!(timer.now() - start >= Duration::from_millis(2));
    refuse(0);
    timer.sleep_blocking(Duration::from_millis(1));
    assert_eq!(timer.sleeping(), 0);
}
