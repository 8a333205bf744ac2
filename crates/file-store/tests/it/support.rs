//! A directory with a store of its files.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use brolly_file_store::{FileStore, FileStoreBuilder};

/// Longer than anything takes that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A directory, and a store of it that keeps files as soon as may be and syncs nothing.
pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) store: FileStore,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(change: impl FnOnce(FileStoreBuilder) -> FileStoreBuilder) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("root")).expect("made");
        let builder = FileStore::builder(dir.path().join("root"))
            .settle(Duration::ZERO)
            .durable(false);
        let store = change(builder).build().expect("the settings are valid");
        Self { dir, store }
    }

    /// A path below the root.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    /// A path beside the root.
    pub(crate) fn outside(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Writes a file behind the store's back.
    pub(crate) fn put(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it is below the root")).expect("made");
        fs::write(path, contents).expect("written");
    }

    /// Writes over a file's bytes where they are, behind the store's back.
    pub(crate) fn overwrite(&self, path: &str, contents: &[u8]) {
        let file = fs::OpenOptions::new().write(true).open(self.path(path));
        let file = file.expect("it is there");
        file.write_all_at(contents, 0).expect("written");
    }

    /// Reads a file until it comes from the cache.
    pub(crate) fn settle(&self, path: &str) {
        let hits = self.store.stats().hits;
        eventually(|| {
            self.store.read_blocking(path).expect("it is there");
            self.store.stats().hits > hits
        });
    }

    /// The names in a directory.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).expect("a directory");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.into_string().expect("text"))
            .collect();
        names.sort();
        names
    }
}

/// Waits for what no event tells.
#[track_caller]
pub(crate) fn eventually(mut happens: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happens() {
        assert!(start.elapsed() < PATIENCE, "it does not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Content that shows when it is torn: a number, over and over.
pub(crate) fn whole(number: u64, len: usize) -> Vec<u8> {
    number
        .to_le_bytes()
        .into_iter()
        .cycle()
        .take(len * 8)
        .collect()
}

/// The number of such content.
#[track_caller]
pub(crate) fn number(content: &[u8]) -> u64 {
    let mut numbers = content
        .chunks(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("whole numbers")));
    let first = numbers.next().expect("not empty");
    assert!(numbers.all(|number| number == first), "torn");
    first
}
