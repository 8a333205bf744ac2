//! Arithmetic that gives an answer for every input: NaN, infinities, zero and overflow included.

/// A number that can be reckoned with.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Into 0..=1; what is not a number counts as 0.
pub(crate) fn fraction(value: f64) -> f64 {
    if value.is_nan() {
        return 0.0;
    }
    value.clamp(0.0, 1.0)
}

/// What part of `whole` `part` is, within 0..=1; none when there is no whole.
pub(crate) fn share(part: f64, whole: f64) -> Option<f64> {
    let is_whole = whole > 0.0 && whole.is_finite() && !part.is_nan();
    is_whole.then(|| fraction(part / whole))
}

/// Into 0..; what is negative or not a number counts as 0, infinity as the largest number.
pub(crate) fn amount(value: f64) -> f64 {
    if value.is_nan() {
        return 0.0;
    }
    value.clamp(0.0, f64::MAX)
}

/// Rounded up and saturated.
pub(crate) fn ceil_u32(value: f64) -> u32 {
    // The cast saturates, and maps NaN to 0.
    value.ceil() as u32
}

/// The middle of some numbers, which are reordered; none when there are none.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let is_odd = values.len() % 2 == 1;
    let middle = values.len() / 2;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if is_odd {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp);
    let lower = lower.expect("an even number of values has one below the middle");
    // Halved first: their sum could overflow.
    Some(lower / 2.0 + upper / 2.0)
}
