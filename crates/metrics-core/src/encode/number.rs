//! Numbers as both exposition formats read them.

/// Appends a whole number.
#[inline]
pub(super) fn push_u64(out: &mut Vec<u8>, value: u64) {
    // Most counts of a page are small, and a push is cheaper than a copy.
    if value < 10 {
        return out.push(b'0' + value as u8);
    }
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a whole number.
#[inline]
pub(super) fn push_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the shortest text that reads back as this number; whole numbers without a point.
#[inline]
pub(super) fn push_value(out: &mut Vec<u8>, value: f64) {
    /// Below this every whole number has a float of its own, and its digits are the shortest text.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = value as i64;
    if value.abs() < EXACT && (whole as f64).to_bits() == value.to_bits() {
        push_i64(out, whole);
    } else {
        push_float(out, value);
    }
}

/// Appends the shortest text that reads back as this number, always with a point or an exponent,
/// as the labels `le` and `quantile` should be written.
pub(super) fn push_float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        let infinity: &[u8] = if value > 0.0 { b"+Inf" } else { b"-Inf" };
        out.extend_from_slice(infinity);
    }
}
