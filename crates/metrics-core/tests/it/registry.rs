//! Registries: what may be registered, and what a snapshot of it all holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use brolly_metrics_core::{
    BucketsError, Format, GaugeMerge, Kind, Precision, RegisterError, Registry, Unit,
    default_registry,
};

#[test]
fn registries_are_worlds_of_their_own() {
    let (one, other) = (Registry::new(), Registry::new());
    assert_ne!(one.id(), other.id());
    assert_eq!(one.id(), one.clone().id());
    one.counter("c").register().expect("valid").inc();
    assert_eq!(other.counter("c").register().expect("valid").value(), 0);
    assert_eq!(default_registry().id(), default_registry().id());
}

#[test]
fn a_name_is_registered_once() {
    let registry = Registry::new();
    registry.counter("c").register().expect("valid");
    let again = registry.counter("c").register();
    let name = "c".to_owned();
    assert_eq!(again.err(), Some(RegisterError::Duplicate { name }));
}

#[test]
fn the_same_definition_gives_the_same_metric() {
    let registry = Registry::new();
    let get = || {
        registry
            .histogram("h")
            .unit(Unit::Seconds)
            .get_or_register()
    };
    get().expect("valid").observe(1.0);
    assert_eq!(get().expect("the same").snapshot().count(), 1);
    let family = || registry.counter("f").labels(["a"]).get_or_register();
    family().expect("valid").get(["x"]).inc();
    assert_eq!(family().expect("the same").get(["x"]).value(), 1);
}

#[test]
fn another_definition_of_a_name_is_refused_with_what_differs() {
    let registry = Registry::new();
    registry.histogram("h").register().expect("valid");
    registry.gauge("g").register().expect("valid");
    registry
        .counter("f")
        .labels(["a"])
        .register()
        .expect("valid");
    let name = || "h".to_owned();
    assert_eq!(
        registry.counter("h").get_or_register().err(),
        Some(RegisterError::KindMismatch {
            name: name(),
            registered: Kind::Histogram,
            requested: Kind::Counter,
        }),
    );
    for (what, definition) in [
        ("unit", registry.histogram("h").unit(Unit::Bytes)),
        (
            "choice of buckets",
            registry.histogram("h").precision(Precision::MIN),
        ),
        ("choice of buckets", registry.histogram("h").bounds(&[1.0])),
    ] {
        let expected = RegisterError::DefinitionMismatch { name: name(), what };
        assert_eq!(definition.get_or_register().err(), Some(expected));
    }
    assert!(matches!(
        registry.timer("h").get_or_register(),
        Err(RegisterError::DefinitionMismatch {
            what: "instrument",
            ..
        }),
    ));
    assert!(matches!(
        registry.gauge("g").merge(GaugeMerge::Max).get_or_register(),
        Err(RegisterError::DefinitionMismatch {
            what: "rule for merging",
            ..
        }),
    ));
    assert!(matches!(
        registry.int_gauge("g").get_or_register(),
        Err(RegisterError::DefinitionMismatch {
            what: "instrument",
            ..
        }),
    ));
    let labels = registry.counter("f").labels(["b"]).get_or_register().err();
    assert_eq!(
        labels,
        Some(RegisterError::LabelMismatch {
            name: "f".to_owned(),
            registered: vec!["a".to_owned()],
            requested: vec!["b".to_owned()],
        }),
    );
}

#[test]
fn names_that_cannot_be_exposed_are_refused() {
    let registry = Registry::new();
    let long = "x".repeat(256);
    for name in ["", "1a", "a-b", "a b", "ä", ".a", "a\n", "a\"", &long] {
        let refused = registry.gauge(name).register();
        assert!(
            matches!(refused, Err(RegisterError::InvalidName { .. })),
            "{name}"
        );
    }
    assert!(registry.counter("_total").register().is_err());
    for name in ["a", "_a:b.c_9", &long[1..]] {
        registry.gauge(name).register().expect("valid");
    }
}

#[test]
fn an_error_shows_a_name_of_any_length_shortened() {
    let name = "ä".repeat(100_000);
    let refused = Registry::new().gauge(&name).register();
    let text = refused.expect_err("not ASCII").to_string();
    assert!(text.len() < 300, "{text}");
}

#[test]
fn names_that_would_meet_in_the_exposition_are_refused() {
    let registry = Registry::new();
    registry.histogram("a.b").register().expect("valid");
    registry.counter("c_total").register().expect("valid");
    registry.summary("s").register().expect("valid");
    for name in [
        "a_b",
        "a_b_bucket",
        "a.b_sum",
        "a_b.count",
        "a_b_created",
        "c",
        "c_total.",
        "c.total",
    ] {
        if name.ends_with('.') {
            continue;
        }
        let refused = registry.gauge(name).register();
        assert!(
            matches!(refused, Err(RegisterError::NameClash { .. })),
            "{name}: {refused:?}"
        );
    }
    for name in ["a_b_count", "s_count", "c"] {
        let refused = registry.counter(name).register();
        assert!(
            matches!(refused, Err(RegisterError::NameClash { .. })),
            "{name}: {refused:?}"
        );
    }
    registry.gauge("a_b_total").register().expect("no clash");
}

#[test]
fn labels_are_checked() {
    let registry = Registry::new();
    let refusal = |label: &str| {
        registry
            .counter("c")
            .labels(["fine", label])
            .register()
            .err()
    };
    for label in ["", "1", "a-b", "a.b", "a:b", "ä"] {
        assert!(
            matches!(refusal(label), Some(RegisterError::InvalidLabel { .. })),
            "{label}"
        );
    }
    for label in ["le", "quantile", "__name__", "__"] {
        assert!(
            matches!(refusal(label), Some(RegisterError::ReservedLabel { .. })),
            "{label}"
        );
    }
    assert!(matches!(
        refusal("fine"),
        Some(RegisterError::DuplicateLabel { .. })
    ));
    assert!(matches!(
        registry.timer("t").labels(["outcome"]).register(),
        Err(RegisterError::ReservedLabel { .. }),
    ));
    let many: [String; 33] = std::array::from_fn(|at| format!("l{at}"));
    let many = many.each_ref().map(String::as_str);
    assert!(matches!(
        registry.counter("c").labels(many).register(),
        Err(RegisterError::TooManyLabels {
            count: 33,
            max: 32,
            ..
        }),
    ));
}

#[test]
fn settings_out_of_range_are_refused() {
    let registry = Registry::new();
    let buckets = |bounds: &[f64]| match registry.histogram("h").bounds(bounds).register() {
        Err(RegisterError::Buckets { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    assert_eq!(buckets(&[]), BucketsError::Empty);
    assert!(matches!(
        buckets(&[1.0, 1.0]),
        BucketsError::NotIncreasing { position: 1, .. }
    ));
    assert!(matches!(
        buckets(&[1.0, 0.5]),
        BucketsError::NotIncreasing { .. }
    ));
    for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        assert!(matches!(
            buckets(&[bad]),
            BucketsError::OutOfRange { position: 0, .. }
        ));
    }
    let many: Vec<_> = (0..513).map(f64::from).collect();
    assert!(matches!(
        buckets(&many),
        BucketsError::TooMany { count: 513, .. }
    ));
    for window in [0, usize::MAX] {
        let refused = registry.summary("s").window(window).register();
        assert!(matches!(
            refused,
            Err(RegisterError::OutOfRange {
                field: "window",
                ..
            })
        ));
    }
    let refused = registry.counter("c").labels(["a"]).max_series(0).register();
    assert!(matches!(
        refused,
        Err(RegisterError::OutOfRange {
            field: "max_series",
            ..
        })
    ));
}

#[test]
fn a_registry_takes_no_more_than_its_limit() {
    let registry = Registry::builder().max_metrics(2).build();
    registry.counter("a").register().expect("valid");
    registry.counter("b").register().expect("valid");
    let refused = registry.counter("c").register().err();
    let name = "c".to_owned();
    assert_eq!(
        refused,
        Some(RegisterError::TooManyMetrics { name, max: 2 })
    );
    registry
        .counter("b")
        .get_or_register()
        .expect("it is there");
}

#[test]
fn a_registry_calls_no_more_collectors_than_its_limit() {
    let registry = Registry::new();
    for _ in 0..1_000 {
        registry.on_collect(|| ()).expect("there is room");
    }
    let refused = registry.on_collect(|| ()).err();
    assert_eq!(
        refused,
        Some(RegisterError::TooManyCollectors { max: 1_000 })
    );
}

#[test]
fn a_sample_under_a_name_too_long_is_refused_and_not_dropped() {
    let registry = Registry::new();
    let refused = registry.record(&"x".repeat(5_000), 1.0);
    assert!(matches!(refused, Err(RegisterError::InvalidName { .. })));
    assert_eq!(registry.dropped(), 0);
}

#[test]
fn samples_are_recorded_by_name() {
    let registry = Registry::builder().max_metrics(2).build();
    registry.counter("taken").register().expect("valid");
    registry
        .record("git_operations.status", 1.5)
        .expect("valid");
    registry
        .record("git_operations.status", 2.5)
        .expect("valid");
    registry
        .record("b", f64::NAN)
        .expect("refused by the summary");
    for name in ["c", "d", "e"] {
        registry.record(name, 1.0).expect("goes to the overflow");
    }
    let snapshot = registry.snapshot();
    let of = |name: &str| snapshot.summary(name).and_then(|it| it.get(&[])).copied();
    assert_eq!(of("git_operations.status").and_then(|it| it.avg), Some(2.0));
    assert_eq!(of("b").map(|it| (it.count, it.rejected)), Some((0, 1)));
    assert_eq!(of("overflow").map(|it| it.count), Some(3));
    assert_eq!(registry.dropped(), 3);
    assert_eq!(of("c"), None);
    for name in ["taken", "not a name", ""] {
        let fresh = Registry::new();
        fresh.counter("taken").register().expect("valid");
        assert!(fresh.record(name, 1.0).is_err(), "{name}");
    }
}

#[test]
fn everything_can_be_asked_for_at_once_and_by_those_who_are_asked() {
    // One of the originals locked itself out when all metrics were asked for.
    let registry = Registry::new();
    let depth = registry.gauge("depth").register().expect("valid");
    let asked = Arc::new(AtomicU64::new(0));
    let (weak, count) = (registry.clone(), Arc::clone(&asked));
    let collect = move || {
        count.fetch_add(1, Ordering::Relaxed);
        depth.set(3.0);
        weak.record("seen", 1.0).expect("valid");
        let _ = weak.snapshot();
        let _ = weak.encode(Format::Text);
    };
    registry.on_collect(collect).expect("there is room");
    registry
        .on_collect(|| panic!("a collector fails"))
        .expect("there is room");
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.gauges[0].series[0].value.value, 3.0);
    assert!(snapshot.summary("seen").is_some());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(registry.collect_panics(), 1);
}

#[test]
fn clearing_starts_the_past_again_and_leaves_the_present() {
    let registry = Registry::new();
    let counter = registry
        .counter("repo.a.count")
        .labels(["repo", "op"])
        .register()
        .expect("valid");
    let histogram = registry.histogram("repo.a.size").register().expect("valid");
    let summary = registry.summary("other").register().expect("valid");
    let gauge = registry.gauge("busy").register().expect("valid");
    let timer = registry
        .timer("t")
        .labels(["repo"])
        .register()
        .expect("valid");
    let record = || {
        counter.get(["x", "get"]).add(2);
        counter.get(["y", "get"]).add(3);
        histogram.observe(1.0);
        summary.observe(1.0);
        gauge.set(9.0);
        timer.with(["x"], |timer| timer.start().success());
    };
    record();
    assert_eq!(registry.clear_prefix("repo.a."), 3);
    assert_eq!(
        (
            counter.get(["x", "get"]).value(),
            histogram.snapshot().count()
        ),
        (0, 0)
    );
    assert_eq!(histogram.snapshot().max(), None);
    assert_eq!(summary.snapshot().count, 1);
    record();
    assert_eq!(registry.clear_label("repo", "x"), 2);
    assert_eq!(counter.get(["x", "get"]).value(), 0);
    assert_eq!(counter.get(["y", "get"]).value(), 3);
    assert_eq!(registry.clear_label("nothing", "x"), 0);
    assert_eq!(registry.clear(), 5);
    assert_eq!(summary.snapshot().count, 0);
    assert_eq!(gauge.value(), 9.0);
    record();
    assert_eq!(histogram.snapshot().count(), 1);
}

#[test]
fn a_snapshot_is_sorted_and_says_everything() {
    let registry = Registry::new();
    let family = registry
        .counter("b")
        .help("Bees.")
        .unit(Unit::Bytes)
        .labels(["z", "a"])
        .register()
        .expect("valid");
    registry.counter("a").register().expect("valid").add(9);
    family.get(["1", "y"]).add(1);
    family.get(["0", "x"]).add(2);
    family.get(["2", "x"]).add(3);
    let snapshot = registry.snapshot();
    let names: Vec<_> = snapshot
        .counters
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    let bees = snapshot.counter("b").expect("registered");
    assert_eq!((bees.help.as_str(), bees.unit), ("Bees.", Unit::Bytes));
    assert_eq!(bees.label_names, ["a", "z"]);
    let rows: Vec<_> = bees
        .series
        .iter()
        .map(|it| (it.label_values.join(" "), it.value))
        .collect();
    let expected = [("x 0", 2), ("x 2", 3), ("y 1", 1)];
    assert_eq!(
        rows,
        expected.map(|(values, count)| (values.to_owned(), count))
    );
    assert_eq!(bees.get(&["x", "2"]), Some(&3));
    assert_eq!(registry.encode(Format::Text), snapshot.encode(Format::Text));
    assert_eq!(
        registry.encode(Format::OpenMetrics),
        snapshot.encode(Format::OpenMetrics)
    );
}

#[test]
fn what_was_cleared_stays_cleared_when_its_thread_ends() {
    let registry = Registry::new();
    let counter = registry.counter("c").register().expect("valid");
    let histogram = registry.histogram("h").register().expect("valid");
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                counter.add(5);
                histogram.observe(5.0);
                assert_eq!(registry.clear(), 2);
            })
            .join()
            .expect("nothing panics");
    });
    assert_eq!((counter.value(), histogram.snapshot().count()), (0, 0));
    assert_eq!(histogram.snapshot().sum(), 0.0);
}

#[test]
fn a_collector_that_reads_another_registry_finds_it_up_to_date() {
    let (inner, outer) = (Registry::new(), Registry::new());
    let level = inner.gauge("level").register().expect("valid");
    inner
        .on_collect(move || level.set(7.0))
        .expect("there is room");
    let seen = outer.gauge("seen").register().expect("valid");
    let collect = move || {
        let snapshot = inner.snapshot();
        let level = snapshot.gauge("level").expect("registered");
        seen.set(level.series[0].value.value);
    };
    outer.on_collect(collect).expect("there is room");
    assert!(outer.encode(Format::Text).contains("seen 7\n"));
}

#[test]
fn a_collector_whose_panic_panics_in_turn_harms_nobody() {
    struct Thrown;
    impl Drop for Thrown {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let registry = Registry::new();
    registry
        .on_collect(|| std::panic::panic_any(Thrown))
        .expect("there is room");
    let _ = (registry.snapshot(), registry.snapshot());
    assert_eq!(registry.collect_panics(), 2);
}
