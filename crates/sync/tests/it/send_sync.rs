//! Auto traits are part of the interface; this file fails to compile when one is lost.

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use brolly_sync::{
    Backoff, BackoffBuilder, BackoffError, Clock, Elapsed, Flight, FlightError, Jitter, Join,
    ManualClock, Sleep, Spawn, SystemClock, Take, ThreadTimer, Timer, TimerExt, WaitList,
};

const fn is_send<T: Send + ?Sized>() {}
const fn is_sync<T: Sync + ?Sized>() {}
const fn is_unpin<T: Unpin>() {}
const fn is_static<T: 'static>() {}
const fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}

fn is_send_value<T: Send>(value: T) -> T {
    value
}

#[test]
fn handles_cross_threads_whenever_their_values_may() {
    is_send::<WaitList<Cell<u8>>>();
    is_sync::<WaitList<Cell<u8>>>();
    is_send::<Take<'_, Cell<u8>>>();
    is_sync::<Take<'_, Cell<u8>>>();
    is_unpin::<Take<'_, PhantomPinned>>();
    is_unwind_safe::<WaitList<u8>>();
}

#[test]
fn clocks_and_timers_cross_threads() {
    is_send::<dyn Clock>();
    is_sync::<dyn Clock>();
    is_send::<dyn Timer>();
    is_sync::<dyn Timer>();
    is_send::<(ManualClock, SystemClock, ThreadTimer)>();
    is_sync::<(ManualClock, SystemClock, ThreadTimer)>();
    is_unwind_safe::<(ManualClock, SystemClock, ThreadTimer)>();
    is_send::<Sleep>();
    is_sync::<Sleep>();
    is_unpin::<Sleep>();
    is_static::<Sleep>();
    #[cfg(feature = "tokio")]
    {
        is_send::<brolly_sync::TokioTimer>();
        is_sync::<brolly_sync::TokioTimer>();
    }
}

#[test]
fn a_timed_wait_crosses_threads_when_its_future_does() {
    let clock = ManualClock::new();
    let timer: &dyn Timer = &clock;
    drop(is_send_value(timer.timeout(Duration::MAX, async {})));
    drop(is_send_value(clock.timeout(Duration::MAX, async {})));
}

#[test]
fn flights_cross_threads() {
    is_send::<Flight<String>>();
    is_sync::<Flight<String>>();
    is_send::<Join<String>>();
    is_sync::<Join<String>>();
    is_unpin::<Join<PhantomPinned>>();
    is_unwind_safe::<(Flight<String>, Join<String>)>();
    is_send::<dyn Spawn>();
    is_sync::<dyn Spawn>();
}

#[test]
fn values_and_errors_cross_threads() {
    is_send::<(Backoff, BackoffBuilder, Jitter)>();
    is_sync::<(Backoff, BackoffBuilder, Jitter)>();
    is_unwind_safe::<(Backoff, BackoffBuilder, Jitter)>();
    is_send::<(BackoffError, Elapsed, FlightError)>();
    is_sync::<(BackoffError, Elapsed, FlightError)>();
    is_unwind_safe::<(BackoffError, Elapsed, FlightError)>();
}
