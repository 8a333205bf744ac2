//! [`FileManager`]: handles of one file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::manager::{BlockingManager, Usage};

/// Opens a file as often as there are resources in the pool, each with a position of its own.
///
/// A handle that comes back is rewound, and what its holder has locked is unlocked; one that cannot
/// be rewound is closed. A check asks whether the file is still the one at the path: one that was
/// moved away, as logs are, or replaced is opened anew. Only Unix numbers its files: elsewhere the
/// time of creation decides, which Windows may hand on to a file that takes the name of another.
/// [`Check::Always`](crate::Check::Always) makes that certain at each checkout, for two looks at the
/// file system.
///
/// Each handle is opened with the options that are given: `truncate` empties the file with each, and
/// `create_new` lets there be one only.
///
/// ```
/// use brolly_resource_pool::{Blocking, FileManager, Pool};
/// use std::fs::{self, File};
/// use std::io::Read;
///
/// # let path = std::env::temp_dir().join(format!("brolly-file-{}", std::process::id()));
/// fs::write(&path, "words")?;
/// let manager = FileManager::new(&path, File::options().read(true).clone());
/// let pool = Pool::builder(Blocking(manager)).max_size(4).build()?;
/// for _ in 0..2 {
///     let mut text = String::new();
///     pool.acquire_blocking()?.read_to_string(&mut text)?;
///     assert_eq!(text, "words");
/// }
/// assert_eq!(pool.stats().created, 1);
/// # fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileManager {
    path: PathBuf,
    options: OpenOptions,
}

/// Why there is no handle of a file, or why one is of no more use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It could not be opened.
    #[error("`{path}` could not be opened", path = path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file at the path is another one.
    #[error("the file at `{path}` is another one", path = path.display())]
    Replaced {
        /// Which path.
        path: PathBuf,
    },
    /// The system says so.
    #[error("the file cannot be used")]
    Io(#[from] io::Error),
}

impl FileManager {
    /// Opens nothing yet.
    pub fn new(path: impl Into<PathBuf>, options: OpenOptions) -> Self {
        Self {
            path: path.into(),
            options,
        }
    }

    /// Which file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl BlockingManager for FileManager {
    type Resource = File;
    type Error = FileError;

    fn create(&self) -> Result<File, FileError> {
        let opened = self.options.open(&self.path);
        opened.map_err(|source| FileError::Open {
            path: self.path.clone(),
            source,
        })
    }

    fn recycle(&self, file: &mut File, _: &Usage) -> Result<(), FileError> {
        let there = match fs::metadata(&self.path) {
            Ok(there) => Some(there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(FileError::Io(error)),
        };
        match there.is_some_and(|there| is_same(&there, file)) {
            true => Ok(()),
            false => Err(FileError::Replaced {
                path: self.path.clone(),
            }),
        }
    }

    /// Rewinds and unlocks, so that no holder goes on where another one stopped.
    fn is_broken(&self, file: &mut File) -> bool {
        // Some systems call it an error if it was not locked.
        let _ = file.unlock();
        file.rewind().is_err()
    }

    fn is_transient(&self, error: &FileError) -> bool {
        use io::ErrorKind::{InvalidInput, IsADirectory, PermissionDenied, Unsupported};
        match error {
            FileError::Open { source, .. } => !matches!(
                source.kind(),
                InvalidInput | IsADirectory | PermissionDenied | Unsupported
            ),
            _ => true,
        }
    }
}

/// A file that is open keeps its number, so that no other file can have it.
#[cfg(unix)]
fn is_same(there: &Metadata, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let open = file.metadata();
    open.is_ok_and(|open| (open.dev(), open.ino()) == (there.dev(), there.ino()))
}

/// Without a number to go by, a file of another birth is another one.
#[cfg(not(unix))]
fn is_same(there: &Metadata, file: &File) -> bool {
    let open = file.metadata();
    open.is_ok_and(|open| open.created().ok() == there.created().ok())
}
