//! The seal of a slot: what every file looked like to `lstat` when the slot was last known to be clean.
//!
//! git's own view is not enough to hand a slot to a stranger: a skip-worktree bit, an edit of the same
//! size within one second of the index's refresh, or a configuration that weakens the stat check all
//! leave `git status` empty. The seal compares mode, size, inode, and modification and change time in
//! nanoseconds; the change time cannot be set by a program.
//!
//! What must stay true: a seal is taken in a later clock tick than the last change it covers
//! ([`wait_for_next_tick`](crate::clock::wait_for_next_tick)), so a later change always shows.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

/// Directories scanned before other threads are asked to help: below this, starting them costs more than it saves.
const ALONE: usize = 32;

/// Threads that scan one slot at most: more would only wait for the same directory cache.
const MAX_THREADS: usize = 8;

/// A slot's state of rest: the commit it is at, and what is on the disk for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) commit: String,
    pub(crate) manifest: Manifest,
}

/// Every entry below some roots, sorted, as `lstat` saw it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    dirs: Vec<Dir>,
}

/// One directory: entries sorted by name, their names in one buffer.
#[derive(Debug, PartialEq, Eq)]
struct Dir {
    root: u8,
    /// Relative to the root; empty for the root itself.
    path: PathBuf,
    names: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    name: (u32, u32),
    stat: Stat,
}

/// What is compared. For a directory only its mode: its times change with its entries, which are compared themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stat {
    mode: u32,
    size: u64,
    inode: u64,
    modified: i64,
    changed: i64,
}

/// How a scan differs from a seal. Paths are relative to their root.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Entries that are not in the seal, or are not what they were: to be removed. No entry lies below another.
    pub(crate) remove: Vec<(u8, PathBuf)>,
    /// Files and links of the seal that are missing or not what they were.
    pub(crate) restore: Vec<(u8, PathBuf)>,
    /// Directories of the seal that are missing or not directories any more, parents first.
    pub(crate) make: Vec<(u8, PathBuf)>,
    /// Directories whose mode is not what it was, with the mode of the seal.
    pub(crate) chmod: Vec<(u8, PathBuf, u32)>,
}

impl Difference {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything differs below the given root.
    pub(crate) fn touches(&self, root: u8) -> bool {
        let paths = self.remove.iter().chain(&self.restore).chain(&self.make);
        paths
            .map(|(at, _)| *at)
            .chain(self.chmod.iter().map(|(at, ..)| *at))
            .any(|at| at == root)
    }
}

impl Manifest {
    /// Looks at everything below `roots` without following a link.
    pub(crate) fn scan(roots: &[&Path]) -> io::Result<Self> {
        let mut queue: VecDeque<(u8, PathBuf)> = roots
            .iter()
            .zip(0..)
            .map(|(_, root)| (root, PathBuf::new()))
            .collect();
        let mut dirs = Vec::new();
        while let Some((root, path)) = queue.pop_front() {
            dirs.push(Dir::scan(roots, root, path, &mut |found| {
                queue.push_back(found)
            })?);
            if dirs.len() >= ALONE && queue.len() >= ALONE {
                dirs.append(&mut scan_together(roots, queue)?);
                break;
            }
        }
        dirs.sort_unstable_by(Dir::order);
        Ok(Self { dirs })
    }

    /// What has to change below the roots for `self`, a fresh scan, to be what `sealed` says.
    pub(crate) fn difference(&self, sealed: &Self) -> Difference {
        let mut difference = Difference::default();
        let mut now = self.dirs.iter().peekable();
        for dir in &sealed.dirs {
            while now
                .peek()
                .is_some_and(|other| other.order(dir) == Ordering::Less)
            {
                now.next();
            }
            match now.peek() {
                Some(other) if other.order(dir) == Ordering::Equal => {
                    other.compare(dir, &mut difference)
                }
                _ => {
                    let files = dir.entries.iter().filter(|entry| !entry.stat.is_dir());
                    difference
                        .restore
                        .extend(files.map(|entry| (dir.root, dir.join(entry))));
                    difference.make.push((dir.root, dir.path.clone()));
                }
            }
        }
        difference
    }

    /// Files and links, directories not counted.
    #[cfg(test)]
    pub(crate) fn files(&self) -> usize {
        self.dirs
            .iter()
            .flat_map(|dir| &dir.entries)
            .filter(|entry| !entry.stat.is_dir())
            .count()
    }
}

impl Seal {
    /// The bytes to store, with a checksum.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        put(&mut bytes, self.commit.as_bytes());
        for dir in &self.manifest.dirs {
            bytes.push(dir.root);
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
        let mut dirs = Vec::new();
        while !input.0.is_empty() {
            let root = input.take::<1>()?[0];
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
                root,
                path,
                names,
                entries,
            });
        }
        Some(Self {
            commit,
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

impl Dir {
    fn scan(
        roots: &[&Path],
        root: u8,
        path: PathBuf,
        found: &mut dyn FnMut((u8, PathBuf)),
    ) -> io::Result<Self> {
        let mut unsorted = Vec::new();
        for entry in fs::read_dir(roots[usize::from(root)].join(&path))? {
            let entry = entry?;
            let stat = Stat::of(&entry.metadata()?);
            let name = entry.file_name();
            if stat.is_dir() {
                found((root, path.join(&name)));
            }
            unsorted.push((name, stat));
        }
        unsorted.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut names = Vec::new();
        let mut entries = Vec::with_capacity(unsorted.len());
        for (name, stat) in unsorted {
            let name = name.as_encoded_bytes();
            let span = |length: usize| {
                u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
            };
            entries.push(Entry {
                name: (span(names.len())?, span(name.len())?),
                stat,
            });
            names.extend_from_slice(name);
        }
        Ok(Self {
            root,
            path,
            names,
            entries,
        })
    }

    fn order(&self, other: &Self) -> Ordering {
        (self.root, &self.path).cmp(&(other.root, &other.path))
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        &self.names[entry.name.0 as usize..][..entry.name.1 as usize]
    }

    fn join(&self, entry: &Entry) -> PathBuf {
        // Names were read from a directory or passed the checksum, so they are paths of this system.
        self.path
            .join(bytes_path(self.name(entry)).unwrap_or_default())
    }

    /// Compares this directory, as it is now, with the sealed one.
    fn compare(&self, sealed: &Self, difference: &mut Difference) {
        if self == sealed {
            return;
        }
        let mut now = self.entries.iter().peekable();
        let mut wanted = sealed.entries.iter().peekable();
        loop {
            let order = match (now.peek(), wanted.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(entry), Some(other)) => self.name(entry).cmp(sealed.name(other)),
            };
            let entry = if order.is_le() { now.next() } else { None };
            let other = if order.is_ge() { wanted.next() } else { None };
            match (entry, other) {
                (Some(entry), Some(other)) if entry.stat == other.stat => {}
                (Some(entry), Some(other)) if entry.stat.is_dir() && other.stat.is_dir() => {
                    difference
                        .chmod
                        .push((self.root, self.join(entry), other.stat.mode));
                }
                (entry, other) => {
                    difference
                        .remove
                        .extend(entry.map(|entry| (self.root, self.join(entry))));
                    // A missing directory is told by its own absence from the scan.
                    let file = other.filter(|other| !other.stat.is_dir());
                    difference
                        .restore
                        .extend(file.map(|other| (sealed.root, sealed.join(other))));
                }
            }
        }
    }
}

impl Stat {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanos =
            |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        if metadata.is_dir() {
            return Self {
                mode: metadata.mode(),
                ..Self::default()
            };
        }
        Self {
            mode: metadata.mode(),
            size: metadata.len(),
            inode: metadata.ino(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let modified =
            modified.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        let kind = if metadata.is_dir() {
            DIRECTORY
        } else {
            u32::from(metadata.is_symlink())
        };
        let file = |value| if metadata.is_dir() { 0 } else { value };
        Self {
            mode: kind,
            size: file(metadata.len()),
            inode: 0,
            modified: if metadata.is_dir() { 0 } else { modified },
            changed: 0,
        }
    }

    fn is_dir(&self) -> bool {
        self.mode & FILE_TYPE == DIRECTORY
    }
}

/// The bits of a mode that tell a file's type, and their value for a directory (POSIX `S_IFMT`, `S_IFDIR`).
const FILE_TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;

/// Scans what is queued with several threads. Each takes a directory, and queues the ones below it.
fn scan_together(roots: &[&Path], queue: VecDeque<(u8, PathBuf)>) -> io::Result<Vec<Dir>> {
    struct Work {
        queue: VecDeque<(u8, PathBuf)>,
        /// Threads that may still queue something.
        busy: usize,
        failed: Option<io::Error>,
    }
    let work = Mutex::new(Work {
        queue,
        busy: 0,
        failed: None,
    });
    let changed = Condvar::new();
    let lock = || work.lock().unwrap_or_else(PoisonError::into_inner);
    let scan = || {
        let mut dirs = Vec::new();
        let mut below = Vec::new();
        loop {
            let mut state = lock();
            let (root, path) = loop {
                if state.failed.is_some() {
                    return dirs;
                }
                if let Some(next) = state.queue.pop_back() {
                    break next;
                }
                if state.busy == 0 {
                    return dirs;
                }
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            state.busy += 1;
            drop(state);
            let scanned = Dir::scan(roots, root, path, &mut |found| below.push(found));
            let mut state = lock();
            state.busy -= 1;
            state.queue.extend(below.drain(..));
            match scanned {
                Ok(dir) => dirs.push(dir),
                Err(error) => state.failed = Some(error),
            }
            drop(state);
            changed.notify_all();
        }
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS);
    let mut dirs = Vec::new();
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(scan)).collect();
        dirs = scan();
        for helper in helpers {
            // A scan panics on nothing of its own; if memory ran out, the panic goes on here.
            dirs.append(
                &mut helper
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
    });
    match work
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .failed
    {
        Some(error) => Err(error),
        None => Ok(dirs),
    }
}

#[cfg(unix)]
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

#[cfg(unix)]
fn bytes_path(bytes: &[u8]) -> Option<PathBuf> {
    Some(PathBuf::from(
        <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes),
    ))
}

#[cfg(not(unix))]
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

#[cfg(not(unix))]
fn bytes_path(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::{Difference, Manifest, Seal};
    use crate::clock::wait_for_next_tick;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("dir");
        for path in ["a", "d/b", "d/e/c", "f/g"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            fs::write(path, "text").expect("write");
        }
        wait_for_next_tick();
        dir
    }

    fn scan(dir: &tempfile::TempDir) -> Manifest {
        Manifest::scan(&[dir.path()]).expect("scan")
    }

    fn paths(list: &[&str]) -> Vec<(u8, PathBuf)> {
        list.iter().map(|path| (0, PathBuf::from(path))).collect()
    }

    #[test]
    fn an_untouched_tree_differs_in_nothing() {
        let dir = tree();
        let sealed = scan(&dir);
        assert_eq!(sealed.files(), 4);
        assert!(scan(&dir).difference(&sealed).is_empty());
    }

    #[test]
    fn an_edit_of_the_same_size_with_its_time_put_back_is_seen() {
        let dir = tree();
        let sealed = scan(&dir);
        let path = dir.path().join("d/b");
        let modified = fs::metadata(&path).expect("stat").modified().expect("time");
        fs::write(&path, "TEXT").expect("write");
        fs::File::options()
            .write(true)
            .open(&path)
            .expect("open")
            .set_modified(modified)
            .expect("set");
        assert_eq!(scan(&dir).difference(&sealed).restore, paths(&["d/b"]));
    }

    #[test]
    fn what_was_added_is_named_once_with_all_below_it() {
        let dir = tree();
        let sealed = scan(&dir);
        fs::create_dir_all(dir.path().join("new/deep")).expect("mkdir");
        fs::write(dir.path().join("new/deep/file"), "").expect("write");
        let expected = Difference {
            remove: paths(&["new"]),
            ..Difference::default()
        };
        assert_eq!(scan(&dir).difference(&sealed), expected);
    }

    #[test]
    fn a_removed_directory_is_made_and_its_files_restored() {
        let dir = tree();
        let sealed = scan(&dir);
        fs::remove_dir_all(dir.path().join("d")).expect("remove");
        let difference = scan(&dir).difference(&sealed);
        assert_eq!(difference.make, paths(&["d", "d/e"]));
        assert_eq!(difference.restore, paths(&["d/b", "d/e/c"]));
        assert!(difference.remove.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_replaced_by_a_link_is_replaced_and_never_followed() {
        let dir = tree();
        let sealed = scan(&dir);
        let outside = tree();
        fs::remove_dir_all(dir.path().join("d")).expect("remove");
        std::os::unix::fs::symlink(outside.path(), dir.path().join("d")).expect("link");
        let difference = scan(&dir).difference(&sealed);
        assert_eq!(difference.remove, paths(&["d"]));
        assert_eq!(difference.make, paths(&["d", "d/e"]));
    }

    #[test]
    fn many_directories_are_scanned_by_many_threads_to_the_same_result() {
        let dir = tempfile::tempdir().expect("dir");
        for outer in 0..40 {
            for inner in 0..4 {
                let path = dir.path().join(format!("{outer}/{inner}"));
                fs::create_dir_all(&path).expect("mkdir");
                fs::write(path.join("file"), "").expect("write");
            }
        }
        wait_for_next_tick();
        let first = scan(&dir);
        assert_eq!(first.files(), 160);
        assert_eq!(first, scan(&dir));
    }

    #[test]
    fn a_seal_reads_back_and_a_torn_one_is_none() {
        let dir = tree();
        let seal = Seal {
            commit: "abc".into(),
            manifest: scan(&dir),
        };
        let bytes = seal.encode();
        assert_eq!(Seal::decode(&bytes), Some(seal));
        for length in 0..bytes.len() {
            assert_eq!(Seal::decode(&bytes[..length]), None);
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Write(usize),
        Remove(usize),
        Mkdir(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..9usize).prop_map(Op::Write),
            (0..9usize).prop_map(Op::Remove),
            (0..9usize).prop_map(Op::Mkdir)
        ]
    }

    const NAMES: [&str; 9] = ["a", "d", "d/b", "d/e", "d/e/c", "f", "f/g", "n", "n/m"];

    fn apply(root: &Path, op: &Op) {
        // An operation that the tree does not allow just does not happen.
        let _ = match op {
            Op::Write(at) => fs::write(root.join(NAMES[*at]), "changed"),
            Op::Remove(at) => {
                let path = root.join(NAMES[*at]);
                if path.is_dir() {
                    fs::remove_dir_all(path)
                } else {
                    fs::remove_file(path)
                }
            }
            Op::Mkdir(at) => fs::create_dir_all(root.join(NAMES[*at])),
        };
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn following_the_difference_always_leads_back(ops in proptest::collection::vec(op(), 0..8)) {
            let dir = tree();
            let sealed = scan(&dir);
            for op in &ops {
                apply(dir.path(), op);
            }
            let difference = scan(&dir).difference(&sealed);
            for (_, path) in &difference.remove {
                let path = dir.path().join(path);
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("named things exist");
            }
            for (_, path) in &difference.make {
                fs::create_dir(dir.path().join(path)).expect("parents come first");
            }
            for (_, path) in &difference.restore {
                fs::write(dir.path().join(path), "text").expect("its directory exists");
            }
            let after = scan(&dir).difference(&sealed);
            // Restored files have new times, and nothing else differs.
            prop_assert!(after.make.is_empty() && after.chmod.is_empty());
            prop_assert_eq!(after.remove, after.restore);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Seal::decode(&bytes), None);
        }
    }
}
