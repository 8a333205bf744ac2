//! [`Content`]: the bytes of a file, shared by everybody who read them.

use std::fmt;
use std::ops::Deref;
use std::str::{self, Utf8Error};
use std::sync::Arc;

use crate::stamp::Stamp;

/// The bytes of a file as they were at one moment.
///
/// Cheap to clone: clones share the bytes with each other and with the cache. They stay as they are
/// whatever becomes of the file; keeping one keeps its memory.
///
/// It is `AsRef<[u8]>` and `'static`, so `bytes::Bytes::from_owner(content)` costs no copy.
#[derive(Clone)]
pub struct Content {
    read: Arc<Read>,
}

/// What was read, and what is known of it.
struct Read {
    bytes: Vec<u8>,
    stamp: Stamp,
    began: u64,
}

impl Content {
    pub(crate) fn new(bytes: Vec<u8>, stamp: Stamp, began: u64) -> Self {
        let read = Arc::new(Read {
            bytes,
            stamp,
            began,
        });
        Self { read }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.read.bytes
    }

    /// The bytes as text. Checks them each time.
    ///
    /// # Errors
    ///
    /// They are not UTF-8.
    pub fn to_str(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.read.bytes)
    }

    /// The state of the file these bytes belong to.
    pub(crate) fn stamp(&self) -> &Stamp {
        &self.read.stamp
    }

    /// When reading them began, in turns of the store.
    pub(crate) fn began(&self) -> u64 {
        self.read.began
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.read, &other.read)
    }

    /// The memory that is kept for it.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Read>().saturating_add(self.read.bytes.capacity())
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<Content> for Vec<u8> {
    /// Copies the bytes, unless nobody else has them.
    fn from(content: Content) -> Self {
        match Arc::try_unwrap(content.read) {
            Ok(read) => read.bytes,
            Err(shared) => shared.bytes.clone(),
        }
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Content {}

macro_rules! comparable {
    ($($other:ty),*) => {$(
        impl PartialEq<$other> for Content {
            fn eq(&self, other: &$other) -> bool {
                let other: &[u8] = other.as_ref();
                self.as_bytes() == other
            }
        }
    )*};
}

comparable!([u8], &[u8], Vec<u8>, str, &str);

impl<const N: usize> PartialEq<[u8; N]> for Content {
    fn eq(&self, other: &[u8; N]) -> bool {
        self.as_bytes() == other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Content {
    fn eq(&self, other: &&[u8; N]) -> bool {
        self.as_bytes() == *other
    }
}

impl fmt::Debug for Content {
    /// Says how many bytes there are, not which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
