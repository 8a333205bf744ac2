//! What the totals promise.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::*;

/// Held by the test that takes all numbers with cells, and by those that need one of them.
static CELLS: Mutex<()> = Mutex::new(());

fn cells() -> MutexGuard<'static, ()> {
    CELLS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn successes(totals: &Totals) -> u64 {
    totals.sum().of(Counter::Successes)
}

#[test]
fn what_threads_count_adds_up_while_they_run_and_after_they_ended() {
    let totals = Arc::new(Totals::new(true));
    totals.count(Counter::Successes);
    for round in 1..=1_000 {
        let counting = Arc::clone(&totals);
        thread::spawn(move || {
            for _ in 0..10 {
                counting.count(Counter::Successes);
            }
        })
        .join()
        .expect("it counted");
        assert_eq!(successes(&totals), 1 + 10 * round);
    }
}

#[test]
fn a_number_that_is_used_again_starts_at_zero() {
    for _ in 0..100 {
        let (first, second) = (Totals::new(true), Totals::new(true));
        for totals in [&first, &second] {
            assert_eq!(totals.sum(), Sum::default());
            totals.count(Counter::Rejected);
            totals.failed_at(7);
            assert_eq!(totals.sum().of(Counter::Rejected), 1);
            totals.opened();
            assert_eq!(
                (totals.sum().last_failure(), totals.sum().opened),
                (Some(7), 1)
            );
            thread::scope(|scope| {
                scope.spawn(|| totals.count(Counter::Rejected));
            });
        }
    }
}

#[test]
fn totals_that_are_not_kept_take_no_number() {
    let totals = Totals::new(false);
    totals.count(Counter::Failures);
    totals.failed_at(1);
    assert_eq!(totals.slot.load(Relaxed), OFF);
    assert_eq!(totals.sum(), Sum::default());
}

#[test]
fn more_breakers_than_a_thread_has_places_for_are_counted_all_the_same() {
    let _all = cells();
    let many: Vec<_> = (0..70_000).map(|_| Totals::new(true)).collect();
    for totals in &many {
        totals.count(Counter::Ignored);
        totals.count(Counter::Ignored);
    }
    let ignored = |totals: &Totals| totals.sum().of(Counter::Ignored);
    assert!(many.iter().all(|totals| ignored(totals) == 2));
}

#[test]
fn what_a_destructor_of_a_thread_counts_is_not_lost() {
    struct AtTheEnd(Arc<Totals>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.count(Counter::Successes);
        }
    }
    thread_local! {
        static FIRST: std::cell::OnceCell<AtTheEnd> = const { std::cell::OnceCell::new() };
    }
    let totals = Arc::new(Totals::new(true));
    let counting = Arc::clone(&totals);
    thread::spawn(move || {
        // Touched first, so that it is dropped last.
        FIRST.with(|first| {
            first.get_or_init(|| AtTheEnd(Arc::clone(&counting)));
        });
        counting.count(Counter::Successes);
    })
    .join()
    .expect("it counted");
    assert_eq!(successes(&totals), 2);
}

#[test]
fn successes_put_off_are_counted_in_their_own_epoch_only_and_outlive_their_thread() {
    let _one = cells();
    let totals = Arc::new(Totals::new(true));
    assert_eq!(totals.defer(7), None, "no cell yet");
    totals.count(Counter::Successes);
    let deferred = totals.deferred().expect("it has a number");
    assert_eq!((totals.defer(7), totals.defer(7)), (Some(1), Some(2)));
    let in_threads = |tag: u32| {
        for _ in 0..3 {
            let totals = Arc::clone(&totals);
            let put_off = move || {
                totals.count(Counter::Successes);
                totals.defer(tag)
            };
            assert_eq!(thread::spawn(put_off).join().expect("it counted"), Some(1));
        }
    };
    in_threads(7);
    assert_eq!((deferred.count(7), deferred.count(8)), (5, 0));
    in_threads(8);
    assert_eq!((deferred.count(7), deferred.count(8)), (2, 3));
    in_threads(7);
    assert_eq!(
        deferred.count(8),
        3,
        "a late one of an older epoch changes nothing"
    );
    assert_eq!(totals.defer(8), Some(1));
    assert_eq!((deferred.count(7), deferred.count(8)), (0, 4));
    assert_eq!(successes(&totals), 10);
}
