//! One run shared by all who joined, whoever of them stays, and wherever they wait.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use brolly_sync::{Flight, FlightError, ManualClock, Spawn, Task};

use crate::support::{Control, Wakes, poll};

#[test]
fn nothing_runs_until_the_first_participant_looks() {
    let (control, load) = Control::<u8>::new();
    let flight = Flight::new(load);
    let _join = flight.join().unwrap();
    assert_eq!(control.polls(), 0);
    assert_eq!(flight.peek(), None);
}

#[test]
fn everybody_gets_the_result_of_one_run() {
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let mut joins: Vec<_> = (0..40).map(|_| flight.join().unwrap()).collect();
    let (wakes, waker) = Wakes::new();
    for join in &mut joins {
        assert!(poll(join, &waker).is_pending());
    }
    assert_eq!(control.polls(), 1, "the others only wait");
    control.finish(7);
    assert_eq!(wakes.count(), 40);
    for join in &mut joins {
        assert_eq!(poll(join, &waker), Poll::Ready(Ok(7)));
    }
    assert_eq!((control.polls(), control.drops()), (2, 1));
    assert_eq!(flight.peek(), Some(Ok(7)));
}

#[test]
fn a_load_that_is_ready_at_once_wakes_nobody() {
    let flight = Flight::new(async { 7 });
    let (wakes, waker) = Wakes::new();
    assert_eq!(
        poll(&mut flight.join().unwrap(), &waker),
        Poll::Ready(Ok(7))
    );
    assert_eq!(wakes.count(), 0);
}

#[test]
fn a_latecomer_finds_the_result() {
    let flight = Flight::new(async { 7 });
    let mut first = flight.join().unwrap();
    assert_eq!(first.wait(), Ok(7));
    drop(first);
    let mut late = flight.join().unwrap();
    assert_eq!(poll(&mut late, Waker::noop()), Poll::Ready(Ok(7)));
    assert_eq!(
        poll(&mut late, Waker::noop()),
        Poll::Ready(Ok(7)),
        "and finds it again"
    );
}

#[test]
fn a_waiter_continues_what_a_dropped_leader_began() {
    let (control, load) = Control::new();
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let flight = Flight::new(async move {
        count.fetch_add(1, Ordering::SeqCst);
        load.await
    });
    let (mut leader, mut waiter) = (flight.join().unwrap(), flight.join().unwrap());
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    assert!(poll(&mut waiter, &waker).is_pending());
    drop(leader);
    control.finish(7);
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut waiter, &waker), Poll::Ready(Ok(7)));
    assert_eq!(started.load(Ordering::SeqCst), 1);
}

#[test]
fn a_leader_that_is_kept_but_never_polled_again_holds_up_nobody() {
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let (mut parked, mut waiter) = (flight.join().unwrap(), flight.join().unwrap());
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut parked, Waker::noop()).is_pending());
    assert!(poll(&mut waiter, &waker).is_pending());
    for round in 1..=3 {
        control.stir();
        assert_eq!(wakes.count(), round);
        assert!(poll(&mut waiter, &waker).is_pending());
        assert_eq!(control.polls(), round + 1, "the waiter polls the load");
    }
    control.finish(7);
    assert_eq!(poll(&mut waiter, &waker), Poll::Ready(Ok(7)));
    assert_eq!(poll(&mut parked, Waker::noop()), Poll::Ready(Ok(7)));
}

#[test]
fn a_load_polled_before_its_flight_goes_on_by_whoever_is_woken_or_comes() {
    for others_look in [false, true] {
        let (control, load) = Control::new();
        let mut load = Box::pin(load);
        let (wakes, waker) = Wakes::new();
        let mut cx = Context::from_waker(&waker);
        assert!(load.as_mut().poll(&mut cx).is_pending());
        let (flight, mut first) = Flight::polled(load, None, waker.clone());
        let mut second = flight.join().unwrap();
        let (others, other_waker) = Wakes::new();
        if others_look {
            assert!(poll(&mut second, &other_waker).is_pending());
            assert_eq!(control.polls(), 2, "who comes does not rely on the first");
        }
        control.finish(7);
        assert_eq!(
            (wakes.count(), others.count()),
            (1, usize::from(others_look))
        );
        assert_eq!(poll(&mut first, &waker), Poll::Ready(Ok(7)));
        assert_eq!(poll(&mut second, &other_waker), Poll::Ready(Ok(7)));
        assert_eq!(control.drops(), 1);
    }
}

#[test]
fn a_load_polled_before_its_flight_goes_with_the_first_or_stays_with_the_others() {
    let (control, load) = Control::<u8>::new();
    let (flight, first) = Flight::polled(load, None, Waker::noop().clone());
    drop(first);
    assert_eq!(control.drops(), 1);
    assert!(flight.join().is_none());
    let (control, load) = Control::new();
    let (flight, first) = Flight::polled(load, None, Waker::noop().clone());
    let mut second = flight.join().unwrap();
    drop(first);
    assert_eq!((control.drops(), flight.joined()), (0, 1));
    control.finish(7);
    assert_eq!(poll(&mut second, Waker::noop()), Poll::Ready(Ok(7)));
}

#[test]
fn a_woken_waiter_that_leaves_takes_no_wake_up_with_it() {
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let mut joins: Vec<_> = (0..3).map(|_| flight.join().unwrap()).collect();
    let wakes: Vec<_> = joins
        .iter_mut()
        .map(|join| {
            let (wakes, waker) = Wakes::new();
            assert!(poll(join, &waker).is_pending());
            wakes
        })
        .collect();
    control.finish(7);
    drop(joins.remove(0));
    drop(joins.remove(0));
    assert_eq!(wakes[2].count(), 1);
    assert_eq!(poll(&mut joins[0], Waker::noop()), Poll::Ready(Ok(7)));
}

#[test]
fn the_load_goes_with_the_last_participant() {
    let (control, load) = Control::<u8>::new();
    let flight = Flight::new(load);
    let (mut first, second) = (flight.join().unwrap(), flight.join().unwrap());
    assert!(poll(&mut first, Waker::noop()).is_pending());
    drop(first);
    assert_eq!(control.drops(), 0, "somebody still takes part, if unpolled");
    drop(second);
    assert_eq!(control.drops(), 1);
    assert!(
        flight.join().is_none(),
        "an abandoned flight cannot be joined"
    );
    assert_eq!(flight.peek(), None);
    control.stir(); // a late wake-up finds nobody
}

#[test]
fn a_load_nobody_joined_goes_with_the_last_handle() {
    let (control, load) = Control::<u8>::new();
    let flight = Flight::new(load);
    drop(flight.clone());
    assert_eq!(control.drops(), 0);
    drop(flight);
    assert_eq!(control.drops(), 1);
}

#[test]
fn a_load_that_wakes_itself_lets_the_task_go_between_two_polls() {
    let polls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&polls);
    let flight = Flight::new(poll_fn(move |cx| {
        if count.fetch_add(1, Ordering::SeqCst) == 3 {
            return Poll::Ready(7);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let (wakes, waker) = Wakes::new();
    let mut join = flight.join().unwrap();
    for round in 1..=3 {
        assert!(poll(&mut join, &waker).is_pending());
        assert_eq!(
            (polls.load(Ordering::SeqCst), wakes.count()),
            (round, round)
        );
    }
    assert_eq!(poll(&mut join, &waker), Poll::Ready(Ok(7)));
}

#[test]
fn the_waker_of_the_latest_poll_is_the_one_that_counts() {
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let (mut leader, mut waiter) = (flight.join().unwrap(), flight.join().unwrap());
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    let ((old_wakes, old), (new_wakes, new)) = (Wakes::new(), Wakes::new());
    assert!(poll(&mut waiter, &old).is_pending());
    assert!(poll(&mut waiter, &new).is_pending());
    control.finish(7);
    assert_eq!((old_wakes.count(), new_wakes.count()), (0, 1));
}

#[test]
fn threads_and_tasks_share_a_flight() {
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| flight.join().unwrap().wait()))
            .collect();
        let mut task = flight.join().unwrap();
        let (wakes, waker) = Wakes::new();
        while flight.joined() < 4 || control.polls() == 0 {
            thread::yield_now();
        }
        let pending = poll(&mut task, &waker).is_pending();
        control.finish("done");
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Ok("done"));
        }
        assert!(pending);
        assert!(wakes.count() >= 1);
        assert_eq!(poll(&mut task, &waker), Poll::Ready(Ok("done")));
    });
    assert_eq!(control.drops(), 1);
}

#[test]
fn a_blocked_thread_takes_over_from_a_task_that_is_gone() {
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let mut task = flight.join().unwrap();
    assert!(poll(&mut task, Waker::noop()).is_pending());
    thread::scope(|scope| {
        let mut join = flight.join().unwrap();
        let thread = scope.spawn(move || join.wait());
        drop(task);
        control.stir();
        control.finish(7);
        assert_eq!(thread.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_blocking_wait_with_a_limit_gives_up_and_still_takes_part() {
    let clock = ManualClock::new();
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let mut join = flight.join().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| join.wait_timeout(&clock, Duration::from_secs(5)));
        while clock.sleeping() == 0 {
            thread::yield_now();
        }
        clock.advance(Duration::from_secs(5));
        let elapsed = waiting.join().unwrap().unwrap_err();
        assert_eq!(elapsed.after, Duration::from_secs(5));
    });
    assert_eq!((flight.joined(), control.drops()), (1, 0));
    control.finish(7);
    assert_eq!(join.wait_timeout(&clock, Duration::ZERO), Ok(Ok(7)));
}

/// Keeps what it is given until the test runs it.
#[derive(Default)]
struct Later(Mutex<Vec<Task>>);

impl Spawn for Later {
    fn spawn(&self, task: Task) {
        self.0.lock().unwrap().push(task);
    }
}

impl Later {
    fn take(&self) -> Task {
        self.0.lock().unwrap().pop().expect("something was spawned")
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[test]
fn the_spawner_continues_what_the_last_participant_leaves() {
    let later = Arc::new(Later::default());
    let (control, load) = Control::new();
    let flight = Flight::with_spawner(load, Arc::clone(&later) as Arc<dyn Spawn>);
    let mut join = flight.join().unwrap();
    assert!(poll(&mut join, Waker::noop()).is_pending());
    assert_eq!(later.len(), 0, "no task while somebody polls");
    drop(join);
    let (wakes, waker) = Wakes::new();
    let mut driver = later.take();
    assert!(poll(&mut driver, &waker).is_pending());
    assert_eq!((flight.joined(), control.drops()), (1, 0));
    control.finish(7);
    assert_eq!(wakes.count(), 1);
    assert!(poll(&mut driver, &waker).is_ready());
    assert_eq!(flight.peek(), Some(Ok(7)));
    assert_eq!(control.polls(), 2, "the same load, continued");
}

#[test]
fn a_participant_may_join_what_the_spawner_continues() {
    let later = Arc::new(Later::default());
    let (control, load) = Control::new();
    let flight = Flight::with_spawner(load, Arc::clone(&later) as Arc<dyn Spawn>);
    drop(flight.join().unwrap());
    let mut driver = later.take();
    assert!(poll(&mut driver, Waker::noop()).is_pending());
    let mut join = flight.join().unwrap();
    assert!(poll(&mut join, Waker::noop()).is_pending());
    control.finish(7);
    assert_eq!(poll(&mut join, Waker::noop()), Poll::Ready(Ok(7)));
    assert!(poll(&mut driver, Waker::noop()).is_ready());
    assert_eq!(later.len(), 0);
}

#[test]
fn a_thread_leaves_polling_to_the_spawner() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let spawner: Arc<dyn Spawn> = Arc::new(move |task: Task| {
        handle.spawn(task);
    });
    // Outside of a runtime this load would panic at its first poll.
    let load = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        thread::current().name().map(str::to_owned)
    };
    let flight = Flight::with_spawner(load, spawner);
    let name = flight.join().unwrap().wait().unwrap();
    assert!(name.is_some_and(|name| name.starts_with("tokio")));
}

#[test]
fn who_left_polling_to_a_spawner_takes_over_when_it_drops_its_tasks() {
    let spawner: Arc<dyn Spawn> = Arc::new(|task: Task| drop(task));
    let flight = Flight::with_spawner(async { 7 }, Arc::clone(&spawner));
    assert_eq!(flight.join().unwrap().wait(), Ok(7));

    let later = Arc::new(Later::default());
    let (control, load) = Control::new();
    let flight = Flight::with_spawner(load, Arc::clone(&later) as Arc<dyn Spawn>);
    thread::scope(|scope| {
        let thread = scope.spawn(|| flight.join().unwrap().wait());
        while later.len() == 0 {
            thread::yield_now();
        }
        drop(later.take());
        while control.polls() == 0 {
            thread::yield_now();
        }
        control.finish(7);
        assert_eq!(thread.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_spawner_that_drops_the_last_participant_s_load_abandons_the_flight() {
    let (control, load) = Control::<u8>::new();
    let flight = Flight::with_spawner(load, Arc::new(|task: Task| drop(task)));
    drop(flight.join().unwrap());
    assert_eq!(control.drops(), 1);
    assert!(flight.join().is_none());
}

/// Where a load finds its own flight.
type Own<T> = Arc<Mutex<Option<Flight<T>>>>;

#[test]
fn a_load_that_awaits_its_own_flight_is_told_so() {
    let own: Own<Result<u8, FlightError>> = Arc::default();
    let inside = Arc::clone(&own);
    let flight = Flight::new(async move {
        let flight = inside.lock().unwrap().clone().unwrap();
        let mut join = flight.join().unwrap();
        let first = (&mut join).await;
        assert_eq!((&mut join).await, first);
        match first {
            Ok(inner) => inner,
            Err(error) => Err(error),
        }
    });
    *own.lock().unwrap() = Some(flight.clone());
    let outcome = flight.join().unwrap().wait();
    assert_eq!(outcome, Ok(Err(FlightError::Reentrant)));
    own.lock().unwrap().take();
}

#[test]
fn a_blocking_wait_for_the_own_flight_is_told_so() {
    let own: Own<bool> = Arc::default();
    let inside = Arc::clone(&own);
    let flight = Flight::new(async move {
        let flight = inside.lock().unwrap().take().unwrap();
        flight.join().unwrap().wait() == Err(FlightError::Reentrant)
    });
    *own.lock().unwrap() = Some(flight.clone());
    assert_eq!(flight.join().unwrap().wait(), Ok(true));
}

#[test]
fn two_flights_that_await_each_other_are_told_so() {
    let first: Own<u8> = Arc::default();
    let to_first = Arc::clone(&first);
    let second = Flight::new(async move {
        let first = to_first.lock().unwrap().clone().unwrap();
        first
            .join()
            .unwrap()
            .await
            .map_err(|error| error.to_string())
    });
    let flight = Flight::new(async move {
        match second.join().unwrap().await {
            Ok(Err(error)) => {
                assert_eq!(error, "the load waits for its own flight");
                1
            }
            other => panic!("not told: {other:?}"),
        }
    });
    *first.lock().unwrap() = Some(flight.clone());
    assert_eq!(flight.join().unwrap().wait(), Ok(1));
    first.lock().unwrap().take();
}

#[test]
fn a_participant_kept_inside_the_load_does_not_keep_the_load_alive() {
    let (control, load) = Control::<u8>::new();
    let own: Own<u8> = Arc::default();
    let inside = Arc::clone(&own);
    let flight = Flight::new(async move {
        let flight = inside.lock().unwrap().take().unwrap();
        let mut join = flight.join().unwrap();
        drop(flight);
        assert_eq!((&mut join).await, Err(FlightError::Reentrant));
        let value = load.await;
        drop(join);
        value
    });
    *own.lock().unwrap() = Some(flight.clone());
    let mut join = flight.join().unwrap();
    assert!(poll(&mut join, Waker::noop()).is_pending());
    drop(join);
    assert_eq!(control.drops(), 1);
}

#[test]
fn the_load_may_use_its_flight_while_it_is_polled_and_dropped() {
    struct Nosy(Own<()>);
    impl Future for Nosy {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            let flight = self.0.lock().unwrap();
            assert_eq!(flight.as_ref().unwrap().joined(), 1);
            assert_eq!(flight.as_ref().unwrap().peek(), None);
            Poll::Pending
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            let flight = self.0.lock().unwrap().take();
            assert!(flight.unwrap().join().is_none());
        }
    }
    let own = Arc::default();
    let flight = Flight::new(Nosy(Arc::clone(&own)));
    *own.lock().unwrap() = Some(flight.clone());
    let mut join = flight.join().unwrap();
    assert!(poll(&mut join, Waker::noop()).is_pending());
    drop(join);
    assert!(
        own.lock().unwrap().is_none(),
        "the load is gone, without a panic"
    );
}

#[test]
fn waiters_that_come_and_go_leave_nothing_behind() {
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let mut leader = flight.join().unwrap();
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    for _ in 0..10_000 {
        let mut passing = flight.join().unwrap();
        assert!(poll(&mut passing, &waker).is_pending());
    }
    assert_eq!(Arc::strong_count(&wakes), 2, "the count and the waker");
    control.finish(7);
    assert_eq!(wakes.count(), 0);
    assert_eq!(flight.joined(), 1);
}

#[test]
fn debug_output_tells_how_the_flight_stands() {
    let flight = Flight::new(async { 1 });
    let mut join = flight.join().unwrap();
    assert_eq!(
        format!("{flight:?}"),
        "Flight { joined: 1, landed: false, .. }"
    );
    assert_eq!(join.wait(), Ok(1));
    assert_eq!(format!("{join:?}"), "Join { landed: true, .. }");
}

#[test]
fn many_tasks_and_threads_share_many_flights() {
    const FLIGHTS: usize = 200;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let flights: Vec<_> = (0..FLIGHTS)
        .map(|number| {
            let runs = Arc::clone(&runs);
            Flight::new(async move {
                runs.fetch_add(1, Ordering::SeqCst);
                for _ in 0..number % 5 {
                    tokio::task::yield_now().await;
                }
                number
            })
        })
        .collect();
    // Every flight is held by one participant that is never polled.
    let parked: Vec<_> = flights
        .iter()
        .map(|flight| flight.join().unwrap())
        .collect();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let flights = flights.clone();
            runtime.spawn(async move {
                for (number, flight) in flights.iter().enumerate() {
                    let mut join = flight.join().unwrap();
                    let quits = (number + task) % 3 == 0;
                    if quits {
                        // Looks once and leaves, perhaps in the middle of a run.
                        poll_fn(|cx| Poll::Ready(Pin::new(&mut join).poll(cx).is_ready())).await;
                    } else {
                        assert_eq!(join.await, Ok(number));
                    }
                }
            })
        })
        .collect();
    for (number, flight) in flights.iter().enumerate() {
        assert_eq!(flight.join().unwrap().wait(), Ok(number));
    }
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    drop(parked);
    assert_eq!(runs.load(Ordering::SeqCst), FLIGHTS);
}
