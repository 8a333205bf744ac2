//! [`AlertEngine`]: the alarms of all rules for all series.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use brolly_metrics_core::{FamilySnapshot, GaugeSnapshot};

use crate::alert::reading::{Labels, View, read};
use crate::alert::{Alarm, AlarmState, Change, Condition, Missing, Rule, RuleSet, Timeline};
use crate::level::Severity;
use crate::steady_time::SteadyTime;

/// An alert that is pending or firing, or has just resolved.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Alert {
    /// The name of the rule.
    pub rule: String,
    /// The labels of the series, and those of the rule.
    pub labels: BTreeMap<String, String>,
    /// How much it matters.
    pub severity: Severity,
    /// Where it is.
    pub state: AlarmState,
    /// When its condition began to hold, by the clock of the snapshots.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::duration::rfc3339"))]
    pub since: SystemTime,
    /// The value that was seen last; none when it is missing.
    pub value: Option<f64>,
    /// What the rule says to people.
    pub summary: String,
}

/// Something to tell somebody: once when an alert begins to fire, and once when it ceases.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct AlertEvent {
    /// What happened.
    pub change: Change,
    /// When, by the clock of the snapshots.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::duration::rfc3339"))]
    pub at: SystemTime,
    /// To which alert.
    pub alert: Alert,
}

/// The alarms of a set of rules, one for each series that a rule looks at.
///
/// Only alarms that are not inactive take memory, and no rule has more than
/// [`MAX_ALERTS`](Self::MAX_ALERTS) of them.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use brolly_advisor::{AlertEngine, Change, Op, Rule, RuleSet, Timeline};
/// use brolly_metrics_core::Registry;
///
/// let rules = RuleSet::new([Rule::new("queue_is_long", "app.queue", Op::Gt, 100.0)])?;
/// let mut engine = AlertEngine::new(rules);
/// let mut timeline = Timeline::new(Duration::from_secs(300));
///
/// let registry = Registry::new();
/// registry.gauge("app.queue").register()?.set(250.0);
/// timeline.push(Arc::new(registry.snapshot()));
/// let events = engine.evaluate(&timeline, &[]);
/// assert_eq!(events[0].change, Change::Fired);
/// assert_eq!(events[0].alert.value, Some(250.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AlertEngine {
    rules: RuleSet,
    /// For each rule, its alarms that are not inactive, sorted by labels.
    live: Vec<Vec<Live>>,
    time: SteadyTime,
    now: Duration,
    dropped: u64,
}

#[derive(Clone, Debug)]
struct Live {
    names: Vec<String>,
    values: Vec<String>,
    alarm: Alarm,
    since: SystemTime,
    value: Option<f64>,
    /// Whether the evaluation in progress has come by.
    is_seen: bool,
}

impl Live {
    fn labels(&self) -> Labels<'_> {
        Labels {
            names: &self.names,
            values: &self.values,
        }
    }
}

impl AlertEngine {
    /// Most alerts of one rule that are pending or firing.
    pub const MAX_ALERTS: usize = 1_000;

    /// No time longer than this passes between two evaluations as far as a rule's `for` is
    /// concerned: when the clock jumps, or when nobody has looked for long, nobody knows that the
    /// condition held meanwhile.
    pub const LONGEST_STEP: Duration = Duration::from_secs(5 * 60);

    /// All alarms inactive.
    #[must_use]
    pub fn new(rules: RuleSet) -> Self {
        Self {
            live: rules.rules().iter().map(|_| Vec::new()).collect(),
            rules,
            time: SteadyTime::default(),
            now: Duration::ZERO,
            dropped: 0,
        }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Looks at the newest snapshot of a timeline, and at gauges that were made from it. Returns
    /// what there is to tell, in the order of the rules and of the labels. Nothing without a
    /// snapshot; of a rule with a window, nothing without an older one.
    pub fn evaluate(
        &mut self,
        timeline: &Timeline,
        derived: &[FamilySnapshot<GaugeSnapshot>],
    ) -> Vec<AlertEvent> {
        let Some(now) = timeline.newest() else {
            return Vec::new();
        };
        let at = now.timestamp;
        let since_epoch = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let steady = self.time.advance(since_epoch, Self::LONGEST_STEP);
        let passed = steady.saturating_sub(self.now);
        self.now = steady;
        let view = View {
            now,
            derived,
            timeline,
        };
        let mut events = Vec::new();
        for (rule, live) in self.rules.rules().iter().zip(&mut self.live) {
            // Without a snapshot to look back to, the rule has nothing to go by yet: that is not
            // the same as a value that is missing.
            if rule
                .window
                .is_some_and(|window| timeline.back(window).is_none())
            {
                continue;
            }
            let mut evaluation = Evaluation {
                rule,
                live,
                at,
                passed,
                events: &mut events,
                dropped: &mut self.dropped,
            };
            evaluation.run(view);
        }
        events
    }

    /// The alerts that are not inactive, in the order of the rules and of the labels.
    pub fn alerts(&self) -> impl Iterator<Item = Alert> {
        let rules = self.rules.rules().iter().zip(&self.live);
        rules.flat_map(|(rule, live)| live.iter().map(move |live| alert(rule, live)))
    }

    /// How often an alert was passed over because its rule had
    /// [`MAX_ALERTS`](Self::MAX_ALERTS) already.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// One rule at one moment.
struct Evaluation<'a> {
    rule: &'a Rule,
    live: &'a mut Vec<Live>,
    at: SystemTime,
    passed: Duration,
    events: &'a mut Vec<AlertEvent>,
    dropped: &'a mut u64,
}

impl Evaluation<'_> {
    fn run(&mut self, view: View<'_>) {
        let before = self.events.len();
        for live in self.live.iter_mut() {
            live.is_seen = false;
        }
        let mut has_series = false;
        read(self.rule, view, &mut |labels, value| {
            has_series = true;
            self.step(labels, value);
        });
        if !has_series && self.rule.missing == Missing::Alert {
            self.step_absent();
        }
        self.step_unseen();
        self.live
            .retain(|live| live.alarm.state() != AlarmState::Inactive);
        self.events[before..].sort_by(|a, b| a.alert.labels.cmp(&b.alert.labels));
    }

    fn step(&mut self, labels: Labels<'_>, value: Option<f64>) {
        let condition = self.rule.condition();
        let place = self
            .live
            .binary_search_by(|live| live.labels().cmp(&labels));
        let place = match place {
            Ok(place) => place,
            Err(place) => {
                let mut alarm = Alarm::default();
                alarm.step(Duration::ZERO, value, &condition);
                if alarm.state() == AlarmState::Inactive {
                    return;
                }
                if self.live.len() >= AlertEngine::MAX_ALERTS {
                    *self.dropped = self.dropped.saturating_add(1);
                    return;
                }
                let live = Live {
                    names: labels.names.to_vec(),
                    values: labels.values.to_vec(),
                    alarm: Alarm::default(),
                    since: self.at,
                    value: None,
                    is_seen: false,
                };
                self.live.insert(place, live);
                place
            }
        };
        self.step_live(place, value, &condition);
    }

    /// The alert for "there is no such series": its labels are those that the rule asks for.
    fn step_absent(&mut self) {
        let matchers = &self.rule.metric.matchers;
        let asked = matchers.iter().filter(|matcher| matcher.is_equal);
        let (names, values): (Vec<String>, Vec<String>) = asked
            .map(|matcher| (matcher.name.clone(), matcher.value.clone()))
            .unzip();
        let labels = Labels {
            names: &names,
            values: &values,
        };
        self.step(labels, None);
    }

    /// A series that is gone is forgotten: where that is bad, the alert for "there is no such
    /// series" says so, and that one is itself forgotten as soon as there is a series.
    fn step_unseen(&mut self) {
        let mut condition = self.rule.condition();
        if condition.missing == Missing::Alert {
            condition.missing = Missing::Ok;
        }
        for place in 0..self.live.len() {
            if !self.live[place].is_seen {
                self.step_live(place, None, &condition);
            }
        }
    }

    fn step_live(&mut self, place: usize, value: Option<f64>, condition: &Condition) {
        let live = &mut self.live[place];
        let was = live.alarm.state();
        let change = live.alarm.step(self.passed, value, condition);
        let is_new = !matches!(was, AlarmState::Pending | AlarmState::Firing);
        if is_new && matches!(live.alarm.state(), AlarmState::Pending | AlarmState::Firing) {
            live.since = self.at;
        }
        live.value = value;
        live.is_seen = true;
        if let Some(change) = change {
            self.events.push(AlertEvent {
                change,
                at: self.at,
                alert: alert(self.rule, live),
            });
        }
    }
}

fn alert(rule: &Rule, live: &Live) -> Alert {
    let series = live.names.iter().cloned().zip(live.values.iter().cloned());
    let own = rule.labels.clone();
    Alert {
        rule: rule.name.clone(),
        labels: series.chain(own).collect(),
        severity: rule.severity,
        state: live.alarm.state(),
        since: live.since,
        value: live.value,
        summary: rule.summary.clone(),
    }
}
