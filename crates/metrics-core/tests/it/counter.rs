//! Counters: totals that are right whatever threads do.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use brolly_metrics_core::{Counter, Format, Registry, Unit};
use brolly_sync::Clock;

fn counter() -> Counter {
    Registry::new().counter("sample").register().expect("valid")
}

#[test]
fn clones_count_together() {
    let counter = counter();
    counter.inc();
    counter.clone().add(4);
    assert_eq!(counter.value(), 5);
}

#[test]
fn threads_count_together_and_leave_their_share_when_they_end() {
    let counter = counter();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    counter.inc();
                }
            });
        }
    });
    assert_eq!(counter.value(), 40_000);
}

#[test]
fn ten_thousand_short_threads_lose_nothing() {
    let counter = counter();
    let histogram = Registry::new().histogram("h").register().expect("valid");
    for _ in 0..625 {
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    counter.inc();
                    histogram.observe(1.0);
                });
            }
        });
    }
    assert_eq!(counter.value(), 10_000);
    assert_eq!(histogram.snapshot().count(), 10_000);
    assert_eq!(histogram.snapshot().sum(), 10_000.0);
}

#[test]
fn a_reader_beside_busy_threads_never_sees_a_total_fall() {
    let counter = counter();
    let start = Barrier::new(3);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..100_000 {
                    counter.inc();
                }
            });
        }
        start.wait();
        let mut last = 0;
        while last < 200_000 {
            let seen = counter.value();
            assert!(last <= seen && seen <= 200_000, "{last} {seen}");
            last = seen;
        }
    });
}

/// Counts when the thread-local it lies in is destroyed.
struct CountsAtTheEnd(Counter);

impl Drop for CountsAtTheEnd {
    fn drop(&mut self) {
        self.0.add(7);
    }
}

thread_local! {
    static LAST: RefCell<Option<CountsAtTheEnd>> = const { RefCell::new(None) };
}

#[test]
fn a_destructor_of_a_thread_local_may_count() {
    let counter = counter();
    let counted = counter.clone();
    thread::spawn(move || {
        // Registered first, so destroyed last: after what the counter keeps for this thread.
        LAST.set(Some(CountsAtTheEnd(counted.clone())));
        counted.inc();
    })
    .join()
    .expect("nothing panics");
    assert_eq!(counter.value(), 8);
}

#[test]
fn a_counter_that_takes_the_place_of_another_starts_at_zero() {
    for round in 1..100 {
        let counter = counter();
        assert_eq!(counter.value(), 0);
        counter.add(round);
        let counter = Arc::new(counter);
        thread::scope(|scope| {
            let counter = Arc::clone(&counter);
            scope.spawn(move || counter.add(round));
        });
        assert_eq!(counter.value(), 2 * round);
    }
}

#[test]
fn a_total_wraps_instead_of_panicking() {
    let counter = counter();
    counter.add(u64::MAX);
    counter.add(2);
    assert_eq!(counter.value(), 1);
}

#[test]
fn more_counters_than_have_cells_still_count() {
    // Beyond 262,144 a counter has no cell of its own, and counts under a lock.
    let registry = Registry::new();
    let family = registry
        .counter("many")
        .labels(["number"])
        .max_series(270_000)
        .register()
        .expect("valid");
    let keys: Vec<_> = (0..270_000).map(|number| number.to_string()).collect();
    for key in &keys {
        family.with([key], |counter| counter.inc());
    }
    let total: u64 = registry.snapshot().counters[0]
        .series
        .iter()
        .map(|series| series.value)
        .sum();
    assert_eq!(total, 270_000);
    assert_eq!(family.dropped(), 0);
}

#[test]
fn a_counter_of_seconds_counts_nanoseconds_and_shows_seconds() {
    let registry = Registry::new();
    let counter = registry
        .counter("busy_seconds_total")
        .unit(Unit::Seconds)
        .register()
        .expect("valid");
    counter.add_duration(Duration::from_millis(1_250));
    counter.add(250_000_000);
    assert_eq!(counter.value(), 1_500_000_000);
    assert_eq!(Unit::Seconds.counted(counter.value()), 1.5);
    let page = registry.encode(Format::Text);
    assert!(page.contains("busy_seconds_total 1.5\n"), "{page}");
}

/// A clock that does something when it is asked for the time the next time.
#[derive(Clone, Default)]
struct Meanwhile(Arc<Mutex<Option<Act>>>);

type Act = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Clock for Meanwhile {
    fn now(&self) -> Duration {
        let act = self.0.lock().expect("nothing panics").take();
        if let Some(act) = act {
            act();
        }
        Duration::ZERO
    }
}

#[test]
fn a_counter_that_comes_while_a_page_is_read_shows_nothing_of_one_that_went() {
    for is_page in [true, false] {
        let clock = Meanwhile::default();
        let registry = Registry::builder().clock(clock.clone()).build();
        let family = |name| {
            registry
                .counter(name)
                .labels(["l"])
                .register()
                .expect("valid")
        };
        let (first, last) = (family("a_total"), family("c_total"));
        let aged = registry.summary("b").max_age(Duration::from_secs(1));
        let _aged = aged.register().expect("valid");
        first.with(["goes"], |counter| counter.add(1_000));
        first.with(["stays"], |counter| counter.add(1));
        let last_too = last.clone();
        *clock.0.lock().expect("nothing panics") = Some(Box::new(move || {
            first.remove(["goes"]);
            // The table that this thread kept holds the counter until it looks again.
            drop(first.get(["stays"]));
            last_too.with(["comes"], |counter| counter.inc());
        }));
        if is_page {
            let page = registry.encode(Format::Text);
            assert!(page.contains("c_total{l=\"comes\"} 1\n"), "{page}");
        } else {
            // Counters of a snapshot are read family by family too.
            let snapshot = registry.snapshot();
            let family = snapshot.counter("c_total").expect("registered");
            assert_eq!(family.get(&["comes"]), Some(&1));
        }
    }
}
