//! Where it is recorded, and under which name.

use std::time::Duration;

use brolly_metrics_core::{Registry, default_registry, timed};
use brolly_sync::ManualClock;

use crate::support::{finish, once, outcomes};

struct Shop {
    registry: Registry,
    off: Option<Registry>,
}

impl Shop {
    fn new() -> Self {
        Self {
            registry: Registry::new(),
            off: None,
        }
    }

    #[timed(registry = &self.registry)]
    fn sell(&mut self) -> usize {
        1
    }

    #[timed(registry = &self.registry)]
    async fn deliver(self) -> Registry {
        once().await;
        self.registry
    }

    #[timed(registry = self.off.as_ref())]
    fn restock(&self) -> usize {
        2
    }

    #[timed(registry = self.registry.clone().as_ref_for_test())]
    fn count(&self) -> usize {
        3
    }
}

/// Stands for an expression that borrows from a temporary.
trait AsRefForTest {
    fn as_ref_for_test(&self) -> Option<&Registry>;
}

impl AsRefForTest for Registry {
    fn as_ref_for_test(&self) -> Option<&Registry> {
        Some(self)
    }
}

#[test]
fn the_name_is_the_path_with_dots_and_the_registry_may_be_in_self() {
    let mut shop = Shop::new();
    assert_eq!(shop.sell() + shop.count(), 4);
    let name = concat!(module_path!(), "::sell").replace("::", ".");
    assert_eq!(name, "it.registry.sell");
    assert_eq!(outcomes(&shop.registry, &name), [1, 0, 0, 0]);
    assert_eq!(outcomes(&shop.registry, "it.registry.count"), [1, 0, 0, 0]);
    let registry = finish(shop.deliver());
    assert_eq!(outcomes(&registry, "it.registry.deliver"), [1, 0, 0, 0]);
}

#[test]
fn without_a_registry_nothing_is_recorded() {
    let mut shop = Shop::new();
    assert_eq!(shop.restock(), 2);
    shop.off = Some(Registry::new());
    assert_eq!(shop.restock(), 2);
    let off = shop.off.as_ref().unwrap();
    assert_eq!(outcomes(off, "it.registry.restock"), [1, 0, 0, 0]);
}

#[timed]
fn r#match() -> usize {
    4
}

#[test]
fn the_default_is_the_default_registry() {
    assert_eq!(r#match(), 4);
    let recorded = outcomes(default_registry(), "it.registry.match");
    assert_eq!(recorded, [1, 0, 0, 0]);
}

#[timed(name = "taken", registry = registry)]
fn taken(registry: &Registry) -> usize {
    5
}

#[test]
fn a_name_that_is_taken_turns_recording_off_and_is_counted() {
    let registry = Registry::new();
    let counter = registry.counter("taken").register().unwrap();
    assert_eq!(taken(&registry) + taken(&registry), 10);
    assert_eq!(counter.value(), 0);
    let snapshot = registry.snapshot();
    let refused = snapshot.counter("timed_sites_refused_total").unwrap();
    assert_eq!(refused.get(&[]), Some(&1));
    // Elsewhere the same place records.
    let other = Registry::new();
    assert_eq!(taken(&other), 5);
    assert_eq!(outcomes(&other, "taken"), [1, 0, 0, 0]);
}

#[timed(name = "waits", registry = registry)]
async fn waits(registry: &Registry, clock: &ManualClock) {
    clock.advance(Duration::from_millis(250));
    once().await;
    clock.advance(Duration::from_millis(500));
}

#[test]
fn the_time_is_from_the_first_poll_to_the_end() {
    let clock = ManualClock::new();
    let registry = Registry::builder().clock(clock.clone()).build();
    let future = waits(&registry, &clock);
    clock.advance(Duration::from_secs(9));
    finish(future);
    let snapshot = registry.snapshot();
    let waits = snapshot.histogram("waits").unwrap();
    assert_eq!(waits.get(&["success"]).unwrap().sum(), 0.75);
}

mod facade {
    pub(super) use brolly_metrics_core as metrics_core;
}

#[timed(name = "through", registry = registry, crate = self::facade::metrics_core)]
fn through(registry: &Registry) -> usize {
    6
}

#[test]
fn it_works_through_another_crate() {
    let registry = Registry::new();
    assert_eq!(through(&registry), 6);
    assert_eq!(outcomes(&registry, "through"), [1, 0, 0, 0]);
}
