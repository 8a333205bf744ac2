//! [`Compressed`]: a value that is kept small.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits::MemSize;

/// What is longer is compressed.
const THRESHOLD: usize = 1024;

/// A value may be so many bytes long, before it is compressed.
const MAX_BYTES: usize = 1 << 30;

/// LZ4 makes what it is given 255 times shorter at best.
const BEST_RATIO: usize = 255;

/// How the bytes are kept: the first byte says it.
const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// In front of the bytes: how they are kept, how many they are when they are not compressed, and
/// the checksum (CRC-32, IEEE) of what follows.
const HEADER: usize = 9;

/// A value kept as JSON, compressed with LZ4 if that is more than 1 KiB and it helps.
///
/// To be the value type of a cache: a clone shares the bytes, and [`get`](Self::get) always gives
/// back the value that was put in. What it costs is known, for weighers.
///
/// ```
/// use brolly_ttl_cache::{Cache, Compressed, MemSize};
///
/// let cache: Cache<u32, Compressed<Vec<String>>> = Cache::builder()
///     .max_weight(1 << 20)
///     .weigher(|_, page: &Compressed<Vec<String>>| page.mem_size())
///     .build()?;
/// let page = vec!["the same line".to_owned(); 1_000];
/// cache.insert(1, Compressed::new(&page)?);
/// let found = cache.get(&1).expect("it fits");
/// assert!(found.kept_bytes() < found.raw_bytes() / 10);
/// assert_eq!(found.get()?, page);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Compressed<V> {
    bytes: Arc<[u8]>,
    of: PhantomData<fn() -> V>,
}

/// Why a value cannot be compressed or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompressError {
    /// It has no form as JSON.
    #[error("the value cannot be written as JSON")]
    Write(#[source] serde_json::Error),
    /// It is too long.
    #[error("the value takes {bytes} bytes, allowed are {allowed}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        allowed: usize,
    },
    /// The bytes are not those that were written.
    #[error("the bytes of the value are damaged")]
    Damaged,
    /// The value is of another type.
    #[error("the value is of another type")]
    Read(#[source] serde_json::Error),
}

impl<V> Compressed<V> {
    /// Keeps a value.
    ///
    /// # Errors
    ///
    /// JSON cannot say it, or it takes more than 1 GiB.
    pub fn new(value: &V) -> Result<Self, CompressError>
    where
        V: Serialize,
    {
        let text = serde_json::to_vec(value).map_err(CompressError::Write)?;
        if text.len() > MAX_BYTES {
            return Err(CompressError::TooLong {
                bytes: text.len(),
                allowed: MAX_BYTES,
            });
        }
        let small = (text.len() > THRESHOLD).then(|| lz4_flex::block::compress(&text));
        let small = small.filter(|small| small.len() < text.len());
        let (how, body) = match &small {
            Some(small) => (LZ4, small),
            None => (PLAIN, &text),
        };
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.push(how);
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(crc32fast::hash(body).to_le_bytes());
        bytes.extend(body);
        Ok(Self {
            bytes: bytes.into(),
            of: PhantomData,
        })
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// The bytes came from [`from_bytes`](Self::from_bytes) and are damaged or of another type.
    pub fn get(&self) -> Result<V, CompressError>
    where
        V: DeserializeOwned,
    {
        let (how, raw, body) = parts(&self.bytes)?;
        let unpacked;
        let text = if how == LZ4 {
            unpacked =
                lz4_flex::block::decompress(body, raw).map_err(|_| CompressError::Damaged)?;
            &unpacked[..]
        } else {
            body
        };
        if text.len() != raw {
            return Err(CompressError::Damaged);
        }
        serde_json::from_slice(text).map_err(CompressError::Read)
    }

    /// Takes bytes from [`as_bytes`](Self::as_bytes), kept elsewhere.
    ///
    /// # Errors
    ///
    /// They are damaged. What they say is looked at by [`get`](Self::get).
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Result<Self, CompressError> {
        let bytes = bytes.into();
        parts(&bytes)?;
        Ok(Self {
            bytes,
            of: PhantomData,
        })
    }

    /// The bytes as they are kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes are kept.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// How many bytes it would take without compression.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        parts(&self.bytes).map_or(0, |(_, raw, _)| (raw + HEADER) as u64)
    }

    /// Whether it is compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.bytes.first() == Some(&LZ4)
    }
}

/// How the bytes are kept, how long the value is, and what is kept of it.
fn parts(bytes: &[u8]) -> Result<(u8, usize, &[u8]), CompressError> {
    let damaged = || CompressError::Damaged;
    let (header, body) = bytes.split_first_chunk::<HEADER>().ok_or_else(damaged)?;
    let [how, r0, r1, r2, r3, s0, s1, s2, s3] = *header;
    let raw = u32::from_le_bytes([r0, r1, r2, r3]) as usize;
    let sum = u32::from_le_bytes([s0, s1, s2, s3]);
    // Never trusts a length that cannot be true: it is about to be allocated.
    let possible = match how {
        PLAIN => raw == body.len(),
        LZ4 => raw <= MAX_BYTES && raw <= body.len().saturating_mul(BEST_RATIO),
        _ => false,
    };
    if possible && crc32fast::hash(body) == sum {
        Ok((how, raw, body))
    } else {
        Err(CompressError::Damaged)
    }
}

impl<V> Clone for Compressed<V> {
    /// Shares the bytes.
    fn clone(&self) -> Self {
        Self {
            bytes: Arc::clone(&self.bytes),
            of: PhantomData,
        }
    }
}

impl<V> MemSize for Compressed<V> {
    fn heap_size(&self) -> u64 {
        self.bytes.heap_size()
    }
}

impl<V> fmt::Debug for Compressed<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressed")
            .field("kept_bytes", &self.kept_bytes())
            .field("raw_bytes", &self.raw_bytes())
            .finish()
    }
}
