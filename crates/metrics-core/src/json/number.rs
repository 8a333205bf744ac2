//! Values that JSON has no plain number or text for.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, Expected, IgnoredAny, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::json::JsonError;

/// A number that may be infinite or NaN, which are texts then.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value if value > 0.0 => serializer.serialize_str("+Inf"),
            _ => serializer.serialize_str("-Inf"),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, \"NaN\", \"+Inf\" or \"-Inf\"")
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                match text {
                    "NaN" => Ok(Number(f64::NAN)),
                    "+Inf" => Ok(Number(f64::INFINITY)),
                    "-Inf" => Ok(Number(f64::NEG_INFINITY)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Number, A::Error> {
                let number = number_of(map)?.as_f64();
                number.map(Number).ok_or_else(|| too_large(&self))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// A whole number that is a decimal text when 64 bits do not hold it.
#[derive(Clone, Copy)]
pub(super) struct Wide(pub(super) u128);

impl Serialize for Wide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self.0) {
            Ok(value) => serializer.serialize_u64(value),
            Err(_) => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Wide;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, as a text when it is beyond 64 bits")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Wide, E> {
                Ok(Wide(value.into()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Wide, E> {
                let number = text.parse();
                number
                    .map(Wide)
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Wide, A::Error> {
                let number = number_of(map)?.as_u64();
                number
                    .map(|it| Wide(it.into()))
                    .ok_or_else(|| too_large(&self))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// A number, where another crate of the program turned on `arbitrary_precision` of `serde_json`:
/// numbers of any type come as maps then.
fn number_of<'de, A: MapAccess<'de>>(map: A) -> Result<serde_json::Number, A::Error> {
    serde_json::Number::deserialize(MapAccessDeserializer::new(map))
}

fn too_large<E: Error>(expected: &dyn Expected) -> E {
    E::invalid_value(Unexpected::Other("another number"), expected)
}

/// A figure for people, which follows from others: written, and not believed when read.
#[derive(Clone, Copy, Default)]
pub(super) struct Shown(pub(super) Option<f64>);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(None))
    }
}

/// A time as RFC 3339, clamped to the years that it can write.
pub(super) fn time_text(time: SystemTime) -> String {
    /// The beginning of the year 0.
    const FIRST_SECOND: i64 = -62_167_219_200;
    let first = Timestamp::from_second(FIRST_SECOND).unwrap_or(Timestamp::MIN);
    let is_early = time < SystemTime::UNIX_EPOCH;
    let limit = if is_early { first } else { Timestamp::MAX };
    let stamp = Timestamp::try_from(time).unwrap_or(limit);
    stamp.max(first).to_string()
}

pub(super) fn time_of(text: &str) -> Result<SystemTime, JsonError> {
    match text.parse::<Timestamp>() {
        Ok(stamp) => Ok(stamp.into()),
        Err(_) => Err(JsonError::Time {
            text: text.to_owned(),
        }),
    }
}
