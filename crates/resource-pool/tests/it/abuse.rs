//! Whatever callers, managers, runtimes and clocks do: the pool stays whole.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use brolly_resource_pool::{Check, OnCreateError, Pool};
use brolly_sync::{Clock, ManualClock};
use proptest::prelude::*;

use crate::support::{
    Bench, Factory, Fixed, Mode, Plant, Tasks, bench, lone, look, ms, secs, until,
};

type Left<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
type Begun = for<'a> fn(&'a Pool<Factory>) -> Left<'a>;

/// Every public future of a pool.
const FUTURES: [(&str, Begun); 11] = [
    ("acquire", |it| Box::pin(async { drop(it.acquire().await) })),
    ("acquire_timeout", |it| {
        Box::pin(async { drop(it.acquire_timeout(secs(3)).await) })
    }),
    ("acquire_owned", |it| {
        Box::pin(async { drop(it.acquire_owned().await) })
    }),
    ("acquire_owned_timeout", |it| {
        Box::pin(async { drop(it.acquire_owned_timeout(secs(3)).await) })
    }),
    ("acquire_many", |it| {
        Box::pin(async { drop(it.acquire_many(2).await) })
    }),
    ("run", |it| {
        let pause = async |_: &mut _| {
            pause().await;
            Ok(())
        };
        Box::pin(async move { drop(it.run(pause).await) })
    }),
    ("with", |it| {
        Box::pin(async { drop(it.with(async |_| pause().await).await) })
    }),
    ("warm_up", |it| Box::pin(async { drop(it.warm_up().await) })),
    ("maintain", |it| {
        Box::pin(async {
            let _ = it.maintain().await;
        })
    }),
    ("check", |it| {
        Box::pin(async { drop(it.check(secs(20)).await) })
    }),
    ("drain", |it| {
        Box::pin(async { drop(it.drain(secs(20)).await) })
    }),
];

/// Ready at the second look.
async fn pause() {
    let mut has_paused = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut has_paused, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// Leaves a future after so many looks, with creations and checks that do as they are told, and asks
/// whether the pool is whole.
fn leave(name: &str, begin: Begun, looks: usize, has_spawner: bool, mode: Mode) -> bool {
    let settings = |it: Fixed| {
        let it = it.max_size(2).min_size(2).check(Check::Always);
        it.acquire_timeout(secs(10)).health_interval(secs(1))
    };
    let bench = match has_spawner {
        true => bench(settings),
        false => lone(settings),
    };
    drop(bench.take());
    bench.clock.advance(secs(2));
    bench.plant.set_check(mode);
    bench.plant.set_create(mode);
    let mut has_ended = false;
    {
        let mut future = begin(&bench.pool);
        for looked in 0..looks {
            if look(future.as_mut()).is_ready() {
                has_ended = true;
                break;
            }
            match looked % 3 {
                0 => bench.tasks.run(),
                // One for the janitor, which checks at every turn.
                1 => bench.plant.open(2),
                _ => bench.clock.advance(secs(1)),
            }
        }
    }
    bench.plant.set_check(Mode::Ready);
    bench.plant.set_create(Mode::Ready);
    bench.plant.open(10);
    bench.pass(secs(60));
    let stats = bench.assert_conserved();
    let what = format!("{name} after {looks} looks, {mode:?}: {stats:?}");
    assert_eq!((stats.waiting, stats.in_use), (0, 0), "{what}");
    assert_eq!((stats.creating, stats.reserved), (0, 0), "{what}");
    if bench.pool.is_closed() {
        assert_eq!(stats.size, 0, "{what}");
    } else {
        let guards = [bench.take(), bench.take()];
        assert!(bench.pool.try_acquire().is_err());
        drop(guards);
    }
    assert!(bench.plant.most_live.load(SeqCst) <= 2);
    has_ended
}

#[test]
fn every_future_may_be_left_at_every_look() {
    for (name, begin) in FUTURES {
        for has_spawner in [true, false] {
            for mode in [
                Mode::Ready,
                Mode::Gated,
                Mode::Fail,
                Mode::Panic,
                Mode::Hang,
            ] {
                for looks in 0..8 {
                    leave(name, begin, looks, has_spawner, mode);
                }
            }
            assert!(
                leave(name, begin, 20, has_spawner, Mode::Gated),
                "{name} {has_spawner}"
            );
        }
    }
}

#[test]
fn however_a_manager_fails_for_ever_it_is_asked_twenty_times_at_most() {
    for mode in [Mode::Fail, Mode::FailForGood, Mode::Panic, Mode::Hang] {
        for policy in [OnCreateError::FailFast, OnCreateError::RetryUntilDeadline] {
            let bench = bench(|it| {
                let it = it.max_size(16).create_timeout(ms(5));
                it.on_create_error(policy).create_concurrency(4)
            });
            bench.plant.set_create(mode);
            let mut waiting: Vec<_> = (0..32).map(|_| Box::pin(bench.pool.acquire())).collect();
            for _ in 0..1500 {
                for acquire in &mut waiting {
                    if look(acquire.as_mut()).is_ready() {
                        *acquire = Box::pin(bench.pool.acquire());
                    }
                }
                bench.pass(ms(1));
            }
            let attempts = bench.plant.attempts.load(SeqCst);
            assert!(
                (2..=20).contains(&attempts),
                "{mode:?} {policy:?}: {attempts}"
            );
        }
    }
}

#[test]
fn a_guard_goes_back_on_a_thread_without_a_runtime_and_serves_who_waits() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let pool = Pool::builder(Factory::new()).max_size(1).build().unwrap();
    let held = runtime.block_on(pool.acquire_owned()).unwrap();
    let waiting = pool.clone();
    let waiter = runtime.spawn(async move { waiting.acquire_owned().await.map(|it| it.id) });
    until("it waits", || pool.stats().waiting == 1);
    thread::spawn(move || drop(held)).join().unwrap();
    assert_eq!(runtime.block_on(waiter).unwrap().unwrap(), 0);
}

#[cfg(feature = "tokio")]
#[test]
fn a_guard_goes_back_on_another_runtime_and_after_its_own_has_ended() {
    use brolly_resource_pool::{AcquireError, CreateError};

    let build = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let (first, second) = (build(), build());
    let pool = first.block_on(async {
        let builder = Pool::builder(Factory::new()).max_size(2).min_size(0);
        builder.build().unwrap()
    });
    let held = first.block_on(pool.acquire_owned()).unwrap();
    second.block_on(async { drop(held) });
    let held = second.block_on(pool.acquire_owned()).unwrap();
    drop(first);
    drop(held);
    // What is there can be had without the runtime that made it.
    let held = second.block_on(pool.acquire_owned()).unwrap();
    assert_eq!(held.id, 0);
    // What would have to be made there is an error, and no wait without end.
    let error = second.block_on(pool.acquire_owned()).unwrap_err();
    assert!(
        matches!(error, AcquireError::Create(CreateError::Dropped)),
        "{error:?}"
    );
    brolly_resource_pool::Guard::<'_, Factory>::discard(second.block_on(async {
        drop(held);
        pool.acquire().await.unwrap()
    }));
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn a_guard_that_never_goes_back_blocks_neither_the_rest_nor_the_end() {
    let bench = bench(|it| it.max_size(2));
    std::mem::forget(bench.take());
    drop(bench.take());
    let mut drain = Box::pin(bench.pool.drain(secs(5)));
    assert!(look(drain.as_mut()).is_pending());
    bench.pass(secs(5));
    let report = crate::support::ready(drain.as_mut());
    assert_eq!(report.left.len(), 1);
    assert_eq!(bench.plant.live.load(SeqCst), 1);
}

/// A clock that breaks every promise of clocks.
#[derive(Clone, Debug, Default)]
struct Wild(Arc<AtomicU64>);

impl Clock for Wild {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(SeqCst))
    }
}

/// A pool whose ages are taken from a wild clock, and its waits from a tame one.
fn wild(settings: impl FnOnce(Fixed) -> Fixed) -> (Bench, Wild) {
    let (factory, tasks) = (Factory::new(), Tasks::default());
    let (wild, clock) = (Wild::default(), ManualClock::new());
    let plant: Arc<Plant> = Arc::clone(&factory.0);
    let builder = Pool::builder(factory).clock(wild.clone());
    let builder = builder.timer(clock.clone()).spawner(tasks.clone());
    let pool = settings(builder).build().unwrap();
    let bench = Bench {
        pool,
        plant,
        tasks,
        clock,
    };
    (bench, wild)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_clock_that_jumps_to_and_fro_breaks_nothing(
        jumps in prop::collection::vec((any::<u64>(), 0..64_u32, 0..6_u8), 1..40),
    ) {
        let events = Arc::new(Mutex::new(0_usize));
        let told = Arc::clone(&events);
        let (bench, clock) = wild(|it| {
            let it = it.max_size(3).min_size(1).min_idle(1).leak_after(secs(1));
            let it = it.lease_timeout(secs(100)).max_lifetime(secs(50)).idle_timeout(secs(20));
            it.health_interval(secs(5)).on_event(move |_| *told.lock().unwrap() += 1)
        });
        let mut held = Vec::new();
        for (reading, shift, op) in jumps {
            clock.0.store(reading >> shift, SeqCst);
            match op {
                0 | 1 => held.extend(bench.pool.try_acquire().ok()),
                2 => drop(held.pop()),
                3 => bench.pool.reset(),
                4 => drop(look(Box::pin(bench.pool.maintain()).as_mut())),
                _ => drop(look(Box::pin(bench.pool.warm_up()).as_mut())),
            }
            bench.tasks.run();
            bench.clock.advance(secs(1));
            bench.tasks.run();
            let stats = bench.assert_conserved();
            prop_assert!(stats.utilization.is_finite() && stats.mean_utilization >= 0.0);
            let demand = bench.pool.demand();
            prop_assert!(demand.offered_load() >= 0.0, "{demand:?}");
            let _ = (bench.pool.holders(), bench.pool.leaks(secs(1)));
        }
        drop(held);
        bench.pass(secs(20));
        let stats = bench.assert_conserved();
        prop_assert_eq!((stats.in_use, stats.waiting), (0, 0));
    }
}
