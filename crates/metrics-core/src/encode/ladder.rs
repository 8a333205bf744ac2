//! Which bounds `le` a histogram with log-linear buckets shows.
//!
//! Such a histogram has thousands of buckets, and a page has room for some twenty. Each bound
//! chosen here is the upper edge of a bucket at every [`Precision`](crate::Precision): a power of
//! two of steps, or one cut into quarters, less one step. So what is counted below a bound is
//! exact, and the bounds of a metric never change: not over time, not between processes, not with
//! the precision.

use crate::unit::Unit;

/// The bounds for a unit, in steps.
pub(super) const fn bounds(unit: Unit) -> &'static [u64] {
    match unit {
        Unit::None => &NONE,
        Unit::Seconds => &SECONDS,
        Unit::Bytes => &BYTES,
        Unit::Ratio => &RATIO,
    }
}

/// From a thousandth to 70 million, each about four times the one before.
const NONE: [u64; 19] = below_powers([
    10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46,
]);

/// From 4 µs to 137 s; between 0.26 ms and 2.1 s each about twice the one before.
const SECONDS: [u64; 20] = below_powers([
    12, 14, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 33, 35, 37,
]);

/// From 255 bytes to a tebibyte, each four times the one before.
const BYTES: [u64; 17] = below_powers([
    8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40,
]);

/// From a thousandth to just above one; by quarters of a power of two from 0.27 up.
const RATIO: [u64; 15] = [
    (1 << 20) - 1,
    (1 << 22) - 1,
    (1 << 24) - 1,
    (1 << 25) - 1,
    (1 << 26) - 1,
    (1 << 27) - 1,
    (4 << 26) - 1,
    (5 << 26) - 1,
    (6 << 26) - 1,
    (7 << 26) - 1,
    (4 << 27) - 1,
    (5 << 27) - 1,
    (6 << 27) - 1,
    (7 << 27) - 1,
    (8 << 27) - 1,
];

const fn below_powers<const N: usize>(exponents: [u32; N]) -> [u64; N] {
    let mut bounds = [0; N];
    let mut at = 0;
    while at < N {
        bounds[at] = (1 << exponents[at]) - 1;
        at += 1;
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::bounds;
    use crate::snapshot::log_linear::Precision;
    use crate::unit::Unit;

    #[test]
    fn every_bound_is_the_upper_edge_of_a_bucket_at_every_precision() {
        for unit in [Unit::None, Unit::Seconds, Unit::Bytes, Unit::Ratio] {
            assert!((12..=20).contains(&bounds(unit).len()), "{unit:?}");
            assert!(bounds(unit).is_sorted_by(|a, b| a < b), "{unit:?}");
            for bits in Precision::MIN.bits()..=Precision::MAX.bits() {
                let precision = Precision::new(bits).expect("in range");
                for &bound in bounds(unit) {
                    let bucket = precision.values_of(precision.index_of(bound));
                    assert_eq!(*bucket.end(), bound, "{unit:?} at {bits} bits");
                }
            }
        }
    }
}
