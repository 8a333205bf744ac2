//! The facade's macros record into a registry, whatever names and labels they come with.

use std::sync::Barrier;
use std::thread;

use brolly_metrics_core::{BridgeStats, Format, MetricsBridge, Registry, Unit};
use metrics::{
    Label, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    with_local_recorder,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::parser::parse;

fn recorded(record: impl FnOnce(&MetricsBridge)) -> (Registry, BridgeStats) {
    let registry = Registry::new();
    let bridge = MetricsBridge::new(&registry).expect("an empty registry takes its counters");
    with_local_recorder(&bridge, || record(&bridge));
    (registry, bridge.stats())
}

/// The lines of the page that start with this.
fn lines(registry: &Registry, start: &str) -> Vec<String> {
    let page = registry.encode(Format::Text);
    let lines = page.lines().filter(|line| line.starts_with(start));
    lines.map(str::to_owned).collect()
}

fn nothing_lost(stats: BridgeStats) {
    assert_eq!(stats, BridgeStats::default());
}

#[test]
fn counters_gauges_and_histograms_are_recorded() {
    let (registry, stats) = recorded(|_| {
        for _ in 0..3 {
            counter!("requests", "method" => "GET").increment(2);
        }
        counter!("requests", "method" => "PUT").increment(1);
        let bytes = counter!("bytes");
        bytes.absolute(10);
        bytes.absolute(7);
        bytes.increment(1);
        let depth = gauge!("depth");
        depth.set(5.0);
        depth.increment(2.5);
        depth.decrement(0.5);
        histogram!("latency").record(0.25);
        histogram!("latency").record_many(0.5, 2);
    });
    nothing_lost(stats);
    let snapshot = registry.snapshot();
    let requests = snapshot.counter("requests").unwrap();
    assert_eq!(requests.get(&["GET"]), Some(&6));
    assert_eq!(requests.get(&["PUT"]), Some(&1));
    assert_eq!(snapshot.counter("bytes").unwrap().get(&[]), Some(&11));
    let depth = snapshot.gauge("depth").unwrap().get(&[]).unwrap();
    assert_eq!(depth.value, 7.0);
    let latency = snapshot.histogram("latency").unwrap().get(&[]).unwrap();
    assert_eq!((latency.count(), latency.sum()), (3, 1.25));
}

#[test]
fn a_handle_that_is_kept_records_without_its_recorder() {
    let registry = Registry::new();
    let bridge = MetricsBridge::new(&registry).unwrap();
    let kept = with_local_recorder(&bridge, || counter!("kept"));
    drop(bridge);
    kept.increment(4);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("kept").unwrap().get(&[]), Some(&4));
}

#[test]
fn it_is_installed_for_the_program_once() {
    let registry = Registry::new();
    let bridge = MetricsBridge::new(&registry).unwrap();
    bridge.install().unwrap();
    counter!("installed").increment(1);
    let other = MetricsBridge::new(&Registry::new()).unwrap();
    assert!(other.install().is_err());
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("installed").unwrap().get(&[]), Some(&1));
}

#[test]
fn recorders_of_two_registries_do_not_mix() {
    let (first, _) = recorded(|_| counter!("mine").increment(1));
    let (second, _) = recorded(|_| counter!("mine").increment(2));
    let total = |registry: &Registry| registry.snapshot().counter("mine").unwrap().series[0].value;
    assert_eq!((total(&first), total(&second)), (1, 2));
}

#[test]
fn descriptions_give_help_and_unit() {
    let (registry, stats) = recorded(|_| {
        describe_counter!("sent_bytes", metrics::Unit::Bytes, "Bytes sent");
        describe_gauge!("load", metrics::Unit::Percent, "How busy we are");
        describe_histogram!("latency", metrics::Unit::Seconds, "How long it took");
        counter!("sent_bytes").increment(1);
        gauge!("load").set(50.0);
        histogram!("latency").record(1.0);
    });
    nothing_lost(stats);
    let snapshot = registry.snapshot();
    let sent = snapshot.counter("sent_bytes").unwrap();
    assert_eq!((&*sent.help, sent.unit), ("Bytes sent", Unit::Bytes));
    let load = snapshot.gauge("load").unwrap();
    assert_eq!(
        (&*load.help, load.unit),
        ("How busy we are (in percent)", Unit::None)
    );
    let latency = snapshot.histogram("latency").unwrap();
    assert_eq!(latency.unit, Unit::Seconds);
}

#[test]
fn a_description_that_comes_too_late_is_counted() {
    let (_, stats) = recorded(|_| {
        describe_counter!("early", "Said before");
        counter!("early").increment(1);
        describe_counter!("early", "Said before");
        counter!("late").increment(1);
        describe_counter!("late", "Said after");
    });
    assert_eq!(stats.lost_descriptions, 1);
}

// The following are defects of the facade's most used exporter.

#[test]
fn a_name_used_as_counter_and_gauge_has_one_type() {
    let (registry, stats) = recorded(|_| {
        counter!("jobs").increment(3);
        gauge!("jobs").set(9.0);
        histogram!("jobs").record(9.0);
    });
    assert_eq!(stats.refused_names, 2);
    assert_eq!(
        lines(&registry, "# TYPE jobs"),
        ["# TYPE jobs_total counter"]
    );
    assert_eq!(lines(&registry, "jobs"), ["jobs_total 3"]);
}

#[test]
fn names_that_become_the_same_do_not_overwrite_each_other() {
    for (first, second) in [
        ("a.b", "a_b"),
        ("a_b", "a.b"),
        ("a-b", "a_b"),
        ("a-b", "a b"),
    ] {
        let (registry, stats) = recorded(|_| {
            gauge!(first).set(1.0);
            gauge!(second).set(2.0);
            gauge!(first).increment(4.0);
        });
        assert_eq!(stats.refused_names, 1, "{first} and {second}");
        assert_eq!(lines(&registry, "a_b"), ["a_b 5"], "{first} and {second}");
    }
}

#[test]
fn an_empty_name_becomes_one_that_can_be_read() {
    let (registry, stats) = recorded(|_| {
        gauge!("").set(1.0);
        gauge!("named", "" => "x").set(2.0);
    });
    nothing_lost(stats);
    assert_eq!(lines(&registry, "_ "), ["_ 1"]);
    assert_eq!(lines(&registry, "named"), ["named{_=\"x\"} 2"]);
}

#[test]
fn values_that_differ_in_what_is_escaped_are_two_lines() {
    let values = ["x\\y", "x\\\\y", "x\ny", "x\\ny", "x\"y"];
    let (registry, stats) = recorded(|_| {
        for value in values {
            counter!("paths_total", "path" => value).increment(1);
        }
    });
    nothing_lost(stats);
    let mut lines = lines(&registry, "paths_total");
    lines.dedup();
    assert_eq!(lines.len(), values.len(), "{lines:?}");
}

#[test]
fn label_names_that_become_the_same_do_not_make_two_lines_of_one_series() {
    let (registry, stats) = recorded(|_| {
        counter!("hits", "a-b" => "1").increment(1);
        counter!("hits", "a_b" => "1").increment(2);
        counter!("hits", "a-b" => "2", "a_b" => "3").increment(4);
        counter!("twice", "a" => "1", "a" => "2").increment(1);
    });
    assert_eq!(stats.dropped_labels, 3);
    let hits = lines(&registry, "hits_total");
    let expected = [
        "hits_total{a_b=\"\"} 2",
        "hits_total{a_b=\"1\"} 1",
        "hits_total{a_b=\"2\"} 4",
    ];
    assert_eq!(hits, expected);
    assert_eq!(lines(&registry, "twice_total"), ["twice_total{a=\"1\"} 1"]);
}

#[test]
fn reserved_labels_are_renamed() {
    let (registry, stats) = recorded(|_| {
        counter!("asked", "le" => "1", "quantile" => "2", "__name__" => "3").increment(1);
    });
    nothing_lost(stats);
    let expected =
        "asked_total{exported___name__=\"3\",exported_le=\"1\",exported_quantile=\"2\"} 1";
    assert_eq!(lines(&registry, "asked_total"), [expected]);
}

#[test]
fn the_order_of_labels_means_nothing() {
    let (registry, stats) = recorded(|_| {
        counter!("hits", "a" => "1", "b" => "2").increment(1);
        counter!("hits", "b" => "2", "a" => "1").increment(1);
    });
    nothing_lost(stats);
    assert_eq!(
        lines(&registry, "hits_total"),
        ["hits_total{a=\"1\",b=\"2\"} 2"]
    );
}

#[test]
fn labels_that_a_family_lacks_keep_totals_right_and_gauges_honest() {
    let (registry, stats) = recorded(|_| {
        counter!("hits", "path" => "/").increment(1);
        counter!("hits", "path" => "/", "method" => "GET").increment(2);
        counter!("hits").increment(4);
        gauge!("depth", "queue" => "a").set(1.0);
        gauge!("depth", "queue" => "a", "shard" => "1").set(2.0);
    });
    assert_eq!((stats.dropped_labels, stats.refused_labels), (1, 1));
    let hits = lines(&registry, "hits_total");
    assert_eq!(
        hits,
        ["hits_total{path=\"\"} 4", "hits_total{path=\"/\"} 3"]
    );
    assert_eq!(lines(&registry, "depth"), ["depth{queue=\"a\"} 1"]);
}

#[test]
fn declared_labels_may_be_used_in_any_combination() {
    let (registry, stats) = recorded(|bridge| {
        assert!(bridge.declare_labels("hits", ["path", "method"]));
        counter!("hits", "path" => "/").increment(1);
        counter!("hits", "path" => "/", "method" => "GET").increment(2);
        assert!(!bridge.declare_labels("hits", ["path"]), "it is in use");
    });
    nothing_lost(stats);
    let hits = lines(&registry, "hits_total");
    let expected = [
        "hits_total{method=\"\",path=\"/\"} 1",
        "hits_total{method=\"GET\",path=\"/\"} 2",
    ];
    assert_eq!(hits, expected);
}

#[test]
fn any_number_of_label_sets_ends_in_the_overflow_series_with_totals_right() {
    let registry = Registry::builder().max_series(3).build();
    let bridge = MetricsBridge::new(&registry).unwrap();
    with_local_recorder(&bridge, || {
        for round in 0..2 {
            for user in 0..50 {
                counter!("logins", "user" => format!("{user}")).increment(round + 1);
            }
        }
    });
    let snapshot = registry.snapshot();
    let logins = snapshot.counter("logins").unwrap();
    assert_eq!(logins.series.len(), 4);
    assert_eq!(
        logins.series.iter().map(|series| series.value).sum::<u64>(),
        150
    );
    assert_eq!(logins.get(&["overflow"]), Some(&141));
}

#[test]
fn any_number_of_names_ends_and_is_counted() {
    let registry = Registry::builder().max_metrics(10).build();
    let bridge = MetricsBridge::new(&registry).unwrap();
    with_local_recorder(&bridge, || {
        for number in 0..30 {
            counter!(format!("name_{number}")).increment(1);
        }
    });
    assert_eq!(registry.snapshot().counters.len(), 10);
    assert_eq!(bridge.stats().refused_full, 23);
}

#[test]
fn metrics_of_the_program_and_of_the_facade_share_a_registry() {
    let registry = Registry::new();
    let own = registry.counter("shared").register().unwrap();
    own.inc();
    registry.gauge("own").register().unwrap();
    let bridge = MetricsBridge::new(&registry).unwrap();
    with_local_recorder(&bridge, || {
        counter!("shared").increment(1);
        counter!("own").increment(1);
    });
    assert_eq!(own.value(), 2);
    assert_eq!(bridge.stats().refused_names, 1);
}

#[test]
fn threads_that_see_a_key_first_at_the_same_time_lose_nothing() {
    let registry = Registry::new();
    let bridge = MetricsBridge::new(&registry).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                with_local_recorder(&bridge, || {
                    for key in 0..100 {
                        let labels = vec![Label::new("key", key.to_string())];
                        counter!("seen", labels).increment(1);
                    }
                });
            });
        }
    });
    let snapshot = registry.snapshot();
    let seen = snapshot.counter("seen").unwrap();
    assert_eq!(seen.series.len(), 100);
    assert!(seen.series.iter().all(|series| series.value == 4));
}

#[derive(Clone, Debug)]
enum Op {
    Counter(String, Vec<(String, String)>),
    Gauge(String, Vec<(String, String)>),
    Histogram(String, Vec<(String, String)>),
    Describe(String, String),
}

/// Names of few letters, so that they meet often; now and then any name.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![9 => "[ab._-]{0,3}(_total|_sum|_bucket|_count)?", 1 => any::<String>()]
}

fn labels() -> impl Strategy<Value = Vec<(String, String)>> {
    let label = prop_oneof![4 => "[ab_-]{0,2}", 1 => Just("le".to_owned()), 1 => any::<String>()];
    let value = prop_oneof!["[a\\\\\"\n]{0,2}", any::<String>()];
    vec((label, value), 0..4)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (name(), labels()).prop_map(|(name, labels)| Op::Counter(name, labels)),
        (name(), labels()).prop_map(|(name, labels)| Op::Gauge(name, labels)),
        (name(), labels()).prop_map(|(name, labels)| Op::Histogram(name, labels)),
        (name(), any::<String>()).prop_map(|(name, help)| Op::Describe(name, help)),
    ]
}

fn own(labels: Vec<(String, String)>) -> Vec<Label> {
    let labels = labels.into_iter();
    labels
        .map(|(name, value)| Label::new(name, value))
        .collect()
}

proptest! {
    #[test]
    fn whatever_is_recorded_the_page_obeys_the_formats(ops in vec(op(), 0..40)) {
        let (registry, _) = recorded(|_| {
            for op in ops {
                match op {
                    Op::Counter(name, labels) => counter!(name, own(labels)).increment(1),
                    Op::Gauge(name, labels) => gauge!(name, own(labels)).set(1.0),
                    Op::Histogram(name, labels) => histogram!(name, own(labels)).record(1.0),
                    Op::Describe(name, help) => describe_counter!(name, help),
                }
            }
        });
        for format in [Format::Text, Format::OpenMetrics] {
            let page = registry.encode(format);
            let read = parse(&page, format);
            prop_assert!(read.is_ok(), "{}\n{page}", read.unwrap_err());
        }
    }

    #[test]
    fn what_is_counted_is_in_a_series_or_among_the_refused(
        keys in vec((name(), labels()), 0..60),
        max_series in 1_usize..5,
        max_metrics in 3_usize..8,
    ) {
        let builder = Registry::builder().max_series(max_series);
        let registry = builder.max_metrics(max_metrics).build();
        let bridge = MetricsBridge::new(&registry).unwrap();
        let asked = keys.len() as u64;
        with_local_recorder(&bridge, || {
            for (name, labels) in keys {
                counter!(name, own(labels)).increment(1);
            }
        });
        let snapshot = registry.snapshot();
        let of_others = snapshot.counters.iter().filter(|it| !it.name.starts_with("metrics_bridge"));
        let counted: u64 = of_others.flat_map(|it| &it.series).map(|it| it.value).sum();
        let stats = bridge.stats();
        let refused = stats.refused_names + stats.refused_labels + stats.refused_full;
        prop_assert_eq!(counted + refused, asked);
    }
}

#[test]
fn a_figure_raises_a_series_once_whichever_handles_it_comes_through() {
    const ROUNDS: u64 = 5_000;
    let registry = Registry::new();
    let bridge = MetricsBridge::new(&registry).expect("the names are free");
    assert!(bridge.declare_labels("jobs", ["queue"]));
    let jobs = with_local_recorder(&bridge, || {
        [
            counter!("jobs", "queue" => "a"),
            counter!("jobs", "queue" => "a", "worker" => "1"),
        ]
    });
    let value = || {
        let snapshot = registry.snapshot();
        let jobs = snapshot.counter("jobs").and_then(|jobs| jobs.get(&["a"]));
        *jobs.expect("it was looked up")
    };
    let (together, done) = (Barrier::new(3), Barrier::new(3));
    let mut raised_twice = 0;
    thread::scope(|scope| {
        for handle in &jobs {
            scope.spawn(|| {
                for figure in 1..=ROUNDS {
                    together.wait();
                    handle.absolute(figure * 1_000);
                    done.wait();
                }
            });
        }
        for figure in 1..=ROUNDS {
            together.wait();
            done.wait();
            // Nothing panics between the barriers, or the others would wait for ever.
            raised_twice += u64::from(value() != figure * 1_000);
        }
    });
    assert_eq!(raised_twice, 0);
}
