//! [`FileStore`]: the handle that users hold.

use std::fmt;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::builder::{FileStoreBuilder, Settings};
use crate::content::Content;
use crate::error::{Error, as_path};
use crate::guard::PathGuard;
use crate::inner::Inner;
use crate::root::{Last, Root};
use crate::stamp::{Moment, Stamp};
use crate::stats::Stats;
use crate::write;

/// The files below one directory: cached reads that are never stale, atomic writes, a lock for each
/// path.
///
/// A handle: clones share one store. Every operation has a twin for threads, named `…_blocking`, which
/// must not be called from a task: it would block the executor's thread. The asynchronous ones run in
/// a tokio runtime; a read that is answered from the cache needs none.
///
/// # Paths
///
/// They are below the root: relative, or absolute and beginning with the root. `.` and doubled or
/// closing slashes say nothing. `..` and symbolic links are followed as far as they stay below the
/// root; a link with an absolute target counts as leaving it.
///
/// # Errors
///
/// Those of the paths come with every operation: [`Error::InvalidPath`], [`Error::Outside`],
/// [`Error::NotAFile`], and [`Error::Io`] for what the system refuses. A missing file is
/// [`Error::Io`] of the kind [`NotFound`](std::io::ErrorKind::NotFound). The asynchronous ones add
/// [`Error::NoRuntime`].
#[derive(Clone)]
pub struct FileStore {
    inner: Arc<Inner>,
}

/// What the system knows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// How many bytes it has.
    pub len: u64,
    /// When its content was changed, as it says itself: programs can set it.
    pub modified: SystemTime,
    /// Its permissions, and the bits beside them: 12 bits.
    pub mode: u32,
}

impl FileStore {
    /// A builder for a store of the files below `root`, which must be a directory.
    #[must_use]
    pub fn builder(root: impl Into<PathBuf>) -> FileStoreBuilder {
        FileStoreBuilder::new(root.into())
    }

    pub(crate) fn new(
        root: Root,
        settings: Settings,
        max_files: u64,
        max_cached_bytes: u64,
    ) -> Self {
        let inner = Inner::new(root, settings, max_files, max_cached_bytes);
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The root, absolute and without links, as it was when the store was built.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.inner.root.path()
    }

    /// Reads a file.
    ///
    /// What is returned is what the file held at some moment between the call and its return, if it
    /// is only ever replaced as a whole. Where others write in place, a read that meets such a write
    /// may return a part of it; that is never kept. Of any number of readers that miss a file at the
    /// same time, one reads it.
    ///
    /// A read from the cache costs one look at the state of the file, about a microsecond, on this
    /// task (see [`check_inline`](FileStoreBuilder::check_inline)).
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], and [those of the path](Self#errors).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves a read that is under way to those who wait for it.
    #[doc(alias = "read_file")]
    pub async fn read(&self, path: impl AsRef<Path>) -> Result<Content, Error> {
        self.inner.read(path.as_ref()).await
    }

    /// Reads a file, on this thread.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_blocking(&self, path: impl AsRef<Path>) -> Result<Content, Error> {
        self.inner.read_blocking(path.as_ref())
    }

    /// Reads a file as text. [`Content::to_str`] does so without a copy.
    ///
    /// # Errors
    ///
    /// [`Error::NotUtf8`], and as for [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// As for [`read`](Self::read).
    pub async fn read_to_string(&self, path: impl AsRef<Path>) -> Result<String, Error> {
        let path = path.as_ref();
        text(&self.inner.read(path).await?, path)
    }

    /// Reads a file as text, on this thread.
    ///
    /// # Errors
    ///
    /// As for [`read_to_string`](Self::read_to_string).
    pub fn read_to_string_blocking(&self, path: impl AsRef<Path>) -> Result<String, Error> {
        let path = path.as_ref();
        text(&self.inner.read_blocking(path)?, path)
    }

    /// Writes a file as a whole, and makes the directories on the way.
    ///
    /// Everybody sees the old file or the new one, also after a crash; once this has returned, the
    /// new one survives a power cut, unless the store is not [`durable`](FileStoreBuilder::durable).
    /// Takes the lock of the path, so it waits for whoever holds it; write through the
    /// [guard](PathGuard::write) if that is you.
    ///
    /// The new file is another one than the old: it has the old one's permissions, and its owner and
    /// group as far as this process may give them, but not its other attributes; further hard links
    /// keep the old content. The directory must allow to be read and written; it is listed the first
    /// time, see [`remove_leftovers`](Self::remove_leftovers). A link is followed.
    ///
    /// # Errors
    ///
    /// The old file is as it was, except with [`Error::NotDurable`]; directories that were made stay.
    /// [`Error::TooLarge`], [`Error::Moved`], and [those of the path](Self#errors).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for the lock, nothing is done. Later the write goes on to its end,
    /// holding the lock.
    #[doc(alias = "write_file")]
    pub async fn write(
        &self,
        path: impl AsRef<Path>,
        contents: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), Error> {
        self.change(path.as_ref(), Last::Follow)
            .await?
            .write(contents)
            .await
    }

    /// Writes a file as a whole, on this thread.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub fn write_blocking(
        &self,
        path: impl AsRef<Path>,
        contents: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        self.change_blocking(path.as_ref(), Last::Follow)?
            .write_blocking(contents)
    }

    /// Removes a file. A link at the end of the path is removed, not what it leads to. Takes the lock
    /// of the path.
    ///
    /// # Errors
    ///
    /// [Those of the path](Self#errors), [`Error::Moved`], and [`Error::NotDurable`] if the file is
    /// gone, but may be back after a power cut.
    ///
    /// # Cancel safety
    ///
    /// As for [`write`](Self::write).
    #[doc(alias = "delete")]
    pub async fn remove(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.change(path.as_ref(), Last::Keep).await?.remove().await
    }

    /// Removes a file, on this thread.
    ///
    /// # Errors
    ///
    /// As for [`remove`](Self::remove).
    pub fn remove_blocking(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.change_blocking(path.as_ref(), Last::Keep)?
            .remove_blocking()
    }

    /// Locks a path, first come, first served. All ways to one file are one path; there need not be a
    /// file. Holding two locks at once, take them in an order that everybody keeps.
    ///
    /// The lock holds among the handles of this store; among processes, and stores of the same files,
    /// with [`process_locks`](FileStoreBuilder::process_locks).
    ///
    /// # Errors
    ///
    /// [Those of the path](Self#errors).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line. While another process holds the path, a thread waits for
    /// it, and goes on to wait alone if the future is dropped; later calls in this process wait behind
    /// it.
    #[doc(alias = "get_file_lock")]
    pub async fn lock(&self, path: impl AsRef<Path>) -> Result<PathGuard, Error> {
        self.change(path.as_ref(), Last::Follow).await
    }

    /// Locks a path, on this thread.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Self::lock).
    pub fn lock_blocking(&self, path: impl AsRef<Path>) -> Result<PathGuard, Error> {
        self.change_blocking(path.as_ref(), Last::Follow)
    }

    async fn change(&self, path: &Path, last: Last) -> Result<PathGuard, Error> {
        let path = self.inner.relative(path)?;
        self.inner.lock(&path, last).await
    }

    fn change_blocking(&self, path: &Path, last: Last) -> Result<PathGuard, Error> {
        let path = self.inner.relative(path)?;
        self.inner.lock_blocking(&path, last)
    }

    /// What the system knows of a file. Never from the cache.
    ///
    /// # Errors
    ///
    /// [Those of the path](Self#errors).
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn metadata(&self, path: impl AsRef<Path>) -> Result<Metadata, Error> {
        let path = self.inner.relative(path.as_ref())?;
        let asked: Arc<[u8]> = Arc::from(&*path);
        let work = move |inner: &Inner| metadata(inner, &asked);
        self.inner.nearby("look at", &path, work).await?
    }

    /// What the system knows of a file, asked on this thread.
    ///
    /// # Errors
    ///
    /// As for [`metadata`](Self::metadata).
    pub fn metadata_blocking(&self, path: impl AsRef<Path>) -> Result<Metadata, Error> {
        metadata(&self.inner, &self.inner.relative(path.as_ref())?)
    }

    /// Whether there is such a file: a regular one, below the root.
    ///
    /// # Errors
    ///
    /// It cannot be known: [`Error::Outside`], [`Error::InvalidPath`], or the system does not say.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn exists(&self, path: impl AsRef<Path>) -> Result<bool, Error> {
        is_there(self.metadata(path).await)
    }

    /// Whether there is such a file, asked on this thread.
    ///
    /// # Errors
    ///
    /// As for [`exists`](Self::exists).
    pub fn exists_blocking(&self, path: impl AsRef<Path>) -> Result<bool, Error> {
        is_there(self.metadata_blocking(path))
    }

    /// Removes the temporary files that crashed processes have left in one directory; `.` is the
    /// root. Returns how many. Happens by itself the first time that a store writes in a directory.
    ///
    /// A file is removed if it has the name of such a file, is a minute old, and its process no
    /// longer holds it. Those of living processes stay, in whatever container they live.
    ///
    /// # Errors
    ///
    /// [Those of the path](Self#errors). What cannot be removed is left alone.
    ///
    /// # Cancel safety
    ///
    /// It goes on to its end.
    pub async fn remove_leftovers(&self, directory: impl AsRef<Path>) -> Result<u64, Error> {
        let path = self.inner.relative(directory.as_ref())?;
        let asked: Arc<[u8]> = Arc::from(&*path);
        let work = move |inner: &Inner| remove_leftovers(inner, &asked);
        self.inner.away("sweep", &path, work).await?
    }

    /// Removes the temporary files that crashed processes have left in one directory, on this thread.
    ///
    /// # Errors
    ///
    /// As for [`remove_leftovers`](Self::remove_leftovers).
    pub fn remove_leftovers_blocking(&self, directory: impl AsRef<Path>) -> Result<u64, Error> {
        remove_leftovers(&self.inner, &self.inner.relative(directory.as_ref())?)
    }

    /// Empties the cache. Never needed for fresh reads; it gives back the memory.
    #[doc(alias = "clear")]
    pub fn clear_cache(&self) {
        self.inner.cache.clear();
    }

    /// What the store did so far, and what it holds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("root", &self.root())
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

fn text(content: &Content, path: &Path) -> Result<String, Error> {
    match content.to_str() {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(Error::NotUtf8 {
            path: path.to_owned(),
            valid_up_to: error.valid_up_to(),
        }),
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the field has another type on other systems"
)]
fn metadata(inner: &Inner, path: &[u8]) -> Result<Metadata, Error> {
    let stat = inner.root.stat(path).map_err(|refusal| refusal.at(path))?;
    let stamp = Stamp::of(&stat);
    Ok(Metadata {
        len: stamp.len,
        modified: system_time(stamp.modified),
        mode: stat.st_mode as u32 & 0o7777,
    })
}

/// Times that the system cannot count are the beginning of its time.
fn system_time(moment: Moment) -> SystemTime {
    let epoch = Moment(0);
    let time = match epoch.until(moment) {
        Some(after) => UNIX_EPOCH.checked_add(after),
        None => UNIX_EPOCH.checked_sub(moment.until(epoch).unwrap_or(Duration::ZERO)),
    };
    time.unwrap_or(UNIX_EPOCH)
}

fn is_there(metadata: Result<Metadata, Error>) -> Result<bool, Error> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match metadata {
        Ok(_) => Ok(true),
        Err(Error::NotAFile { .. }) => Ok(false),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_leftovers(inner: &Inner, path: &[u8]) -> Result<u64, Error> {
    let opened = inner.root.open_directory(path);
    let directory = opened.map_err(|refusal| refusal.at(path))?;
    let removed = write::remove_leftovers(directory.as_fd(), Moment::now());
    let removed = removed.map_err(|errno| Error::Io {
        action: "list",
        path: as_path(path),
        source: errno.into(),
    })?;
    inner.counters.removed_leftovers(removed);
    Ok(removed)
}
