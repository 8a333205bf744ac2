//! What can go wrong: [`Error`] of an operation, [`BuildError`] of a store that cannot be built.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;
use thiserror::Error;

/// Why an operation on a file failed. Paths are below the root of the store, unless they are outside.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The path can name no file.
    #[error("the path {path:?} {fault}")]
    InvalidPath {
        /// What was given.
        path: PathBuf,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// The path leads out of the root: it is absolute and not below it, or `..` or a symbolic link
    /// leaves it.
    #[error("{path:?} is outside of the root")]
    Outside {
        /// What was given.
        path: PathBuf,
    },
    /// There is something else than a regular file.
    #[error("{path:?} is {kind}, not a regular file")]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What is there.
        kind: FileKind,
    },
    /// The file, or what is to be written, is larger than the store allows.
    #[error("{path:?} has {size} bytes or more, allowed are {limit}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How large it is; at least so large if it grew while it was read.
        size: u64,
        /// What `max_file_size` allows.
        limit: u64,
    },
    /// The file is not UTF-8.
    #[error("{path:?} is not UTF-8 after byte {valid_up_to}")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// How many bytes are.
        valid_up_to: usize,
    },
    /// The path was locked, and now a symbolic link stands in it and leads elsewhere; or, if it is
    /// locked among processes, its directory is another one. Nothing was changed.
    #[error("{path:?} leads elsewhere than when it was locked")]
    Moved {
        /// The path as it was locked.
        path: PathBuf,
    },
    /// The change is made and visible, but the system could not say that it survives a power cut.
    #[error("the change of {path:?} is made, but may not survive a power cut")]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused. A missing file is of this kind, with [`io::ErrorKind::NotFound`].
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was tried, as a verb: `open`, `read`, `rename`, …
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no tokio runtime here that could do the work, or it is being shut down.
    #[error("no tokio runtime runs {action} {path:?}")]
    NoRuntime {
        /// What was to be done, as a verb.
        action: &'static str,
        /// With which file.
        path: PathBuf,
    },
}

impl Error {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// The kind that [`std::fs`] would give such an error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::InvalidPath { .. } => io::ErrorKind::InvalidInput,
            Self::Outside { .. } => io::ErrorKind::PermissionDenied,
            Self::NotAFile {
                kind: FileKind::Directory,
                ..
            } => io::ErrorKind::IsADirectory,
            Self::NotAFile { .. } => io::ErrorKind::InvalidInput,
            Self::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            Self::NotUtf8 { .. } => io::ErrorKind::InvalidData,
            Self::Moved { .. } | Self::NoRuntime { .. } => io::ErrorKind::Other,
            Self::NotDurable { source, .. } | Self::Io { source, .. } => source.kind(),
        }
    }

    /// The path it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::InvalidPath { path, .. }
            | Self::Outside { path }
            | Self::NotAFile { path, .. }
            | Self::TooLarge { path, .. }
            | Self::NotUtf8 { path, .. }
            | Self::Moved { path }
            | Self::NotDurable { path, .. }
            | Self::Io { path, .. }
            | Self::NoRuntime { path, .. } => path,
        }
    }

    /// The same once more, for others who waited for the same read.
    pub(crate) fn again(&self) -> Self {
        let source = |source: &io::Error| match source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::from(source.kind()),
        };
        match self {
            Self::InvalidPath { path, fault } => Self::InvalidPath {
                path: path.clone(),
                fault: *fault,
            },
            Self::Outside { path } => Self::Outside { path: path.clone() },
            Self::NotAFile { path, kind } => Self::NotAFile {
                path: path.clone(),
                kind: *kind,
            },
            Self::TooLarge { path, size, limit } => Self::TooLarge {
                path: path.clone(),
                size: *size,
                limit: *limit,
            },
            Self::NotUtf8 { path, valid_up_to } => Self::NotUtf8 {
                path: path.clone(),
                valid_up_to: *valid_up_to,
            },
            Self::Moved { path } => Self::Moved { path: path.clone() },
            Self::NotDurable { path, source: from } => Self::NotDurable {
                path: path.clone(),
                source: source(from),
            },
            Self::Io {
                action,
                path,
                source: from,
            } => Self::Io {
                action,
                path: path.clone(),
                source: source(from),
            },
            Self::NoRuntime { action, path } => Self::NoRuntime {
                action,
                path: path.clone(),
            },
        }
    }
}

impl From<Error> for io::Error {
    /// An error of the same kind, with this one inside.
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathFault {
    /// It has no bytes.
    Empty,
    /// It contains a zero byte, which ends names on Unix.
    ZeroByte,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::ZeroByte => "contains a zero byte",
        })
    }
}

/// What a path leads to that is no regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A directory; the root itself is one.
    Directory,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device, of blocks or of characters.
    Device,
    /// Something else.
    Other,
}

impl FileKind {
    /// What is there, if it is no regular file.
    pub(crate) fn irregular(mode: rustix::fs::RawMode) -> Option<Self> {
        Some(match FileType::from_raw_mode(mode) {
            FileType::RegularFile => return None,
            FileType::Directory => Self::Directory,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice | FileType::BlockDevice => Self::Device,
            _ => Self::Other,
        })
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Other => "something else",
        })
    }
}

/// Why a store could not be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is out of its range.
    #[error("{field} is {value}, allowed is {allowed}")]
    Setting {
        /// The setting, by the name of its builder method.
        field: &'static str,
        /// The value that was given.
        value: u64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The root cannot be opened: it is missing, no directory, or not for us.
    #[error("cannot open the root {path:?}")]
    Root {
        /// The root as it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why the system, or the way to a file, said no; becomes an [`Error`] once it is known what was
/// tried with which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Outside,
    NotAFile(FileKind),
    /// A symbolic link where none is expected, or another directory than was locked.
    Moved,
    System(&'static str, Errno),
}

impl Refusal {
    /// A closure for `map_err` that says what was tried.
    pub(crate) fn to(action: &'static str) -> impl Fn(Errno) -> Self + Copy {
        move |errno| Self::System(action, errno)
    }

    pub(crate) fn at(self, path: &[u8]) -> Error {
        let path = as_path(path);
        match self {
            Self::Outside => Error::Outside { path },
            Self::NotAFile(kind) => Error::NotAFile { path, kind },
            Self::Moved => Error::Moved { path },
            Self::System(action, errno) => Error::Io {
                action,
                path,
                source: errno.into(),
            },
        }
    }
}

/// A path for people from one for the system.
pub(crate) fn as_path(path: &[u8]) -> PathBuf {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(path))
}
