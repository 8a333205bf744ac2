//! Defects of the systems this one comes from; here they may not happen.

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::{CloseReason, TryAcquireError};

use crate::support::{Broken, bench, is_pending, lone, now, ready, secs};

#[test]
fn running_work_takes_one_resource_and_not_two() {
    let bench = lone(|it| it.max_size(1));
    let work = async |_: &mut crate::support::Thing| Ok::<_, Broken>(bench.pool.stats().in_use);
    assert_eq!(now(bench.pool.run(work)).unwrap(), 1);
}

#[test]
fn work_that_fails_leaks_nothing_and_counts_nothing_twice() {
    let bench = lone(|it| it.max_size(1));
    for _ in 0..5 {
        assert!(now(bench.pool.run(async |_| Err::<(), _>(Broken::Passing))).is_err());
    }
    let stats = bench.assert_conserved();
    assert_eq!((stats.in_use, stats.idle, stats.acquisitions), (0, 1, 5));
    assert_eq!((stats.hits, stats.misses), (4, 1));
}

#[test]
fn the_wait_is_the_wait_and_not_the_hold() {
    let bench = bench(|it| it.max_size(1));
    let held = bench.take();
    bench.clock.advance(secs(100));
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    bench.clock.advance(secs(2));
    drop(held);
    let guard = ready(waiting).unwrap();
    bench.clock.advance(secs(50));
    drop(guard);
    let stats = bench.pool.stats();
    assert_eq!(stats.wait.max, secs(2));
    assert_eq!(stats.hold.total, secs(152));
}

#[test]
fn everything_that_leaves_is_closed() {
    let bench = bench(|it| it.max_size(5));
    drop((0..5).map(|_| bench.take()).collect::<Vec<_>>());
    bench.pool.close();
    bench.tasks.run();
    assert_eq!(bench.plant.closed_for(CloseReason::Closed), 5);
    assert_eq!(bench.plant.live.load(SeqCst), 0);
}

#[test]
fn a_pool_that_is_full_says_how_full() {
    let bench = lone(|it| it.max_size(3));
    let _all: Vec<_> = (0..3).map(|_| bench.take()).collect();
    let error = bench.pool.try_acquire().unwrap_err();
    assert_eq!(error, TryAcquireError::Exhausted { in_use: 3, max: 3 });
    assert!(error.to_string().contains("3 of 3"));
}

#[test]
fn utilization_is_of_the_maximum_and_moves() {
    let bench = lone(|it| it.max_size(4));
    assert_eq!(bench.pool.stats().utilization, 0.0);
    let held = bench.take();
    assert_eq!(bench.pool.stats().utilization, 25.0);
    bench.clock.advance(secs(10));
    drop(held);
    bench.clock.advance(secs(10));
    // One of four for half of the time.
    let mean = bench.pool.stats().mean_utilization;
    assert!((mean - 12.5).abs() < 0.01, "{mean}");
}

#[test]
fn creating_holds_no_lock() {
    // The manager looks at the pool while it creates.
    use brolly_resource_pool::{Manager, Pool, Stats};
    use std::sync::{Mutex, OnceLock};
    struct Looks(OnceLock<Pool<Looks>>, Mutex<Option<Stats>>);
    impl Manager for Looks {
        type Resource = ();
        type Error = std::convert::Infallible;
        async fn create(&self) -> Result<(), std::convert::Infallible> {
            let stats = self.0.get().map(Pool::stats);
            *self.1.lock().unwrap() = stats;
            Ok(())
        }
    }
    let looks = Looks(OnceLock::new(), Mutex::default());
    let pool = Pool::builder(looks).max_size(1).build().unwrap();
    let _ = pool.manager().0.set(pool.clone());
    drop(now(pool.acquire()).unwrap());
    let seen = pool.manager().1.lock().unwrap().clone().unwrap();
    assert_eq!((seen.creating, seen.waiting), (1, 1));
    // The cycle ends by hand.
    pool.close();
}
