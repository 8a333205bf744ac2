//! A Grafana dashboard for the metrics of a snapshot.

use serde_json::{Value, json};

use crate::encode::{push_label_name, push_sample_name};
use crate::kind::Kind;
use crate::snapshot::{FamilySnapshot, Snapshot, SummarySnapshot};
use crate::unit::Unit;

/// The time over which rates are taken: Grafana puts in one that spans four scrapes or more.
const RATE: &str = "$__rate_interval";

impl Snapshot {
    /// A Grafana dashboard, as the JSON that Grafana imports, with a panel for every metric here
    /// that has a series.
    ///
    /// Counters are shown as rates, gauges as they are, histograms as quantiles and rates,
    /// summaries as their quantiles and rates; each kind in a row of its own. The data source is
    /// chosen on the dashboard. Queries use only samples that [`encode`](Self::encode) writes for
    /// this snapshot. The same snapshot gives the same text.
    ///
    /// ```
    /// use brolly_metrics_core::Registry;
    ///
    /// let registry = Registry::new();
    /// registry.counter("requests").register()?.inc();
    /// let dashboard = registry.snapshot().grafana_dashboard("My service");
    /// assert!(dashboard.contains("sum(rate(requests_total[$__rate_interval]))"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn grafana_dashboard(&self, title: &str) -> String {
        let mut board = Board::default();
        board.row("Counters", shown(&self.counters).map(counter_panels));
        board.row("Gauges", shown(&self.gauges).map(gauge_panels));
        board.row("Histograms", shown(&self.histograms).map(histogram_panels));
        board.row("Summaries", shown(&self.summaries).map(summary_panels));
        let dashboard = json!({
            "title": title,
            "tags": ["brolly"],
            "schemaVersion": 39,
            "editable": true,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": [{
                "name": "datasource",
                "label": "Data source",
                "type": "datasource",
                "query": "prometheus",
            }]},
            "panels": board.panels,
        });
        format!("{dashboard:#}")
    }
}

/// The families that have something to show.
fn shown<T>(families: &[FamilySnapshot<T>]) -> impl Iterator<Item = &FamilySnapshot<T>> {
    families.iter().filter(|family| !family.series.is_empty())
}

/// Panels, laid out three abreast.
#[derive(Default)]
struct Board {
    panels: Vec<Value>,
    /// The first free line of the grid.
    top: u32,
}

impl Board {
    fn row(&mut self, title: &str, families: impl Iterator<Item = Vec<Panel>>) {
        /// Grafana's grid has 24 columns.
        const WIDTH: u32 = 8;
        const HEIGHT: u32 = 8;
        let mut left = 0;
        for (number, panel) in families.flatten().enumerate() {
            if number == 0 {
                let id = self.next_id();
                self.panels.push(json!({
                    "id": id,
                    "type": "row",
                    "title": title,
                    "collapsed": false,
                    "gridPos": {"x": 0, "y": self.top, "w": 24, "h": 1},
                    "panels": [],
                }));
                self.top += 1;
            } else if left == 24 {
                left = 0;
                self.top += HEIGHT;
            }
            let place = json!({"x": left, "y": self.top, "w": WIDTH, "h": HEIGHT});
            let id = self.next_id();
            self.panels.push(panel.into_json(id, place));
            left += WIDTH;
        }
        if left > 0 {
            self.top += HEIGHT;
        }
    }

    fn next_id(&self) -> usize {
        self.panels.len() + 1
    }
}

struct Panel {
    title: String,
    description: String,
    /// As Grafana calls it.
    unit: &'static str,
    queries: Vec<Query>,
}

struct Query {
    expr: String,
    legend: String,
}

impl Panel {
    fn into_json(self, id: usize, place: Value) -> Value {
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        let queries = self.queries.into_iter().zip('A'..).map(|(query, letter)| {
            json!({
                "refId": letter.to_string(),
                "datasource": source,
                "expr": query.expr,
                "legendFormat": query.legend,
            })
        });
        json!({
            "id": id,
            "type": "timeseries",
            "title": self.title,
            "description": self.description,
            "datasource": source,
            "gridPos": place,
            "fieldConfig": {"defaults": {"unit": self.unit}, "overrides": []},
            "targets": queries.collect::<Vec<Value>>(),
        })
    }
}

fn counter_panels(family: &FamilySnapshot<u64>) -> Vec<Panel> {
    let samples = sample_name(family, Kind::Counter);
    vec![rate_panel(family, family.name.clone(), &samples)]
}

fn gauge_panels<T>(family: &FamilySnapshot<T>) -> Vec<Panel> {
    let query = Query {
        expr: selector(&sample_name(family, Kind::Gauge)),
        legend: legend("{{instance}}", &label_names(family)),
    };
    vec![Panel {
        title: family.name.clone(),
        description: family.help.clone(),
        unit: unit(family.unit),
        queries: vec![query],
    }]
}

fn histogram_panels<T>(family: &FamilySnapshot<T>) -> Vec<Panel> {
    let name = sample_name(family, Kind::Histogram);
    let labels = label_names(family);
    let quantiles = [("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")];
    let queries = quantiles.iter().map(|(title, q)| {
        let buckets = sum_by(&labels, Some("le"), &rate(&format!("{name}_bucket")));
        Query {
            expr: format!("histogram_quantile({q}, {buckets})"),
            legend: legend(title, &labels),
        }
    });
    vec![
        Panel {
            title: family.name.clone(),
            description: family.help.clone(),
            unit: unit(family.unit),
            queries: queries.collect(),
        },
        count_panel(family, &name),
    ]
}

fn summary_panels(family: &FamilySnapshot<SummarySnapshot>) -> Vec<Panel> {
    let name = sample_name(family, Kind::Summary);
    let mut panels = Vec::new();
    // Merged summaries have no quantiles, and so no samples of the family's own name.
    let has_quantiles = family.series.iter().any(|series| {
        let summary = &series.value;
        summary.p50.or(summary.p95).or(summary.p99).is_some()
    });
    if has_quantiles {
        panels.push(Panel {
            title: family.name.clone(),
            description: family.help.clone(),
            unit: unit(family.unit),
            queries: vec![Query {
                expr: selector(&name),
                legend: legend("{{quantile}}", &label_names(family)),
            }],
        });
    }
    panels.push(count_panel(family, &name));
    panels
}

/// How often something was recorded.
fn count_panel<T>(family: &FamilySnapshot<T>, name: &str) -> Panel {
    let title = format!("{}: per second", family.name);
    let panel = rate_panel(family, title, &format!("{name}_count"));
    Panel {
        unit: "cps",
        ..panel
    }
}

fn rate_panel<T>(family: &FamilySnapshot<T>, title: String, samples: &str) -> Panel {
    let labels = label_names(family);
    Panel {
        title,
        description: family.help.clone(),
        unit: match family.unit {
            Unit::None | Unit::Ratio => "cps",
            // Seconds per second: how many are at it at a time.
            Unit::Seconds => "short",
            Unit::Bytes => "Bps",
        },
        queries: vec![Query {
            expr: sum_by(&labels, None, &rate(samples)),
            legend: legend("", &labels),
        }],
    }
}

/// What Grafana calls a unit.
fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "short",
        Unit::Seconds => "s",
        Unit::Bytes => "bytes",
        Unit::Ratio => "percentunit",
    }
}

fn sample_name<T>(family: &FamilySnapshot<T>, kind: Kind) -> String {
    let mut name = String::new();
    push_sample_name(&mut name, &family.name, kind);
    name
}

fn label_names<T>(family: &FamilySnapshot<T>) -> Vec<String> {
    let names = family.label_names.iter().map(|label| {
        let mut name = String::new();
        push_label_name(&mut name, label);
        name
    });
    names.collect()
}

/// All series of a name. A word that means something else to the query language is a name too,
/// when it is written as the value that it is.
fn selector(name: &str) -> String {
    const WORDS: [&str; 32] = [
        "and",
        "atan2",
        "avg",
        "bool",
        "bottomk",
        "by",
        "count",
        "count_values",
        "end",
        "group",
        "group_left",
        "group_right",
        "ignoring",
        "inf",
        "max",
        "min",
        "nan",
        "offset",
        "on",
        "or",
        "quantile",
        "start",
        "stddev",
        "stdvar",
        "sum",
        "topk",
        "unless",
        "without",
        "limitk",
        "limit_ratio",
        "fill",
        "anchored",
    ];
    if WORDS.iter().any(|word| name.eq_ignore_ascii_case(word)) {
        return format!("{{__name__=\"{name}\"}}");
    }
    name.to_owned()
}

fn rate(samples: &str) -> String {
    format!("rate({samples}[{RATE}])")
}

/// The sum over all processes, for each combination of these labels.
fn sum_by(labels: &[String], more: Option<&str>, expr: &str) -> String {
    // The query language takes two of these for numbers, and the third it does not take here at all:
    // nothing can be grouped by them.
    const WORDS: [&str; 3] = ["inf", "nan", "without"];
    let is_word = |label: &String| WORDS.contains(&label.to_lowercase().as_str());
    if labels.iter().any(is_word) {
        return expr.to_owned();
    }
    let all: Vec<&str> = more
        .into_iter()
        .chain(labels.iter().map(String::as_str))
        .collect();
    if all.is_empty() {
        return format!("sum({expr})");
    }
    format!("sum by ({}) ({expr})", all.join(", "))
}

/// The name of a line: what it shows, and its labels.
fn legend(first: &str, labels: &[String]) -> String {
    let mut legend = first.to_owned();
    for label in labels {
        if !legend.is_empty() {
            legend.push(' ');
        }
        legend.push_str(&format!("{{{{{label}}}}}"));
    }
    legend
}
