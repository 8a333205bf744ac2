//! Times as people write them, read while the program is compiled: `250ms`, `30s`, `1h30m`.

use std::time::Duration;

/// The longest time that may be written: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Milliseconds in each unit, in the order in which units may follow each other.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Whole numbers with their units, the largest unit first and each once. None for anything else,
/// for no time at all and for more than a year.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().ok()?;
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*millis)?)?;
        rest = after;
    }
    let total = Duration::from_millis(total);
    (!total.is_zero() && total <= LONGEST).then_some(total)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn a_time_is_whole_numbers_with_units() {
        for (text, millis) in [
            ("1ms", 1),
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("90m", 5_400_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("365d", 31_536_000_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "0s",
            "5",
            "s",
            "-5s",
            "1.5s",
            "5 s",
            " 5s",
            "5S",
            "5m5m",
            "5s5m",
            "1w",
            "366d",
            "5ß",
            "18446744073709551616ms",
            "213503982335d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
