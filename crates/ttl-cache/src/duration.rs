//! Durations as people write them: `250ms`, `30s`, `1h30m`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Nanoseconds in each unit, the largest first, in which order they are written.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads whole numbers with units, each unit once at most, the largest first. `None` for anything
/// else, and for what is more than 584 years.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut nanos = 0_u128;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
        let name = &rest[..letters];
        let (_, unit) = units.find(|(known, _)| *known == name)?;
        nanos += u128::from(number).checked_mul(*unit)?;
        rest = &rest[letters..];
        if rest.is_empty() {
            return u64::try_from(nanos).ok().map(Duration::from_nanos);
        }
    }
}

/// Writes a duration so that [`parse`] reads it back.
pub(crate) fn text(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    let mut text = String::new();
    for (name, unit) in UNITS {
        if nanos >= unit {
            text.push_str(&format!("{}{name}", nanos / unit));
            nanos %= unit;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(*duration))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| wrong(&text))
}

fn wrong<E: de::Error>(text: &str) -> E {
    E::custom(format!(
        "{text:?} is no duration such as \"250ms\", \"30s\" or \"1h30m\""
    ))
}

/// The same for durations that may be left out.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse, text, wrong};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => to.serialize_some(&text(*duration)),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let written = Option::<String>::deserialize(from)?;
        let read = |written: String| parse(&written).ok_or_else(|| wrong(&written));
        written.map(read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for nanos in [0, 1, 999, 1_000, 5_400_000_000_000, u64::MAX] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse(&text(duration)), Some(duration), "{}", text(duration));
        }
        assert_eq!(text(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(
            parse("1d2h3m4s5ms6us7ns"),
            Some(Duration::from_nanos(93_784_005_006_007))
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "1s1h",
            "1s 2ms",
            "1 s",
            "1S",
            "ä",
            "99999999999d",
            "1y",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
