//! Reading a value that is there.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use brolly_lazy::{Lazy, Once, Reader};

use super::CRATE;
use crate::axis::Axis;
use crate::driver::{Contest, Goal, Measured};
use crate::record::{Better, median};

/// Reads in a batch.
const OPS: u64 = 20_000;
/// Batches in a measurement; the median of them is its figure, so that a slice of time lost to
/// another process does not count.
const BATCHES: usize = 25;
/// What every value is.
const VALUE: u64 = 7;

/// Nanoseconds of one `read`, which returns the value.
///
/// Each read hides from the compiler what it reads, so that none is saved. Four stand in a turn of the
/// loop, since the turn costs about as much as the cheapest of them.
fn nanos(mut read: impl FnMut() -> u64) -> Measured {
    let mut sum = 0_u64;
    let mut batch = || {
        let start = Instant::now();
        for _ in 0..OPS / 4 {
            let turn = [read(), read(), read(), read()];
            sum = sum.wrapping_add(turn.iter().sum());
        }
        start.elapsed().as_nanos() as f64 / OPS as f64
    };
    batch();
    let times: Vec<f64> = (0..BATCHES).map(|_| batch()).collect();
    let expected = VALUE * OPS * (BATCHES as u64 + 1);
    match sum == expected {
        true => Ok(median(&times)),
        false => Err(format!("the sum is {sum} instead of {expected}")),
    }
}

/// What a future brings at its first poll, as an executor would get it.
#[inline]
fn ready<T>(cx: &mut Context<'_>, future: impl Future<Output = T>) -> T {
    match pin!(future).poll(cx) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a value that is there need not be waited for"),
    }
}

/// Everybody's own call on a cell that is written, as a user would write it.
macro_rules! get_await {
    ($cell:expr, $($read:tt)*) => {
        || {
            let cell = $cell;
            let mut cx = Context::from_waker(Waker::noop());
            nanos(|| {
                let cell = black_box(&cell);
                $($read)* ready(&mut cx, cell.get_or_init(|| async { 0 }))
            })
        }
    };
}

/// Beside each other on several axes.
fn cells(contest: Contest<'_>) -> Contest<'_> {
    contest
        .peer(
            "tokio OnceCell",
            get_await!(tokio::sync::OnceCell::new_with(Some(VALUE)), *),
        )
        .peer(
            "async-lock",
            get_await!(async_lock::OnceCell::from(VALUE), *),
        )
        .peer("async-once-cell", || {
            let cell = async_once_cell::OnceCell::new_with(VALUE);
            let mut cx = Context::from_waker(Waker::noop());
            nanos(|| *ready(&mut cx, black_box(&cell).get_or_init(async { 0 })))
        })
        .peer("moka", || {
            let cache = moka::future::Cache::new(1);
            let mut cx = Context::from_waker(Waker::noop());
            ready(&mut cx, cache.insert((), VALUE));
            nanos(|| ready(&mut cx, black_box(&cache).get_with((), async { 0 })))
        })
}

fn contest<'a>(axis: &str, goal: Goal) -> Contest<'a> {
    Contest::new(CRATE, axis, "ns", Better::Lower, goal)
}

fn loaded() -> Lazy<u64> {
    let lazy = Lazy::new_sync(|| VALUE);
    drop(lazy.get_blocking());
    lazy
}

/// A value that will expire, but not today.
fn mortal() -> Reader<u64> {
    let lazy = Lazy::builder()
        .time_to_live(Duration::from_secs(86_400))
        .build_sync(|| VALUE)
        .expect("a day is a time to live");
    drop(lazy.get_blocking());
    lazy.reader()
}

fn swapped() -> ArcSwap<u64> {
    ArcSwap::from_pointee(VALUE)
}

pub(super) fn axes() -> Vec<Axis> {
    vec![
        Axis::new("once_get", |effort| {
            contest("once_get", Goal::Peer("OnceLock", 0.95))
                .ours(|| {
                    let cell = Once::from(VALUE);
                    nanos(|| *black_box(&cell).get().unwrap_or(&0))
                })
                .peer("OnceLock", || {
                    let cell = OnceLock::from(VALUE);
                    nanos(|| *black_box(&cell).get().unwrap_or(&0))
                })
                .peer("once_cell", || {
                    let cell = once_cell::sync::OnceCell::with_value(VALUE);
                    nanos(|| *black_box(&cell).get().unwrap_or(&0))
                })
                .peer("tokio OnceCell", || {
                    let cell = tokio::sync::OnceCell::new_with(Some(VALUE));
                    nanos(|| *black_box(&cell).get().unwrap_or(&0))
                })
                .run(effort, effort.pick(31, 101))
        }),
        Axis::new("ready_get_await", |effort| {
            let ours = contest("ready_get_await", Goal::BestPeer(2.0))
                .ours(get_await!(Once::from(VALUE), *));
            cells(ours).run(effort, effort.pick(31, 101))
        }),
        Axis::new("resettable_get", |effort| {
            contest("resettable_get", Goal::Peer("arc-swap", 0.95))
                .ours(|| {
                    let lazy = loaded();
                    nanos(|| *black_box(&lazy).get_blocking())
                })
                .peer("arc-swap", || {
                    let swap = swapped();
                    nanos(|| **black_box(&swap).load())
                })
                .peer("RwLock of an Arc", || {
                    let lock = std::sync::RwLock::new(Arc::new(VALUE));
                    nanos(|| **black_box(&lock).read().expect("nobody panics"))
                })
                .run(effort, effort.pick(31, 101))
        }),
        Axis::new("resettable_get_await", |effort| {
            contest("resettable_get_await", Goal::Peer("arc-swap", 0.95))
                .ours(|| {
                    let mut cx = Context::from_waker(Waker::noop());
                    let lazy = loaded();
                    nanos(|| *ready(&mut cx, black_box(&lazy).get()))
                })
                .peer("arc-swap", || {
                    let swap = swapped();
                    nanos(|| **black_box(&swap).load())
                })
                .run(effort, effort.pick(31, 101))
        }),
        Axis::new("resettable_get_cached", |effort| {
            contest("resettable_get_cached", Goal::Peer("arc_swap::Cache", 0.95))
                .ours(|| {
                    let mut reader = loaded().reader();
                    nanos(|| **black_box(&mut reader).get_blocking())
                })
                .peer("arc_swap::Cache", || {
                    let swap = swapped();
                    let mut cache = arc_swap::Cache::new(&swap);
                    nanos(|| **black_box(&mut cache).load())
                })
                .run(effort, effort.pick(31, 101))
        }),
        Axis::new("resettable_get_cached_await", |effort| {
            let ours = contest("resettable_get_cached_await", Goal::BestPeer(2.0)).ours(|| {
                let mut cx = Context::from_waker(Waker::noop());
                let mut reader = loaded().reader();
                nanos(|| **ready(&mut cx, black_box(&mut reader).get()))
            });
            cells(ours).run(effort, effort.pick(31, 101))
        }),
        Axis::new("expiring_get_cached", |effort| {
            contest(
                "expiring_get_cached",
                Goal::Peer("arc_swap::Cache + Instant", 0.95),
            )
            .ours(|| {
                let mut reader = mortal();
                nanos(|| **black_box(&mut reader).get_blocking())
            })
            .peer("arc_swap::Cache + Instant", || {
                let swap = ArcSwap::from_pointee((VALUE, Instant::now()));
                let mut cache = arc_swap::Cache::new(&swap);
                nanos(|| {
                    let (value, since) = **black_box(&mut cache).load();
                    match since.elapsed() < Duration::from_secs(86_400) {
                        true => value,
                        false => 0,
                    }
                })
            })
            .run(effort, effort.pick(31, 101))
        }),
    ]
}
