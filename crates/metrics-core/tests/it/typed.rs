//! Typed families: every combination from the start, found by arithmetic.

use brolly_metrics_core::{RegisterError, Registry, StaticLabel, static_label};

static_label! {
    enum Method {
        Get => "GET",
        Post => "POST",
        Put => "PUT",
    }
}

static_label! {
    enum Class {
        Fine => "2xx",
        Wrong => "5xx",
    }
}

#[test]
fn every_combination_is_a_series_of_its_own_from_the_start() {
    let registry = Registry::new();
    let family = registry
        .counter("requests_total")
        .typed_labels::<(Method, Class, bool)>(["method", "class", "cached"])
        .register()
        .expect("valid");
    let mut next = 1;
    for method in [Method::Get, Method::Post, Method::Put] {
        for class in [Class::Fine, Class::Wrong] {
            for cached in [false, true] {
                family[(method, class, cached)].add(next);
                next += 1;
            }
        }
    }
    let snapshot = registry.snapshot();
    let found = snapshot.counter("requests_total").expect("registered");
    assert_eq!(found.label_names, ["cached", "class", "method"]);
    assert_eq!(found.series.len(), 12);
    assert_eq!(found.get(&["false", "2xx", "GET"]), Some(&1));
    assert_eq!(found.get(&["true", "5xx", "POST"]), Some(&8));
    assert_eq!(found.get(&["true", "5xx", "PUT"]), Some(&12));
}

#[test]
fn the_same_definition_gives_the_same_series_whichever_way_they_are_told_apart() {
    let registry = Registry::new();
    let typed = || {
        let definition = registry.counter("c").typed_labels::<(Method,)>(["method"]);
        definition.get_or_register().expect("the same")
    };
    typed()[(Method::Put,)].inc();
    typed().clone()[(Method::Put,)].inc();
    let dynamic = registry.counter("c").labels(["method"]).get_or_register();
    assert_eq!(dynamic.expect("the same").get(["PUT"]).value(), 2);
}

#[derive(Clone, Copy)]
struct Nothing;

impl StaticLabel for Nothing {
    const VALUES: &'static [&'static str] = &[];

    fn index(self) -> usize {
        0
    }
}

#[test]
fn a_label_without_values_is_refused() {
    let registry = Registry::new();
    let definition = registry
        .counter("c")
        .typed_labels::<(Method, Nothing)>(["a", "b"]);
    let refused = definition.register().err();
    assert!(matches!(
        refused,
        Some(RegisterError::OutOfRange {
            field: "typed_labels",
            ..
        })
    ));
}

#[test]
fn a_typed_family_of_other_values_is_another_definition() {
    let registry = Registry::new();
    let first = registry.counter("c").typed_labels::<(Method,)>(["l"]);
    first.get_or_register().expect("valid");
    let again = registry.counter("c").typed_labels::<(Method,)>(["l"]);
    assert!(again.get_or_register().is_ok());
    // Its values would all be beyond the limit of the first, and recorded as overflow.
    let other = registry.counter("c").typed_labels::<(bool,)>(["l"]);
    let (name, what) = ("c".to_owned(), "set of label values");
    assert_eq!(
        other.get_or_register().err(),
        Some(RegisterError::DefinitionMismatch { name, what })
    );
}
