//! [`Demand`]: a pool's size from queueing theory.
//!
//! A pool with `c` connections, random arrivals and one line of waiters is the queue M/M/c. The
//! probability that an arrival has to wait is Erlang's second formula (A. K. Erlang, "Solution of
//! some problems in the theory of probabilities of significance in automatic telephone exchanges",
//! 1917), reckoned from his first one by the recursion `B(k) = a B(k−1) / (k + a B(k−1))`, in which
//! every number stays within 0 and 1: there are no factorials and no powers.

use crate::numbers::{ceil_u32, finite};
use crate::size::SizeRange;

/// The largest number of connections reckoned with.
pub const MAX_SERVERS: u32 = 65_536;

/// What a pool is asked for.
///
/// ```
/// use brolly_advisor::Demand;
///
/// let demand = Demand { arrivals_per_second: 200.0, hold_seconds: 0.040 };
/// let size = demand.size(0.005).expect("within reach");
/// assert_eq!((size.min(), size.max()), (8, 11));
/// ```
#[doc(alias = "erlang")]
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Demand {
    /// Acquisitions in a second.
    pub arrivals_per_second: f64,
    /// The mean time that a connection is held.
    pub hold_seconds: f64,
}

impl Demand {
    /// The load in Erlang: how many connections are held at a time, on average. None when a figure
    /// is negative or not a number.
    #[must_use]
    pub fn offered_load(&self) -> Option<f64> {
        let is_valid = self.arrivals_per_second >= 0.0 && self.hold_seconds >= 0.0;
        // Zero times infinity is not a number, and is caught here.
        let load = self.arrivals_per_second * self.hold_seconds;
        (is_valid && !load.is_nan()).then_some(load)
    }

    /// The mean time that an acquisition waits in a pool of this size; infinite when the pool
    /// cannot keep up, none when a figure is not valid.
    #[must_use]
    pub fn mean_wait_seconds(&self, servers: u32) -> Option<f64> {
        let load = self.offered_load()?;
        let servers = servers.min(MAX_SERVERS);
        Some(self.wait_of(servers, load, blocking(servers, load)))
    }

    /// The smallest size with which an acquisition waits for no longer than this on average, and at
    /// least the mean number in use kept open. None when a figure is not valid, or when more than
    /// [`MAX_SERVERS`] would be needed.
    ///
    /// A target of zero cannot be met by any number; the answer is then the size with which a wait
    /// is too improbable to show in the arithmetic. At most [`MAX_SERVERS`] steps.
    #[must_use]
    pub fn size(&self, wait_target_seconds: f64) -> Option<SizeRange> {
        let load = finite(self.offered_load()?)?;
        let is_within_reach = wait_target_seconds >= 0.0 && load < f64::from(MAX_SERVERS);
        if !is_within_reach {
            return None;
        }
        let mut blocking = 1.0;
        for servers in 1..=MAX_SERVERS {
            blocking = next_blocking(servers, load, blocking);
            if self.wait_of(servers, load, blocking) <= wait_target_seconds {
                return Some(SizeRange::new(ceil_u32(load), servers));
            }
        }
        None
    }

    fn wait_of(&self, servers: u32, load: f64, blocking: f64) -> f64 {
        let spare = f64::from(servers) - load;
        if spare <= 0.0 {
            return f64::INFINITY;
        }
        wait_probability(servers, load, blocking) * (self.hold_seconds / spare)
    }
}

/// The probability that an arrival at `servers` connections under a load in Erlang has to wait. 1
/// when they cannot keep up, none when the load is negative or not a number.
///
/// At most [`MAX_SERVERS`] are reckoned with. One step for each.
#[doc(alias = "erlang_c")]
#[must_use]
pub fn probability_of_wait(servers: u32, offered_load: f64) -> Option<f64> {
    let is_valid = offered_load >= 0.0;
    let servers = servers.min(MAX_SERVERS);
    is_valid.then(|| wait_probability(servers, offered_load, blocking(servers, offered_load)))
}

/// Erlang's first formula: the probability that all are taken when nobody waits.
fn blocking(servers: u32, load: f64) -> f64 {
    (1..=servers).fold(1.0, |blocking, servers| {
        next_blocking(servers, load, blocking)
    })
}

fn next_blocking(servers: u32, load: f64, blocking: f64) -> f64 {
    // Under an infinite load this is not a number; nobody looks at it, because no number of
    // connections can keep up with that.
    let weighed = load * blocking;
    weighed / (f64::from(servers) + weighed)
}

/// Erlang's second formula from his first.
fn wait_probability(servers: u32, load: f64, blocking: f64) -> f64 {
    let busy = load / f64::from(servers);
    if servers == 0 || busy >= 1.0 {
        return 1.0;
    }
    blocking / (1.0 - busy * (1.0 - blocking))
}
