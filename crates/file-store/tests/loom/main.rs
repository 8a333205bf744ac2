//! The interleavings of the table of locks: seats that are taken, given up and given back, against
//! the line that goes with the last of them. A lock that is lost shows as a deadlock, which loom
//! reports.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-file-store --test loom --release`.
//!
//! The table is the real source, included by path; the line of each path is the `WaitList` of
//! `brolly-sync`, which has models of its own.

#![cfg(brolly_loom)]
#![allow(
    dead_code,
    reason = "the included sources have more than the models need"
)]

#[path = "../../src/locks.rs"]
mod locks;
#[path = "../../src/primitive.rs"]
mod primitive;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use locks::LockTable;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

/// Explores what happens with at most this many preemptions.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn hold(table: &Arc<LockTable>, holders: &AtomicUsize) {
    let mut seat = table.seat(b"path");
    seat.wait_blocking();
    assert_eq!(holders.fetch_add(1, Relaxed), 0, "two hold it");
    holders.fetch_sub(1, Relaxed);
}

#[test]
fn a_path_is_held_by_one_at_a_time_and_its_line_goes() {
    bounded(3, || {
        let table = Arc::new(LockTable::default());
        let holders = Arc::new(AtomicUsize::new(0));
        let threads = [(); 2].map(|()| {
            let (table, holders) = (Arc::clone(&table), Arc::clone(&holders));
            thread::spawn(move || hold(&table, &holders))
        });
        hold(&table, &holders);
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(table.len(), 0);
    });
}

#[test]
fn who_leaves_the_line_passes_the_path_on() {
    bounded(3, || {
        let table = Arc::new(LockTable::default());
        let holders = Arc::new(AtomicUsize::new(0));
        let quitter = {
            let (table, holders) = (Arc::clone(&table), Arc::clone(&holders));
            thread::spawn(move || {
                let mut seat = table.seat(b"path");
                let held = {
                    let mut waiting = pin!(seat.wait());
                    let mut context = Context::from_waker(Waker::noop());
                    waiting.as_mut().poll(&mut context).is_ready()
                };
                if held {
                    assert_eq!(holders.fetch_add(1, Relaxed), 0, "two hold it");
                    holders.fetch_sub(1, Relaxed);
                }
            })
        };
        hold(&table, &holders);
        hold(&table, &holders);
        quitter.join().expect("no panic");
        assert_eq!(table.len(), 0);
    });
}
