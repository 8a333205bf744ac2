//! Pages in both formats, line by line.

use brolly_metrics_core::{
    Bounds, Buckets, Format, GaugeMerge, GaugeSnapshot, HistogramSnapshot, Snapshot,
    SummarySnapshot, Unit,
};
use proptest::prelude::*;

use crate::fixture::{empty, family, plain};

fn snapshot() -> Snapshot {
    let bounds = Bounds::new(Unit::Seconds, &[0.1, 1.0, 2.5]).expect("they increase");
    let times = |samples: &[f64]| {
        let buckets = Buckets::Explicit(bounds.clone());
        HistogramSnapshot::of(Unit::Seconds, buckets, samples.iter().copied())
    };
    Snapshot {
        counters: vec![
            family(
                "http.requests",
                Unit::None,
                &["method", "path"],
                [
                    (vec!["GET", "/"], 12),
                    (vec!["PUT", "a\"b\\c\nd é 🌂"], u64::MAX),
                ],
            ),
            plain("work_seconds_total", Unit::Seconds, 3),
        ],
        gauges: vec![plain(
            "queue_bytes",
            Unit::Bytes,
            GaugeSnapshot::new(-1.5, GaugeMerge::Sum),
        )],
        histograms: vec![family(
            "wait_seconds",
            Unit::Seconds,
            &["pool"],
            [
                (vec!["a"], times(&[0.1, 0.2, 2.5, 2.6])),
                (vec!["b"], times(&[])),
            ],
        )],
        summaries: vec![plain(
            "sizes",
            Unit::None,
            SummarySnapshot {
                count: 9,
                window_count: 2,
                p50: Some(1.0),
                p95: Some(0.25),
                ..SummarySnapshot::default()
            },
        )],
        ..empty()
    }
}

#[test]
fn a_page_of_text_is_as_the_format_says() {
    let expected = r#"# HELP http_requests_total What http.requests means.
# TYPE http_requests_total counter
http_requests_total{method="GET",path="/"} 12
http_requests_total{method="PUT",path="a\"b\\c\nd é 🌂"} 18446744073709551615
# HELP queue_bytes What queue_bytes means.
# TYPE queue_bytes gauge
queue_bytes -1.5
# HELP sizes What sizes means.
# TYPE sizes summary
sizes{quantile="0.5"} 1
sizes{quantile="0.95"} 0.25
sizes_count 9
# HELP wait_seconds What wait_seconds means.
# TYPE wait_seconds histogram
wait_seconds_bucket{pool="a",le="0.1"} 1
wait_seconds_bucket{pool="a",le="1.0"} 2
wait_seconds_bucket{pool="a",le="2.5"} 3
wait_seconds_bucket{pool="a",le="+Inf"} 4
wait_seconds_sum{pool="a"} 5.4
wait_seconds_count{pool="a"} 4
wait_seconds_bucket{pool="b",le="0.1"} 0
wait_seconds_bucket{pool="b",le="1.0"} 0
wait_seconds_bucket{pool="b",le="2.5"} 0
wait_seconds_bucket{pool="b",le="+Inf"} 0
wait_seconds_sum{pool="b"} 0
wait_seconds_count{pool="b"} 0
# HELP work_seconds_total What work_seconds_total means.
# TYPE work_seconds_total counter
work_seconds_total 3e-9
"#;
    assert_eq!(snapshot().encode(Format::Text), expected);
}

#[test]
fn a_page_of_open_metrics_names_families_units_and_its_end() {
    let page = snapshot().encode(Format::OpenMetrics);
    let comments: Vec<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
    let expected = r#"# HELP http_requests What http.requests means.
# TYPE http_requests counter
# HELP queue_bytes What queue_bytes means.
# TYPE queue_bytes gauge
# UNIT queue_bytes bytes
# HELP sizes What sizes means.
# TYPE sizes summary
# HELP wait_seconds What wait_seconds means.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
# HELP work_seconds What work_seconds_total means.
# TYPE work_seconds counter
# UNIT work_seconds seconds
# EOF"#;
    assert_eq!(comments.join("\n"), expected);
    let text = snapshot().encode(Format::Text);
    let samples = |page: &str| -> Vec<String> {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(samples(&page), samples(&text));
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn help_is_escaped_as_each_format_wants_it() {
    let mut snapshot = snapshot();
    snapshot.gauges[0].help = "a \"quoted\" back\\slash\nand more".to_owned();
    let text = snapshot.encode(Format::Text);
    assert!(text.contains("# HELP queue_bytes a \"quoted\" back\\\\slash\\nand more\n"));
    let open = snapshot.encode(Format::OpenMetrics);
    assert!(open.contains("# HELP queue_bytes a \\\"quoted\\\" back\\\\slash\\nand more\n"));
}

#[test]
fn a_family_without_help_has_its_own_name_for_it() {
    let mut snapshot = snapshot();
    snapshot.counters[0].help.clear();
    let text = snapshot.encode(Format::Text);
    assert!(text.contains("# HELP http_requests_total http.requests\n"));
}

#[test]
fn a_counter_ends_with_total_once() {
    for (name, family, sample) in [
        ("a", "a", "a_total"),
        ("a_total", "a", "a_total"),
        ("a.total", "a", "a_total"),
        ("a_total_total", "a_total", "a_total_total"),
        ("_total", "_total", "_total_total"),
        ("subtotal", "subtotal", "subtotal_total"),
    ] {
        let snapshot = Snapshot {
            counters: vec![plain(name, Unit::None, 1)],
            ..empty()
        };
        let text = snapshot.encode(Format::Text);
        let expected = format!("# TYPE {sample} counter\n{sample} 1\n");
        assert!(text.ends_with(&expected), "{text}");
        let open = snapshot.encode(Format::OpenMetrics);
        let expected = format!("# TYPE {family} counter\n{sample} 1\n# EOF\n");
        assert!(open.ends_with(&expected), "{open}");
    }
}

#[test]
fn numbers_read_back_as_they_were() {
    let mut snapshot = empty();
    for (value, text) in [
        (0.0, "0"),
        (-0.0, "-0.0"),
        (5.0, "5"),
        (-7.0, "-7"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (5e-324, "5e-324"),
        (9_007_199_254_740_993.0, "9007199254740992.0"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ] {
        snapshot.gauges = vec![plain(
            "g",
            Unit::None,
            GaugeSnapshot::new(value, GaugeMerge::Sum),
        )];
        let page = snapshot.encode(Format::Text);
        let line = page.lines().last().expect("a sample");
        assert_eq!(line, format!("g {text}"));
    }
}

#[test]
fn the_media_type_with_the_highest_weight_wins() {
    let open = Format::OpenMetrics;
    let text = Format::Text;
    // What Prometheus 2.42 sends.
    let prometheus = "application/openmetrics-text;version=1.0.0,\
                      application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, expected) in [
        (prometheus, open),
        ("", text),
        ("*/*", text),
        ("text/plain", text),
        (
            "text/plain; version=0.0.4; q=0.9, application/openmetrics-text; q=0.8",
            text,
        ),
        (
            "application/openmetrics-text; q=0.8, text/plain; q=0.8",
            open,
        ),
        (
            "text/plain; q=0.8, APPLICATION/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.8",
            open,
        ),
        (
            "application/openmetrics-text; q=0, text/plain; q=0.001",
            text,
        ),
        ("application/openmetrics-text; q=0", text),
        ("application/openmetrics-text; version=2.0.0", text),
        ("text/plain; x=\"a,application/openmetrics-text,b\"", text),
        ("application/openmetrics-text; q=x, image/png", text),
        (
            "text/html, application/vnd.google.protobuf; q=1, ;;,=,",
            text,
        ),
    ] {
        assert_eq!(Format::negotiate(accept), expected, "{accept}");
    }
    assert!(text.content_type().starts_with("text/plain; version=0.0.4"));
    assert!(
        open.content_type()
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
}

proptest! {
    #[test]
    fn any_header_is_answered_and_a_weight_of_zero_refuses(
        header in prop_oneof![any::<String>(), "[a-z/*;,=q.01 \"-]{0,60}"],
        weight in 0.0f64..=1.0,
    ) {
        let _ = Format::negotiate(&header);
        let refused = "application/openmetrics-text;q=0";
        prop_assert_eq!(Format::negotiate(refused), Format::Text);
        let both = format!("text/plain;q={weight},application/openmetrics-text;q=1");
        prop_assert_eq!(Format::negotiate(&both), Format::OpenMetrics);
    }
}
