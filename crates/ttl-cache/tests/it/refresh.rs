//! Values served while they are loaded anew: ahead of their end, past it, and in the place of a failure.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use brolly_sync::{ManualClock, Task};
use brolly_ttl_cache::{Cache, CacheBuilder, LoadError};

use crate::load::{Gate, block_on, clock, pending, poll, ready};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Runs in the background what a test lets run.
#[derive(Clone, Default)]
struct Background(Arc<Mutex<Vec<Task>>>);

impl Background {
    fn spawner(&self) -> impl Fn(Task) + Send + Sync + use<> {
        let tasks = Arc::clone(&self.0);
        move |task| tasks.lock().expect("nobody panics under it").push(task)
    }

    fn len(&self) -> usize {
        self.0.lock().expect("nobody panics under it").len()
    }

    /// Polls every task once.
    fn run(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().expect("nobody panics under it"));
        let mut cx = Context::from_waker(Waker::noop());
        let pending = |task: &mut Task| task.as_mut().poll(&mut cx).is_pending();
        let mut tasks = tasks;
        tasks.retain_mut(pending);
        self.0.lock().expect("nobody panics under it").extend(tasks);
    }
}

fn builder(clock: &ManualClock) -> CacheBuilder<u8, u32> {
    Cache::builder()
        .clock(clock.clone())
        .time_to_live(secs(100))
}

/// A cache whose entries live for 100 seconds, with a value of 10 for key 1 that is so old.
fn aged(
    age: Duration,
    clock: &ManualClock,
    rules: impl FnOnce(CacheBuilder<u8, u32>) -> CacheBuilder<u8, u32>,
) -> Cache<u8, u32> {
    let cache = rules(builder(clock)).build().expect("all of it is allowed");
    cache.insert(1, 10);
    clock.advance(age);
    cache
}

/// What a task is served at once.
fn served<S>(cache: &Cache<u8, u32, S>, key: u8, gate: &Arc<Gate<u32>>) -> u32
where
    S: BuildHasher + Send + Sync + 'static,
{
    let mut reader = Box::pin(cache.get_with(key, gate.loader()));
    ready(poll(&mut reader)).expect("it is served")
}

#[test]
fn a_stale_value_is_served_to_all_while_one_refresh_runs() {
    let (clock, background, gate) = (clock(), Background::default(), Gate::new());
    let cache = aged(secs(120), &clock, |rules| {
        rules
            .stale_while_revalidate(secs(50))
            .spawner(background.spawner())
    });
    for _ in 0..64 {
        assert_eq!(served(&cache, 1, &gate), 10, "nobody is held up");
    }
    assert_eq!(cache.get(&1), None, "only loading callers are given it");
    assert_eq!((gate.runs(), background.len()), (1, 1));
    background.run();
    gate.open(11);
    background.run();
    assert_eq!(background.len(), 0);
    assert_eq!(cache.get(&1), Some(11));
    let stats = cache.stats().loads;
    assert_eq!(
        (stats.refreshes, stats.stale_served, stats.started),
        (1, 64, 1)
    );
    // Its time to live counts from the refresh.
    clock.advance(secs(99));
    assert_eq!(cache.get(&1), Some(11));
}

#[test]
fn past_its_window_a_stale_value_is_not_served() {
    let (clock, background) = (clock(), Background::default());
    let cache = aged(secs(151), &clock, |rules| {
        rules
            .stale_while_revalidate(secs(50))
            .spawner(background.spawner())
    });
    assert_eq!(block_on(cache.get_with(1, || async { 11 })).unwrap(), 11);
    assert_eq!(background.len(), 0);
}

#[test]
fn without_a_spawner_one_caller_sees_to_the_refresh_and_the_others_are_served() {
    let (clock, gate) = (clock(), Gate::new());
    let cache = aged(secs(120), &clock, |rules| {
        rules.stale_while_revalidate(secs(50))
    });
    let mut first = pending(cache.get_with(1, gate.loader()));
    for _ in 0..63 {
        assert_eq!(served(&cache, 1, &gate), 10);
        assert_eq!(cache.get_blocking(1, || unreachable!()).unwrap(), 10);
    }
    gate.open(11);
    assert_eq!(ready(poll(&mut first)).unwrap(), 11);
    assert_eq!(cache.get(&1), Some(11));
    assert_eq!(gate.runs(), 1);
}

#[test]
fn a_thread_that_refreshes_does_so_itself_while_others_are_served() {
    let clock = clock();
    let cache = aged(secs(120), &clock, |rules| {
        rules.stale_while_revalidate(secs(50))
    });
    let (inside, go_on) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let refreshes = scope.spawn(|| {
            let load = || {
                inside.wait();
                go_on.wait();
                11
            };
            cache.get_blocking(1, load)
        });
        inside.wait();
        assert_eq!(cache.get_blocking(1, || unreachable!()).unwrap(), 10);
        assert_eq!(served(&cache, 1, &Gate::new()), 10);
        go_on.wait();
        assert_eq!(refreshes.join().unwrap().unwrap(), 11);
    });
}

#[test]
fn a_refresh_that_fails_is_not_tried_again_at_once() {
    let clock = clock();
    let cache = aged(secs(110), &clock, |rules| {
        rules.stale_while_revalidate(secs(80))
    });
    let runs = AtomicUsize::new(0);
    let ask = || {
        let load = || {
            runs.fetch_add(1, Ordering::SeqCst);
            Err::<u32, _>("down")
        };
        cache.try_get_blocking(1, load)
    };
    for _ in 0..10 {
        assert_eq!(ask().unwrap(), 10);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    clock.advance(secs(1));
    assert_eq!(ask().unwrap(), 10);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    clock.advance(secs(80));
    assert_eq!(ask().unwrap_err().failure(), Some(&"down"));
}

#[test]
fn a_value_is_loaded_anew_ahead_of_its_end_behind_the_hits() {
    let (clock, background, gate) = (clock(), Background::default(), Gate::new());
    let cache = aged(secs(79), &clock, |rules| {
        rules.refresh_after(secs(80)).spawner(background.spawner())
    });
    let get = || served(&cache, 1, &gate);
    assert_eq!(get(), 10);
    assert_eq!(gate.runs(), 0);
    clock.advance(secs(1));
    for _ in 0..64 {
        assert_eq!(get(), 10);
    }
    assert_eq!((gate.runs(), background.len()), (1, 1));
    assert_eq!(cache.get(&1), Some(10));
    background.run();
    gate.open(11);
    background.run();
    assert_eq!(get(), 11);
    let stats = cache.stats();
    assert_eq!(
        (
            stats.loads.refreshes,
            stats.loads.stale_served,
            stats.misses
        ),
        (1, 0, 0)
    );
    clock.advance(secs(79));
    assert_eq!(get(), 11);
    assert_eq!(gate.runs(), 1);
}

#[test]
fn refreshing_ahead_needs_a_spawner() {
    let builder = Cache::<u8, u8>::builder;
    let fields = [
        (builder().refresh_after(secs(1)), "refresh_after"),
        (builder().refresh_early(1.0), "refresh_early"),
    ];
    for (builder, field) in fields {
        assert_eq!(builder.build().unwrap_err().field, field);
    }
}

#[test]
fn how_eagerly_values_are_refreshed_is_a_positive_number() {
    for eagerness in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let builder = Cache::<u8, u8>::builder().refresh_early(eagerness);
        assert_eq!(builder.build().unwrap_err().field, "refresh_early");
    }
}

/// Loads take ten seconds here; 200 keys are asked for once, so long before their end. Chance goes by
/// hash and clock, and both are given.
fn refreshed_early(left: Duration) -> usize {
    let (clock, background) = (clock(), Background::default());
    let cache = builder(&clock)
        .refresh_early(1.0)
        .spawner(background.spawner())
        .hasher(BuildHasherDefault::<DefaultHasher>::new())
        .build()
        .expect("all of it is allowed");
    let load = || {
        clock.advance(secs(10));
        0
    };
    assert!(cache.get_blocking(0, load).is_ok());
    for key in 1..=200 {
        cache.insert(key, 10);
    }
    clock.advance(secs(100) - left);
    let gate = Gate::new();
    for key in 1..=200 {
        assert_eq!(served(&cache, key, &gate), 10, "nobody is held up");
    }
    assert_eq!((gate.runs(), cache.stats().misses), (background.len(), 1));
    // One refresh of a key at a time.
    let runs = gate.runs();
    background.run();
    gate.open(11);
    background.run();
    let fresh = (1..=200).filter(|key| cache.get(key) == Some(11));
    assert_eq!(fresh.count(), runs);
    runs
}

/// Expected are 200 times exp(-left / 10 s); what is allowed is five standard deviations off.
#[test]
fn the_nearer_its_end_the_likelier_a_value_is_loaded_ahead_of_it() {
    assert!(refreshed_early(secs(99)) <= 2);
    let (early, middle, late) = (
        refreshed_early(secs(30)),
        refreshed_early(secs(10)),
        refreshed_early(secs(1)),
    );
    assert!((1..=25).contains(&early), "{early} of about 10");
    assert!((40..=108).contains(&middle), "{middle} of about 74");
    assert!((160..=200).contains(&late), "{late} of about 181");
}

#[test]
fn a_refresh_never_brings_back_what_was_invalidated_meanwhile() {
    type Write = fn(&Cache<u8, u32>);
    let writes: [(Write, _); 2] = [
        (|cache| cache.invalidate(&1), None),
        (|cache| _ = cache.insert(1, 22), Some(22)),
    ];
    for (write, after) in writes {
        let (clock, background, gate) = (clock(), Background::default(), Gate::new());
        let cache = aged(secs(90), &clock, |rules| {
            rules.refresh_after(secs(80)).spawner(background.spawner())
        });
        assert_eq!(served(&cache, 1, &gate), 10);
        background.run();
        write(&cache);
        gate.open(11);
        background.run();
        assert_eq!(cache.get(&1), after);
        assert_eq!(cache.stats().loads.superseded, 1);
    }
}

#[test]
fn a_stale_value_is_served_if_its_load_fails_panics_or_takes_too_long() {
    let clock = clock();
    let cache = aged(secs(110), &clock, |rules| {
        rules
            .stale_if_error(secs(50))
            .timer(clock.clone())
            .load_timeout(secs(5))
    });
    let fails = || async { Err::<u32, _>("down") };
    assert_eq!(block_on(cache.try_get_with(1, fails)).unwrap(), 10);
    assert_eq!(
        cache.try_get_blocking(1, || Err::<u32, _>("down")).unwrap(),
        10
    );
    assert_eq!(cache.get_blocking(1, || panic!("down")).unwrap(), 10);
    let panics = || async { panic!("down") };
    assert_eq!(block_on(cache.get_with(1, panics)).unwrap(), 10);
    let gate = Gate::new();
    let mut slow = Box::pin(cache.get_with(1, gate.loader()));
    assert!(
        poll(&mut slow).is_pending(),
        "it is not served before the load has failed"
    );
    clock.advance(secs(5));
    assert_eq!(ready(poll(&mut slow)).unwrap(), 10);
    assert_eq!(cache.get(&1), None);
    assert_eq!(cache.stats().loads.stale_served, 5);
    // A load that succeeds is preferred, and past the time an error is an error.
    clock.advance(secs(36));
    assert_eq!(
        block_on(cache.try_get_with(1, fails))
            .unwrap_err()
            .failure(),
        Some(&"down")
    );
    assert_eq!(block_on(cache.get_with(1, || async { 11 })).unwrap(), 11);
}

#[test]
fn a_value_invalidated_while_its_load_fails_is_not_served() {
    let (clock, gate) = (clock(), Gate::new());
    let cache = aged(secs(110), &clock, |rules| rules.stale_if_error(secs(50)));
    let mut get = pending(cache.try_get_with(1, gate.loader()));
    cache.invalidate(&1);
    gate.open(Err::<u32, _>("down"));
    assert!(matches!(ready(poll(&mut get)), Err(LoadError::Failed(_))));
}

#[test]
fn a_kept_error_gives_way_to_a_stale_value() {
    let clock = clock();
    let cache = aged(secs(110), &clock, |rules| {
        rules.stale_if_error(secs(50)).cache_errors_for(secs(20))
    });
    let runs = AtomicUsize::new(0);
    for _ in 0..5 {
        let load = || {
            runs.fetch_add(1, Ordering::SeqCst);
            Err::<u32, _>("down")
        };
        assert_eq!(cache.try_get_blocking(1, load).unwrap(), 10);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[test]
fn a_bulk_load_that_fails_is_served_stale_values_if_there_are_enough() {
    let clock = clock();
    let cache = builder(&clock).stale_if_error(secs(50)).build().unwrap();
    cache.insert(1, 10);
    cache.insert(2, 20);
    clock.advance(secs(110));
    let fails = |_| async { Err::<Vec<(u8, u32)>, _>("down") };
    let values = block_on(cache.get_all_with([1, 2], fails)).unwrap();
    assert_eq!((values[&1], values[&2]), (10, 20));
    assert!(block_on(cache.get_all_with([1, 3], fails)).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_readers_of_a_stale_key_cause_one_refresh_and_none_waits() {
    let clock = clock();
    let cache = builder(&clock)
        .stale_while_revalidate(secs(50))
        .spawner(|task: Task| drop(tokio::spawn(task)))
        .build()
        .unwrap();
    cache.insert(1, 10);
    clock.advance(secs(120));
    let (runs, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (release, released) = tokio::sync::watch::channel(false);
    let readers: Vec<_> = (0..64)
        .map(|_| {
            let (cache, runs, served) = (cache.clone(), Arc::clone(&runs), Arc::clone(&served));
            let mut released = released.clone();
            tokio::spawn(async move {
                let load = || async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    let _ = released.wait_for(|released| *released).await;
                    11
                };
                assert_eq!(cache.get_with(1, load).await.unwrap(), 10);
                served.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    // All were served although the refresh has not ended.
    assert_eq!(served.load(Ordering::SeqCst), 64);
    release.send(true).unwrap();
    while cache.get(&1).is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(cache.get(&1), Some(11));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_that_ends_at_once_is_not_followed_by_another() {
    for _ in 0..300 {
        let clock = clock();
        let cache = builder(&clock)
            .stale_while_revalidate(secs(50))
            .spawner(|task: Task| drop(tokio::spawn(task)))
            .build()
            .unwrap();
        cache.insert(1, 10);
        clock.advance(secs(120));
        let calls = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..16)
            .map(|_| {
                let (cache, calls) = (cache.clone(), Arc::clone(&calls));
                tokio::spawn(async move {
                    let load = || {
                        calls.fetch_add(1, Ordering::SeqCst);
                        async { 11 }
                    };
                    let value = cache.get_with(1, load).await.unwrap();
                    assert!(value == 10 || value == 11);
                })
            })
            .collect();
        for reader in readers {
            reader.await.unwrap();
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}
