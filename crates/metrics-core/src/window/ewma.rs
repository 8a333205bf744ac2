//! [`Ewma`]: a mean in which the past fades.

use std::time::Duration;

/// An exponentially weighted moving average of samples that come at irregular times.
///
/// A sample weighs `1 - exp(-dt / tau)` against all before it, where `dt` is the time since the
/// last one: a long pause counts for as much as many short ones, and is one multiplication.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ewma {
    tau: Duration,
    /// When the last sample came, and the mean.
    state: Option<(Duration, f64)>,
}

impl Ewma {
    /// A mean that forgets all but 37 % (1/e) in the time `tau`. With zero it is the last sample.
    #[must_use]
    pub const fn new(tau: Duration) -> Self {
        Self { tau, state: None }
    }

    /// Takes a sample in. The first is the mean; later ones that come at the same time as the one
    /// before, or earlier, have no weight. What is not finite is ignored.
    pub fn update(&mut self, now: Duration, sample: f64) {
        if !sample.is_finite() {
            return;
        }
        let Some((before, mean)) = self.state else {
            self.state = Some((now, sample));
            return;
        };
        let passed = now.saturating_sub(before).as_secs_f64();
        let alpha = match passed {
            0.0 => 0.0,
            // Division by a `tau` of zero gives infinity, and that a weight of one.
            _ => 1.0 - (-passed / self.tau.as_secs_f64()).exp(),
        };
        self.state = Some((now, mean * (1.0 - alpha) + sample * alpha));
    }

    /// The mean; none without samples.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.state.map(|(_, mean)| mean)
    }
}
