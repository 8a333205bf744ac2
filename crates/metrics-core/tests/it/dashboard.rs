//! Dashboards: every query is one that the server understands, about samples that there are.

use std::collections::BTreeSet;
use std::fs;

use brolly_metrics_core::{
    Buckets, Format, GaugeMerge, GaugeSnapshot, HistogramSnapshot, Registry, Snapshot,
    SummarySnapshot, Unit,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{empty, family, plain};
use crate::generate::snapshots;
use crate::parser::parse;
use crate::prometheus::server::{find, promtool};

fn gauge() -> GaugeSnapshot {
    GaugeSnapshot::new(1.0, GaugeMerge::Sum)
}

/// Every kind, with and without labels, and words of the query language as names.
fn snapshot() -> Snapshot {
    let times = || HistogramSnapshot::of(Unit::Seconds, Buckets::default(), [1.0]);
    let sample = SummarySnapshot {
        count: 1,
        p50: Some(1.0),
        ..SummarySnapshot::default()
    };
    let words = ["Inf", "by", "nan", "offset", "sum", "without"];
    Snapshot {
        counters: vec![
            plain("http.requests", Unit::None, 1),
            family(
                "sent_bytes",
                Unit::Bytes,
                &["by", "to"],
                [(vec!["a", "b"], 1)],
            ),
            family("strange", Unit::None, &["nan"], [(vec!["a"], 1)]),
            family("stranger", Unit::None, &["without"], [(vec!["a"], 1)]),
            plain("sum", Unit::Seconds, 1),
        ],
        gauges: words.map(|word| plain(word, Unit::Ratio, gauge())).to_vec(),
        histograms: vec![
            family(
                "strange.times",
                Unit::Seconds,
                &["inf"],
                [(vec!["a"], times())],
            ),
            family("times", Unit::Seconds, &["sum"], [(vec!["a"], times())]),
        ],
        summaries: vec![
            plain("merged", Unit::None, SummarySnapshot::default()),
            plain("quantile", Unit::None, sample),
        ],
        ..empty()
    }
}

fn board(snapshot: &Snapshot) -> Value {
    let text = snapshot.grafana_dashboard("Title \"quoted\"");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Every query, as Prometheus gets to see it.
pub(crate) fn queries(snapshot: &Snapshot, interval: &str) -> Vec<String> {
    let board = board(snapshot);
    let panels = board["panels"].as_array().expect("a list").iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array());
    let exprs = targets
        .flatten()
        .map(|target| target["expr"].as_str().expect("a text"));
    exprs
        .map(|expr| expr.replace("$__rate_interval", interval))
        .collect()
}

/// The names of the samples that a query is about.
fn samples_of(query: &str) -> BTreeSet<&str> {
    if let Some(rest) = query.strip_prefix("{__name__=\"") {
        return rest.strip_suffix("\"}").into_iter().collect();
    }
    let mut names = BTreeSet::new();
    let mut rest = query;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let word = &rest[start..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        rest = &word[end..];
        match &word[..end] {
            "sum" | "rate" | "histogram_quantile" if rest.starts_with('(') => {}
            "sum" if rest.starts_with(" by (") => {
                let close = rest.find(')').expect("it is closed");
                rest = &rest[close..];
            }
            // The length of time in brackets.
            _ if rest.starts_with(']') => {}
            name => {
                names.insert(name);
            }
        }
    }
    names
}

fn assert_about_what_is_there(snapshot: &Snapshot) {
    let page = parse(&snapshot.encode(Format::Text), Format::Text).expect("it follows the rules");
    let there: BTreeSet<&str> = page.samples().map(|sample| &*sample.name).collect();
    let mut asked = BTreeSet::new();
    let queries = queries(snapshot, "5m");
    for query in &queries {
        let names = samples_of(query);
        assert_eq!(names.len(), 1, "{query}");
        assert!(names.is_subset(&there), "{query}");
        asked.extend(names);
    }
    // And every family with samples is shown.
    for family in page
        .families
        .iter()
        .filter(|family| !family.samples.is_empty())
    {
        let is_shown = family
            .samples
            .iter()
            .any(|sample| asked.contains(&*sample.name));
        assert!(is_shown, "{}", family.name);
    }
}

#[test]
fn queries_are_about_samples_that_are_there() {
    assert_about_what_is_there(&snapshot());
    assert_about_what_is_there(&empty());
}

proptest! {
    #[test]
    fn queries_of_any_snapshot_are_about_samples_that_are_there(snapshot in snapshots()) {
        assert_about_what_is_there(&snapshot);
    }
}

#[test]
fn each_kind_is_asked_for_in_its_own_way() {
    let queries = queries(&snapshot(), "5m");
    for query in [
        "sum(rate(http_requests_total[5m]))",
        "sum by (by, to) (rate(sent_bytes_total[5m]))",
        "rate(strange_total[5m])",
        "{__name__=\"offset\"}",
        "histogram_quantile(0.99, sum by (le, sum) (rate(times_bucket[5m])))",
        "histogram_quantile(0.5, rate(strange_times_bucket[5m]))",
        "sum by (sum) (rate(times_count[5m]))",
        "{__name__=\"quantile\"}",
        "sum(rate(merged_count[5m]))",
    ] {
        assert!(
            queries.iter().any(|it| it == query),
            "{query}: {queries:#?}"
        );
    }
    assert!(!queries.iter().any(|query| query == "merged"));
}

#[test]
fn promtool_understands_every_query() {
    let Some(binary) = find("promtool") else {
        return;
    };
    let queries = queries(&snapshot(), "5m");
    let rules: Vec<Value> = queries
        .iter()
        .zip(0..)
        .map(|(query, number)| json!({"record": format!("board:{number}"), "expr": query}))
        .collect();
    // JSON is YAML.
    let groups = json!({"groups": [{"name": "board", "rules": rules}]});
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.yml");
    fs::write(&file, groups.to_string()).expect("it is written");
    let file = file.to_str().expect("the name is text");
    let checked = promtool(&binary, &["check", "rules", file], b"");
    let printed = checked.expect("every query is valid");
    let found = format!("SUCCESS: {} rules found", queries.len());
    assert!(printed.contains(&found), "{printed}");
}

#[test]
fn a_dashboard_is_laid_out_without_overlap() {
    let board = board(&snapshot());
    assert_eq!(board["title"], "Title \"quoted\"");
    assert_eq!(board["templating"]["list"][0]["type"], "datasource");
    let panels = board["panels"].as_array().expect("a list");
    let mut cells = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().expect("a number")));
        let at = |side: &str| panel["gridPos"][side].as_u64().expect("a number");
        assert!(at("x") + at("w") <= 24);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{panel}");
            }
        }
    }
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    let titles: Vec<&str> = rows.filter_map(|row| row["title"].as_str()).collect();
    assert_eq!(titles, ["Counters", "Gauges", "Histograms", "Summaries"]);
}

#[test]
fn the_same_snapshot_gives_the_same_text_and_nothing_gives_an_empty_board() {
    let text = || snapshot().grafana_dashboard("t");
    assert_eq!(text(), text());
    let nothing = board(&Registry::new().snapshot());
    assert_eq!(nothing["panels"], json!([]));
}
