//! Times as people write them: `250ms`, `30s`, `5m`, `1h30m`.

use std::time::Duration;

/// The longest time that may be written: a year.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Milliseconds in each unit, the largest first, in which order they are written.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads one or more whole numbers with units, the largest unit first; none for anything else and
/// for what is longer than a year.
#[cfg(any(feature = "serde", test))]
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut millis = 0u64;
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_lowercase())
                .len();
        // Each unit once and in order: those before the one found are passed over.
        let (_, unit) = units.find(|(name, _)| *name == &rest[..letters])?;
        millis = millis.checked_add(number.checked_mul(*unit)?)?;
        rest = &rest[letters..];
        if rest.is_empty() {
            let duration = Duration::from_millis(millis);
            return (duration <= LONGEST).then_some(duration);
        }
    }
}

/// Writes a time in whole milliseconds, so that [`parse`] reads it back.
pub(crate) fn text(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, unit) in UNITS {
        if millis >= unit {
            text.push_str(&format!("{}{name}", millis / unit));
            millis %= unit;
        }
    }
    text
}

/// Durations in configuration files.
#[cfg(feature = "serde")]
pub(crate) mod readable {
    use std::borrow::Cow;
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(it: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::text(*it))
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        let parsed = super::parse(&text);
        parsed.ok_or_else(|| D::Error::custom("expected a time such as \"30s\" or \"1h30m\""))
    }
}

/// A moment as RFC 3339 writes it, in UTC and to the microsecond.
#[cfg(feature = "serde")]
pub(crate) fn rfc3339<S: serde::Serializer>(
    moment: &std::time::SystemTime,
    to: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::Error;
    let moment = jiff::Timestamp::try_from(*moment);
    let moment = moment.map_err(|_| S::Error::custom("the time is beyond the calendar"))?;
    to.collect_str(&format_args!("{moment:.6}"))
}

/// A time as seconds.
#[cfg(feature = "serde")]
#[expect(
    clippy::ref_option,
    reason = "serde hands out a reference to the field"
)]
pub(crate) fn seconds<S: serde::Serializer>(
    time: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&time.map(|time| time.as_secs_f64()), to)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse, text};

    #[test]
    fn times_are_read_as_they_are_written() {
        for (written, millis) in [
            ("0s", 0),
            ("1ms", 1),
            ("250ms", 250),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("365d", 31_536_000_000),
        ] {
            assert_eq!(parse(written), Some(Duration::from_millis(millis)));
            assert_eq!(text(Duration::from_millis(millis)), written);
        }
        assert_eq!(parse("90m"), Some(Duration::from_secs(5400)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "1.5s",
            "5S",
            "5m5m",
            "5s5m",
            "1w",
            "366d",
            "5m ",
            "٣s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
