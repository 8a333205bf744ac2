//! Health: unknown without data, degraded by the rules, well again when the window has passed.

use std::time::Duration;

use brolly_advisor::{
    Ailment, CacheUsage, Check, CheckLimits, CheckStatus, EventWindow, HealthReport, HealthRules,
    Level, PoolUsage, ResourceUsage,
};

use crate::build::moment;

const RULES: fn() -> HealthRules = HealthRules::default;

#[test]
fn without_data_health_is_unknown_and_not_degraded() {
    assert_eq!(
        RULES().cache(&CacheUsage::default()),
        (Level::Unknown, vec![])
    );
    assert_eq!(
        RULES().pool(&PoolUsage::default()),
        (Level::Unknown, vec![])
    );
    assert_eq!(
        RULES().resource(&ResourceUsage::default()),
        (Level::Unknown, vec![])
    );
    assert_eq!(Level::worst([]), Level::Unknown);
    assert_eq!(
        Level::worst([Level::Healthy, Level::Unknown]),
        Level::Healthy
    );
}

#[test]
fn a_cache_is_degraded_below_half_and_below_a_score_of_50() {
    let cache = |hits, misses| CacheUsage {
        hits,
        misses,
        evictions: Some(0),
        sets: Some(1),
        memory_bytes: Some(0.0),
        access_seconds: None,
    };
    assert_eq!(RULES().cache(&cache(50, 50)).0, Level::Healthy);
    let low_ratio = Ailment::LowHitRatio {
        ratio: 0.49,
        threshold: 0.5,
    };
    assert_eq!(
        RULES().cache(&cache(49, 51)),
        (Level::Degraded, vec![low_ratio])
    );
    assert_eq!(low_ratio.to_string(), "hit ratio 49.0 % is below 50.0 %");
    let full = CacheUsage {
        evictions: Some(1),
        memory_bytes: Some(150e6),
        ..cache(60, 40)
    };
    let (level, ailments) = RULES().cache(&full);
    assert_eq!(level, Level::Degraded);
    assert!(matches!(ailments[..], [Ailment::LowScore { score, .. }] if score.value() == 36.0));
}

#[test]
fn a_pool_is_degraded_by_more_than_ten_errors_or_an_exhaustion() {
    let pool = |errors, exhaustions| PoolUsage {
        hits: 1000,
        errors,
        exhaustions,
        ..PoolUsage::default()
    };
    assert_eq!(RULES().pool(&pool(10, 0)).0, Level::Healthy);
    assert_eq!(RULES().pool(&pool(11, 0)).0, Level::Degraded);
    assert_eq!(RULES().pool(&pool(0, 1)).0, Level::Degraded);
    let never_worked = PoolUsage {
        hits: 0,
        ..pool(11, 0)
    };
    assert_eq!(RULES().pool(&never_worked).0, Level::Degraded);
}

#[test]
fn resources_are_degraded_above_nine_tenths() {
    let resource = |active, max| ResourceUsage {
        active: Some(active),
        max: Some(max),
        leaks: None,
    };
    assert_eq!(RULES().resource(&resource(9.0, 10.0)).0, Level::Healthy);
    assert_eq!(RULES().resource(&resource(9.1, 10.0)).0, Level::Degraded);
    // The originals divided by a maximum of zero.
    assert_eq!(RULES().resource(&resource(0.0, 0.0)).0, Level::Healthy);
    assert_eq!(RULES().resource(&resource(1.0, 0.0)).0, Level::Degraded);
    assert_eq!(resource(5.0, 10.0).utilisation(), Some(0.5));
    assert_eq!(resource(f64::NAN, -1.0).utilisation(), Some(0.0));
    assert_eq!(
        resource(f64::INFINITY, f64::INFINITY).utilisation(),
        Some(1.0)
    );
}

#[test]
fn a_leak_degrades_and_no_leak_is_healthy() {
    let leaks = |leaks| ResourceUsage {
        leaks,
        ..ResourceUsage::default()
    };
    assert_eq!(RULES().resource(&leaks(None)).0, Level::Unknown);
    assert_eq!(RULES().resource(&leaks(Some(0))).0, Level::Healthy);
    let leaked = Ailment::Leaks {
        count: 1,
        threshold: 0,
    };
    assert_eq!(
        RULES().resource(&leaks(Some(1))),
        (Level::Degraded, vec![leaked])
    );
}

#[test]
fn errors_are_forgotten_when_the_window_has_passed() {
    // The originals counted since the start and never recovered.
    let minute = Duration::from_secs(60);
    let mut errors = EventWindow::new(5 * minute);
    errors.add(Duration::ZERO, 11);
    let level = |errors: &mut EventWindow, at| {
        let usage = PoolUsage {
            hits: 1000,
            errors: errors.count(at),
            ..PoolUsage::default()
        };
        RULES().pool(&usage).0
    };
    assert_eq!(level(&mut errors, 4 * minute), Level::Degraded);
    assert_eq!(
        level(&mut errors, 5 * minute - Duration::from_millis(1)),
        Level::Degraded
    );
    assert_eq!(
        level(&mut errors, 5 * minute + Duration::from_secs(6)),
        Level::Healthy
    );
    // A clock that steps back brings nothing back, and one that leaps ahead costs nothing.
    assert_eq!(errors.count(Duration::ZERO), 0);
    errors.add(Duration::from_secs(u64::MAX), 3);
    assert_eq!(errors.count(Duration::from_secs(u64::MAX)), 3);
    errors.add(Duration::from_secs(7), 2);
    assert_eq!(errors.count(Duration::from_secs(8)), 5);
}

#[test]
fn an_event_counts_for_the_whole_window_wherever_it_falls() {
    let millis = Duration::from_millis;
    for offset in [0, 1, 2_500, 4_900, 4_999, 5_084] {
        let mut errors = EventWindow::new(millis(300_000));
        errors.add(Duration::ZERO, 0);
        errors.add(millis(offset), 1);
        assert_eq!(errors.count(millis(offset + 299_999)), 1, "{offset}");
        assert_eq!(errors.count(millis(offset + 305_100)), 0, "{offset}");
    }
}

#[test]
fn memory_warns_above_75_per_cent_and_fails_above_90() {
    let limits = CheckLimits::default();
    let status = |used| limits.memory(used, Some(1000)).map(|check| check.status);
    assert_eq!(status(750), Some(CheckStatus::Pass));
    assert_eq!(status(751), Some(CheckStatus::Warn));
    assert_eq!(status(900), Some(CheckStatus::Warn));
    assert_eq!(status(901), Some(CheckStatus::Fail));
    assert_eq!(status(u64::MAX), Some(CheckStatus::Fail));
    assert_eq!(
        limits.memory(750, Some(1000)).and_then(|check| check.value),
        Some(0.75)
    );
    assert_eq!(limits.memory(1, None), None);
    assert_eq!(limits.memory(1, Some(0)), None);
}

#[test]
fn an_operation_that_runs_for_more_than_five_minutes_warns() {
    let limits = CheckLimits::default();
    let seconds = Duration::from_secs;
    let idle = limits.operations([]);
    assert_eq!((idle.status, idle.value), (CheckStatus::Pass, None));
    let fine = limits.operations([seconds(300), seconds(1)]);
    assert_eq!((fine.status, fine.value), (CheckStatus::Pass, Some(300.0)));
    let late = limits.operations([seconds(301), seconds(1)]);
    assert_eq!(late.status, CheckStatus::Warn);
    assert_eq!(late.message, "1 of 2 operations run for longer than 5m");
}

#[test]
fn more_than_a_hundred_errors_warn() {
    let limits = CheckLimits::default();
    assert_eq!(limits.errors(100).status, CheckStatus::Pass);
    assert_eq!(limits.errors(101).status, CheckStatus::Warn);
}

#[test]
fn a_failed_check_is_unhealthy_and_a_warning_degraded() {
    let report = |statuses: &[CheckStatus]| {
        let checks = statuses
            .iter()
            .map(|status| Check::new("c", *status, "", None));
        let uptime = Duration::from_millis(1500);
        HealthReport::of(checks.collect(), moment(0.0), uptime, "1.2.3")
    };
    use CheckStatus::{Fail, Pass, Warn};
    assert_eq!(report(&[]).status, Level::Unknown);
    assert_eq!(report(&[Pass, Pass]).status, Level::Healthy);
    assert_eq!(report(&[Pass, Warn]).status, Level::Degraded);
    assert_eq!(report(&[Warn, Fail, Pass]).status, Level::Unhealthy);
    assert_eq!(report(&[Pass]).uptime_seconds, 1.5);
}

#[cfg(feature = "serde")]
#[test]
fn a_health_report_is_data_with_a_readable_time() {
    let checks = vec![Check::new("memory", CheckStatus::Warn, "m", Some(0.8))];
    let report = HealthReport::of(checks, moment(0.25), Duration::from_secs(3), "1.2.3");
    let json = serde_json::to_value(&report).expect("it is data");
    assert_eq!(
        json,
        serde_json::json!({
            "status": "degraded",
            "timestamp": "2027-01-15T08:00:00.250000Z",
            "uptime_seconds": 3.0,
            "version": "1.2.3",
            "checks": [{"name": "memory", "status": "warn", "message": "m", "value": 0.8}],
        })
    );
}
