//! Events are counted and spans are timed, each layer in its own registry.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use brolly_metrics_core::{Registry, SpanTime, TracingLayer};
use brolly_sync::ManualClock;
use tracing::subscriber::with_default;
use tracing::{Level, event, span};
use tracing_subscriber::layer::SubscriberExt;

const SECOND: Duration = Duration::from_secs(1);

/// The count and the sum of a span's histogram.
fn spans(registry: &Registry, name: &str) -> (u64, f64) {
    let snapshot = registry.snapshot();
    let spans = snapshot
        .histogram("tracing_span_seconds")
        .expect("registered");
    spans
        .get(&[name])
        .map_or((0, 0.0), |it| (it.count(), it.sum()))
}

fn layer(registry: &Registry) -> TracingLayer {
    TracingLayer::new(registry).expect("the names are free")
}

#[test]
fn events_are_counted_by_level_and_target() {
    let registry = Registry::new();
    let subscriber = tracing_subscriber::registry().with(layer(&registry));
    with_default(subscriber, || {
        for _ in 0..3 {
            event!(target: "shop", Level::INFO, "sold");
        }
        event!(target: "shop", Level::ERROR, price = 7, "not sold");
        event!(target: "shop::cart", Level::TRACE, "looked at");
    });
    let snapshot = registry.snapshot();
    let events = snapshot.counter("tracing_events_total").unwrap();
    assert_eq!(events.get(&["info", "shop"]), Some(&3));
    assert_eq!(events.get(&["error", "shop"]), Some(&1));
    assert_eq!(events.get(&["trace", "shop::cart"]), Some(&1));
    assert_eq!(events.series.len(), 3);
}

#[test]
fn the_total_time_of_a_span_is_from_its_making_to_its_closing() {
    let clock = ManualClock::new();
    let registry = Registry::new();
    let layer = layer(&registry).with_clock(clock.clone());
    with_default(tracing_subscriber::registry().with(layer), || {
        let span = span!(Level::INFO, "import");
        clock.advance(SECOND);
        span.in_scope(|| clock.advance(SECOND));
        clock.advance(SECOND);
        let clone = span.clone();
        drop(span);
        assert_eq!(spans(&registry, "import"), (0, 0.0), "not closed yet");
        drop(clone);
    });
    assert_eq!(spans(&registry, "import"), (1, 3.0));
}

#[test]
fn the_busy_time_of_a_span_is_what_was_spent_inside() {
    let clock = ManualClock::new();
    let registry = Registry::new();
    let layer = layer(&registry)
        .with_clock(clock.clone())
        .with_span_time(SpanTime::Busy);
    with_default(tracing_subscriber::registry().with(layer), || {
        let span = span!(Level::INFO, "import");
        for _ in 0..2 {
            clock.advance(4 * SECOND);
            span.in_scope(|| clock.advance(SECOND));
        }
        // Entered by two at the same time, it is worked on once.
        let outer = span.enter();
        clock.advance(SECOND);
        let inner = span.enter();
        clock.advance(SECOND);
        drop(outer);
        clock.advance(SECOND);
        drop(inner);
        clock.advance(4 * SECOND);
    });
    assert_eq!(spans(&registry, "import"), (1, 5.0));
}

#[test]
fn a_span_that_was_never_entered_was_not_busy() {
    let registry = Registry::new();
    let clock = ManualClock::new();
    let layer = layer(&registry)
        .with_clock(clock.clone())
        .with_span_time(SpanTime::Busy);
    with_default(tracing_subscriber::registry().with(layer), || {
        let span = span!(Level::INFO, "idle");
        clock.advance(SECOND);
        drop(span);
    });
    assert_eq!(spans(&registry, "idle"), (1, 0.0));
}

#[test]
fn layers_of_two_registries_have_their_own_times() {
    let (first, second) = (Registry::new(), Registry::new());
    let (fast, slow) = (ManualClock::new(), ManualClock::new());
    let subscriber = tracing_subscriber::registry()
        .with(layer(&first).with_clock(fast.clone()))
        .with(layer(&second).with_clock(slow.clone()));
    with_default(subscriber, || {
        let _span = span!(Level::INFO, "work").entered();
        fast.advance(2 * SECOND);
        slow.advance(5 * SECOND);
        event!(target: "both", Level::INFO, "seen");
    });
    assert_eq!(spans(&first, "work"), (1, 2.0));
    assert_eq!(spans(&second, "work"), (1, 5.0));
    for registry in [first, second] {
        let snapshot = registry.snapshot();
        let events = snapshot.counter("tracing_events_total").unwrap();
        assert_eq!(events.get(&["info", "both"]), Some(&1));
    }
}

#[test]
fn targets_beyond_the_limit_are_counted_together() {
    let registry = Registry::builder().max_series(2).build();
    let subscriber = tracing_subscriber::registry().with(layer(&registry));
    with_default(subscriber, || {
        for _ in 0..2 {
            event!(target: "a", Level::INFO, "");
            event!(target: "b", Level::INFO, "");
            event!(target: "c", Level::INFO, "");
            event!(target: "d", Level::INFO, "");
        }
    });
    let snapshot = registry.snapshot();
    let events = snapshot.counter("tracing_events_total").unwrap();
    assert_eq!(events.get(&["overflow", "overflow"]), Some(&4));
    assert_eq!(
        events.series.iter().map(|series| series.value).sum::<u64>(),
        8
    );
}

#[test]
fn names_that_are_taken_are_an_error() {
    let registry = Registry::new();
    registry.gauge("tracing_span_seconds").register().unwrap();
    assert!(TracingLayer::new(&registry).is_err());
}

#[test]
fn a_span_is_timed_when_a_panic_closes_it() {
    let registry = Registry::new();
    let clock = ManualClock::new();
    let subscriber =
        tracing_subscriber::registry().with(layer(&registry).with_clock(clock.clone()));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        with_default(subscriber, || {
            let _span = span!(Level::INFO, "fails").entered();
            clock.advance(SECOND);
            panic!("on purpose");
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(spans(&registry, "fails"), (1, 1.0));
}
