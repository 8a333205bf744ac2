//! [`Snapshot`]: the entries of a cache as data, to be restored after a restart.
//!
//! A snapshot is text: a first line with format, version and time; a line for each entry, with its
//! checksum in front; a last line with the number of entries. So it can be written and read entry by
//! entry, and damage or a missing end is found.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brolly_sync::{NEVER, saturating_nanos};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::budget::Room;
use crate::cache::Cache;
use crate::error::Refusal;
use crate::inner::{Condition, Inner, Terms, Written};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// An entry may be so many bytes long as text.
const MAX_LINE: usize = 64 << 20;

/// Restoring refuses what is older, unless it is told another age.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(3600);

/// The live entries of a cache at some time; made by [`Cache::snapshot`].
///
/// Data of any format of serde. Keys and values are in it as JSON, each entry with a checksum, so
/// what JSON cannot say (numbers that are no numbers, maps with keys that are no text) cannot be in
/// a snapshot.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot<K, V> {
    format: String,
    version: u32,
    taken_at_ms: u64,
    entries: Vec<String>,
    /// CRC-32 of all entries, one after another.
    checksum: u32,
    #[serde(skip)]
    of: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Snapshot<K, V> {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The version of the format.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// When it was taken, by the wall clock, to the millisecond.
    #[must_use]
    pub fn taken_at(&self) -> SystemTime {
        let since = Duration::from_millis(self.taken_at_ms);
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }
}

impl<K, V> Clone for Snapshot<K, V> {
    fn clone(&self) -> Self {
        Self {
            format: self.format.clone(),
            version: self.version,
            taken_at_ms: self.taken_at_ms,
            entries: self.entries.clone(),
            checksum: self.checksum,
            of: PhantomData,
        }
    }
}

impl<K, V> fmt::Debug for Snapshot<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("taken_at", &self.taken_at())
            .field("entries", &self.entries.len())
            .finish()
    }
}

/// Why there is no snapshot.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A key or a value has no form as JSON.
    #[error("an entry cannot be written as JSON")]
    Entry(#[source] serde_json::Error),
    /// An entry is too long.
    #[error("an entry takes {bytes} bytes, allowed are {allowed}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        allowed: usize,
    },
    /// It could not be written down.
    #[error("the snapshot cannot be written")]
    Io(#[from] io::Error),
}

/// Why a snapshot was not restored. The cache is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// This is no snapshot.
    #[error("this is no snapshot of a cache")]
    Format,
    /// It was written by another version.
    #[error("the snapshot has version {found}, read is version {expected}")]
    Version {
        /// The one it has.
        found: u32,
        /// The one that is read.
        expected: u32,
    },
    /// It was taken later than now.
    #[error("the snapshot was taken {by:?} in the future")]
    Future {
        /// By how much.
        by: Duration,
    },
    /// It is too old.
    #[error("the snapshot is {age:?} old, allowed are {max_age:?}")]
    TooOld {
        /// How old it is.
        age: Duration,
        /// How old it may be.
        max_age: Duration,
    },
    /// It has more entries than the cache may have.
    #[error("the snapshot has more than the {max_entries} entries that the cache holds")]
    TooManyEntries {
        /// The cache's bound.
        max_entries: u64,
    },
    /// Its entries together are heavier than the cache may be.
    #[error("the snapshot weighs more than the {max_weight} that the cache holds")]
    TooHeavy {
        /// The cache's bound.
        max_weight: u64,
    },
    /// An entry is not what was written.
    #[error("entry {entry} of the snapshot is damaged")]
    Checksum {
        /// Which one, from zero.
        entry: u64,
    },
    /// Its end is missing, or entries in between.
    #[error("entries are missing from the snapshot, {entries} are there")]
    Truncated {
        /// How many entries there are.
        entries: u64,
    },
    /// A key or a value is of another type.
    #[error("entry {entry} of the snapshot is of another type")]
    Entry {
        /// Which one, from zero.
        entry: u64,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// An entry is too long.
    #[error("entry {entry} of the snapshot is longer than {allowed} bytes")]
    TooLong {
        /// Which one, from zero.
        entry: u64,
        /// How long one may be.
        allowed: usize,
    },
    /// The cache does not take an entry.
    #[error("entry {entry} of the snapshot is refused: {reason}")]
    Refused {
        /// Which one, from zero.
        entry: u64,
        /// Why not.
        reason: Refusal,
    },
    /// It could not be read.
    #[error("the snapshot cannot be read")]
    Io(#[from] io::Error),
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    taken_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    entries: u64,
    checksum: u32,
}

/// An entry on its way out: key, value, nanoseconds to live if it does not live for ever, tags.
#[derive(Serialize)]
struct Out<'a, K, V>(&'a K, &'a V, Option<u64>, Vec<&'a str>);

/// An entry on its way in.
#[derive(Deserialize)]
struct In<K, V>(K, V, Option<u64>, Vec<Box<str>>);

const FORMAT: &str = "brolly-ttl-cache";

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone,
    V: Clone,
    S: BuildHasher,
{
    /// The live entries with what is left of their times to live, and their tags.
    ///
    /// Weakly consistent, as [`iter`](Self::iter) is. Within each shard the entries that were used
    /// last come last, as far as the eviction policy knows, so that restoring keeps their order.
    ///
    /// # Errors
    ///
    /// A key or a value that JSON cannot say, or an entry of more than 64 MiB.
    pub fn snapshot(&self) -> Result<Snapshot<K, V>, SnapshotError>
    where
        K: Serialize,
        V: Serialize,
    {
        let mut entries = Vec::new();
        let mut sum = crc32fast::Hasher::new();
        let taken_at_ms = wall_ms();
        self.inner.lines(|line| {
            sum.update(line.as_bytes());
            entries.push(line);
            Ok(())
        })?;
        Ok(Snapshot {
            format: FORMAT.to_owned(),
            version: VERSION,
            taken_at_ms,
            entries,
            checksum: sum.finalize(),
            of: PhantomData,
        })
    }

    /// Writes a [`snapshot`](Self::snapshot) entry by entry, and returns how many there were. Needs
    /// memory for one shard at a time. Give it a buffered writer, or a file.
    ///
    /// # Errors
    ///
    /// Those of [`snapshot`](Self::snapshot), and those of the writer.
    pub fn write_snapshot(&self, writer: impl Write) -> Result<u64, SnapshotError>
    where
        K: Serialize,
        V: Serialize,
    {
        let mut writer = io::BufWriter::new(writer);
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            taken_at_ms: wall_ms(),
        };
        let mut entries = 0;
        let mut sum = crc32fast::Hasher::new();
        let text = |error| SnapshotError::Io(io::Error::from(error));
        serde_json::to_writer(&mut writer, &header).map_err(text)?;
        writer.write_all(b"\n")?;
        self.inner.lines(|line| {
            entries += 1;
            sum.update(line.as_bytes());
            writer.write_all(line.as_bytes())?;
            Ok(writer.write_all(b"\n")?)
        })?;
        let checksum = sum.finalize();
        serde_json::to_writer(&mut writer, &Trailer { entries, checksum }).map_err(text)?;
        writer.write_all(b"\n")?;
        writer.flush()?;
        Ok(entries)
    }

    /// Puts the entries of a snapshot into the cache, and returns how many.
    ///
    /// The time since the snapshot was taken is taken off their times to live; what has expired is
    /// left out. Keys that the cache has by now keep their newer values. `max_age` is one hour if
    /// it is `None`. Times are those of the wall clock, as nothing else outlives a process.
    ///
    /// # Errors
    ///
    /// Another version; a time in the future; older than `max_age`; more or heavier entries than
    /// the cache may have; damage; other types. All of it is found before the first entry is
    /// written: the cache is as it was.
    pub fn restore(
        &self,
        snapshot: &Snapshot<K, V>,
        max_age: Option<Duration>,
    ) -> Result<u64, RestoreError>
    where
        K: DeserializeOwned,
        V: DeserializeOwned,
    {
        let (format, version) = (&snapshot.format, snapshot.version);
        let mut restoring = self
            .inner
            .restoring(format, version, snapshot.taken_at_ms, max_age)?;
        for line in &snapshot.entries {
            restoring.take(line)?;
        }
        restoring.finish(snapshot.checksum)
    }

    /// Reads what [`write_snapshot`](Self::write_snapshot) wrote, and restores it as
    /// [`restore`](Self::restore) does. Buffers the reader itself, and keeps all entries in memory
    /// until the last one is known to be sound.
    ///
    /// # Errors
    ///
    /// Those of [`restore`](Self::restore), a missing end, and those of the reader. The cache is as
    /// it was.
    pub fn read_snapshot(
        &self,
        reader: impl Read,
        max_age: Option<Duration>,
    ) -> Result<u64, RestoreError>
    where
        K: DeserializeOwned,
        V: DeserializeOwned,
    {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        let header = match next_line(&mut reader, &mut line, 0)? {
            Some(line) => serde_json::from_str::<Header>(line).map_err(|_| RestoreError::Format)?,
            None => return Err(RestoreError::Format),
        };
        let (format, version) = (&header.format, header.version);
        let mut restoring = self
            .inner
            .restoring(format, version, header.taken_at_ms, max_age)?;
        loop {
            let entries = restoring.entries;
            let Some(line) = next_line(&mut reader, &mut line, entries)? else {
                return Err(RestoreError::Truncated { entries });
            };
            if line.starts_with('{') {
                let trailer = serde_json::from_str::<Trailer>(line);
                let trailer = trailer.map_err(|_| RestoreError::Truncated { entries })?;
                if trailer.entries != entries {
                    return Err(RestoreError::Truncated { entries });
                }
                return restoring.finish(trailer.checksum);
            }
            restoring.take(line)?;
        }
    }
}

/// A line without its end; `None` if there is no whole one.
fn next_line<'a>(
    reader: &mut impl BufRead,
    line: &'a mut Vec<u8>,
    entry: u64,
) -> Result<Option<&'a str>, RestoreError> {
    line.clear();
    // One more than allowed is enough to know that it is too long.
    let mut limited = reader.by_ref().take(MAX_LINE as u64 + 2);
    limited.read_until(b'\n', line)?;
    if line.pop_if(|last| *last == b'\n').is_none() {
        if line.len() > MAX_LINE {
            let allowed = MAX_LINE;
            return Err(RestoreError::TooLong { entry, allowed });
        }
        return Ok(None);
    }
    match std::str::from_utf8(line) {
        Ok(line) => Ok(Some(line)),
        Err(_) => Err(RestoreError::Checksum { entry }),
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// The line of an entry: eight hexadecimal digits of its CRC-32 (IEEE), a space, and JSON.
fn line<K: Serialize, V: Serialize>(entry: &Out<'_, K, V>) -> Result<String, SnapshotError> {
    let text = serde_json::to_string(entry).map_err(SnapshotError::Entry)?;
    if text.len() + 9 > MAX_LINE {
        return Err(SnapshotError::TooLong {
            bytes: text.len(),
            allowed: MAX_LINE - 9,
        });
    }
    Ok(format!("{:08x} {text}", crc32fast::hash(text.as_bytes())))
}

/// The JSON of a line, if its checksum is right.
fn checked(line: &str) -> Option<&str> {
    let (sum, text) = line.split_once(' ')?;
    let sum = (sum.len() == 8).then(|| u32::from_str_radix(sum, 16).ok())??;
    (crc32fast::hash(text.as_bytes()) == sum).then_some(text)
}

/// An entry that is sound, and will be written once all are.
struct Ready<K, V> {
    key: K,
    value: V,
    hash: u64,
    terms: Terms,
    tags: Vec<Arc<str>>,
}

/// A snapshot that is being read.
struct Restoring<'a, K, V, S> {
    cache: &'a Inner<K, V, S>,
    /// Nanoseconds since it was taken.
    age: u64,
    entries: u64,
    sum: crc32fast::Hasher,
    room: Room,
    ready: Vec<Ready<K, V>>,
}

impl<K, V, S> Restoring<'_, K, V, S>
where
    K: Hash + Eq + DeserializeOwned,
    V: Clone + DeserializeOwned,
    S: BuildHasher,
{
    fn take(&mut self, line: &str) -> Result<(), RestoreError> {
        let entry = self.entries;
        let Room { entries, weight } = self.cache.bounds();
        if entry == entries {
            return Err(RestoreError::TooManyEntries {
                max_entries: entries,
            });
        }
        if line.len() > MAX_LINE {
            let allowed = MAX_LINE;
            return Err(RestoreError::TooLong { entry, allowed });
        }
        let text = checked(line).ok_or(RestoreError::Checksum { entry })?;
        let In(key, value, left, tags) =
            serde_json::from_str(text).map_err(|source| RestoreError::Entry { entry, source })?;
        self.entries += 1;
        self.sum.update(line.as_bytes());
        let left = left.map(|left| left.saturating_sub(self.age));
        if left == Some(0) {
            return Ok(());
        }
        let refused = |reason| RestoreError::Refused { entry, reason };
        let tags: Vec<Arc<str>> = tags.into_iter().map(Into::into).collect();
        crate::tags::checked(&tags).map_err(refused)?;
        let hash = self.cache.hash(&key);
        // Weighed by the cache's rules; how long it lives is known.
        let ttl = left.map_or(Duration::MAX, Duration::from_nanos);
        let mut terms = self
            .cache
            .terms(&key, &value, hash, Some(ttl))
            .map_err(refused)?;
        terms.time_to_live = left.unwrap_or(NEVER);
        self.room = self.room.plus(Room::one(terms.weight));
        if self.room.weight > weight {
            return Err(RestoreError::TooHeavy { max_weight: weight });
        }
        self.ready.push(Ready {
            key,
            value,
            hash,
            terms,
            tags,
        });
        Ok(())
    }

    /// Writes the entries, if they are all that there were.
    fn finish(self, checksum: u32) -> Result<u64, RestoreError> {
        let entries = self.entries;
        if self.sum.finalize() != checksum {
            return Err(RestoreError::Truncated { entries });
        }
        let mut written = 0;
        if self.cache.is_enabled() {
            for ready in self.ready {
                let Ready {
                    key,
                    value,
                    hash,
                    terms,
                    tags,
                } = ready;
                let condition = Condition::IfAbsent;
                let done = (self.cache).write_tagged(key, value, hash, terms, condition, &tags);
                written += u64::from(matches!(done, Written::Done(_)));
            }
        }
        Ok(written)
    }
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq,
    V: Clone,
    S: BuildHasher,
{
    /// The lines of all live entries, a shard at a time.
    fn lines(
        &self,
        mut to: impl FnMut(String) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError>
    where
        K: Clone + Serialize,
        V: Serialize,
    {
        for shard in self.shards() {
            let mut entries = Vec::new();
            let mut from = Some(0);
            while let Some(mut at) = from {
                let state = shard.read();
                let now = self.clock.now();
                from = None;
                for _ in 0..64 {
                    let Some(seen) = state.next(at) else { break };
                    at = seen.slot + 1;
                    from = Some(at);
                    if seen.deadline > now {
                        let end = state.end(seen.slot, seen.deadline);
                        let left = (end != NEVER).then(|| end.saturating_sub(now));
                        let mark = state.mark(seen.slot);
                        let tags = state
                            .tags
                            .as_deref()
                            .map_or(&[][..], |tags| tags.of(seen.slot));
                        entries.push((
                            mark,
                            seen.key.clone(),
                            seen.value.clone(),
                            left,
                            tags.to_vec(),
                        ));
                    }
                }
            }
            // The marks of readers: the later or the more often used, the larger.
            entries.sort_by_key(|(mark, ..)| *mark);
            for (_, key, value, left, tags) in &entries {
                let tags = tags.iter().map(|tag| &**tag).collect();
                to(line(&Out(key, value, *left, tags))?)?;
            }
        }
        Ok(())
    }

    /// Begins to restore, if the snapshot is one that may be.
    fn restoring(
        &self,
        format: &str,
        version: u32,
        taken_at_ms: u64,
        max_age: Option<Duration>,
    ) -> Result<Restoring<'_, K, V, S>, RestoreError> {
        if format != FORMAT {
            return Err(RestoreError::Format);
        }
        if version != VERSION {
            return Err(RestoreError::Version {
                found: version,
                expected: VERSION,
            });
        }
        let now = wall_ms();
        if taken_at_ms > now {
            return Err(RestoreError::Future {
                by: Duration::from_millis(taken_at_ms - now),
            });
        }
        let age = Duration::from_millis(now - taken_at_ms);
        let max_age = max_age.unwrap_or(MAX_AGE);
        if age > max_age {
            return Err(RestoreError::TooOld { age, max_age });
        }
        Ok(Restoring {
            cache: self,
            age: saturating_nanos(age),
            entries: 0,
            sum: crc32fast::Hasher::new(),
            room: Room::NONE,
            ready: Vec::new(),
        })
    }
}
