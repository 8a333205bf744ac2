//! Two workers take the most urgent job first, and slow down while a gauge of ours is high.
//!
//! `cargo run -p brolly-batch --example urgent_first`

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use brolly_batch::{PriorityQueue, Reading, Throttle, Urgency};

static OPEN_FILES: AtomicU64 = AtomicU64::new(0);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let throttle = Throttle::builder()
        .source(|| Some(Reading::new(OPEN_FILES.load(Ordering::Relaxed), 100)))
        .threshold_percent(90)
        .max_wait(Duration::from_millis(50))
        .sample_interval(Duration::from_millis(10))
        .on_change(|event| println!("{:?} by {:?}", event.change, event.reading))
        .build()?;

    let queue = PriorityQueue::builder().capacity(100).build()?;
    for night in 0..3 {
        queue.push(format!("tidy up night {night}"), 7)?;
    }
    queue.push("report".to_owned(), 2)?;
    let soon = Urgency::class(2).within(Duration::from_secs(1));
    queue.push("reply".to_owned(), soon)?;
    queue.close();

    OPEN_FILES.store(95, Ordering::Relaxed);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(job) = queue.pop_blocking() {
                    // Refused is not forbidden: after the wait, the job runs all the same.
                    if let Err(refused) = throttle.admit_blocking() {
                        println!("{}: {refused}", job.item);
                    }
                    done.lock().expect("no worker panics").push(job.item);
                }
            });
        }
    });
    let done = done.into_inner()?;
    println!("in the order in which they ended: {done:?}");
    assert_eq!(done.len(), 5);
    Ok(())
}
