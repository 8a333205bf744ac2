//! Sizes that change while the pool is used.

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::CloseReason;

use crate::support::{Mode, bench, is_pending, ready};

#[test]
fn a_smaller_pool_is_smaller_at_once() {
    let bench = bench(|it| it.max_size(8));
    drop((0..8).map(|_| bench.take()).collect::<Vec<_>>());
    bench.pool.resize(0, 2).unwrap();
    bench.tasks.run();
    assert_eq!(bench.plant.live.load(SeqCst), 2);
    let _both = (bench.take(), bench.take());
    assert!(bench.pool.try_acquire().is_err());
    assert_eq!(bench.plant.closed_for(CloseReason::Surplus), 6);
}

#[test]
fn those_in_use_stay_and_leave_when_they_come_back() {
    let bench = bench(|it| it.max_size(4));
    let mut held: Vec<_> = (0..4).map(|_| bench.take()).collect();
    bench.pool.resize(0, 2).unwrap();
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    for left in [3, 2] {
        held.pop();
        bench.tasks.run();
        assert_eq!(bench.plant.live.load(SeqCst), left);
        assert!(is_pending(waiting.as_mut()));
    }
    held.pop();
    drop(ready(waiting).unwrap());
    drop(held);
    assert_eq!(bench.assert_conserved().idle, 2);
}

#[test]
fn a_larger_pool_serves_who_waits() {
    let bench = bench(|it| it.max_size(1));
    let _held = bench.take();
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    bench.pool.resize(0, 2).unwrap();
    bench.tasks.run();
    drop(ready(waiting).unwrap());
}

#[test]
fn what_is_being_made_for_a_pool_that_got_smaller_is_closed() {
    let bench = bench(|it| it.max_size(4));
    bench.plant.set_create(Mode::Gated);
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    bench.tasks.run();
    bench.pool.resize(0, 1).unwrap();
    bench.plant.open(4);
    bench.tasks.run();
    let stats = bench.assert_conserved();
    assert_eq!((stats.size, stats.in_use), (1, 1));
    for acquire in waiting {
        let mut acquire = acquire;
        drop(ready(acquire.as_mut()).unwrap());
    }
}

#[test]
fn sizes_that_make_no_sense_are_refused_and_change_nothing() {
    let bench = bench(|it| it.max_size(4));
    assert_eq!(
        bench.pool.resize(0, 0).unwrap_err().to_string(),
        "max_size is 0, allowed is 1 to 65536"
    );
    assert_eq!(
        bench.pool.resize(3, 2).unwrap_err().to_string(),
        "min_size is 3, allowed is 0 to max_size"
    );
    assert_eq!(bench.pool.stats().max, 4);
}

#[test]
fn a_pool_may_grow_beyond_the_size_it_was_built_with() {
    let bench = crate::support::lone(|it| it.max_size(1));
    bench.pool.resize(0, 1000).unwrap();
    let guards: Vec<_> = (0..1000).map(|_| bench.take()).collect();
    assert_eq!(bench.assert_conserved().in_use, 1000);
    bench.pool.resize(0, 10).unwrap();
    drop(guards);
    assert_eq!(bench.assert_conserved().size, 10);
}
