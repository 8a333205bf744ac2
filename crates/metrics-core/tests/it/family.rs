//! Families: label values, their limit, and lookups without a trace.

use std::collections::HashMap;
use std::thread;

use brolly_metrics_core::{Counter, Family, Format, Outcome, Registry};
use proptest::prelude::*;

fn family<const N: usize>(labels: [&str; N], max: usize) -> (Registry, Family<Counter, N>) {
    let registry = Registry::new();
    let definition = registry.counter("f").labels(labels).max_series(max);
    let family = definition.register().expect("valid");
    (registry, family)
}

#[test]
fn the_same_values_are_the_same_series() {
    let (_, family) = family(["a", "b"], 10);
    family.with(["x", "y"], |counter| counter.add(2));
    family.get(["x", "y"]).inc();
    family.clone().with(["y", "x"], |counter| counter.inc());
    assert_eq!(family.get(["x", "y"]).value(), 3);
    assert_eq!((family.len(), family.dropped()), (2, 0));
}

#[test]
fn values_that_run_together_are_series_of_their_own() {
    // A widely used crate takes `ab`, `c` and `a`, `bc` for the same.
    let (_, family) = family(["a", "b"], 10);
    family.get(["ab", "c"]).inc();
    assert_eq!(family.get(["a", "bc"]).value(), 0);
    assert_eq!(family.get(["", "abc"]).value(), 0);
    assert_eq!(family.len(), 3);
}

#[test]
fn an_attack_on_the_labels_ends_in_one_series_with_the_total_right() {
    let (registry, family) = family(["user"], 100);
    thread::scope(|scope| {
        for attacker in 0..4 {
            let family = &family;
            scope.spawn(move || {
                for number in 0..25_000 {
                    family.with([&format!("{attacker}/{number}")], |it| it.inc());
                }
            });
        }
    });
    assert_eq!(family.len(), 101);
    assert_eq!(family.dropped(), 100_000 - 100);
    let snapshot = registry.snapshot();
    let series = &snapshot.counters[0].series;
    assert_eq!(series.iter().map(|it| it.value).sum::<u64>(), 100_000);
    assert_eq!(
        snapshot.counters[0].get(&["overflow"]),
        Some(&(100_000 - 100))
    );
}

#[test]
fn values_too_long_to_keep_are_counted_with_the_rest_and_others_are_still_taken() {
    let (registry, family) = family(["a"], 10);
    let long = "x".repeat(1_025);
    for _ in 0..3 {
        family.with([&long], |counter| counter.inc());
    }
    family.with([&long[1..]], |counter| counter.inc());
    family.with(["short"], |counter| counter.inc());
    assert_eq!((family.len(), family.dropped()), (3, 3));
    assert_eq!(family.get(["overflow"]).value(), 3);
    assert!(!registry.encode(Format::Text).contains(&long));
}

#[test]
fn who_is_called_overflow_by_right_shares_the_series() {
    let (_, family) = family(["a"], 2);
    family.get(["overflow"]).inc();
    family.get(["x"]).inc();
    family.get(["y"]).inc();
    family.get(["z"]).inc();
    assert_eq!(family.len(), 3);
    assert_eq!(family.get(["overflow"]).value(), 2);
}

#[test]
fn a_series_that_was_removed_makes_room_and_starts_anew() {
    let (registry, family) = family(["a"], 2);
    let kept = family.get(["x"]);
    kept.inc();
    family.get(["y"]).inc();
    family.get(["z"]).inc();
    assert_eq!(family.dropped(), 1);
    assert!(family.remove(["x"]));
    assert!(!family.remove(["x"]));
    // The handle still counts, but for nobody.
    kept.inc();
    assert!(!registry.encode(Format::Text).contains("a=\"x\""));
    family.get(["overflow"]).inc();
    assert!(family.remove(["overflow"]));
    assert_eq!(family.get(["x"]).value(), 0);
    assert_eq!(family.len(), 2);
}

#[test]
fn recording_may_look_up_and_remove_in_the_same_family() {
    let (_, family) = family(["a"], 100);
    family.with(["outer"], |outer| {
        for number in 0..50 {
            family.with([&number.to_string()], |inner| inner.inc());
        }
        assert!(family.remove(["outer"]));
        outer.inc();
    });
    assert_eq!(family.len(), 50);
}

#[test]
fn threads_that_meet_at_new_values_make_one_series_of_each() {
    let (_, family) = family(["a"], 1_000);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..500 {
                    family.with([&number.to_string()], |counter| counter.inc());
                }
            });
        }
    });
    assert_eq!(family.len(), 500);
    for number in 0..500 {
        assert_eq!(family.get([&number.to_string()]).value(), 4);
    }
}

#[test]
fn a_panic_while_recording_harms_nobody_else() {
    let (_, family) = family(["a"], 10);
    drop(family.get(["x"]));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        family.with(["x"], |_| panic!("recording fails"));
    }));
    assert!(outcome.is_err());
    family.with(["x"], |counter| counter.inc());
    family.with(["y"], |counter| counter.inc());
    assert_eq!(family.get(["x"]).value(), 1);
}

#[test]
fn a_family_outlives_its_registry() {
    let (registry, family) = family(["a"], 10);
    drop(registry);
    family.with(["x"], |counter| counter.inc());
    assert_eq!(family.get(["x"]).value(), 1);
}

#[test]
fn timers_with_labels_have_a_series_for_each_outcome_that_occurred() {
    let registry = Registry::new();
    let family = registry
        .timer("work_seconds")
        .labels(["zone"])
        .max_series(1)
        .register()
        .expect("valid");
    family.with(["b"], |timer| timer.time(|| ()));
    family.with(["b"], |timer| timer.start().error());
    family.with(["beyond"], |timer| timer.start().success());
    let snapshot = registry.snapshot();
    let found = snapshot.histogram("work_seconds").expect("registered");
    assert_eq!(found.label_names, ["outcome", "zone"]);
    let values: Vec<_> = found
        .series
        .iter()
        .map(|it| it.label_values.join(" "))
        .collect();
    assert_eq!(values, ["error b", "success b", "success overflow"]);
    assert!(family.remove(["b"]));
    let left = registry.snapshot();
    assert_eq!(
        left.histogram("work_seconds").map(|it| it.series.len()),
        Some(1)
    );
    assert_eq!(Outcome::Success.name(), "success");
}

#[derive(Clone, Debug)]
enum Op {
    Count(u8, u8),
    Remove(u8, u8),
    Clear,
}

proptest! {
    #[test]
    fn a_family_behaves_like_a_map_with_a_limit(
        ops in prop::collection::vec(
            prop_oneof![
                8 => (0..6u8, 0..3u8).prop_map(|(a, b)| Op::Count(a, b)),
                2 => (0..6u8, 0..3u8).prop_map(|(a, b)| Op::Remove(a, b)),
                1 => Just(Op::Clear),
            ],
            0..60,
        ),
        max in 1..12usize,
    ) {
        let (registry, family) = family(["a", "b"], max);
        let mut model: HashMap<(String, String), u64> = HashMap::new();
        let overflow = ("overflow".to_owned(), "overflow".to_owned());
        for op in ops {
            match op {
                Op::Count(a, b) => {
                    let key = (a.to_string(), b.to_string());
                    family.with([&key.0, &key.1], |counter| counter.inc());
                    let ours = model.keys().filter(|it| **it != overflow).count();
                    let is_full = ours >= max;
                    let goes_to = if model.contains_key(&key) || !is_full { key } else { overflow.clone() };
                    *model.entry(goes_to).or_default() += 1;
                }
                Op::Remove(a, b) => {
                    let key = (a.to_string(), b.to_string());
                    prop_assert_eq!(family.remove([&key.0, &key.1]), model.remove(&key).is_some());
                }
                Op::Clear => {
                    prop_assert_eq!(registry.clear(), model.len());
                    model.values_mut().for_each(|count| *count = 0);
                }
            }
            prop_assert_eq!(family.len(), model.len());
        }
        let snapshot = registry.snapshot();
        for series in &snapshot.counters[0].series {
            let key = (series.label_values[0].clone(), series.label_values[1].clone());
            prop_assert_eq!(Some(&series.value), model.get(&key));
        }
    }
}
