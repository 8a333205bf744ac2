//! Reports: what is found, over which time, and in which order.

use std::time::Duration;

use brolly_advisor::{
    Advisor, AdvisorConfig, AlarmState, Band, Change, Conventions, Level, Op, PoolAdvice, Report,
    Rule, RuleSet, Stat, Usages,
};
use brolly_metrics_core::{Snapshot, SummarySnapshot};

use crate::build::{Build, moment};

fn cache(build: Build, name: &str, hits: u64, misses: u64) -> Build {
    let label = format!("cache={name}");
    build
        .counter("brolly_cache_hits_total", &[&label], hits)
        .counter("brolly_cache_misses_total", &[&label], misses)
}

fn pool(build: Build, active: f64, max: f64, hits: u64, exhaustions: u64) -> Build {
    build
        .gauge("brolly_pool_active", &["pool=db"], active)
        .gauge("brolly_pool_max", &["pool=db"], max)
        .counter("brolly_pool_hits_total", &["pool=db"], hits)
        .counter("brolly_pool_exhaustions_total", &["pool=db"], exhaustions)
}

#[test]
fn an_empty_snapshot_gives_an_empty_report() {
    let report = Advisor::new(AdvisorConfig::default()).observe(Snapshot::empty(moment(0.0)));
    assert_eq!(report.health.overall, Level::Unknown);
    assert!(report.caches.is_empty() && report.pools.is_empty() && report.events.is_empty());
    assert_eq!(report.window, None);
}

#[test]
fn each_cache_has_its_own_figures_and_they_are_sorted_by_name() {
    let now = cache(Build::at(0.0), "b", 0, 10);
    let now = cache(now, "a", 10, 0);
    let now = now
        .gauge("brolly_cache_memory_bytes", &["cache=only_memory"], 9e9)
        .done();
    let report = Report::of(&now, None, &AdvisorConfig::default());
    let got: Vec<_> = report
        .caches
        .iter()
        .map(|cache| {
            (
                cache.name.as_str(),
                cache.hit_ratio,
                cache.health,
                cache.band,
            )
        })
        .collect();
    assert_eq!(
        got,
        [
            ("a", Some(1.0), Level::Healthy, Some(Band::Excellent)),
            ("b", Some(0.0), Level::Degraded, Some(Band::Poor)),
            ("only_memory", None, Level::Unknown, None),
        ]
    );
    assert_eq!(report.health.caches, Level::Degraded);
    assert_eq!(report.health.pools, Level::Unknown);
    assert_eq!(report.health.overall, Level::Degraded);
}

#[test]
fn series_without_the_label_are_the_default_and_other_labels_are_added_up() {
    let now = Build::at(0.0)
        .counter("brolly_cache_hits_total", &[], 3)
        .counter("brolly_cache_misses_total", &["cache=c", "zone=a"], 5)
        .counter("brolly_cache_misses_total", &["cache=c", "zone=b"], 6)
        .done();
    let usages = Usages::of(&now, None, &Conventions::default());
    let got: Vec<_> = usages
        .caches
        .iter()
        .map(|(name, cache)| (name.as_str(), cache.hits, cache.misses))
        .collect();
    assert_eq!(got, [("c", 0, 11), ("default", 3, 0)]);
}

#[test]
fn names_can_be_chosen() {
    let config = AdvisorConfig {
        conventions: Conventions {
            cache_label: "name".to_owned(),
            ..Conventions::with_prefix("app")
        },
        ..AdvisorConfig::default()
    };
    let now = Build::at(0.0)
        .counter("app_cache_hits_total", &["name=x"], 3)
        .done();
    let report = Report::of(&now, None, &config);
    assert_eq!(report.caches[0].name, "x");
}

#[test]
fn a_report_is_about_the_window_and_recovers_when_it_has_passed() {
    // The originals judged totals since the start: once degraded, always degraded.
    let mut advisor = Advisor::new(AdvisorConfig::default());
    let observe = |advisor: &mut Advisor, at: f64, hits, exhaustions| {
        advisor.observe(pool(Build::at(at), 5.0, 10.0, hits, exhaustions).done())
    };
    assert_eq!(
        observe(&mut advisor, 0.0, 0, 0).health.pools,
        Level::Healthy
    );
    let bad = observe(&mut advisor, 60.0, 100, 1);
    assert_eq!(bad.health.overall, Level::Degraded);
    assert_eq!(
        bad.pools[0].advice,
        [PoolAdvice::Exhausted { exhaustions: 1 }]
    );
    let told: Vec<_> = bad
        .events
        .iter()
        .map(|event| (event.alert.rule.as_str(), event.change))
        .collect();
    assert_eq!(told, [("pool_exhausted", Change::Fired)]);
    assert_eq!(bad.window, Some(Duration::from_secs(60)));
    let mut recovered_at = None;
    for minute in 2..10 {
        let report = observe(
            &mut advisor,
            60.0 * f64::from(minute),
            100 * minute as u64,
            1,
        );
        if report.health.overall == Level::Healthy && recovered_at.is_none() {
            let change = report.events.first().map(|event| event.change);
            assert_eq!(change, Some(Change::Resolved));
            recovered_at = Some(minute);
        }
    }
    assert_eq!(recovered_at, Some(6), "five minutes after the first minute");
}

#[test]
fn a_pool_is_sized_by_smoothed_utilisation_and_by_demand() {
    let mut advisor = Advisor::new(AdvisorConfig::default());
    let mut last = None;
    for step in 0..60u32 {
        // Busy for a moment only.
        let active = if step == 59 { 20.0 } else { 10.0 };
        let at = f64::from(step) * 10.0;
        let hold = vec![0.040; 200 * step as usize];
        let now = pool(Build::at(at), active, 20.0, 2_000 * u64::from(step), 0).seconds(
            "brolly_pool_hold_seconds",
            &["pool=db"],
            &hold,
        );
        last = Some(advisor.observe(now.done()));
    }
    let report = last.expect("sixty of them");
    let pool = &report.pools[0];
    assert!(
        (pool.utilisation - 0.5).abs() < 0.05,
        "{}",
        pool.utilisation
    );
    assert_eq!(pool.advice, []);
    // 200 a second that hold for 40 ms.
    let size = pool.demand_size.expect("the demand is known");
    assert_eq!(size.min(), 8);
    assert!(size.max() > 8 && size.max() < 20);
}

#[test]
fn a_demand_of_a_few_acquisitions_is_no_demand() {
    let at = |seconds, hits: u64| {
        let hold = vec![0.040; hits as usize];
        pool(Build::at(seconds), 1.0, 10.0, hits, 0)
            .seconds("brolly_pool_hold_seconds", &["pool=db"], &hold)
            .done()
    };
    let size = |hits| {
        let report = Report::of(
            &at(60.0, hits),
            Some(&at(0.0, 0)),
            &AdvisorConfig::default(),
        );
        report.pools[0].demand_size
    };
    assert_eq!(size(99), None);
    assert!(size(100).is_some());
}

#[test]
fn rules_look_back_further_than_the_report_does() {
    let mut rule = Rule::new("r", "errors_total", Op::Gt, 0.0);
    rule.stat = Stat::Increase;
    rule.window = Some(Duration::from_secs(600));
    let config = AdvisorConfig {
        window: Duration::from_secs(60),
        ..AdvisorConfig::default()
    };
    let mut advisor = Advisor::with_rules(config, RuleSet::new([rule]).expect("good"));
    let mut firing_until = 0.0;
    for step in 0..60 {
        let at = f64::from(step) * 30.0;
        let total = u64::from(step >= 2);
        let report = advisor.observe(Build::at(at).counter("errors_total", &[], total).done());
        if report
            .alerts
            .iter()
            .any(|alert| alert.state == AlarmState::Firing)
        {
            firing_until = at;
        }
    }
    assert_eq!(
        firing_until, 630.0,
        "one error at 60 s, seen for ten minutes"
    );
}

#[test]
fn summaries_of_one_cache_count_by_their_samples() {
    let summary = |window_count, avg| SummarySnapshot {
        window_count,
        avg: Some(avg),
        ..SummarySnapshot::default()
    };
    let now = Build::at(0.0)
        .summary(
            "brolly_cache_access_seconds",
            &["cache=c", "op=get"],
            summary(30, 1.0),
        )
        .summary(
            "brolly_cache_access_seconds",
            &["cache=c", "op=set"],
            summary(10, 5.0),
        )
        .done();
    let report = Report::of(&now, None, &AdvisorConfig::default());
    assert_eq!(report.caches[0].usage.access_seconds, Some(2.0));
}

#[test]
fn pools_that_are_gone_make_room_for_new_ones() {
    let mut advisor = Advisor::new(AdvisorConfig::default());
    let mut first = Build::at(0.0);
    for n in 0..Advisor::MAX_POOLS {
        first = first.gauge("brolly_pool_active", &[&format!("pool=old-{n:04}")], 1.0);
    }
    advisor.observe(first.done());
    let mut utilisation = 0.0;
    for step in 1..=30u32 {
        let active = if step == 30 { 10.0 } else { 2.0 };
        let now = pool(Build::at(f64::from(step) * 10.0), active, 10.0, 1, 0);
        utilisation = advisor.observe(now.done()).pools[0].utilisation;
    }
    assert!(utilisation < 0.3, "smoothed: {utilisation}");
}

#[test]
fn the_score_that_a_report_makes_is_looked_at_by_the_alert_rules() {
    let mut advisor = Advisor::new(AdvisorConfig::default());
    let now =
        cache(Build::at(0.0), "c", 10, 990).gauge("brolly_cache_memory_bytes", &["cache=c"], 200e6);
    let report = advisor.observe(now.done());
    let firing: Vec<_> = report
        .alerts
        .iter()
        .map(|alert| alert.rule.as_str())
        .collect();
    assert_eq!(firing, ["high_cache_memory", "low_cache_score"]);
    let gauges = report.score_gauges(&Conventions::default());
    let score = gauges[0].get(&["c"]).map(|gauge| gauge.value);
    assert_eq!(score, report.caches[0].score.map(|score| score.value()));
}

#[test]
fn gauges_that_are_no_numbers_are_not_measured() {
    let now = Build::at(0.0)
        .gauge("brolly_pool_active", &["pool=p"], f64::NAN)
        .gauge("brolly_pool_max", &["pool=p"], f64::INFINITY)
        .gauge("brolly_pool_idle", &["pool=p"], -5.0)
        .gauge("brolly_resource_active", &["resource=r"], f64::NAN)
        .gauge("brolly_resource_max", &["resource=r"], f64::NEG_INFINITY)
        .done();
    let report = Report::of(&now, None, &AdvisorConfig::default());
    let usage = &report.pools[0].usage;
    assert_eq!(
        (usage.active, usage.idle, usage.max),
        (0, 0, Some(u32::MAX))
    );
    assert_eq!(report.resources[0].utilisation, None);
    assert_eq!(report.resources[0].health, Level::Unknown);
}

#[test]
fn the_same_snapshots_give_the_same_report() {
    let reports = [0, 1].map(|_| {
        let mut advisor = Advisor::new(AdvisorConfig::default());
        let mut last = None;
        for step in 0..10 {
            let at = f64::from(step) * 30.0;
            let now = cache(Build::at(at), "b", 5, 500 * step as u64);
            let now = pool(cache(now, "a", 5, 7), 9.5, 10.0, 10, step as u64);
            last = Some(advisor.observe(now.done()));
        }
        last
    });
    assert_eq!(reports[0], reports[1]);
}

#[cfg(feature = "serde")]
#[test]
fn a_report_is_data_with_fractions_and_readable_times() {
    let now = cache(Build::at(0.0), "c", 1, 3).done();
    let report = Report::of(&now, None, &AdvisorConfig::default());
    let json = serde_json::to_value(&report).expect("it is data");
    assert_eq!(json["timestamp"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(json["window"], serde_json::Value::Null);
    assert_eq!(json["health"]["overall"], "degraded");
    assert_eq!(json["caches"][0]["hit_ratio"], 0.25);
    assert_eq!(json["caches"][0]["score"], 25.0);
    assert_eq!(json["caches"][0]["band"], "poor");
    assert_eq!(json["caches"][0]["advice"][0]["kind"], "insufficient_data");
    assert_eq!(json["caches"][0]["ailments"][0]["kind"], "low_hit_ratio");
}

#[cfg(feature = "serde")]
#[test]
fn settings_are_read_with_defaults_and_unknown_keys_are_refused() {
    let config: AdvisorConfig =
        serde_json::from_str(r#"{"window": "10m", "health": {"max_errors": 3}}"#).expect("good");
    assert_eq!(config.window, Duration::from_secs(600));
    assert_eq!(config.health.max_errors, 3);
    assert_eq!(config.health.max_utilisation, 0.9);
    let again = serde_json::to_string(&config).expect("it is data");
    assert_eq!(
        serde_json::from_str::<AdvisorConfig>(&again).expect("good"),
        config
    );
    for wrong in [
        r#"{"windw": "10m"}"#,
        r#"{"window": 5}"#,
        r#"{"window": "5 minutes"}"#,
    ] {
        assert!(
            serde_json::from_str::<AdvisorConfig>(wrong).is_err(),
            "{wrong}"
        );
    }
}
