//! The seal of a slot: what every file looked like to `lstat` when the slot was last known to be clean.
//!
//! git's own view is not enough to hand a slot to a stranger: a skip-worktree bit, an edit of the same
//! size within one second of the index's refresh, or a configuration that weakens the stat check all
//! leave `git status` empty. The seal compares mode, size, inode, and modification and change time in
//! nanoseconds; the change time cannot be set by a program.
//!
//! What must stay true: a seal is taken in a later clock tick than the last change it covers
//! ([`wait_for_next_tick`](crate::clock::wait_for_next_tick)), so a later change always shows.

mod difference;
mod manifest;
mod scan;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(crate) use difference::Difference;
pub(crate) use manifest::{Manifest, bytes_path, path_bytes};

use manifest::{Dir, Entry, Stat};

/// A slot's state of rest: the commit it is at, and what is on the disk for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) commit: String,
    /// Where the slot was; a slot that was moved leads git to a place that may be another's by now.
    pub(crate) place: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Seal {
    /// The bytes to store, with a checksum.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        put(&mut bytes, self.commit.as_bytes());
        put(&mut bytes, path_bytes(&self.place));
        for dir in &self.manifest.dirs {
            put(&mut bytes, path_bytes(&dir.path));
            put(&mut bytes, &dir.names);
            bytes.extend((dir.entries.len() as u64).to_le_bytes());
            for Entry { name, stat } in &dir.entries {
                bytes.extend(name.0.to_le_bytes());
                bytes.extend(name.1.to_le_bytes());
                bytes.extend(stat.mode.to_le_bytes());
                bytes.extend(stat.size.to_le_bytes());
                bytes.extend(stat.inode.to_le_bytes());
                bytes.extend(stat.modified.to_le_bytes());
                bytes.extend(stat.changed.to_le_bytes());
            }
        }
        let checksum = crc32fast::hash(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// The seal in stored bytes; `None` for anything that is not one, torn and foreign files included.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut input = Input(body.strip_prefix(MAGIC)?);
        let commit = String::from_utf8(input.take_sized()?.to_vec()).ok()?;
        let place = bytes_path(input.take_sized()?)?;
        let mut dirs = Vec::new();
        while !input.0.is_empty() {
            let path = bytes_path(input.take_sized()?)?;
            let names = input.take_sized()?.to_vec();
            let count = usize::try_from(u64::from_le_bytes(input.take()?)).ok()?;
            let mut entries = Vec::with_capacity(count.min(input.0.len() / ENTRY_BYTES));
            for _ in 0..count {
                let name = (
                    u32::from_le_bytes(input.take()?),
                    u32::from_le_bytes(input.take()?),
                );
                let end = name.0.checked_add(name.1)? as usize;
                if end > names.len() {
                    return None;
                }
                let stat = Stat {
                    mode: u32::from_le_bytes(input.take()?),
                    size: u64::from_le_bytes(input.take()?),
                    inode: u64::from_le_bytes(input.take()?),
                    modified: i64::from_le_bytes(input.take()?),
                    changed: i64::from_le_bytes(input.take()?),
                };
                entries.push(Entry { name, stat });
            }
            dirs.push(Dir {
                path,
                names,
                entries,
            });
        }
        Some(Self {
            commit,
            place,
            manifest: Manifest { dirs },
        })
    }
}

/// Names the format; a change of the format changes it, and every older seal is then no seal.
const MAGIC: &[u8] = b"brolly seal 1\n";

const ENTRY_BYTES: usize = 44;

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_le_bytes());
    bytes.extend_from_slice(part);
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (part, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*part)
    }

    fn take_sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u64::from_le_bytes(self.take()?)).ok()?;
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}
