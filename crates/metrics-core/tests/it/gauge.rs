//! Gauges: the present, and guards that cannot forget.

use std::panic::{AssertUnwindSafe, catch_unwind};

use brolly_metrics_core::Registry;

#[test]
fn a_gauge_holds_what_was_set_last_and_any_number() {
    let registry = Registry::new();
    let gauge = registry.gauge("g").register().expect("valid");
    gauge.set(1.5);
    gauge.add(2.0);
    gauge.clone().sub(0.5);
    assert_eq!(gauge.value(), 3.0);
    for odd in [f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, -0.0] {
        gauge.set(odd);
        assert_eq!(gauge.value().to_bits(), odd.to_bits());
    }
    gauge.set(f64::NAN);
    assert!(gauge.value().is_nan());
}

#[test]
fn additions_of_threads_are_not_lost() {
    let registry = Registry::new();
    let (float, whole) = (
        registry.gauge("f").register().expect("valid"),
        registry.int_gauge("i").register().expect("valid"),
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    float.add(1.0);
                    whole.inc();
                    whole.add(2);
                    whole.dec();
                }
            });
        }
    });
    assert_eq!((float.value(), whole.value()), (4_000.0, 8_000));
}

#[test]
fn a_tracked_one_is_taken_away_even_by_a_panic() {
    let registry = Registry::new();
    let busy = registry.int_gauge("busy").register().expect("valid");
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _first = busy.track();
        let _second = busy.track();
        assert_eq!(busy.value(), 2);
        panic!("work fails");
    }));
    assert!(outcome.is_err());
    assert_eq!(busy.value(), 0);
}

#[test]
fn a_whole_gauge_wraps_instead_of_panicking() {
    let registry = Registry::new();
    let gauge = registry.int_gauge("g").register().expect("valid");
    gauge.set(i64::MAX);
    gauge.inc();
    assert_eq!(gauge.value(), i64::MIN);
}
