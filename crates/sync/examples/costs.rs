//! What each operation costs here and now, in nanoseconds: the least of several rounds.
//!
//! ```sh
//! cargo run --release -p brolly-sync --all-features --example costs
//! ```

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use brolly_sync::{Backoff, Clock, Flight, ManualClock, SystemClock, ThreadTimer, Timer, TimerExt};

const ROUNDS: u32 = 9;
const TIMES: u32 = 20_000;

fn measure<R>(what: &str, mut operation: impl FnMut() -> R) {
    let best = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..TIMES {
                black_box(operation());
            }
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!(
        "{what:<52} {:>8.1}",
        best.as_nanos() as f64 / f64::from(TIMES)
    );
}

/// A waker with a count of references, as tasks have.
#[derive(Default)]
struct Task(AtomicU64);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: F, waker: &Waker) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(waker))
}

/// Pending once, and woken right away.
async fn one_step() -> u64 {
    let mut stepped = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(1);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

fn main() {
    let task = Waker::from(Arc::new(Task::default()));

    let system = SystemClock::new();
    println!("coarse readings lag by up to {:?}", system.coarse_lag());
    measure("Instant::now", Instant::now);
    measure("SystemClock::now", || system.now());
    measure("SystemClock::coarse", || system.coarse());
    let manual = ManualClock::new();
    measure("ManualClock::now", || manual.now());

    let hour = Duration::from_secs(3600);
    let timer = ThreadTimer::new();
    let mut far: Vec<_> = (0..1_000)
        .map(|secs| timer.sleep(hour + Duration::from_secs(secs)))
        .collect();
    let list = |what: &str, timer: &dyn Timer| {
        measure(what, || {
            let mut sleep = timer.sleep(2 * hour);
            assert!(poll(&mut sleep, &task).is_pending());
        });
    };
    list("ThreadTimer: sleep, poll, cancel", &timer);
    for sleep in &mut far {
        assert!(poll(sleep, &task).is_pending());
    }
    list("ThreadTimer: the same among 1,000 sleepers", &timer);
    list("ManualClock: sleep, poll, cancel", &manual);
    measure("timeout around a ready future", || {
        poll(timer.timeout(hour, black_box(std::future::ready(1))), &task)
    });
    #[cfg(feature = "tokio")]
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime needs nothing here");
        let tokio_timer = brolly_sync::TokioTimer::new(runtime.handle().clone());
        measure("TokioTimer::now", || tokio_timer.now());
        list("TokioTimer: sleep, poll, cancel", &tokio_timer);
        let _inside = runtime.enter();
        measure("tokio::time::sleep, poll, cancel", || {
            poll(tokio::time::sleep(2 * hour), &task)
        });
    }

    measure("Arc and boxed future, made and dropped", || {
        (
            Arc::new([0_u64; 16]),
            Box::pin(one_step()) as std::pin::Pin<Box<dyn Future<Output = u64>>>,
        )
    });
    measure("Flight: one participant, ready at once", || {
        let flight = Flight::new(async { 1_u64 });
        poll(flight.join().expect("fresh"), &task)
    });
    measure("Flight: one participant, one step", || {
        let flight = Flight::new(one_step());
        let mut join = flight.join().expect("fresh");
        assert!(poll(&mut join, &task).is_pending());
        poll(&mut join, &task)
    });
    let landed = Flight::new(async { 1_u64 });
    let _ = landed.join().expect("fresh").wait();
    measure("Flight: join after the landing", || {
        poll(landed.join().expect("landed"), &task)
    });
    measure("Flight: 64 participants, one step, per participant", {
        let mut joins = Vec::with_capacity(64);
        let mut left = 0;
        let task = task.clone();
        move || {
            if left > 0 {
                left -= 1;
                return;
            }
            left = 63;
            let flight = Flight::new(one_step());
            joins.extend((0..64).filter_map(|_| flight.join()));
            for join in joins.iter_mut().rev() {
                let _ = poll(join, &task);
            }
            for mut join in joins.drain(..) {
                assert!(poll(&mut join, &task).is_ready());
            }
        }
    });

    let mut backoff = Backoff::builder()
        .build()
        .expect("the defaults are in range");
    measure("Backoff::next_delay, full jitter", || backoff.next_delay());
}
