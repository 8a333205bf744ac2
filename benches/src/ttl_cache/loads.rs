//! Loading what is missing, once for all who ask, and serving what is stale meanwhile.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use super::data::{Payload, key, thread_time};
use super::faces::Loading;
use super::ours::{OursLoading, Stale};
use super::peers::{foyer, moka, quick_cache};
use super::{CRATE, axis, nanos_contest};
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured, random};
use crate::record::{Better, Record};

const PATIENCE: Duration = Duration::from_millis(60);

fn runtime() -> Result<Runtime, String> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .map_err(|error| error.to_string())
}

/// Runs on the thread that measures; other threads only take what a cache spawns.
fn on_this_thread<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| error.to_string())?;
    Ok(runtime.block_on(work))
}

/// A value that is there, through the call that would load it.
fn hit<C: Loading>() -> impl FnMut() -> Measured {
    const ENTRIES: u64 = 10_000;
    const ASKED: usize = 20_000;
    move || {
        let cache = C::new(2 * ENTRIES as usize);
        for number in 0..ENTRIES {
            cache.put(key(number), u64::of(key(number)));
        }
        let mut state = 5;
        let keys: Vec<u64> = (0..ASKED)
            .map(|_| key(random(&mut state) % ENTRIES))
            .collect();
        let loads = Arc::new(AtomicU64::new(0));
        let mut wrong = 0;
        let nanos = on_this_thread(async {
            let mut best = f64::MAX;
            let begin = Instant::now();
            for _ in 0..12 {
                let start = thread_time();
                for key in &keys {
                    let (asked, loads) = (*key, loads.clone());
                    let value = black_box(&cache)
                        .get_or_load(asked, move || async move {
                            loads.fetch_add(1, Relaxed);
                            u64::of(asked)
                        })
                        .await;
                    wrong += u64::from(!value.is_of(asked));
                }
                let spent = thread_time().saturating_sub(start);
                best = best.min(spent.as_nanos() as f64 / ASKED as f64);
                if begin.elapsed() > PATIENCE {
                    break;
                }
            }
            best
        })?;
        if wrong > 0 || loads.load(Relaxed) > 0 {
            return Err(format!(
                "{wrong} wrong values, {} loads",
                loads.load(Relaxed)
            ));
        }
        Ok(nanos)
    }
}

/// A value that is not there, with a load that is ready at once.
fn miss<C: Loading>() -> impl FnMut() -> Measured {
    const KEYS: u64 = 20_000;
    move || {
        let cache = C::new(2 * KEYS as usize);
        let mut next = 0;
        let loads = Arc::new(AtomicU64::new(0));
        let mut wrong = 0;
        let start = Instant::now();
        on_this_thread(async {
            // Spawned loads run on the same thread, so that time is comparable.
            while next < KEYS {
                let asked = key(next);
                let counted = loads.clone();
                let value = cache
                    .get_or_load(asked, move || async move {
                        counted.fetch_add(1, Relaxed);
                        u64::of(asked)
                    })
                    .await;
                wrong += u64::from(!value.is_of(asked));
                next += 1;
            }
        })?;
        let nanos = start.elapsed().as_nanos() as f64 / KEYS as f64;
        if wrong > 0 || loads.load(Relaxed) != KEYS {
            return Err(format!(
                "{wrong} wrong values, {} loads",
                loads.load(Relaxed)
            ));
        }
        Ok(nanos)
    }
}

/// Sixty-four tasks ask for the same key, many times over.
fn loads_per_key<C: Loading>(keys: u64) -> impl FnMut() -> Measured {
    move || {
        const TASKS: usize = 64;
        let cache = Arc::new(C::new(10_000));
        let loads = Arc::new(AtomicU64::new(0));
        let wrong = runtime()?.block_on(async {
            let mut wrong = 0;
            for number in 0..keys {
                let asked = key(number);
                let tasks: Vec<_> = (0..TASKS)
                    .map(|_| {
                        let (cache, loads) = (cache.clone(), loads.clone());
                        tokio::spawn(async move {
                            let load = move || async move {
                                loads.fetch_add(1, Relaxed);
                                sleep(Duration::from_millis(1)).await;
                                u64::of(asked)
                            };
                            cache.get_or_load(asked, load).await.is_of(asked)
                        })
                    })
                    .collect();
                for task in tasks {
                    wrong += u64::from(!matches!(task.await, Ok(true)));
                }
            }
            wrong
        });
        if wrong > 0 {
            return Err(format!("{wrong} wrong values"));
        }
        Ok(loads.load(Relaxed) as f64 / keys as f64)
    }
}

/// Milliseconds from the start of a load of 200 ms, whose first caller goes away after 60, until
/// the second one has the value.
fn aborted<C: Loading>() -> impl FnMut() -> Measured {
    move || {
        let cache = Arc::new(C::new(100));
        let loads = Arc::new(AtomicU64::new(0));
        let asked = key(1);
        let ask = |cache: Arc<C>, loads: Arc<AtomicU64>| async move {
            let load = move || async move {
                loads.fetch_add(1, Relaxed);
                sleep(Duration::from_millis(200)).await;
                u64::of(asked)
            };
            cache.get_or_load(asked, load).await
        };
        let waited = runtime()?.block_on(async {
            let start = Instant::now();
            let leader = tokio::spawn(ask(cache.clone(), loads.clone()));
            sleep(Duration::from_millis(20)).await;
            let waiter = tokio::spawn(ask(cache.clone(), loads.clone()));
            sleep(Duration::from_millis(60).saturating_sub(start.elapsed())).await;
            leader.abort();
            match timeout(Duration::from_secs(2), waiter).await {
                Ok(Ok(value)) if value.is_of(asked) => Ok(start.elapsed()),
                Ok(_) => Err("no value or a wrong one".to_owned()),
                Err(_) => Err("the waiter hangs".to_owned()),
            }
        })?;
        match loads.load(Relaxed) {
            1 => Ok(waited.as_secs_f64() * 1e3),
            loads => Err(format!(
                "restarts: {loads} loads, {} ms",
                waited.as_millis()
            )),
        }
    }
}

/// What sixty-four readers of one stale value saw.
#[derive(Clone, Copy)]
enum Seen {
    /// Loads that were started.
    Refreshes,
    /// Readers that waited for longer than a tenth of a load.
    Blocked,
}

fn stale(seen: Seen) -> impl FnMut() -> Measured {
    move || {
        const LOAD: Duration = Duration::from_millis(100);
        let loads = Arc::new(AtomicU64::new(0));
        let runtime = runtime()?;
        runtime.block_on(async {
            let cache = Arc::new(Stale::new());
            let asked = key(1);
            cache.put(asked, u64::of(asked));
            cache.outlive().await;
            let readers: Vec<_> = (0..64)
                .map(|_| {
                    let (cache, loads) = (cache.clone(), loads.clone());
                    tokio::spawn(async move {
                        let start = Instant::now();
                        let load = move || async move {
                            loads.fetch_add(1, Relaxed);
                            sleep(LOAD).await;
                            u64::of(asked)
                        };
                        let value = cache.get_or_load(asked, load).await;
                        (value.is_of(asked), start.elapsed())
                    })
                })
                .collect();
            let mut blocked = 0u64;
            for reader in readers {
                let (right, waited) = reader.await.map_err(|error| error.to_string())?;
                if !right {
                    return Err("a wrong value".to_owned());
                }
                blocked += u64::from(waited > LOAD / 10);
            }
            sleep(2 * LOAD).await;
            if loads.load(Relaxed) == 0 {
                return Err("nothing is loaded anew".to_owned());
            }
            Ok(match seen {
                Seen::Refreshes => loads.load(Relaxed) as f64,
                Seen::Blocked => blocked as f64,
            })
        })
    }
}

/// Every library that loads.
macro_rules! loaders {
    ($contest:expr, $measure:ident($($arg:expr),*)) => {
        loaders!(@ $contest.ours($measure::<OursLoading>($($arg),*)), $measure, ($($arg),*), [
            quick_cache::QuickCache<u64>, moka::MokaFuture, foyer::Foyer<u64, foyer::S3Fifo>
        ])
    };
    (@ $contest:expr, $measure:ident, $args:tt, [$($cache:ty),*]) => {
        $contest$(.peer(<$cache as Loading>::NAME, loaders!(@call $measure, $cache, $args)))*
    };
    (@call $measure:ident, $cache:ty, ($($arg:expr),*)) => {
        $measure::<$cache>($($arg),*)
    };
}

fn stale_contest(name: &str, effort: Effort, bound: f64, seen: Seen) -> Result<Record, String> {
    let (what, unit) = match seen {
        Seen::Refreshes => ("one load", "loads"),
        Seen::Blocked => ("no reader waits", "readers"),
    };
    Contest::new(CRATE, name, unit, Better::Lower, Goal::Bound(what, bound))
        .ours(stale(seen))
        .run(effort, effort.pick(3, 9))
}

pub(super) fn axes() -> Vec<Axis> {
    vec![
        axis("flight_hit", |name, effort| {
            let contest = nanos_contest(name, Goal::BestPeer(1.6));
            loaders!(contest, hit()).run(effort, effort.pick(7, 15))
        }),
        axis("flight_miss_load", |name, effort| {
            let contest = nanos_contest(name, Goal::BestPeer(0.95));
            loaders!(contest, miss()).run(effort, effort.pick(7, 15))
        }),
        axis("flight_loads_per_key", |name, effort| {
            let goal = Goal::Bound("one load", 1.0);
            let contest = Contest::new(CRATE, name, "loads", Better::Lower, goal);
            loaders!(contest, loads_per_key(effort.pick(30, 300))).run(effort, 1)
        }),
        axis("flight_leader_aborted", |name, effort| {
            let goal = Goal::Bound("one load of 200 ms, 5 % more", 210.0);
            let contest = Contest::new(CRATE, name, "ms", Better::Lower, goal);
            loaders!(contest, aborted()).run(effort, effort.pick(1, 5))
        }),
        axis("swr_refreshes", |name, effort| {
            stale_contest(name, effort, 1.0, Seen::Refreshes)
        }),
        axis("swr_blocked", |name, effort| {
            stale_contest(name, effort, 0.0, Seen::Blocked)
        }),
    ]
}
