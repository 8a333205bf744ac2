//! The interleavings of recording, reading, starting again and ending a thread.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-metrics-core --test loom --release`.

#![cfg(brolly_loom)]

use brolly_metrics_core::model::{Distribution, Thread, Total};
use loom::thread;

#[test]
fn a_thread_that_ends_beside_a_reader_is_neither_lost_nor_counted_twice() {
    loom::model(|| {
        let total = Total::new();
        let counted = total.clone();
        let counting = thread::spawn(move || {
            let thread = Thread::new();
            counted.add(&thread, 1);
            counted.add(&thread, 2);
        });
        let first = total.value();
        let second = total.value();
        assert!([0, 1, 3].contains(&first), "{first}");
        assert!(first <= second && second <= 3, "{first} {second}");
        counting.join().unwrap();
        assert_eq!(total.value(), 3);
    });
}

#[test]
fn two_threads_that_end_together_leave_their_sum() {
    loom::model(|| {
        let total = Total::new();
        let count = |by| {
            let total = total.clone();
            thread::spawn(move || total.add(&Thread::new(), by))
        };
        let threads = [count(1), count(2)];
        let seen = total.value();
        assert!(seen <= 3, "{seen}");
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(total.value(), 3);
    });
}

#[test]
fn starting_a_counter_again_beside_a_thread_loses_no_later_count() {
    loom::model(|| {
        let total = Total::new();
        let counted = total.clone();
        let counting = thread::spawn(move || {
            let thread = Thread::new();
            counted.add(&thread, 1);
            thread
        });
        total.reset();
        let thread = counting.join().unwrap();
        let left = total.value();
        assert!(left <= 1, "{left}");
        total.add(&thread, 1);
        drop(thread);
        assert_eq!(total.value(), left + 1);
    });
}

#[test]
fn what_a_reader_sees_of_a_distribution_covers_what_it_counts() {
    loom::model(|| {
        let distribution = Distribution::new();
        let recorded = distribution.clone();
        let recording = thread::spawn(move || {
            let thread = Thread::new();
            recorded.record(&thread, 3);
            recorded.record(&thread, 1);
        });
        let seen = distribution.read();
        match seen.count {
            0 => {}
            1 => {
                assert!([3, 4].contains(&seen.sum), "{seen:?}");
                assert!(
                    seen.extremes
                        .is_some_and(|(low, high)| low <= 3 && high == 3)
                );
            }
            2 => assert_eq!((seen.sum, seen.extremes), (4, Some((1, 3)))),
            _ => panic!("{seen:?}"),
        }
        recording.join().unwrap();
        let seen = distribution.read();
        assert_eq!((seen.count, seen.sum, seen.extremes), (2, 4, Some((1, 3))));
    });
}

#[test]
fn starting_a_distribution_again_beside_a_thread_leaves_it_whole() {
    loom::model(|| {
        let distribution = Distribution::new();
        let recorded = distribution.clone();
        let recording = thread::spawn(move || {
            let thread = Thread::new();
            recorded.record(&thread, 3);
            recorded.record(&thread, 3);
            thread
        });
        distribution.reset();
        let thread = recording.join().unwrap();
        let left = distribution.read();
        assert!(left.count <= 2, "{left:?}");
        assert_eq!(left.sum, u128::from(left.count) * 3);
        distribution.record(&thread, 1);
        drop(thread);
        let seen = distribution.read();
        assert_eq!((seen.count, seen.sum), (left.count + 1, left.sum + 1));
        assert_eq!(seen.extremes.map(|(low, _)| low), Some(1));
    });
}
