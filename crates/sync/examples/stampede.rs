//! A hundred callers want one slow value at the same time; the first of them gives up half-way.
//!
//! ```sh
//! cargo run -p brolly-sync --example stampede
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use brolly_sync::{Backoff, BackoffError, Clock, Flight, ThreadTimer, Timer, TimerExt};

fn main() -> Result<(), BackoffError> {
    let timer: Arc<dyn Timer> = Arc::new(ThreadTimer::new());
    let policy = Backoff::builder()
        .initial(Duration::from_millis(10))
        .max(Duration::from_millis(100))
        .build()?;

    // The load fails twice and takes 50 ms a time; it knows nothing of those who wait for it.
    let attempts = Arc::new(AtomicU32::new(0));
    let load = {
        let (timer, attempts, mut backoff) =
            (Arc::clone(&timer), Arc::clone(&attempts), policy.fresh());
        async move {
            loop {
                timer.sleep(Duration::from_millis(50)).await;
                if attempts.fetch_add(1, Ordering::Relaxed) == 2 {
                    return "the value";
                }
                timer.sleep(backoff.next_delay()).await;
            }
        }
    };

    let start = timer.now();
    let flight = Flight::new(load);
    let mut impatient = flight.join().expect("nobody has left yet");
    let callers: Vec<_> = (0..99)
        .map(|_| {
            let mut join = flight.join().expect("nobody has left yet");
            thread::spawn(move || join.wait())
        })
        .collect();
    let gave_up = impatient.wait_timeout(&*timer, Duration::from_millis(20));
    drop(impatient);
    println!("the first caller: {gave_up:?}");

    let served = callers
        .into_iter()
        .filter_map(|caller| caller.join().ok())
        .filter(|outcome| *outcome == Ok("the value"))
        .count();
    println!(
        "{served} callers have the value after {:.0?} and {} attempts",
        timer.now() - start,
        attempts.load(Ordering::Relaxed)
    );
    assert_eq!((served, attempts.load(Ordering::Relaxed)), (99, 3));

    // Impatience has a type.
    let never = timer.timeout_blocking(Duration::from_millis(5), std::future::pending::<()>());
    println!("a wait for nothing: {}", never.expect_err("it never ends"));
    Ok(())
}
