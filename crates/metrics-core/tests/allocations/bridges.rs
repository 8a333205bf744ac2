//! What the bridges record allocates nothing once it is known.

use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use brolly_metrics_core::{MetricsBridge, Registry, TracingLayer, timed};
use brolly_sync::ManualClock;
use tracing_subscriber::layer::SubscriberExt;

/// The allocations of the second time: what is seen for the first time may allocate.
fn allocations(work: impl Fn()) -> usize {
    work();
    crate::allocations(work)
}

#[timed(registry = registry)]
fn plain(registry: &Registry) -> Result<u8, ()> {
    Ok(1)
}

#[timed(registry = registry)]
async fn later(registry: &Registry) {}

#[timed(registry = None::<&Registry>)]
fn off() {}

#[test]
fn a_timed_call_allocates_nothing() {
    // A clock that stands still: another duration could be the first of its order of magnitude.
    let standing = || Registry::builder().clock(ManualClock::new()).build();
    let (registry, elsewhere) = (standing(), standing());
    assert_ne!(allocations(|| drop(vec![0_u8])), 0, "allocations are seen");
    for registry in [&registry, &elsewhere] {
        assert_eq!(allocations(|| assert_eq!(plain(registry), Ok(1))), 0);
        let poll_once = || {
            let mut context = Context::from_waker(Waker::noop());
            assert!(pin!(later(registry)).poll(&mut context).is_ready());
        };
        assert_eq!(allocations(poll_once), 0);
    }
    assert_eq!(allocations(off), 0);
}

#[test]
fn a_known_key_of_the_facade_allocates_nothing() {
    let registry = Registry::new();
    let bridge = MetricsBridge::new(&registry).expect("the names are free");
    let record = || {
        metrics::with_local_recorder(&bridge, || {
            metrics::counter!("hits", "method" => "GET", "status" => "200").increment(1);
            metrics::gauge!("depth").set(1.0);
            metrics::histogram!("latency", "method" => "GET").record(0.5);
        });
    };
    assert_eq!(allocations(record), 0);
}

#[test]
fn an_event_whose_level_and_target_are_known_allocates_nothing() {
    let registry = Registry::new();
    let layer = TracingLayer::new(&registry).expect("the names are free");
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let send = || tracing::info!(target: "shop", items = 3, "sold");
        assert_eq!(allocations(send), 0);
    });
}

#[timed(registry = registry)]
fn boxed<'a>(registry: &'a Registry) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    Box::pin(async move { later(registry).await })
}

#[test]
fn a_boxed_async_block_is_boxed_once() {
    let registry = Registry::builder().clock(ManualClock::new()).build();
    let poll_once = || {
        let mut context = Context::from_waker(Waker::noop());
        assert!(boxed(&registry).as_mut().poll(&mut context).is_ready());
    };
    assert_eq!(allocations(poll_once), 1);
}
