//! Durations as text in data: `"250ms"`, `"30s"`, `"1h30m"`.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Nanoseconds of each unit, the longest first, in which order they are written and read.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// As much as 584 years; what is longer is written as that.
fn write(duration: Duration) -> String {
    let mut left = crate::settings::nanos(duration);
    let mut text = String::new();
    for (unit, nanos) in UNITS {
        if left >= nanos {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{unit}", left / nanos);
            left %= nanos;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// Whole numbers, each with a unit that is shorter than the one before.
fn read(text: &str) -> Option<Duration> {
    let (mut rest, mut total, mut from) = (text, 0_u64, 0);
    loop {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u64 = rest[..unit_at].parse().ok()?;
        rest = &rest[unit_at..];
        let end = rest.find(|letter: char| !letter.is_ascii_alphabetic());
        let (unit, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let at = UNITS[from..].iter().position(|(name, _)| *name == unit)? + from;
        total = total.checked_add(number.checked_mul(UNITS[at].1)?)?;
        if behind.is_empty() {
            return Some(Duration::from_nanos(total));
        }
        (rest, from) = (behind, at + 1);
    }
}

pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&write(*duration))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = || de::Error::custom(format!("{text:?} is not a duration such as \"1m30s\""));
    read(&text).ok_or_else(wrong)
}

/// The same where there may be none.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    struct Text(Duration);

    impl<'de> Deserialize<'de> for Text {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            super::deserialize(from).map(Self)
        }
    }

    #[expect(
        clippy::ref_option,
        reason = "serde calls it with a reference to the field"
    )]
    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => to.serialize_some(&super::write(*duration)),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<Text>::deserialize(from)?;
        Ok(text.map(|Text(duration)| duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_that_was_written_reads_the_same() {
        for nanos in [0, 1, 1_500, 90_000_000_000, 86_461_001_001_001, u64::MAX] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(
                read(&write(duration)),
                Some(duration),
                "{}",
                write(duration)
            );
        }
        assert_eq!(write(Duration::from_secs(90)), "1m30s");
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "1s1m",
            "1s1s",
            "1 s",
            "1w",
            "99999999999d",
            "1sé",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
