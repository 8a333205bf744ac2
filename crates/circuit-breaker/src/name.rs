//! [`Name`]: the name of a breaker, cheap to hand out with every rejection.

use std::fmt;
use std::sync::Arc;

use crate::error::ConfigError;

/// Names up to this many bytes lie in the value itself; the byte behind them is their length.
const INLINE: usize = 23;

/// The longest name, in bytes.
const LONGEST: usize = 256;

/// The name of a breaker: text without control characters, 256 bytes at most.
///
/// Copying a name of up to 23 bytes touches no memory that threads share, so a rejection that
/// carries it costs the same on every core. Longer ones are counted references.
pub struct Name {
    /// The name, and in the last byte its length, unless it is a long one.
    short: [u8; INLINE + 1],
    long: Option<Arc<String>>,
}

impl Name {
    /// A breaker that was given no name.
    pub(crate) const EMPTY: Self = Self {
        short: [0; INLINE + 1],
        long: None,
    };

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
        let mut short = [0; INLINE + 1];
        if name.len() > INLINE {
            let long = Some(Arc::new(name.to_owned()));
            return Ok(Self { short, long });
        }
        short[..name.len()].copy_from_slice(name.as_bytes());
        short[INLINE] = name.len() as u8;
        Ok(Self { short, long: None })
    }

    /// The name as text; empty for a breaker that has none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if let Some(long) = &self.long {
            return long;
        }
        let len = usize::from(self.short[INLINE]);
        str::from_utf8(&self.short[..len]).expect("the bytes were copied from a str as a whole")
    }
}

impl Clone for Name {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            short: self.short,
            long: match &self.long {
                Some(long) => share(long),
                None => None,
            },
        }
    }
}

/// Apart, so that copying a short name stays a few instructions.
#[cold]
#[inline(never)]
#[expect(clippy::unnecessary_wraps, reason = "it stands in a match with none")]
fn share(long: &Arc<String>) -> Option<Arc<String>> {
    Some(Arc::clone(long))
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
