//! One bound over operations within operations: never more, no deadlock, nothing left over.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use brolly_batch::{BatchProcessor, ConfigError, Limiter, LimiterPermit, WorkerPool};
use proptest::prelude::*;

use crate::support::{self, Wakes, run, within_a_minute, yield_times};

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Counts items that run, on any thread.
#[derive(Debug, Default)]
struct Running {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Running {
    fn enter(&self) -> Leave<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        Leave(self)
    }

    fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

struct Leave<'a>(&'a Running);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Polls all until they have ended, each when it is pending after the others.
async fn join_all<F: Future<Output = ()>>(futures: impl IntoIterator<Item = F>) {
    let mut pending: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        pending.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        match pending.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let names = |result: Result<Limiter, ConfigError>| match result {
        Err(ConfigError::OutOfRange { field, value, .. }) => (field, value),
        other => panic!("{other:?}"),
    };
    assert_eq!(names(Limiter::new(0)), ("max", 0));
    assert_eq!(names(Limiter::new(1).unwrap().at_most(0)), ("at_most", 0));
}

/// A well-known way out of nested semaphores is to drop the outer one, which starts all outer
/// operations at once. Here both bounds hold, and nothing is lost by it.
#[test]
fn ten_operations_of_twenty_items_reach_a_limit_of_twenty_and_never_more() {
    let limiter = Limiter::new(20).unwrap();
    let inner = Running::default();
    let started = AtomicUsize::new(0);
    run(join_all((0..10).map(|_| {
        limiter.run(async {
            let items = (0..20).map(|_| {
                limiter.run(async {
                    let _inner = inner.enter();
                    started.fetch_add(1, Ordering::SeqCst);
                    yield_times(3).await;
                })
            });
            join_all(items).await;
        })
    })));
    assert_eq!(started.into_inner(), 200);
    assert_eq!(inner.peak(), 20);
    assert_eq!(limiter.pool().active(), 0);
}

#[test]
fn nested_runs_of_ten_and_twenty_items_reach_a_limit_of_twenty_and_never_more() {
    let limiter = Limiter::new(20).unwrap();
    let shares = |max| {
        let builder = BatchProcessor::builder().max_concurrent(max);
        builder.limiter(&limiter).build().unwrap()
    };
    let (outer, inner) = (shares(10), shares(20));
    let running = Running::default();
    let results = run(outer.map(0..10, |_| {
        let items = inner.map(0..20, |n| {
            let running = &running;
            async move {
                let _running = running.enter();
                yield_times(3).await;
                Ok::<_, ()>(n)
            }
        });
        async move { Ok::<_, ()>(items.await.len()) }
    }));
    assert_eq!(results, vec![Ok(20); 10]);
    assert_eq!(running.peak(), 20);
    assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
}

#[test]
fn nested_runs_end_with_one_permit_however_they_are_made() {
    let limiter = Limiter::new(1).unwrap();
    let processor = BatchProcessor::builder()
        .max_concurrent(8)
        .limiter(&limiter);
    let processor = processor.build().unwrap();
    let leaf = |n: u32| async move {
        yield_times(1).await;
        Ok::<_, ()>(n)
    };
    let results = run(processor.map(0..4, |_| {
        let made_in_the_item = processor.map(0..4, leaf);
        let processor = &processor;
        async move {
            let made_at_a_poll = processor.map(0..4, |_| processor.map(0..4, leaf).map_len());
            Ok::<_, ()>(made_in_the_item.await.len() + made_at_a_poll.await.len())
        }
    }));
    assert_eq!(results, vec![Ok(8); 4]);
    assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
}

/// For a run whose results matter only by their number.
trait MapLen: Future {
    async fn map_len(self) -> Result<usize, ()>;
}

impl<F: Future<Output = Vec<T>>, T> MapLen for F {
    async fn map_len(self) -> Result<usize, ()> {
        Ok(self.await.len())
    }
}

#[test]
fn nested_blocking_runs_keep_to_the_limit_and_end() {
    within_a_minute(|| {
        for max in [1, 3] {
            let limiter = Limiter::new(max).unwrap();
            let processor = BatchProcessor::builder()
                .max_concurrent(4)
                .limiter(&limiter);
            let processor = processor.build().unwrap();
            let running = Running::default();
            let results = processor.map_blocking(0..6, |_| {
                let inner = processor.map_blocking(0..6, |n| {
                    let _running = running.enter();
                    std::thread::yield_now();
                    Ok::<_, ()>(n)
                });
                Ok::<_, ()>(inner.len())
            });
            assert_eq!(results, vec![Ok(6); 6]);
            assert!(running.peak() <= max, "{}", running.peak());
            assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
        }
    });
}

#[test]
fn a_resize_takes_effect_in_a_living_run() {
    let limiter = Limiter::new(1).unwrap();
    let processor = BatchProcessor::builder()
        .max_concurrent(10)
        .limiter(&limiter);
    let processor = processor.build().unwrap();
    let (wakes, waker) = Wakes::new();
    let running = Running::default();
    let mut map = processor.map(0..10, |_| async {
        let _running = running.enter();
        std::future::pending::<Result<(), ()>>().await
    });
    for (max, peak) in [(1, 1), (4, 4), (2, 4), (6, 6)] {
        limiter.pool().resize(max).unwrap();
        assert!(support::poll(&mut map, &waker).is_pending());
        assert_eq!(running.peak(), peak);
    }
    assert!(wakes.count() >= 2, "each growth woke the run");
    drop(map);
    assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
}

#[test]
fn a_run_dropped_at_any_poll_leaves_no_permit_and_no_place_in_line() {
    for polls in 0..8 {
        let limiter = Limiter::new(2).unwrap();
        let processor = BatchProcessor::builder()
            .max_concurrent(5)
            .limiter(&limiter);
        let processor = processor.build().unwrap();
        let mut map = processor.map(0..4, |_| {
            let inner = processor.map(0..3, |n| async move {
                yield_times(1).await;
                Ok::<_, ()>(n)
            });
            async move { Ok::<_, ()>(inner.await.len()) }
        });
        for _ in 0..polls {
            if poll(&mut map).is_ready() {
                break;
            }
        }
        drop(map);
        assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
    }
}

#[test]
fn with_one_permit_nesting_three_deep_ends() {
    let limiter = Limiter::new(1).unwrap();
    let (leaves, running) = (AtomicUsize::new(0), Running::default());
    run(join_all((0..3).map(|_| {
        limiter.run(async {
            let middle = (0..3).map(|_| {
                limiter.run(async {
                    let leaf = (0..3).map(|_| {
                        limiter.run(async {
                            let _running = running.enter();
                            yield_times(2).await;
                            leaves.fetch_add(1, Ordering::SeqCst);
                        })
                    });
                    join_all(leaf).await;
                })
            });
            join_all(middle).await;
        })
    })));
    assert_eq!(leaves.into_inner(), 27);
    assert_eq!(running.peak(), 1);
    assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
}

#[test]
fn threads_nest_by_the_same_rule() {
    within_a_minute(|| {
        let limiter = Limiter::new(2).unwrap();
        let (running, done) = (Running::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    limiter.run_blocking(|| {
                        let here = limiter.here();
                        std::thread::scope(|scope| {
                            for _ in 0..4 {
                                scope.spawn(|| {
                                    here.run_blocking(|| {
                                        let _running = running.enter();
                                        std::thread::yield_now();
                                        done.fetch_add(1, Ordering::SeqCst);
                                    });
                                });
                            }
                        });
                    });
                });
            }
        });
        assert_eq!(done.into_inner(), 16);
        assert!(running.peak() <= 2);
        assert_eq!(limiter.pool().active(), 0);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_tasks_take_the_nested_limiter_along() {
    let limiter = Limiter::new(2).unwrap();
    let running = Arc::new(Running::default());
    let outer: Vec<_> = (0..8)
        .map(|_| {
            let (limiter, running) = (limiter.clone(), Arc::clone(&running));
            tokio::spawn(async move {
                let inside = limiter.clone();
                limiter
                    .run(async move {
                        let here = inside.here();
                        let inner: Vec<_> = (0..4)
                            .map(|_| {
                                let (here, running) = (here.clone(), Arc::clone(&running));
                                tokio::spawn(async move {
                                    here.run(async {
                                        let _running = running.enter();
                                        tokio::task::yield_now().await;
                                    })
                                    .await;
                                })
                            })
                            .collect();
                        for task in inner {
                            task.await.unwrap();
                        }
                    })
                    .await;
            })
        })
        .collect();
    for task in outer {
        task.await.unwrap();
    }
    assert!(running.peak() <= 2);
    assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
}

#[test]
fn the_first_nested_item_runs_on_the_permit_of_its_parent() {
    let limiter = Limiter::new(2).unwrap();
    let parent = limiter.try_acquire().unwrap();
    let first = parent.limiter().try_acquire().unwrap();
    assert_eq!(limiter.pool().active(), 1);
    let second = parent.limiter().try_acquire().unwrap();
    assert_eq!(limiter.pool().active(), 2);
    assert!(parent.limiter().try_acquire().is_none());
    drop(first);
    let third = parent.limiter().try_acquire().unwrap();
    assert_eq!(limiter.pool().active(), 2);
    drop((second, third, parent));
    assert_eq!(limiter.pool().active(), 0);
}

#[test]
fn a_nested_item_that_waits_takes_what_comes_first() {
    for (parents_loan_first, nested_deeper) in [(true, false), (false, false), (true, true)] {
        let limiter = Limiter::new(2).unwrap();
        let parent = limiter.try_acquire().unwrap();
        let other = limiter.try_acquire().unwrap();
        let loan = parent.limiter().try_acquire().unwrap();
        let inner = match nested_deeper {
            true => Some((loan.limiter(), loan.limiter().try_acquire().unwrap())),
            false => None,
        };
        let view = inner
            .as_ref()
            .map_or(parent.limiter(), |(view, _)| view.clone());
        let mut waits = view.acquire();
        assert!(poll(&mut waits).is_pending());
        if parents_loan_first {
            drop(inner);
            drop(loan);
        } else {
            drop(other);
        }
        assert!(poll(&mut waits).is_ready());
    }
}

#[test]
fn a_permit_given_up_while_its_loan_is_out_returns_after_the_loan() {
    let limiter = Limiter::new(1).unwrap();
    let parent = limiter.try_acquire().unwrap();
    let view = parent.limiter();
    let loan = view.try_acquire().unwrap();
    drop(parent);
    assert_eq!(
        limiter.pool().active(),
        1,
        "the nested item still runs on it"
    );
    assert!(limiter.try_acquire().is_none());
    drop(loan);
    assert_eq!(limiter.pool().active(), 0);
    let later = view.try_acquire().unwrap();
    assert_eq!(
        limiter.pool().active(),
        1,
        "the view is like the outer one now"
    );
    drop(later);
}

#[test]
fn a_waiter_that_was_handed_a_loan_and_dropped_returns_it_even_after_the_parent() {
    for parent_first in [true, false] {
        let limiter = Limiter::new(1).unwrap();
        let parent = limiter.try_acquire().unwrap();
        let view = parent.limiter();
        let loan = view.try_acquire().unwrap();
        let mut waits = view.acquire();
        assert!(poll(&mut waits).is_pending());
        drop(loan); // handed to the waiter, which has not looked yet
        if parent_first {
            drop(parent);
            drop(waits);
        } else {
            drop(waits);
            drop(parent);
        }
        assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
    }
}

#[test]
fn an_acquire_dropped_at_any_poll_leaves_nothing_behind() {
    for polls in 0..3 {
        for hand_over in [false, true] {
            for narrowed in [false, true] {
                let limiter = Limiter::new(1).unwrap();
                let parent = limiter.try_acquire().unwrap();
                let view = match narrowed {
                    true => parent.limiter().at_most(1).unwrap(),
                    false => parent.limiter(),
                };
                let loan = view.try_acquire().unwrap();
                let mut waits = view.acquire();
                for _ in 0..polls {
                    assert!(poll(&mut waits).is_pending());
                }
                if hand_over {
                    drop(loan);
                    drop(waits);
                } else {
                    drop(waits);
                    drop(loan);
                }
                assert_eq!(limiter.pool().waiting(), 0);
                let again = view.try_acquire().unwrap();
                drop((again, parent));
                assert_eq!(limiter.pool().active(), 0);
            }
        }
    }
}

#[test]
fn a_narrowed_limiter_holds_both_bounds() {
    let limiter = Limiter::new(3).unwrap();
    let narrow = limiter.at_most(2).unwrap();
    assert_eq!((limiter.bound(), narrow.bound()), (3, 2));
    assert_eq!(narrow.at_most(5).unwrap().bound(), 2);
    let first = narrow.try_acquire().unwrap();
    let second = narrow.try_acquire().unwrap();
    assert!(narrow.try_acquire().is_none());
    assert_eq!(limiter.pool().active(), 2, "a refusal keeps nothing");
    let outer = limiter.try_acquire().unwrap();
    drop(first);
    let third = narrow.try_acquire().unwrap();
    assert!(limiter.try_acquire().is_none());
    drop((outer, second, third));
    assert_eq!(limiter.pool().active(), 0);
}

#[test]
fn those_who_wait_for_the_inner_bound_hold_none_of_the_outer() {
    let limiter = Limiter::new(4).unwrap();
    let narrow = limiter.at_most(1).unwrap();
    let held = narrow.try_acquire().unwrap();
    let mut waits: Vec<_> = (0..3).map(|_| narrow.acquire()).collect();
    assert!(waits.iter_mut().all(|wait| poll(wait).is_pending()));
    assert_eq!(limiter.pool().active(), 1);
    drop(held);
    assert!(poll(&mut waits[0]).is_ready());
}

/// The outer items hold all permits and want the narrow bound; those that come from outside have
/// the narrow bound and want permits.
#[test]
fn a_narrowed_limiter_inside_and_outside_of_items_cannot_deadlock() {
    let limiter = Limiter::new(2).unwrap();
    let narrow = limiter.at_most(1).unwrap();
    let (done, running) = (AtomicUsize::new(0), Running::default());
    let from_outside = |_| {
        narrow.run(async {
            let _running = running.enter();
            yield_times(1).await;
            done.fetch_add(1, Ordering::SeqCst);
        })
    };
    let inside = |_| {
        limiter.run(async {
            yield_times(2).await;
            join_all((0..3).map(from_outside)).await;
        })
    };
    run(async {
        let both: [Pin<Box<dyn Future<Output = ()> + '_>>; 2] = [
            Box::pin(join_all((0..4).map(inside))),
            Box::pin(join_all((0..4).map(from_outside))),
        ];
        join_all(both).await;
    });
    assert_eq!(done.into_inner(), 16);
    assert_eq!(running.peak(), 1);
    assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
}

#[test]
fn a_panic_in_an_item_leaves_its_thread_and_its_permits_clean() {
    let limiter = Limiter::new(1).unwrap();
    let item = std::panic::AssertUnwindSafe(|| {
        limiter.run_blocking(|| limiter.run_blocking(|| panic!("on purpose")))
    });
    assert!(std::panic::catch_unwind(item).is_err());
    assert_eq!(limiter.pool().active(), 0);
    let held = limiter.try_acquire().unwrap();
    assert!(limiter.try_acquire().is_none(), "nothing nests by mistake");
    drop(held);
}

#[test]
fn items_of_another_limiter_in_between_do_not_hide_the_permit() {
    let (one, other) = (Limiter::new(1).unwrap(), Limiter::new(1).unwrap());
    let answer = one.run_blocking(|| other.run_blocking(|| one.run_blocking(|| 42)));
    assert_eq!(answer, 42);
}

#[test]
fn a_resize_takes_effect_in_running_operations() {
    let pool = WorkerPool::new(1).unwrap();
    let limiter = Limiter::from(pool.clone());
    let first = limiter.try_acquire().unwrap();
    let mut second = limiter.acquire();
    assert!(poll(&mut second).is_pending());
    pool.resize(2).unwrap();
    let Poll::Ready(second) = poll(&mut second) else {
        panic!("served by the resize");
    };
    pool.resize(1).unwrap();
    drop(first);
    assert!(limiter.try_acquire().is_none());
    drop(second);
    assert!(limiter.try_acquire().is_some());
}

#[derive(Clone, Debug)]
enum Op {
    Acquire(usize),
    Poll(usize),
    Abandon(usize),
    Release(usize),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// A tree of permits, each acquired at the root or under another one, released in any order.
    /// An item is a leaf if nothing that is held was acquired below it: leaves are what runs.
    #[test]
    fn however_items_nest_the_leaves_never_exceed_the_limit(
        max in 1_usize..4,
        ops in prop::collection::vec(prop_oneof![
            3 => any::<usize>().prop_map(Op::Acquire),
            3 => any::<usize>().prop_map(Op::Poll),
            1 => any::<usize>().prop_map(Op::Abandon),
            2 => any::<usize>().prop_map(Op::Release),
        ], 0..80),
    ) {
        let limiter = Limiter::new(max).unwrap();
        // Each with the names of all that it was acquired below, and its own name last.
        let mut held: Vec<(Vec<usize>, LimiterPermit)> = Vec::new();
        let mut waits = Vec::new();
        let mut names = 0..;
        for op in ops {
            match op {
                Op::Acquire(under) => {
                    let parent = under % (held.len() + 1);
                    let (mut path, view) = match held.get(parent) {
                        Some((path, permit)) => (path.clone(), permit.limiter()),
                        None => (Vec::new(), limiter.clone()),
                    };
                    path.extend(names.next());
                    waits.push((path, view.acquire()));
                }
                Op::Poll(which) if !waits.is_empty() => {
                    let which = which % waits.len();
                    if let Poll::Ready(permit) = poll(&mut waits[which].1) {
                        let (path, _) = waits.swap_remove(which);
                        held.push((path, permit));
                    }
                }
                Op::Abandon(which) if !waits.is_empty() => {
                    drop(waits.swap_remove(which % waits.len()));
                }
                Op::Release(which) if !held.is_empty() => {
                    drop(held.swap_remove(which % held.len()));
                }
                Op::Poll(_) | Op::Abandon(_) | Op::Release(_) => {}
            }
            let leaves = (0..held.len()).filter(|&item| is_leaf(&held, item)).count();
            prop_assert!(leaves <= max, "{leaves} leaves");
            prop_assert!(limiter.pool().active() <= max);
        }
        // Whoever still waits is served in the end, because leaves give back what they hold.
        for _ in 0..2 * (waits.len() + held.len()) + 2 {
            while let Some(leaf) = (0..held.len()).find(|&item| is_leaf(&held, item)) {
                drop(held.swap_remove(leaf));
            }
            waits.retain_mut(|(_, wait)| poll(wait).is_pending());
        }
        prop_assert_eq!(waits.len(), 0);
        prop_assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
    }
}

fn is_leaf(held: &[(Vec<usize>, LimiterPermit)], item: usize) -> bool {
    let name = held[item].0.last();
    held.iter()
        .filter(|(path, _)| path.iter().any(|above| Some(above) == name))
        .count()
        == 1
}

#[test]
fn counting_items_on_a_view_of_a_view_finds_them_in_one_pool() {
    let limiter = Limiter::new(3).unwrap();
    let log = Mutex::new(Vec::new());
    limiter.run_blocking(|| {
        let here = limiter.here();
        let again = here.here();
        let first = again.try_acquire().unwrap();
        log.lock().unwrap().push(limiter.pool().active());
        let second = here.try_acquire().unwrap();
        log.lock().unwrap().push(limiter.pool().active());
        drop((first, second));
    });
    assert_eq!(log.into_inner().unwrap(), [1, 2]);
}

#[test]
fn a_future_made_outside_of_the_item_that_polls_it_nests_there() {
    let limiter = Limiter::new(1).unwrap();
    let inner = limiter.run(async { 42 });
    assert_eq!(run(limiter.run(inner)), 42);

    let ready_made = limiter.acquire();
    run(limiter.run(async {
        let nested = ready_made.await;
        assert_eq!(limiter.pool().active(), 1);
        drop(nested);
    }));
    assert_eq!(limiter.pool().active(), 0);
}

/// Each starts the next one, and ends when that one has begun: as pages that name the next page.
/// Neither the places in line nor the permits of all before it may be kept for the one that runs.
#[test]
fn a_line_of_successors_carries_nothing_of_those_that_have_ended() {
    within_a_minute(|| {
        let limiter = Limiter::new(2).unwrap();
        let mut last = limiter.try_acquire().unwrap();
        for _ in 0..20_000 {
            last = last.limiter().try_acquire().expect("its loan is free");
        }
        assert_eq!(limiter.pool().active(), 1, "all on the permit of the first");
        let beside = limiter.try_acquire().expect("the other one is free");
        assert!(limiter.try_acquire().is_none());
        drop(beside);
        drop(last);
        assert_eq!(limiter.pool().active(), 0);
    });
}

#[test]
fn successors_through_a_narrowed_limiter_stay_counted_in_it() {
    let limiter = Limiter::new(3).unwrap();
    let narrow = limiter.at_most(1).unwrap();
    let mut last = narrow.try_acquire().unwrap();
    for _ in 0..100 {
        last = last.limiter().try_acquire().expect("its loan is free");
        assert!(narrow.try_acquire().is_none());
        assert_eq!(limiter.pool().active(), 1);
    }
    drop(last);
    assert_eq!(limiter.pool().active(), 0);
    assert!(narrow.try_acquire().is_some());
}

/// The run in between has no limiter, so its threads hold no permits of their own.
#[test]
fn threads_of_a_blocking_run_within_an_item_nest_under_it() {
    within_a_minute(|| {
        let limiter = Limiter::new(1).unwrap();
        let processor = support::processor(4);
        let results = limiter.run_blocking(|| {
            processor.map_blocking(0..20, |n| {
                std::thread::yield_now();
                Ok::<_, ()>(limiter.run_blocking(|| n))
            })
        });
        assert!(results.into_iter().map(Result::unwrap).eq(0..20));
        assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
    });
}

#[cfg(feature = "tokio")]
#[test]
fn functions_on_the_blocking_pool_nest_under_their_items() {
    within_a_minute(|| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        let limiter = Limiter::new(1).unwrap();
        let processor = BatchProcessor::builder().limiter(&limiter);
        let processor = processor.build().unwrap();
        let inside = limiter.clone();
        let map =
            processor.map_on_blocking_pool(0..5, move |n| Ok::<_, ()>(inside.run_blocking(|| n)));
        let results = runtime.block_on(map);
        assert!(results.into_iter().map(Result::unwrap).eq(0..5));
        assert_eq!((limiter.pool().active(), limiter.pool().waiting()), (0, 0));
    });
}

#[test]
fn items_may_be_nested_thousands_deep() {
    within_a_minute(|| {
        let limiter = Limiter::new(1).unwrap();
        let mut permits = vec![limiter.try_acquire().unwrap()];
        for deep in 0..3_000 {
            let nested = permits[deep].limiter().try_acquire();
            permits.push(nested.expect("its loan is free"));
        }
        assert_eq!(limiter.pool().active(), 1);
        while permits.pop().is_some() {} // the innermost first
        assert_eq!(limiter.pool().active(), 0);
    });
}
