//! The normal distribution.

/// The probability that a standard normal variable is further from 0 than `z`, on either side.
///
/// `erfc(|z| / √2)` by the rational approximation of Abramowitz and Stegun, 7.1.26; its absolute
/// error is below 1.5e-7.
pub(super) fn two_sided_p(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let factors = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let polynomial = factors.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    (polynomial * (-x * x).exp()).clamp(0.0, 1.0)
}

/// How far from 0 a standard normal variable is with this probability at most: the inverse of
/// [`two_sided_p`], by bisection.
pub(super) fn two_sided_z(p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..64 {
        let middle = (low + high) / 2.0;
        if two_sided_p(middle) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::{two_sided_p, two_sided_z};

    #[test]
    fn probabilities_are_those_of_the_tables() {
        for (z, p) in [
            (0.0, 1.0),
            (1.0, 0.317_310_5),
            (1.959_964, 0.05),
            (2.575_829, 0.01),
            (-3.290_527, 0.001),
        ] {
            assert!((two_sided_p(z) - p).abs() < 2e-7, "{z}");
            if p < 1.0 {
                assert!((two_sided_z(p) - z.abs()).abs() < 2e-4, "{p}");
            }
        }
        assert_eq!(two_sided_p(f64::INFINITY), 0.0);
    }
}
