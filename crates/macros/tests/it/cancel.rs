//! A future that is dropped after its first poll and before its end was cancelled.

use std::pin::Pin;
use std::sync::Arc;

use brolly_metrics_core::{Registry, timed};

use crate::support::{finish, once, outcomes, poll};

const AWAITS: usize = 3;

#[timed(name = "work", registry = registry)]
async fn work(registry: &Registry, held: Arc<()>) -> Result<(), ()> {
    once().await;
    once().await;
    once().await;
    drop(held);
    Ok(())
}

#[timed(name = "opaque", registry = registry)]
fn opaque(registry: &Registry, held: Arc<()>) -> impl Future<Output = Result<(), ()>> {
    work(registry, held)
}

#[timed(name = "boxed", registry = registry)]
fn boxed(registry: &Registry, held: Arc<()>) -> Pin<Box<dyn Future<Output = Result<(), ()>> + '_>> {
    Box::pin(work(registry, held))
}

#[timed(name = "boxed_block", registry = registry)]
fn boxed_block(
    registry: &Registry,
    held: Arc<()>,
) -> Pin<Box<dyn Future<Output = Result<(), ()>> + '_>> {
    Box::pin(async move { work(registry, held).await })
}

#[timed(name = "serve", registry = registry)]
async fn serve(registry: &Registry) -> ! {
    loop {
        once().await;
    }
}

#[test]
fn what_never_ends_can_only_be_cancelled() {
    let registry = Registry::new();
    assert!(poll(serve(&registry), 10).is_none());
    assert_eq!(outcomes(&registry, "serve"), [0, 0, 0, 1]);
}

#[test]
fn dropped_at_any_await_it_is_cancelled_once_and_holds_nothing() {
    for polls in 1..=AWAITS {
        let registry = Registry::new();
        let held = Arc::new(());
        assert_eq!(poll(work(&registry, Arc::clone(&held)), polls), None);
        assert_eq!(outcomes(&registry, "work"), [0, 0, 0, 1], "{polls} polls");
        assert_eq!(poll(opaque(&registry, Arc::clone(&held)), polls), None);
        assert_eq!(outcomes(&registry, "opaque"), [0, 0, 0, 1], "{polls} polls");
        assert_eq!(poll(boxed(&registry, Arc::clone(&held)), polls), None);
        assert_eq!(outcomes(&registry, "boxed"), [0, 0, 0, 1], "{polls} polls");
        let future = boxed_block(&registry, Arc::clone(&held));
        assert_eq!(poll(future, polls), None);
        let recorded = outcomes(&registry, "boxed_block");
        assert_eq!(recorded, [0, 0, 0, 1], "{polls} polls");
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

#[test]
fn a_future_that_was_never_polled_was_never_started() {
    let registry = Registry::new();
    drop(work(&registry, Arc::new(())));
    drop(opaque(&registry, Arc::new(())));
    drop(boxed(&registry, Arc::new(())));
    drop(boxed_block(&registry, Arc::new(())));
    for name in ["work", "opaque", "boxed", "boxed_block"] {
        assert_eq!(outcomes(&registry, name), [0; 4], "{name}");
    }
}

#[test]
fn at_its_end_it_is_not_cancelled() {
    let registry = Registry::new();
    assert_eq!(finish(work(&registry, Arc::new(()))), Ok(()));
    assert_eq!(outcomes(&registry, "work"), [1, 0, 0, 0]);
}
