//! Real threads and a real runtime: nothing is lost, nobody starves.

use std::fmt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use brolly_resource_pool::{Check, Guard, Manager, Pool};
use brolly_sync::{Clock, ManualClock, Sleep, Timer};

use crate::support::{Factory, is_pending, look, now, secs};

#[test]
fn threads_that_take_and_give_lose_nothing() {
    for shards in [1, 4] {
        let factory = Factory::new();
        let plant = Arc::clone(&factory.0);
        let pool = Pool::builder(factory)
            .max_size(40)
            .shards(shards)
            .build()
            .unwrap();
        pool.resize(0, 3).unwrap();
        std::thread::scope(|scope| {
            for number in 0..6 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..2000 {
                        let mut guard = pool.acquire_blocking().unwrap();
                        if (round + number) % 97 == 0 {
                            guard.is_broken = true;
                        }
                        if round % 31 == 0 {
                            std::thread::yield_now();
                        }
                        if round % 211 == 0 {
                            Guard::discard(guard);
                        }
                    }
                });
            }
        });
        let stats = pool.stats();
        assert_eq!(
            (stats.in_use, stats.waiting, stats.acquisitions),
            (0, 0, 12_000)
        );
        assert_eq!(stats.idle, stats.size);
        assert!(plant.most_live.load(SeqCst) <= 3);
        drop(pool);
        assert_eq!(plant.live.load(SeqCst), 0);
    }
}

#[test]
fn tasks_that_give_up_at_random_lose_no_capacity() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let factory = Factory::new();
        let plant = Arc::clone(&factory.0);
        let pool = Pool::builder(factory)
            .max_size(4)
            .check(Check::Always)
            .spawner(tokio_spawner())
            .build()
            .unwrap();
        let tasks: Vec<_> = (0..64_u64)
            .map(|seed| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                    for _ in 0..100 {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        let looks = random % 4;
                        let mut acquire = Box::pin(pool.acquire());
                        let mut looked = 0;
                        let guard = std::future::poll_fn(|cx| {
                            looked += 1;
                            match acquire.as_mut().poll(cx) {
                                std::task::Poll::Ready(guard) => {
                                    std::task::Poll::Ready(Some(guard))
                                }
                                std::task::Poll::Pending if looked > looks => {
                                    std::task::Poll::Ready(None)
                                }
                                std::task::Poll::Pending => {
                                    cx.waker().wake_by_ref();
                                    std::task::Poll::Pending
                                }
                            }
                        })
                        .await;
                        drop(acquire);
                        if guard.is_some() {
                            tokio::task::yield_now().await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let all = pool.acquire_many(4);
        let all = tokio::time::timeout(Duration::from_secs(20), all).await;
        assert_eq!(all.unwrap().unwrap().len(), 4);
        assert!(plant.most_live.load(SeqCst) <= 4);
    });
}

#[test]
fn nobody_starves() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let pool = Pool::builder(Factory::new())
            .max_size(4)
            .spawner(tokio_spawner())
            .build()
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let total = Arc::new(AtomicUsize::new(0));
        // Nobody begins before all are there.
        let ready = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (pool, stop) = (pool.clone(), Arc::clone(&stop));
                let (total, ready) = (Arc::clone(&total), Arc::clone(&ready));
                tokio::spawn(async move {
                    ready.fetch_add(1, SeqCst);
                    while ready.load(SeqCst) < 64 {
                        tokio::task::yield_now().await;
                    }
                    let mut served = 0_usize;
                    while !stop.load(SeqCst) {
                        let guard = pool.acquire().await.unwrap();
                        served += 1;
                        if total.fetch_add(1, SeqCst) > 64 * 50 {
                            stop.store(true, SeqCst);
                        }
                        tokio::task::yield_now().await;
                        drop(guard);
                    }
                    served
                })
            })
            .collect();
        let mut served = Vec::new();
        for task in tasks {
            served.push(task.await.unwrap());
        }
        let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
        // Who has seen that all are there begins while others have not looked yet.
        assert!(*most <= least * 2, "{least} to {most}");
    });
}

fn tokio_spawner() -> impl brolly_sync::Spawn + 'static {
    let handle = tokio::runtime::Handle::current();
    move |task: brolly_sync::Task| {
        drop(handle.spawn(task));
    }
}

#[cfg(feature = "tokio")]
#[test]
fn a_pool_built_in_a_runtime_works_there_though_nobody_said_so() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let factory = Factory::new();
    let plant = Arc::clone(&factory.0);
    plant.set_create(crate::support::Mode::Gated);
    runtime.block_on(async {
        let pool = Pool::builder(factory).max_size(1).build().unwrap();
        let error = pool.acquire_timeout(Duration::from_millis(50)).await;
        assert!(error.is_err());
        plant.open(1);
        drop(pool.acquire().await.unwrap());
        assert_eq!(plant.attempts.load(SeqCst), 1);
    });
}

/// Looks at a pool from another thread, which ends only if no lock of it is held here.
#[derive(Clone, Default)]
struct Onlooker(Arc<Looks>);

#[derive(Default)]
struct Looks {
    look: OnceLock<Look>,
    /// Looking reads the clock, which looks.
    is_looking: AtomicBool,
    begun: AtomicUsize,
    stuck: AtomicUsize,
}

type Look = Box<dyn Fn() + Send + Sync>;

impl Onlooker {
    fn begin(&self, look: impl Fn() + Send + Sync + 'static) {
        assert!(self.0.look.set(Box::new(look)).is_ok());
    }

    fn look(&self) {
        let looks = Arc::clone(&self.0);
        if looks.look.get().is_none() || looks.is_looking.swap(true, SeqCst) {
            return;
        }
        looks.begun.fetch_add(1, SeqCst);
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            looks.look.get().unwrap()();
            let _ = done.send(());
        });
        if is_done.recv_timeout(Duration::from_secs(5)).is_err() {
            self.0.stuck.fetch_add(1, SeqCst);
        }
        self.0.is_looking.store(false, SeqCst);
    }

    fn assert_never_stuck(&self) {
        assert!(self.0.begun.load(SeqCst) > 0, "nobody has looked");
        assert_eq!(self.0.stuck.load(SeqCst), 0, "a lock was held");
    }
}

impl fmt::Debug for Onlooker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Onlooker")
    }
}

impl Clock for Onlooker {
    fn now(&self) -> Duration {
        self.look();
        Duration::from_secs(1)
    }
}

impl Timer for Onlooker {
    fn sleep_until(&self, deadline: Duration) -> Sleep {
        self.look();
        Sleep::from_future(deadline, std::future::pending())
    }
}

#[test]
fn no_clock_and_no_timer_is_asked_under_a_lock() {
    let onlooker = Onlooker::default();
    let builder = Pool::builder(Factory::new()).min_size(0).max_size(1);
    let builder = builder.clock(onlooker.clone()).timer(onlooker.clone());
    let pool = builder.acquire_timeout(secs(1)).build().unwrap();
    let other = pool.clone();
    let held = now(pool.acquire()).unwrap();
    onlooker.begin(move || drop(other.stats()));
    {
        let mut waiting = std::pin::pin!(pool.acquire());
        assert!(is_pending(waiting.as_mut()));
        drop(held);
    }
    let _ = now(pool.drain(secs(1)));
    onlooker.assert_never_stuck();
}

/// An error that looks when it is dropped.
struct Fails(Onlooker);

struct Failure(Onlooker);

impl Drop for Failure {
    fn drop(&mut self) {
        self.0.look();
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failure")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failure")
    }
}

impl std::error::Error for Failure {}

impl Manager for Fails {
    type Resource = ();
    type Error = Failure;

    async fn create(&self) -> Result<(), Failure> {
        Err(Failure(self.0.clone()))
    }
}

#[test]
fn no_error_is_dropped_under_a_lock() {
    let onlooker = Onlooker::default();
    let clock = ManualClock::new();
    let builder = Pool::builder(Fails(onlooker.clone())).min_size(0);
    let builder = builder.max_size(1).clock(clock.clone());
    let pool = builder.timer(clock.clone()).build().unwrap();
    let other = pool.clone();
    onlooker.begin(move || drop(other.stats()));
    for _ in 0..2 {
        let mut acquire = Box::pin(pool.acquire());
        let mut outcome = look(acquire.as_mut());
        while outcome.is_pending() {
            clock.advance(secs(1));
            outcome = look(acquire.as_mut());
        }
        assert!(matches!(outcome, Poll::Ready(Err(_))));
    }
    onlooker.assert_never_stuck();
}
