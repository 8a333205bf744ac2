//! tokio's clock and timers, paused and running.

use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use brolly_sync::{Clock, Flight, Spawn, Timer, TimerExt, TokioTimer, WaitList};

use crate::support::poll;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn paused_time_jumps_to_the_next_sleep() {
    let timer = TokioTimer::current();
    let start = timer.now();
    timer.sleep(3600 * SECOND).await;
    let slept = timer.now() - start;
    assert!(slept >= 3600 * SECOND && slept < 3601 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn ten_years_pass_in_a_moment() {
    let timer = TokioTimer::current();
    let ten_years = 10 * 365 * 24 * 3600 * SECOND;
    let start = timer.now();
    timer.sleep(ten_years).await;
    let slept = timer.now() - start;
    assert!(
        slept >= ten_years && slept < ten_years + SECOND,
        "{slept:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn for_ever_is_longer_than_a_hundred_years() {
    let timer = TokioTimer::current();
    let century = 100 * 365 * 24 * 3600 * SECOND;
    let never = timer.sleep(Duration::MAX);
    assert!(timer.timeout(century, never).await.is_err());
}

#[test]
fn a_paused_clock_is_read_from_outside_of_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(tokio::time::advance(3600 * SECOND));
    let timer = TokioTimer::new(runtime.handle().clone());
    assert_eq!(timer.now(), Duration::ZERO);
    runtime.block_on(tokio::time::advance(SECOND));
    assert_eq!((timer.now(), timer.coarse()), (SECOND, SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_on_time_or_with_its_value() {
    let timer: Arc<dyn Timer> = Arc::new(TokioTimer::current());
    let list = WaitList::new(Vec::new());
    assert_eq!(
        timer.timeout(SECOND, list.take()).await.unwrap_err().after,
        SECOND
    );
    list.put(7);
    assert_eq!(timer.timeout(SECOND, list.take()).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn sleeps_end_in_order_of_deadline() {
    let timer = TokioTimer::current();
    let order = std::sync::Mutex::new(Vec::new());
    let sleep = async |secs: u32| {
        timer.sleep(secs * SECOND).await;
        order.lock().unwrap().push(secs);
    };
    tokio::join!(sleep(3), sleep(1), sleep(2));
    assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
}

#[test]
fn a_thread_outside_of_the_runtime_can_wait_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let timer = TokioTimer::new(runtime.handle().clone());
    let start = timer.now();
    timer.sleep_blocking(Duration::from_millis(2));
    assert!(timer.now() - start >= Duration::from_millis(2));
    let mut never = timer.sleep(Duration::MAX);
    assert!(poll(&mut never, Waker::noop()).is_pending());
}

#[test]
fn a_runtime_s_handle_continues_what_the_last_participant_leaves() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let timer = TokioTimer::new(runtime.handle().clone());
    let load = async move {
        timer.sleep(Duration::from_millis(1)).await;
        7
    };
    let spawner: Arc<dyn Spawn> = Arc::new(runtime.handle().clone());
    let flight = Flight::with_spawner(load, spawner);
    let mut join = flight.join().unwrap();
    assert!(poll(&mut join, Waker::noop()).is_pending());
    drop(join);
    while flight.peek().is_none() {
        thread::yield_now();
    }
    assert_eq!(flight.peek(), Some(Ok(7)));
}

#[test]
fn a_runtime_that_shuts_down_leaves_its_loads_to_those_who_wait() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (control, load) = crate::support::Control::new();
    let flight = Flight::with_spawner(load, Arc::new(runtime.handle().clone()));
    thread::scope(|scope| {
        let waits = scope.spawn(|| flight.join().unwrap().wait());
        while flight.joined() < 2 {
            thread::yield_now(); // until the driver was spawned
        }
        assert_eq!(control.polls(), 0, "nobody runs the runtime");
        drop(runtime);
        while control.polls() == 0 {
            thread::yield_now();
        }
        control.finish(7);
        assert_eq!(waits.join().unwrap(), Ok(7));
    });
}

#[test]
#[should_panic(expected = "being shutdown")]
fn a_sleep_does_not_outlive_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let timer = TokioTimer::new(runtime.handle().clone());
    drop(runtime);
    timer.sleep_blocking(3600 * SECOND);
}
