//! Pages as a real Prometheus server and its `promtool` read them.

pub(crate) mod server;
mod target;

use std::collections::BTreeMap;

use brolly_metrics_core::{
    Bounds, Buckets, Format, GaugeMerge, GaugeSnapshot, HistogramSnapshot, Registry, Snapshot,
    SummarySnapshot, Unit,
};

use self::server::{Server, promtool};
use self::target::{Body, Target};
use crate::fixture::{empty, family, plain};
use crate::parser::{Sample, parse};

/// Every kind, and labels that break careless writers.
fn snapshot() -> Snapshot {
    let bounds = Bounds::new(Unit::Bytes, &[100.0, 1e6]).expect("they increase");
    let sizes = HistogramSnapshot::of(Unit::Bytes, Buckets::Explicit(bounds), [99.0, 100.0, 1e9]);
    let times = HistogramSnapshot::of(Unit::Seconds, Buckets::default(), [0.002, 0.02, 0.2, 500.0]);
    let hostile = [
        "",
        "plain",
        "quote\" quote\"",
        "back\\slash\\",
        "new\nline\n",
        "\\n is not a newline",
        "tab\t return\r",
        "Zürich 東京 🌂",
        "{a=\"b\"} 1",
        "# EOF",
        "nul\0nul",
        "\u{feff}bom \u{202e}rtl \u{7f}",
    ];
    let counts = hostile
        .iter()
        .zip(1..)
        .map(|(value, total)| (vec![*value, "x"], total));
    let numbers = [
        ("whole", 5.0),
        ("small", 5e-324),
        ("large", f64::MAX),
        ("third", 1.0 / 3.0),
        ("negative", -17.25),
        ("zero", -0.0),
        ("nan", f64::NAN),
        ("up", f64::INFINITY),
        ("down", f64::NEG_INFINITY),
    ];
    let gauges = numbers
        .iter()
        .map(|&(label, value)| (vec![label], GaugeSnapshot::new(value, GaugeMerge::Sum)));
    let mut help = plain(
        "help.texts",
        Unit::None,
        GaugeSnapshot::new(1.0, GaugeMerge::Sum),
    );
    help.help = "With \"quotes\", back\\slashes\\ and\nnew lines.".to_owned();
    let mut gauges = vec![family("numbers", Unit::None, &["which"], gauges), help];
    gauges.sort_by(|a, b| a.name.cmp(&b.name));
    Snapshot {
        counters: vec![
            family("hostile_labels", Unit::None, &["text", "zone"], counts),
            plain("large_total", Unit::None, u64::MAX),
        ],
        gauges,
        histograms: vec![
            family(
                "sizes_bytes",
                Unit::Bytes,
                &["kind"],
                [(vec!["a\"b"], sizes)],
            ),
            plain("wait_seconds", Unit::Seconds, times),
        ],
        summaries: vec![plain(
            "last_samples",
            Unit::None,
            SummarySnapshot {
                count: 12,
                window_count: 3,
                p50: Some(0.5),
                p95: Some(0.875),
                p99: None,
                ..SummarySnapshot::default()
            },
        )],
        ..empty()
    }
}

/// A registry with a metric of every kind, which also says when its series were made.
fn registry() -> Registry {
    let registry = Registry::new();
    let requests = registry.counter("http.requests").help("Requests served.");
    let requests = requests.labels(["method", "path"]).register();
    let requests = requests.expect("a new name");
    requests.get(["GET", "/\"\n\\"]).add(3);
    requests.get(["PUT", "/"]).inc();
    let queue = registry.gauge("queue_length").help("Waiting.").register();
    queue.expect("a new name").set(2.5);
    let wait = registry
        .histogram("wait_seconds")
        .help("Waiting time.")
        .unit(Unit::Seconds);
    wait.register().expect("a new name").observe(0.25);
    let call = registry.timer("call_seconds").help("Calls.").register();
    call.expect("a new name").time(|| ());
    for sample in 0..100 {
        registry
            .record("git.status", f64::from(sample))
            .expect("a valid name");
    }
    registry
}

#[test]
fn a_server_reads_back_what_the_pages_say() {
    let Some(binary) = server::find("prometheus") else {
        return;
    };
    let snapshot = snapshot();
    let text = snapshot.encode(Format::Text);
    let open = snapshot.encode(Format::OpenMetrics);
    let registered = registry().encode(Format::OpenMetrics);
    let target = Target::start([
        ("/text", Body::Page(Format::Text, text.clone())),
        ("/open", Body::Page(Format::OpenMetrics, open.clone())),
        (
            "/registry",
            Body::Page(Format::OpenMetrics, registered.clone()),
        ),
        ("/negotiated", Body::Negotiated(snapshot.clone())),
    ]);
    let jobs = ["text", "open", "registry", "negotiated"];
    let server = Server::start(&binary, target.address(), &jobs);

    for (job, page, format) in [
        ("text", text, Format::Text),
        ("open", open.clone(), Format::OpenMetrics),
        ("registry", registered, Format::OpenMetrics),
        ("negotiated", open, Format::OpenMetrics),
    ] {
        let page = parse(&page, format).expect("it follows the rules");
        let mut expected: Vec<Sample> = page.samples().cloned().map(as_stored).collect();
        let mut stored = server.samples(job);
        sort(&mut expected);
        sort(&mut stored);
        assert_eq!(stored.len(), expected.len(), "{job}");
        for (stored, expected) in stored.iter().zip(&expected) {
            assert_eq!(stored.name, expected.name, "{job}");
            assert_eq!(stored.labels, expected.labels, "{job}: {}", expected.name);
            let is_same = stored.value == expected.value
                || (stored.value.is_nan() && expected.value.is_nan());
            assert!(is_same, "{job}: {stored:?} {expected:?}");
        }
    }
    assert_eq!(target.negotiated(), Some(Format::OpenMetrics));

    // The server computes with what it read.
    let value = |query: &str| server.value(query).unwrap_or_else(|| panic!("no {query}"));
    assert_eq!(value("sum(hostile_labels_total{job=\"text\"})"), 78.0);
    assert_eq!(
        value(r#"hostile_labels_total{job="open",text="new\nline\n"}"#),
        5.0
    );
    assert_eq!(
        value(r#"wait_seconds_bucket{job="open",le="2.147483647"}"#),
        3.0
    );
    let median = value(r#"histogram_quantile(0.5, wait_seconds_bucket{job="open"})"#);
    assert!((0.008..0.04).contains(&median), "{median}");

    // A dashboard for these metrics has data in every panel.
    #[cfg(feature = "serde")]
    for query in crate::dashboard::queries(&snapshot, "1m") {
        server.wait_for(&query);
    }
}

/// A label without a value is the same as no label to the server.
fn as_stored(mut sample: Sample) -> Sample {
    sample.labels.retain(|_, value| !value.is_empty());
    sample
}

fn sort(samples: &mut [Sample]) {
    let key = |sample: &Sample| (sample.name.clone(), sample.labels.clone());
    samples.sort_by_key(|sample| -> (String, BTreeMap<String, String>) { key(sample) });
}

#[test]
fn promtool_finds_nothing_to_object_to() {
    let Some(binary) = server::find("promtool") else {
        return;
    };
    let pages = [
        snapshot().encode(Format::Text),
        registry().encode(Format::Text),
        String::new(),
    ];
    for page in pages {
        let checked = promtool(&binary, &["check", "metrics"], page.as_bytes());
        assert_eq!(checked, Ok(String::new()), "{page}");
    }
}
