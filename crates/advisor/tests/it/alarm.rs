//! The state machine of an alert, against a naive one.

use std::time::Duration;

use brolly_advisor::{Alarm, AlarmState, Change, Condition, Missing, Op};
use proptest::prelude::*;

const ABOVE_5: Condition = Condition {
    op: Op::Gt,
    value: 5.0,
    clear: None,
    hold: Duration::from_secs(60),
    missing: Missing::Ok,
};

fn step(alarm: &mut Alarm, seconds: u64, value: impl Into<Option<f64>>) -> Option<Change> {
    step_by(alarm, seconds, value, &ABOVE_5)
}

fn step_by(
    alarm: &mut Alarm,
    seconds: u64,
    value: impl Into<Option<f64>>,
    condition: &Condition,
) -> Option<Change> {
    alarm.step(Duration::from_secs(seconds), value.into(), condition)
}

#[test]
fn it_fires_once_and_resolves_once() {
    let mut alarm = Alarm::default();
    assert_eq!(step(&mut alarm, 0, 6.0), None);
    assert_eq!(alarm.state(), AlarmState::Pending);
    assert_eq!(step(&mut alarm, 59, 6.0), None);
    assert_eq!(step(&mut alarm, 1, 6.0), Some(Change::Fired));
    for _ in 0..100 {
        assert_eq!(step(&mut alarm, 30, 7.0), None);
        assert_eq!(alarm.state(), AlarmState::Firing);
    }
    assert_eq!(step(&mut alarm, 30, 5.0), Some(Change::Resolved));
    assert_eq!(alarm.state(), AlarmState::Resolved);
    assert_eq!(step(&mut alarm, 30, 5.0), None);
    assert_eq!(alarm.state(), AlarmState::Inactive);
}

#[test]
fn a_dip_begins_the_time_anew() {
    let mut alarm = Alarm::default();
    step(&mut alarm, 0, 6.0);
    step(&mut alarm, 50, 6.0);
    assert_eq!(step(&mut alarm, 5, 4.0), None);
    assert_eq!(alarm.state(), AlarmState::Inactive);
    assert_eq!(step(&mut alarm, 5, 6.0), None);
    assert_eq!(step(&mut alarm, 59, 6.0), None);
    assert_eq!(step(&mut alarm, 1, 6.0), Some(Change::Fired));
}

#[test]
fn without_a_time_it_fires_at_once_and_again_right_after_it_resolved() {
    let at_once = Condition {
        hold: Duration::ZERO,
        ..ABOVE_5
    };
    let mut alarm = Alarm::default();
    assert_eq!(step_by(&mut alarm, 0, 6.0, &at_once), Some(Change::Fired));
    assert_eq!(
        step_by(&mut alarm, 1, 5.0, &at_once),
        Some(Change::Resolved)
    );
    assert_eq!(step_by(&mut alarm, 1, 6.0, &at_once), Some(Change::Fired));
}

#[test]
fn a_clear_threshold_keeps_it_firing() {
    let sticky = Condition {
        clear: Some(3.0),
        hold: Duration::ZERO,
        ..ABOVE_5
    };
    let mut alarm = Alarm::default();
    assert_eq!(step_by(&mut alarm, 0, 4.0, &sticky), None);
    assert_eq!(step_by(&mut alarm, 1, 6.0, &sticky), Some(Change::Fired));
    assert_eq!(step_by(&mut alarm, 1, 4.0, &sticky), None);
    assert_eq!(step_by(&mut alarm, 1, 3.0, &sticky), Some(Change::Resolved));
    assert_eq!(step_by(&mut alarm, 1, 4.0, &sticky), None);
    assert_eq!(alarm.state(), AlarmState::Inactive);
}

#[test]
fn a_missing_value_means_what_the_rule_says() {
    let policy = |missing| Condition {
        missing,
        hold: Duration::from_secs(10),
        ..ABOVE_5
    };
    for (missing, firing, pending, inactive) in [
        (
            Missing::Ok,
            Some(Change::Resolved),
            AlarmState::Inactive,
            None,
        ),
        (Missing::Keep, None, AlarmState::Pending, None),
        (
            Missing::Alert,
            None,
            AlarmState::Firing,
            Some(Change::Fired),
        ),
    ] {
        let condition = policy(missing);
        for gone in [None, Some(f64::NAN)] {
            let mut alarm = Alarm::default();
            step_by(&mut alarm, 0, 6.0, &condition);
            step_by(&mut alarm, 10, 6.0, &condition);
            assert_eq!(alarm.state(), AlarmState::Firing);
            assert_eq!(step_by(&mut alarm, 10, gone, &condition), firing);

            let mut alarm = Alarm::default();
            step_by(&mut alarm, 0, 6.0, &condition);
            step_by(&mut alarm, 10, gone, &condition);
            assert_eq!(alarm.state(), pending);

            let mut alarm = Alarm::default();
            step_by(&mut alarm, 0, gone, &condition);
            assert_eq!(step_by(&mut alarm, 10, gone, &condition), inactive);
        }
    }
}

#[test]
fn what_is_kept_while_pending_gains_no_time() {
    let keep = Condition {
        missing: Missing::Keep,
        ..ABOVE_5
    };
    let mut alarm = Alarm::default();
    step_by(&mut alarm, 0, 6.0, &keep);
    step_by(&mut alarm, 1_000, None, &keep);
    assert_eq!(step_by(&mut alarm, 59, 6.0, &keep), None);
    assert_eq!(step_by(&mut alarm, 1, 6.0, &keep), Some(Change::Fired));
}

#[test]
fn what_has_resolved_is_inactive_after_the_next_step_even_when_nothing_is_known() {
    let keep = Condition {
        missing: Missing::Keep,
        hold: Duration::ZERO,
        ..ABOVE_5
    };
    let mut alarm = Alarm::default();
    step_by(&mut alarm, 0, 6.0, &keep);
    step_by(&mut alarm, 1, 5.0, &keep);
    assert_eq!(alarm.state(), AlarmState::Resolved);
    assert_eq!(step_by(&mut alarm, 1, None, &keep), None);
    assert_eq!(alarm.state(), AlarmState::Inactive);
}

/// What is to be told after all these steps, reckoned from the beginning, in absolute times.
fn told(steps: &[(u64, Option<f64>)], condition: &Condition) -> Vec<(usize, Change)> {
    let mut told = Vec::new();
    let mut now = 0;
    let mut bad_since: Option<u64> = None;
    let mut is_firing = false;
    for (index, (passed, value)) in steps.iter().enumerate() {
        if value.is_none() && condition.missing == Missing::Keep {
            // As if nobody had looked, and no time had passed.
            continue;
        }
        now += passed;
        let limit = match condition.clear {
            Some(clear) if is_firing => clear,
            _ => condition.value,
        };
        let is_bad = match value {
            Some(value) => condition.op.holds(*value, limit),
            None => condition.missing == Missing::Alert,
        };
        if !is_bad {
            bad_since = None;
            if is_firing {
                told.push((index, Change::Resolved));
            }
            is_firing = false;
            continue;
        }
        let since = *bad_since.get_or_insert(now);
        if !is_firing && now - since >= condition.hold.as_secs() {
            told.push((index, Change::Fired));
            is_firing = true;
        }
    }
    told
}

proptest! {
    #[test]
    fn every_excursion_fires_once_and_resolves_once(
        steps in proptest::collection::vec((0u64..40, proptest::option::weighted(0.8, 0.0f64..10.0)), 0..200),
        op in proptest::sample::select(&Op::ALL[..]),
        clear in proptest::option::of(0.0f64..10.0),
        hold in 0u64..100,
        missing in proptest::sample::select(&[Missing::Ok, Missing::Keep, Missing::Alert][..]),
    ) {
        // Whole numbers, so that equality happens.
        let steps: Vec<_> = steps.iter().map(|(passed, value)| (*passed, value.map(f64::floor))).collect();
        let hold = Duration::from_secs(hold);
        let condition = Condition { op, value: 5.0, clear: clear.map(f64::floor), hold, missing };
        let mut alarm = Alarm::default();
        let mut got = Vec::new();
        for (index, (passed, value)) in steps.iter().enumerate() {
            let change = step_by(&mut alarm, *passed, *value, &condition);
            got.extend(change.map(|change| (index, change)));
        }
        let alternating = got.iter().enumerate().all(|(at, (_, change))| {
            *change == if at % 2 == 0 { Change::Fired } else { Change::Resolved }
        });
        prop_assert!(alternating, "{:?}", got);
        prop_assert_eq!(got, told(&steps, &condition));
    }
}
