//! Rules over snapshots: what is read, over which time, and who is told what.

use std::collections::BTreeMap;
use std::time::Duration;

use brolly_advisor::{
    AlarmState, AlertEngine, AlertEvent, Change, Conventions, LabelMatcher, Metric, Missing, Op,
    Rule, RuleSet, Stat, Timeline,
};
use brolly_metrics_core::SummarySnapshot;

use crate::build::{Build, moment};

const MINUTE: Duration = Duration::from_secs(60);

struct Scene {
    engine: AlertEngine,
    timeline: Timeline,
}

impl Scene {
    fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            engine: AlertEngine::new(RuleSet::new(rules).expect("good rules")),
            timeline: Timeline::new(5 * MINUTE),
        }
    }

    fn see(&mut self, snapshot: Build) -> Vec<AlertEvent> {
        self.timeline.push(snapshot.done());
        self.engine.evaluate(&self.timeline, &[])
    }

    /// The names of the rules of which something is to be told, and what.
    fn told(&mut self, snapshot: Build) -> Vec<(String, Change)> {
        let events = self.see(snapshot).into_iter();
        events
            .map(|event| (event.alert.rule, event.change))
            .collect()
    }

    fn value(&mut self, snapshot: Build) -> Option<f64> {
        self.see(snapshot);
        self.engine.alerts().next().and_then(|alert| alert.value)
    }
}

fn rule(edit: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = Rule::new("r", "m", Op::Ge, 0.0);
    edit(&mut rule);
    rule
}

#[test]
fn each_series_has_an_alert_of_its_own() {
    let mut scene = Scene::new([rule(|rule| {
        rule.op = Op::Gt;
        rule.value = 5.0;
        rule.labels.insert("team".to_owned(), "core".to_owned());
    })]);
    let events = scene.see(
        Build::at(0.0)
            .gauge("m", &["pool=a"], 9.0)
            .gauge("m", &["pool=b"], 1.0)
            .gauge("m", &["pool=c"], 7.0),
    );
    let labels: Vec<_> = events
        .iter()
        .map(|event| event.alert.labels.clone())
        .collect();
    let of = |pool: &str| {
        let all = [("pool", pool), ("team", "core")];
        BTreeMap::from(all.map(|(name, value)| (name.to_owned(), value.to_owned())))
    };
    assert_eq!(labels, [of("a"), of("c")]);
    assert_eq!(events[0].alert.value, Some(9.0));
    assert_eq!(events[0].at, moment(0.0));
    assert_eq!(scene.engine.alerts().count(), 2);
}

#[test]
fn an_alert_knows_since_when_its_condition_holds() {
    let mut scene = Scene::new([rule(|rule| {
        rule.op = Op::Gt;
        rule.hold = MINUTE;
    })]);
    let mut since = |at: f64, value| {
        scene.see(Build::at(at).gauge("m", &[], value));
        let alert = scene.engine.alerts().next();
        alert.map(|alert| (alert.state, alert.since))
    };
    assert_eq!(since(0.0, 1.0), Some((AlarmState::Pending, moment(0.0))));
    assert_eq!(since(30.0, 1.0), Some((AlarmState::Pending, moment(0.0))));
    assert_eq!(since(60.0, 1.0), Some((AlarmState::Firing, moment(0.0))));
    assert_eq!(since(90.0, 0.0), Some((AlarmState::Resolved, moment(0.0))));
    assert_eq!(
        since(120.0, 1.0),
        Some((AlarmState::Pending, moment(120.0)))
    );
}

#[test]
fn a_label_of_the_rule_takes_the_place_of_one_of_the_series() {
    // As it does in Prometheus.
    let mut scene = Scene::new([rule(|rule| {
        rule.labels.insert("pool".to_owned(), "rule's".to_owned());
    })]);
    let events = scene.see(Build::at(0.0).gauge("m", &["pool=a"], 1.0));
    assert_eq!(events[0].alert.labels["pool"], "rule's");
}

#[test]
fn counters_are_looked_at_over_a_window_and_recover() {
    let mut scene = Scene::new([rule(|rule| {
        rule.stat = Stat::Increase;
        rule.window = Some(MINUTE);
        rule.op = Op::Gt;
    })]);
    // A thousand errors before anybody looked: nobody knows when.
    assert_eq!(scene.told(Build::at(0.0).counter("m", &[], 1000)), []);
    assert_eq!(scene.told(Build::at(30.0).counter("m", &[], 1000)), []);
    let fired = ("r".to_owned(), Change::Fired);
    assert_eq!(scene.told(Build::at(60.0).counter("m", &[], 1003)), [fired]);
    assert_eq!(scene.told(Build::at(90.0).counter("m", &[], 1003)), []);
    let resolved = ("r".to_owned(), Change::Resolved);
    assert_eq!(
        scene.told(Build::at(120.0).counter("m", &[], 1003)),
        [resolved]
    );
}

#[test]
fn a_rate_is_for_each_second_that_passed() {
    let mut scene = Scene::new([rule(|rule| {
        rule.stat = Stat::Rate;
        rule.window = Some(MINUTE);
    })]);
    assert_eq!(scene.value(Build::at(0.0).counter("m", &[], 100)), None);
    assert_eq!(
        scene.value(Build::at(30.0).counter("m", &[], 160)),
        Some(2.0)
    );
    assert_eq!(
        scene.value(Build::at(90.0).counter("m", &[], 400)),
        Some(4.0)
    );
}

#[test]
fn a_counter_of_seconds_is_judged_in_seconds() {
    let busy = |at: f64, nanos| Build::at(at).counter("m", &[], nanos).of_seconds();
    let mut scene = Scene::new([rule(|rule| {
        rule.stat = Stat::Rate;
        rule.window = Some(MINUTE);
    })]);
    scene.see(busy(0.0, 0));
    assert_eq!(scene.value(busy(60.0, 30_000_000_000)), Some(0.5));
    let mut scene = Scene::new([rule(|_| ())]);
    assert_eq!(scene.value(busy(0.0, 1_500_000_000)), Some(1.5));
}

#[test]
fn a_counter_that_was_reset_counts_from_zero() {
    let mut scene = Scene::new([rule(|rule| {
        rule.stat = Stat::Increase;
        rule.window = Some(MINUTE);
    })]);
    scene.see(Build::at(0.0).counter("m", &[], 1000));
    assert_eq!(scene.value(Build::at(60.0).counter("m", &[], 7)), Some(7.0));
}

#[test]
fn a_series_that_is_new_began_at_zero() {
    let mut scene = Scene::new([rule(|rule| {
        rule.stat = Stat::Increase;
        rule.window = Some(MINUTE);
    })]);
    scene.see(Build::at(0.0));
    assert_eq!(scene.value(Build::at(60.0).counter("m", &[], 7)), Some(7.0));
}

#[test]
fn a_metric_that_got_other_labels_began_at_zero() {
    let mut scene = Scene::new([rule(|rule| {
        rule.stat = Stat::Increase;
        rule.window = Some(MINUTE);
    })]);
    scene.see(Build::at(0.0).counter("m", &["cache=a"], 5));
    let value = scene.value(Build::at(60.0).counter("m", &["zone=a"], 7));
    assert_eq!(value, Some(7.0));
}

#[test]
fn what_is_not_a_number_is_missing() {
    let alone = rule(|rule| rule.missing = Missing::Alert);
    let divided = rule(|rule| {
        rule.name = "divided".to_owned();
        rule.of = vec![Metric::new("max")];
        rule.missing = Missing::Alert;
    });
    let mut scene = Scene::new([alone, divided]);
    scene.see(
        Build::at(0.0)
            .gauge("m", &[], f64::NAN)
            .gauge("max", &[], 2.0),
    );
    let values: Vec<_> = scene.engine.alerts().map(|alert| alert.value).collect();
    assert_eq!(values, [None, None]);
}

#[test]
fn a_gauge_that_was_made_from_a_snapshot_takes_the_place_of_one_in_it() {
    let mut scene = Scene::new([rule(|_| {})]);
    scene
        .timeline
        .push(Build::at(0.0).gauge("m", &[], 1.0).done());
    let made = Build::at(0.0).gauge("m", &[], 2.0).done();
    let events = scene.engine.evaluate(&scene.timeline, &made.gauges);
    assert_eq!(events[0].alert.value, Some(2.0));
}

#[test]
fn histograms_are_judged_by_the_samples_of_the_window() {
    // The originals summed buckets that were cumulative already: the 95th percentile of
    // .05, .05, .05, 50 came out as 0.5.
    let mut scene = Scene::new([rule(|rule| {
        rule.stat = Stat::Quantile(0.95);
        rule.window = Some(MINUTE);
    })]);
    scene.see(Build::at(0.0).seconds("m", &[], &[]));
    let p95 = scene.value(Build::at(60.0).seconds("m", &[], &[0.05, 0.05, 0.05, 50.0]));
    assert!(
        (p95.expect("there are samples") - 50.0).abs() < 0.5,
        "{p95:?}"
    );

    let mut means = Scene::new([rule(|rule| {
        rule.stat = Stat::Mean;
        rule.window = Some(MINUTE);
    })]);
    let before = Build::at(0.0).seconds("m", &[], &[10.0, 10.0]);
    assert_eq!(means.value(before), None, "nobody knows when those were");
    let slow = [10.0, 10.0, 1.0, 3.0];
    assert_eq!(
        means.value(Build::at(60.0).seconds("m", &[], &slow)),
        Some(2.0)
    );
    // Nothing was recorded within the window: there is no mean, and the alert is over.
    assert_eq!(means.value(Build::at(120.0).seconds("m", &[], &slow)), None);
}

#[test]
fn a_quantile_without_a_window_is_of_all_samples() {
    let mut scene = Scene::new([rule(|rule| rule.stat = Stat::Quantile(0.5))]);
    let p50 = scene.value(Build::at(0.0).seconds("m", &[], &[1.0, 2.0, 3.0]));
    assert!(
        (p50.expect("there are samples") - 2.0).abs() < 0.02,
        "{p50:?}"
    );
}

#[test]
fn summaries_have_a_mean_and_three_quantiles() {
    let summary = SummarySnapshot {
        count: 9,
        window_count: 9,
        avg: Some(2.0),
        p50: Some(1.0),
        p95: Some(3.0),
        p99: Some(4.0),
        ..SummarySnapshot::default()
    };
    for (stat, value) in [
        (Stat::Mean, Some(2.0)),
        (Stat::Quantile(0.5), Some(1.0)),
        (Stat::Quantile(0.95), Some(3.0)),
        (Stat::Quantile(0.99), Some(4.0)),
        (Stat::Quantile(0.9), None),
    ] {
        let mut scene = Scene::new([rule(|rule| rule.stat = stat)]);
        assert_eq!(
            scene.value(Build::at(0.0).summary("m", &[], summary)),
            value
        );
    }
}

fn hit_ratio() -> Rule {
    rule(|rule| {
        rule.metric = Metric::new("hits");
        rule.of = vec![Metric::new("hits"), Metric::new("misses")];
        rule.stat = Stat::Increase;
        rule.window = Some(MINUTE);
        rule.at_least = 10.0;
        rule.op = Op::Le;
        rule.value = 1.0;
    })
}

#[test]
fn a_ratio_is_of_series_with_the_same_labels() {
    // The originals counted for all caches together.
    let mut scene = Scene::new([hit_ratio()]);
    let look = |at: f64, hits: [u64; 2], misses: [u64; 2]| {
        Build::at(at)
            .counter("hits", &["cache=a"], hits[0])
            .counter("hits", &["cache=b"], hits[1])
            .counter("misses", &["cache=a"], misses[0])
            .counter("misses", &["cache=b"], misses[1])
    };
    scene.see(look(0.0, [0, 0], [0, 0]));
    scene.see(look(60.0, [20, 5], [0, 15]));
    let values: Vec<_> = scene.engine.alerts().map(|alert| alert.value).collect();
    assert_eq!(values, [Some(1.0), Some(0.25)]);
}

#[test]
fn a_cache_that_never_hit_has_a_ratio_of_zero() {
    let mut scene = Scene::new([hit_ratio()]);
    scene.see(Build::at(0.0));
    assert_eq!(
        scene.value(Build::at(60.0).counter("misses", &["cache=a"], 15)),
        Some(0.0)
    );
}

#[test]
fn a_ratio_of_too_little_is_no_verdict() {
    let mut scene = Scene::new([hit_ratio()]);
    scene.see(Build::at(0.0));
    assert_eq!(
        scene.value(Build::at(60.0).counter("misses", &["cache=a"], 9)),
        None
    );
    let mut gauges = Scene::new([rule(|rule| rule.of = vec![Metric::new("max")])]);
    // The originals divided by a maximum of zero.
    let empty = Build::at(0.0).gauge("m", &[], 3.0).gauge("max", &[], 0.0);
    assert_eq!(gauges.value(empty), None);
    let half = Build::at(1.0).gauge("m", &[], 3.0).gauge("max", &[], 6.0);
    assert_eq!(gauges.value(half), Some(0.5));
}

#[test]
fn matchers_choose_series_and_a_label_that_is_not_there_is_empty() {
    let matcher = |name: &str, value: &str, is_equal| LabelMatcher {
        name: name.to_owned(),
        value: value.to_owned(),
        is_equal,
    };
    for (matcher, pools) in [
        (matcher("pool", "a", true), vec!["a"]),
        (matcher("pool", "a", false), vec!["b"]),
        (matcher("zone", "", true), vec!["a", "b"]),
        (matcher("zone", "eu", true), vec![]),
        (matcher("zone", "eu", false), vec!["a", "b"]),
    ] {
        let mut scene = Scene::new([rule(|rule| rule.metric.matchers = vec![matcher.clone()])]);
        scene.see(
            Build::at(0.0)
                .gauge("m", &["pool=a"], 1.0)
                .gauge("m", &["pool=b"], 1.0),
        );
        let got: Vec<_> = scene
            .engine
            .alerts()
            .map(|alert| alert.labels["pool"].clone())
            .collect();
        assert_eq!(got, pools, "{matcher:?}");
    }
}

#[test]
fn a_series_that_is_gone_resolves_its_alert() {
    let mut scene = Scene::new([rule(|_| {})]);
    let fired = ("r".to_owned(), Change::Fired);
    assert_eq!(
        scene.told(Build::at(0.0).gauge("m", &["pool=a"], 1.0)),
        [fired]
    );
    let resolved = ("r".to_owned(), Change::Resolved);
    assert_eq!(scene.told(Build::at(1.0)), [resolved]);
    assert_eq!(scene.engine.alerts().count(), 1, "it has just resolved");
    assert_eq!(scene.told(Build::at(2.0)), []);
    assert_eq!(scene.engine.alerts().count(), 0);
}

#[test]
fn a_rule_can_ask_for_a_series_to_be_there() {
    let mut scene = Scene::new([rule(|rule| {
        rule.op = Op::Lt;
        rule.missing = Missing::Alert;
        rule.metric.matchers = vec![LabelMatcher {
            name: "pool".to_owned(),
            value: "a".to_owned(),
            is_equal: true,
        }];
    })]);
    let events = scene.see(Build::at(0.0).gauge("m", &["pool=b"], 1.0));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].alert.labels["pool"], "a");
    let resolved = ("r".to_owned(), Change::Resolved);
    assert_eq!(
        scene.told(Build::at(1.0).gauge("m", &["pool=a"], 1.0)),
        [resolved]
    );
}

#[test]
fn a_rule_over_a_window_begins_with_the_second_snapshot_whatever_missing_means() {
    for stat in [Stat::Increase, Stat::Rate, Stat::Mean, Stat::Quantile(0.5)] {
        let mut scene = Scene::new([rule(|rule| {
            rule.stat = stat;
            rule.window = Some(MINUTE);
            rule.op = Op::Gt;
            rule.value = 1e9;
            rule.missing = Missing::Alert;
            rule.metric = Metric::new(match stat {
                Stat::Increase | Stat::Rate => "c",
                _ => "h",
            });
        })]);
        let look = |at: f64, total: u64| {
            let samples = vec![0.5; total as usize];
            Build::at(at)
                .counter("c", &[], total)
                .seconds("h", &[], &samples)
        };
        assert_eq!(scene.told(look(0.0, 1)), [], "{stat:?}");
        assert_eq!(scene.told(look(60.0, 2)), [], "{stat:?}");
    }
}

#[test]
fn a_clock_that_jumps_forward_fires_nothing_by_itself() {
    let mut scene = Scene::new([rule(|rule| rule.hold = 10 * MINUTE)]);
    let look = |at: f64| Build::at(at).gauge("m", &[], 1.0);
    assert_eq!(scene.told(look(0.0)), []);
    // Ten years, of which five minutes count.
    assert_eq!(scene.told(look(315_360_000.0)), []);
    let state = scene.engine.alerts().next().map(|alert| alert.state);
    assert_eq!(state, Some(AlarmState::Pending));
    let fired = ("r".to_owned(), Change::Fired);
    assert_eq!(scene.told(look(315_360_300.0)), [fired]);
}

#[test]
fn a_clock_that_steps_back_neither_resolves_nor_fires() {
    let mut scene = Scene::new([
        rule(|rule| rule.hold = MINUTE),
        rule(|rule| {
            rule.name = "rate".to_owned();
            rule.metric = Metric::new("c");
            rule.stat = Stat::Rate;
            rule.window = Some(MINUTE);
            rule.op = Op::Gt;
        }),
    ]);
    let look = |at: f64, total| Build::at(at).gauge("m", &[], 1.0).counter("c", &[], total);
    assert_eq!(scene.told(look(3600.0, 0)), []);
    let fired = |name: &str| (name.to_owned(), Change::Fired);
    assert_eq!(scene.told(look(3630.0, 60)), [fired("rate")]);
    assert_eq!(scene.told(look(0.0, 120)), []);
    assert_eq!(scene.told(look(29.0, 180)), []);
    assert_eq!(scene.told(look(30.0, 180)), [fired("r")]);
    let rate = scene.engine.alerts().find(|alert| alert.rule == "rate");
    // 180 in the minute that was seen to pass.
    assert_eq!(rate.and_then(|alert| alert.value), Some(3.0));
}

#[test]
fn alerts_of_a_rule_are_bounded_and_what_has_no_room_is_counted() {
    let mut scene = Scene::new([rule(|_| {})]);
    let mut snapshot = Build::at(0.0);
    let names: Vec<String> = (0..1_100).map(|n| format!("pool={n}")).collect();
    for name in &names {
        snapshot = snapshot.gauge("m", &[name], 1.0);
    }
    assert_eq!(scene.see(snapshot).len(), AlertEngine::MAX_ALERTS);
    assert_eq!(scene.engine.alerts().count(), AlertEngine::MAX_ALERTS);
    assert_eq!(scene.engine.dropped(), 100);
}

#[test]
fn the_rules_that_come_along_fire_at_the_originals_numbers() {
    let rules = RuleSet::builtin(&Conventions::default());
    let mut scene = Scene::new(rules.rules().to_vec());
    let zero = |at| {
        Build::at(at)
            .counter("brolly_cache_hits_total", &["cache=c"], 0)
            .counter("brolly_cache_misses_total", &["cache=c"], 0)
            .counter("brolly_pool_hits_total", &["pool=p"], 0)
            .counter("brolly_pool_errors_total", &["pool=p"], 0)
            .counter("brolly_pool_exhaustions_total", &["pool=p"], 0)
    };
    assert_eq!(scene.told(zero(0.0)), []);
    let at_the_limits = Build::at(60.0)
        .counter("brolly_cache_hits_total", &["cache=c"], 500)
        .counter("brolly_cache_misses_total", &["cache=c"], 500)
        .gauge("brolly_cache_memory_bytes", &["cache=c"], 80e6)
        .gauge("brolly_cache_score", &["cache=c"], 40.0)
        .gauge("brolly_pool_active", &["pool=p"], 9.0)
        .gauge("brolly_pool_max", &["pool=p"], 10.0)
        .seconds("brolly_pool_wait_seconds", &["pool=p"], &[0.1, 0.1])
        .counter("brolly_pool_hits_total", &["pool=p"], 1000)
        .counter("brolly_pool_errors_total", &["pool=p"], 50)
        .counter("brolly_pool_exhaustions_total", &["pool=p"], 0)
        .gauge("brolly_resource_active", &["resource=r"], 9.0)
        .gauge("brolly_resource_max", &["resource=r"], 10.0)
        .gauge("brolly_resource_leaks", &["resource=r"], 0.0);
    assert_eq!(scene.told(at_the_limits), []);
    let beyond = Build::at(120.0)
        .counter("brolly_cache_hits_total", &["cache=c"], 500)
        .counter("brolly_cache_misses_total", &["cache=c"], 502)
        .gauge("brolly_cache_memory_bytes", &["cache=c"], 80.1e6)
        .gauge("brolly_cache_score", &["cache=c"], 39.9)
        .gauge("brolly_pool_active", &["pool=p"], 9.1)
        .gauge("brolly_pool_max", &["pool=p"], 10.0)
        .seconds("brolly_pool_wait_seconds", &["pool=p"], &[0.1, 0.11])
        .counter("brolly_pool_hits_total", &["pool=p"], 1000)
        .counter("brolly_pool_errors_total", &["pool=p"], 51)
        .counter("brolly_pool_exhaustions_total", &["pool=p"], 1)
        .gauge("brolly_resource_active", &["resource=r"], 9.1)
        .gauge("brolly_resource_max", &["resource=r"], 10.0)
        .gauge("brolly_resource_leaks", &["resource=r"], 1.0);
    let told = scene.see(beyond);
    let told: Vec<_> = told
        .iter()
        .map(|event| (event.alert.rule.as_str(), event.alert.severity.name()))
        .collect();
    assert_eq!(
        told,
        [
            ("low_cache_hit_rate", "warning"),
            ("high_cache_memory", "warning"),
            ("low_cache_score", "warning"),
            ("high_pool_utilization", "critical"),
            ("high_connection_wait_time", "warning"),
            ("high_pool_error_rate", "warning"),
            ("pool_exhausted", "critical"),
            ("resource_leaks_detected", "critical"),
            ("high_resource_utilization", "warning"),
        ]
    );
}

#[test]
fn a_timeline_keeps_a_bounded_number_of_snapshots_and_looks_back_over_its_span() {
    let mut timeline = Timeline::new(5 * MINUTE);
    for second in 0..1_000 {
        timeline.push(Build::at(f64::from(second)).done());
    }
    let (snapshot, age) = timeline.back(MINUTE).expect("there are older ones");
    assert!(
        age >= MINUTE && age <= MINUTE + Duration::from_secs(11),
        "{age:?}"
    );
    assert_eq!(snapshot.timestamp, moment(999.0) - age);
    let (_, age) = timeline.back(5 * MINUTE).expect("there are older ones");
    assert!(
        age >= 5 * MINUTE && age <= 5 * MINUTE + Duration::from_secs(11),
        "{age:?}"
    );
    assert!(format!("{timeline:?}").matches("Snapshot {").count() <= 32);
}

#[test]
fn an_alert_for_an_absent_metric_resolves_when_any_of_its_series_comes() {
    let mut scene = Scene::new([rule(|rule| {
        rule.op = Op::Lt;
        rule.missing = Missing::Alert;
    })]);
    let told = |change| ("r".to_owned(), change);
    assert_eq!(scene.told(Build::at(0.0)), [told(Change::Fired)]);
    // The series has labels that the rule did not ask for.
    let well = |at: f64| Build::at(at).gauge("m", &["pool=a"], 1.0);
    assert_eq!(scene.told(well(1.0)), [told(Change::Resolved)]);
    assert_eq!(scene.told(well(2.0)), []);
    assert_eq!(scene.engine.alerts().count(), 0);
}

#[test]
fn a_series_that_vanishes_is_one_alert_for_the_metric_and_none_for_itself() {
    let mut scene = Scene::new([rule(|rule| {
        rule.op = Op::Lt;
        rule.missing = Missing::Alert;
    })]);
    let bad = |at: f64| Build::at(at).gauge("m", &["pool=a"], -1.0);
    assert_eq!(scene.see(bad(0.0)).len(), 1);
    // While another remains it is forgotten.
    let events = scene.see(Build::at(1.0).gauge("m", &["pool=b"], 1.0));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].change, Change::Resolved);
    assert_eq!(events[0].alert.labels["pool"], "a");
    scene.see(bad(2.0));
    let events = scene.see(Build::at(3.0));
    let changes: Vec<_> = events
        .iter()
        .map(|event| (event.alert.labels.len(), event.change))
        .collect();
    assert_eq!(changes, [(0, Change::Fired), (1, Change::Resolved)]);
}
