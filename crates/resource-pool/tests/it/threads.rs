//! Real threads and a real runtime: nothing is lost, nobody starves.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use brolly_resource_pool::{Check, Guard, Pool};

use crate::support::Factory;

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
