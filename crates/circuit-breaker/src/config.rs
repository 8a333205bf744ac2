//! [`Config`]: the settings of a breaker that are data, for configuration files.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::breaker::CircuitBreaker;
use crate::builder::CircuitBreakerBuilder;
use crate::error::ConfigError;

/// The settings of a breaker as a file says them. What is left out stays as the builder has it.
///
/// Unknown keys are errors. Durations are text: `"250ms"`, `"30s"`, `"1h30m"`. What a setting means
/// and allows stands with the builder's method of its name; it is checked when the breaker is built.
///
/// ```
/// use brolly_circuit_breaker::{Config, State};
///
/// let config: Config = serde_json::from_str(
///     r#"{ "name": "search", "count_window": 20, "failure_rate": 0.25, "open_for": "30s" }"#,
/// )?;
/// let breaker = config.builder()?.build()?;
/// assert_eq!((breaker.name().as_str(), breaker.state()), ("search", State::Closed));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the builder's method of its name")]
pub struct Config {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_failures: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_window: Option<u32>,
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub time_window: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_call_rate: Option<SlowCallRate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_calls: Option<u32>,
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub open_for: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<OpenBackoff>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permitted_probes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_threshold: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<SuccessRate>,
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_half_open_wait: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_cancel_as_failure: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_panic_as_failure: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totals: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_capacity: Option<usize>,
}

/// See [`CircuitBreakerBuilder::slow_call_rate`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowCallRate {
    /// Calls that take longer are slow.
    #[serde(with = "crate::duration")]
    pub longer_than: Duration,
    /// The share that opens it.
    pub rate: f64,
}

/// See [`CircuitBreakerBuilder::backoff`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBackoff {
    /// How many times as long it stays open each time.
    pub factor: f64,
    /// The longest open time.
    #[serde(with = "crate::duration")]
    pub max: Duration,
}

/// See [`CircuitBreakerBuilder::success_rate`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuccessRate {
    /// Of so many probes.
    pub probes: u32,
    /// The share that must succeed.
    pub rate: f64,
}

impl Config {
    /// A builder with these settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Conflict`] for more than one window, or more than one rule for probes. Values
    /// are checked when the breaker is built.
    pub fn builder(&self) -> Result<CircuitBreakerBuilder, ConfigError> {
        for (field, is_set, other, is_other_set) in [
            (
                "consecutive_failures",
                self.consecutive_failures.is_some(),
                "count_window",
                self.count_window.is_some(),
            ),
            (
                "consecutive_failures",
                self.consecutive_failures.is_some(),
                "time_window",
                self.time_window.is_some(),
            ),
            (
                "count_window",
                self.count_window.is_some(),
                "time_window",
                self.time_window.is_some(),
            ),
            (
                "success_threshold",
                self.success_threshold.is_some(),
                "success_rate",
                self.success_rate.is_some(),
            ),
        ] {
            if is_set && is_other_set {
                return Err(ConfigError::Conflict {
                    field,
                    other,
                    needs: "to stand alone",
                });
            }
        }
        Ok(self.unchecked_builder())
    }

    fn unchecked_builder(&self) -> CircuitBreakerBuilder {
        fn set<T: Clone, B>(builder: B, value: &Option<T>, with: impl FnOnce(B, T) -> B) -> B {
            match value {
                Some(value) => with(builder, value.clone()),
                None => builder,
            }
        }
        type B = CircuitBreakerBuilder;
        let mut b = CircuitBreaker::builder();
        b = set(b, &self.name, B::name);
        b = set(b, &self.consecutive_failures, B::consecutive_failures);
        b = set(b, &self.count_window, B::count_window);
        b = set(b, &self.time_window, B::time_window);
        b = set(b, &self.failures, B::failures);
        b = set(b, &self.failure_rate, B::failure_rate);
        b = set(b, &self.slow_call_rate, |b, slow| {
            b.slow_call_rate(slow.longer_than, slow.rate)
        });
        b = set(b, &self.minimum_calls, B::minimum_calls);
        b = set(b, &self.open_for, B::open_for);
        b = set(b, &self.backoff, |b, backoff| {
            b.backoff(backoff.factor, backoff.max)
        });
        b = set(b, &self.permitted_probes, B::permitted_probes);
        b = set(b, &self.success_threshold, B::success_threshold);
        b = set(b, &self.success_rate, |b, rate| {
            b.success_rate(rate.probes, rate.rate)
        });
        b = set(b, &self.max_half_open_wait, |b, wait| {
            b.max_half_open_wait(wait)
        });
        b = set(b, &self.count_cancel_as_failure, B::count_cancel_as_failure);
        b = set(b, &self.count_panic_as_failure, B::count_panic_as_failure);
        b = set(b, &self.totals, B::totals);
        set(b, &self.event_capacity, B::event_capacity)
    }
}
