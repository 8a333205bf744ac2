//! [`StrKey`]: a text that is fit to be a key.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// A key has so many characters at most.
const MAX_CHARS: usize = 1_000;

/// A text of 1 to 1,000 characters, none of which is a control character.
///
/// For keys that come from outside: they stay short, and can be logged. A clone shares the text.
/// Compares and hashes as `str` does, so a cache with such keys is asked with any `&str`.
///
/// ```
/// use brolly_ttl_cache::{Cache, StrKey};
///
/// let cache: Cache<StrKey, u32> = Cache::new(100);
/// cache.insert(StrKey::new("user:7")?, 7);
/// assert_eq!(cache.get("user:7"), Some(7));
/// assert!(StrKey::new("line\nbreak").is_err());
/// # Ok::<_, brolly_ttl_cache::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct StrKey(Arc<str>);

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is empty.
    #[error("the key is empty")]
    Empty,
    /// It is too long.
    #[error("the key has more than {allowed} characters")]
    TooLong {
        /// How many characters there may be.
        allowed: usize,
    },
    /// It has a control character.
    #[error("the key has the control character {character:?} at byte {at}")]
    ControlCharacter {
        /// Which one it is.
        character: char,
        /// Where it stands, in bytes.
        at: usize,
    },
}

impl StrKey {
    /// Checks a text.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        // Looks at no more than what is allowed, however long the text is.
        for (number, (at, character)) in text.char_indices().enumerate() {
            if number == MAX_CHARS {
                return Err(KeyError::TooLong { allowed: MAX_CHARS });
            }
            if character.is_control() {
                return Err(KeyError::ControlCharacter { character, at });
            }
        }
        Ok(Self(Arc::from(text)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for StrKey {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StrKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for StrKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for StrKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl TryFrom<String> for StrKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for StrKey {
    type Error = KeyError;

    fn try_from(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<StrKey> for String {
    fn from(key: StrKey) -> Self {
        String::from(&*key.0)
    }
}

impl fmt::Display for StrKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, f)
    }
}

impl fmt::Debug for StrKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
