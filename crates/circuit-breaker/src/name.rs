//! [`Name`]: the name of a breaker, cheap to hand out with every rejection.

use std::fmt;
use std::sync::Arc;

use crate::error::ConfigError;

/// Names up to this many bytes lie in the value itself.
const INLINE: usize = 22;

/// The longest name, in bytes.
const LONGEST: usize = 256;

/// The name of a breaker: text without control characters, 256 bytes at most.
///
/// Copying a name of up to 22 bytes touches no memory that threads share, so a rejection that
/// carries it costs the same on every core. Longer ones are counted references.
#[derive(Clone)]
pub struct Name(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE] },
    Shared(Arc<str>),
}

impl Name {
    /// A breaker that was given no name.
    pub(crate) const EMPTY: Self = Self(Repr::Inline {
        len: 0,
        bytes: [0; INLINE],
    });

    /// Checks and keeps a name.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for a name that is empty, longer than 256 bytes, or has control
    /// characters.
    pub fn new(name: &str) -> Result<Self, ConfigError> {
        let is_allowed =
            !name.is_empty() && name.len() <= LONGEST && !name.chars().any(char::is_control);
        if !is_allowed {
            // The value is shown escaped and cut, so that a hostile one cannot flood a log.
            let shown: String = name.chars().take(32).collect();
            return Err(ConfigError::out_of_range(
                "name",
                format_args!("{shown:?} ({} bytes)", name.len()),
                "1 to 256 bytes without control characters",
            ));
        }
        Ok(Self(match name.len() {
            len @ 0..=INLINE => {
                let mut bytes = [0; INLINE];
                bytes[..len].copy_from_slice(name.as_bytes());
                Repr::Inline {
                    len: len as u8,
                    bytes,
                }
            }
            _ => Repr::Shared(Arc::from(name)),
        }))
    }

    /// The name as text; empty for a breaker that has none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Inline { len, bytes } => str::from_utf8(&bytes[..usize::from(*len)])
                .expect("the bytes were copied from a str as a whole"),
            Repr::Shared(name) => name,
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_allowed_length_come_back_as_they_were() {
        for len in 1..=LONGEST {
            let text = "é".repeat(len / 2) + if len % 2 == 1 { "x" } else { "" };
            assert_eq!(Name::new(&text).expect("allowed").as_str(), text);
        }
        assert_eq!(Name::EMPTY.as_str(), "");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "a\nb", "\u{7f}", &"x".repeat(LONGEST + 1)] {
            assert!(Name::new(text).is_err(), "{text:?}");
        }
    }
}
