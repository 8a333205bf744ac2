//! No sleeper is lost between falling asleep and the time that passes, and no thread stays behind.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_sync::{ManualClock, Sleep, ThreadTimer, Timer, TimerExt};
use loom::thread;

use crate::bounded;

const fn at(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

fn look_once(sleep: &mut Sleep) -> Poll<()> {
    pin!(sleep).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_sleeper_that_registers_while_time_advances_is_woken() {
    loom::model(|| {
        let clock = ManualClock::new();
        let mover = clock.clone();
        let moves = thread::spawn(move || mover.advance(at(5)));
        block_on(clock.sleep_until(at(5)));
        moves.join().unwrap();
        assert_eq!(clock.sleeping(), 0);
    });
}

#[test]
fn two_movers_of_the_time_wake_a_sleeper_that_needs_both() {
    bounded(4, || {
        let clock = ManualClock::new();
        let moves: Vec<_> = (0..2)
            .map(|_| {
                let mover = clock.clone();
                thread::spawn(move || mover.advance(at(3)))
            })
            .collect();
        block_on(clock.sleep_until(at(6)));
        for moves in moves {
            moves.join().unwrap();
        }
        assert_eq!(clock.sleeping(), 0);
    });
}

#[test]
fn a_sleep_may_be_dropped_while_time_advances() {
    loom::model(|| {
        let clock = ManualClock::new();
        let mover = clock.clone();
        let mut sleep = clock.sleep_until(at(5));
        let _ = look_once(&mut sleep);
        let moves = thread::spawn(move || mover.advance(at(5)));
        drop(sleep);
        moves.join().unwrap();
        assert_eq!(clock.sleeping(), 0);
    });
}

#[test]
fn an_earlier_deadline_reaches_the_thread_while_it_falls_asleep_for_a_later_one() {
    bounded(4, || {
        let clock = ManualClock::new();
        let timer = ThreadTimer::with_clock(clock.clone());
        let mut later = timer.sleep_until(at(10));
        assert!(look_once(&mut later).is_pending());
        let keeper = {
            let (clock, timer) = (clock.clone(), timer.clone());
            thread::spawn(move || {
                clock.set(at(5));
                timer.time_has_passed();
            })
        };
        block_on(timer.sleep_until(at(5)));
        keeper.join().unwrap();
    });
}

#[test]
fn the_thread_starts_once_for_two_who_come_at_the_same_time() {
    bounded(2, || {
        let clock = ManualClock::new();
        let timer = ThreadTimer::with_clock(clock.clone());
        let other = timer.clone();
        let sleeps = thread::spawn(move || {
            let mut sleep = other.sleep_until(at(5));
            let _ = look_once(&mut sleep);
            sleep
        });
        let mut own = timer.sleep_until(at(5));
        let _ = look_once(&mut own);
        let other = sleeps.join().unwrap();
        // A second thread would be the fifth with the keeper of the next line: loom allows four.
        clock.set(at(5));
        timer.time_has_passed();
        drop((own, other));
        assert_eq!(timer.sleeping(), 0);
    });
}

#[test]
fn a_sleep_may_be_dropped_while_it_fires() {
    bounded(4, || {
        let clock = ManualClock::new();
        let timer = ThreadTimer::with_clock(clock.clone());
        let mut sleep = timer.sleep_until(at(5));
        assert!(look_once(&mut sleep).is_pending());
        let keeper = {
            let timer = timer.clone();
            thread::spawn(move || {
                clock.set(at(5));
                timer.time_has_passed();
            })
        };
        drop(sleep);
        drop(timer); // loom reports a thread that never ends
        keeper.join().unwrap();
    });
}

#[test]
fn the_thread_ends_whether_the_timer_or_the_sleep_goes_first() {
    bounded(4, || {
        let timer = ThreadTimer::with_clock(ManualClock::new());
        let mut sleep = timer.sleep_until(at(5));
        assert!(look_once(&mut sleep).is_pending());
        let drops = thread::spawn(move || drop(timer));
        drop(sleep);
        drops.join().unwrap();
    });
}

#[test]
fn a_sleep_that_is_left_when_the_timer_is_dropped_still_fires() {
    bounded(4, || {
        let clock = ManualClock::new();
        let timer = ThreadTimer::with_clock(clock.clone());
        let keeper = {
            let timer = timer.clone();
            thread::spawn(move || {
                clock.set(at(5));
                timer.time_has_passed();
            })
        };
        let sleep = timer.sleep_until(at(5));
        drop(timer);
        block_on(sleep);
        keeper.join().unwrap();
    });
}

/// Blocks this thread until the sleep is over; a clock that stands still lends its way of blocking.
fn block_on(sleep: Sleep) {
    assert_eq!(
        ManualClock::new().timeout_blocking(Duration::MAX, sleep),
        Ok(())
    );
}
