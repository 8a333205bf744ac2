//! Keys, values, draws and meters: the same for every entrant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::driver::random;

/// A value that tells which key it belongs to, so that every hit can be checked.
pub(super) trait Payload: Clone + Send + Sync + 'static {
    fn of(key: u64) -> Self;
    fn is_of(&self, key: u64) -> bool;
}

impl Payload for u64 {
    fn of(key: u64) -> Self {
        key.rotate_left(17)
    }

    fn is_of(&self, key: u64) -> bool {
        *self == key.rotate_left(17)
    }
}

impl Payload for Arc<str> {
    fn of(key: u64) -> Self {
        let bytes = seven_bits_each(key).to_le_bytes();
        Arc::from(String::from_utf8_lossy(&bytes))
    }

    fn is_of(&self, key: u64) -> bool {
        self.as_bytes()
            .first_chunk()
            .is_some_and(|bytes| u64::from_le_bytes(*bytes) == seven_bits_each(key))
    }
}

/// Eight characters of a text.
fn seven_bits_each(key: u64) -> u64 {
    key & 0x7f7f_7f7f_7f7f_7f7f
}

/// The key of a number: neighbours among the numbers are none among the keys.
pub(super) fn key(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Numbers from 0, the first one the most frequent, by rejection-inversion (Hörmann and Derflinger,
/// "Rejection-inversion to generate variates from monotone discrete distributions", 1996).
pub(super) struct Zipf {
    numbers: f64,
    exponent: f64,
    at_first: f64,
    at_last: f64,
    squeeze: f64,
}

impl Zipf {
    pub(super) fn new(numbers: u32, exponent: f64) -> Self {
        let mut zipf = Self {
            numbers: f64::from(numbers),
            exponent,
            at_first: 0.0,
            at_last: 0.0,
            squeeze: 0.0,
        };
        zipf.at_first = zipf.integral(1.5) - 1.0;
        zipf.at_last = zipf.integral(zipf.numbers + 0.5);
        zipf.squeeze = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    pub(super) fn draw(&self, state: &mut u64) -> u32 {
        loop {
            let u = self.at_last + unit(state) * (self.at_first - self.at_last);
            let x = self.inverse(u);
            let rank = x.round().clamp(1.0, self.numbers);
            if rank - x <= self.squeeze || u >= self.integral(rank + 0.5) - self.weight(rank) {
                return rank as u32 - 1;
            }
        }
    }

    fn weight(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let power = (1.0 - self.exponent) * log;
        // (e^p - 1) / p, by its series where p is next to nothing.
        let quotient = if power.abs() > 1e-8 {
            power.exp_m1() / power
        } else {
            1.0 + power * 0.5
        };
        quotient * log
    }

    fn inverse(&self, x: f64) -> f64 {
        let power = (x * (1.0 - self.exponent)).max(-1.0);
        let quotient = if power.abs() > 1e-8 {
            power.ln_1p() / power
        } else {
            1.0 - power * 0.5
        };
        (quotient * x).exp()
    }
}

/// Even over 0 up to but not including 1.
pub(super) fn unit(state: &mut u64) -> f64 {
    (random(state) >> 11) as f64 / (1u64 << 53) as f64
}

/// What this thread has computed so far: what others do on the machine is not in it.
pub(super) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

/// Nanoseconds of this thread per operation: the best of `batches` batches, or of as many as fit
/// into `patience`, at least two.
pub(super) fn best_batch(
    batches: usize,
    patience: Duration,
    mut batch: impl FnMut(usize) -> usize,
) -> f64 {
    let begin = Instant::now();
    let mut best = f64::MAX;
    for number in 0..batches {
        let start = thread_time();
        let done = batch(number);
        let spent = thread_time().saturating_sub(start);
        best = best.min(spent.as_nanos() as f64 / done.max(1) as f64);
        if number > 0 && begin.elapsed() > patience {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_come_as_often_as_their_power() {
        for exponent in [0.9, 1.0, 1.2] {
            let zipf = Zipf::new(1_000, exponent);
            let (mut counts, mut state) = ([0u32; 1_000], 7);
            const DRAWS: u32 = 400_000;
            for _ in 0..DRAWS {
                counts[zipf.draw(&mut state) as usize] += 1;
            }
            let all: f64 = (1..=1_000)
                .map(|rank| f64::from(rank).powf(-exponent))
                .sum();
            for rank in [1u32, 2, 3, 10, 50] {
                let expected = f64::from(DRAWS) * f64::from(rank).powf(-exponent) / all;
                let seen = f64::from(counts[rank as usize - 1]);
                assert!(
                    (seen - expected).abs() < 5.0 * expected.sqrt() + 1.0,
                    "rank {rank}: {seen} instead of {expected}",
                );
            }
        }
    }

    #[test]
    fn a_value_knows_its_key() {
        for number in 0..1_000 {
            let key = key(number);
            assert!(u64::of(key).is_of(key) && !u64::of(key).is_of(key ^ 1));
            assert!(Arc::<str>::of(key).is_of(key) && !Arc::<str>::of(key).is_of(key ^ 1));
        }
    }
}
