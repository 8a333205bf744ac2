//! [`Alarm`]: the state machine of one alert, from values and times to fire and resolve.

use std::time::Duration;

/// How a value is compared with the rule's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Op {
    /// Greater.
    #[cfg_attr(feature = "serde", serde(rename = ">"))]
    Gt,
    /// Greater or equal.
    #[cfg_attr(feature = "serde", serde(rename = ">="))]
    Ge,
    /// Less.
    #[cfg_attr(feature = "serde", serde(rename = "<"))]
    Lt,
    /// Less or equal.
    #[cfg_attr(feature = "serde", serde(rename = "<="))]
    Le,
    /// Equal.
    #[cfg_attr(feature = "serde", serde(rename = "=="))]
    Eq,
    /// Not equal.
    #[cfg_attr(feature = "serde", serde(rename = "!="))]
    Ne,
}

impl Op {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Gt, Self::Ge, Self::Lt, Self::Le, Self::Eq, Self::Ne];

    /// How it is written: `>`, `>=`, `<`, `<=`, `==` or `!=`.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Eq => "==",
            Self::Ne => "!=",
        }
    }

    /// Whether `left op right` holds.
    #[must_use]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Gt => left > right,
            Self::Ge => left >= right,
            Self::Lt => left < right,
            Self::Le => left <= right,
            Self::Eq => left == right,
            Self::Ne => left != right,
        }
    }
}

/// What a missing value means. A value that is not a number is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Missing {
    /// All is well: what fires resolves.
    #[default]
    Ok,
    /// Nothing is known: what fires goes on, what does not stays silent, and what was about to
    /// fire keeps waiting but gains no time.
    Keep,
    /// As bad as a value that is: it fires after the rule's time.
    Alert,
}

impl Missing {
    /// Its name: `ok`, `keep` or `alert`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Keep => "keep",
            Self::Alert => "alert",
        }
    }
}

/// When an alarm fires and resolves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// How the value is compared.
    pub op: Op,
    /// With what.
    pub value: f64,
    /// What a firing alarm is compared with instead: it resolves only when `op` no longer holds
    /// for this. None: the same as [`value`](Self::value).
    pub clear: Option<f64>,
    /// How long the condition has to hold before the alarm fires.
    pub hold: Duration,
    /// What a missing value means.
    pub missing: Missing,
}

/// Where an alarm is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
pub enum AlarmState {
    /// The condition does not hold.
    #[default]
    Inactive,
    /// The condition holds, but not for long enough.
    Pending,
    /// The condition has held for long enough.
    Firing,
    /// It fired, and the condition has just ceased to hold; inactive or pending from the next
    /// step on.
    Resolved,
}

/// What there is to tell somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
pub enum Change {
    /// The alarm has begun to fire.
    Fired,
    /// The alarm has ceased to fire.
    Resolved,
}

/// The state machine of one alert. It fires once and resolves once in each excursion.
///
/// ```text
/// Inactive ──holds──▶ Pending ──held for `hold`──▶ Firing ──ceases──▶ Resolved
///     ◀──────ceases──────┘                                               │
///     ◀────────────────────────the next step─────────────────────────────┘
/// ```
///
/// With a `hold` of zero, `Pending` is passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    state: AlarmState,
    /// For how long the condition has held so far.
    held: Duration,
}

impl Alarm {
    /// Where it is.
    #[must_use]
    pub fn state(&self) -> AlarmState {
        self.state
    }

    /// For how long the condition has held, as far as it counts.
    #[must_use]
    pub fn held(&self) -> Duration {
        self.held
    }

    /// Takes in the value of this moment, `passed` after the step before.
    pub fn step(
        &mut self,
        passed: Duration,
        value: Option<f64>,
        condition: &Condition,
    ) -> Option<Change> {
        let was_holding = matches!(self.state, AlarmState::Pending | AlarmState::Firing);
        match self.holds(value, condition) {
            Some(true) => {
                self.held = match was_holding {
                    true => self.held.saturating_add(passed),
                    false => Duration::ZERO,
                };
                self.rise(condition.hold)
            }
            Some(false) => self.fall(),
            None if self.state == AlarmState::Resolved => self.fall(),
            None => None,
        }
    }

    /// Whether the condition holds; none when nothing is known and nothing shall change.
    fn holds(&self, value: Option<f64>, condition: &Condition) -> Option<bool> {
        let Some(value) = value.filter(|value| !value.is_nan()) else {
            return match condition.missing {
                Missing::Ok => Some(false),
                Missing::Keep => None,
                Missing::Alert => Some(true),
            };
        };
        let limit = match (self.state, condition.clear) {
            (AlarmState::Firing, Some(clear)) => clear,
            _ => condition.value,
        };
        Some(condition.op.holds(value, limit))
    }

    fn rise(&mut self, hold: Duration) -> Option<Change> {
        if self.state == AlarmState::Firing {
            return None;
        }
        if self.held < hold {
            self.state = AlarmState::Pending;
            return None;
        }
        self.state = AlarmState::Firing;
        Some(Change::Fired)
    }

    fn fall(&mut self) -> Option<Change> {
        self.held = Duration::ZERO;
        if self.state == AlarmState::Firing {
            self.state = AlarmState::Resolved;
            return Some(Change::Resolved);
        }
        self.state = AlarmState::Inactive;
        None
    }
}
