//! Several at once: all or nothing, in line with everybody else.

use std::pin::pin;

use brolly_resource_pool::AcquireError;

use crate::support::{bench, is_pending, lone, now, ready};

#[test]
fn all_come_at_once_or_none() {
    let bench = bench(|it| it.max_size(4));
    let held = [bench.take(), bench.take()];
    let mut three = pin!(bench.pool.acquire_many(3));
    assert!(is_pending(three.as_mut()));
    bench.tasks.run();
    assert!(is_pending(three.as_mut()));
    drop(held);
    assert_eq!(ready(three).unwrap().len(), 3);
    assert_eq!(bench.assert_conserved().idle, 4);
}

#[test]
fn two_who_want_nearly_all_do_not_block_each_other() {
    let bench = bench(|it| it.max_size(4));
    let held: Vec<_> = (0..4).map(|_| bench.take()).collect();
    let mut first = pin!(bench.pool.acquire_many(3));
    let mut second = pin!(bench.pool.acquire_many(3));
    assert!(is_pending(first.as_mut()));
    assert!(is_pending(second.as_mut()));
    drop(held);
    let guards = ready(first).unwrap();
    assert!(is_pending(second.as_mut()));
    drop(guards);
    drop(ready(second).unwrap());
}

#[test]
fn who_wants_one_does_not_overtake_who_wants_many() {
    let bench = bench(|it| it.max_size(2));
    let held = [bench.take(), bench.take()];
    let mut many = pin!(bench.pool.acquire_many(2));
    let mut one = pin!(bench.pool.acquire());
    assert!(is_pending(many.as_mut()));
    assert!(is_pending(one.as_mut()));
    let [first, second] = held;
    drop(first);
    assert!(is_pending(one.as_mut()));
    drop(second);
    let guards = ready(many).unwrap();
    assert!(is_pending(one.as_mut()));
    drop(guards);
    drop(ready(one).unwrap());
}

#[test]
fn who_leaves_with_a_part_gives_it_back() {
    let bench = bench(|it| it.max_size(2));
    let held = [bench.take(), bench.take()];
    let mut many = Box::pin(bench.pool.acquire_many(2));
    let mut one = pin!(bench.pool.acquire());
    assert!(is_pending(many.as_mut()));
    assert!(is_pending(one.as_mut()));
    let [first, second] = held;
    drop(first);
    drop(many);
    drop(ready(one).unwrap());
    drop(second);
    assert_eq!(bench.assert_conserved().idle, 2);
}

#[test]
fn more_than_there_may_be_is_refused_and_none_is_none() {
    let bench = lone(|it| it.max_size(2));
    assert!(matches!(
        now(bench.pool.acquire_many(3)),
        Err(AcquireError::TooMany { asked: 3, max: 2 })
    ));
    assert!(now(bench.pool.acquire_many(0)).unwrap().is_empty());
    assert_eq!(now(bench.pool.acquire_many(1)).unwrap().len(), 1);
    assert_eq!(now(bench.pool.acquire_many(2)).unwrap().len(), 2);
}
