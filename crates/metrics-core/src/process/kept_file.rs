//! A file of the kernel that is opened once and read from its start again and again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::error::ReadError;
use super::parse::Malformed;

/// Longest file that is read. Those of the kernel are a few hundred bytes; `limits` is the longest.
const MAX_BYTES: usize = 64 * 1024;

/// Enough for most of them.
const FIRST_BYTES: usize = 2 * 1024;

/// Opening such a file costs more than reading it.
#[derive(Debug)]
pub(super) struct KeptFile {
    path: PathBuf,
    file: Option<File>,
}

impl KeptFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// What the file holds now; nothing if there is no such file or it cannot serve.
    pub(super) fn read<T>(
        &mut self,
        buffer: &mut Vec<u8>,
        parse: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, ReadError> {
        match self.fill(buffer) {
            Ok(()) => {}
            Err(error) => {
                // The next read opens anew: a cgroup may have been removed and made again.
                self.file = None;
                return absent_or(error, &self.path);
            }
        }
        if buffer.len() > MAX_BYTES {
            return Err(ReadError::TooLong {
                path: self.path.clone(),
                max_bytes: MAX_BYTES,
            });
        }
        match parse(buffer) {
            Ok(value) => Ok(Some(value)),
            Err(Malformed(expected)) => Err(ReadError::Malformed {
                path: self.path.clone(),
                expected,
            }),
        }
    }

    /// Reads up to a byte more than is allowed.
    fn fill(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        buffer.resize(FIRST_BYTES, 0);
        let mut len = 0;
        // Until nothing comes: the kernel may give less than there is.
        loop {
            if buffer.len() == len {
                if len > MAX_BYTES {
                    break;
                }
                buffer.resize((len * 2).min(MAX_BYTES + 1), 0);
            }
            match file.read_at(&mut buffer[len..], len as u64) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(len);
        Ok(())
    }
}

/// No value for what does not exist or was switched off in the kernel, an error for the rest.
pub(super) fn absent_or<T>(
    error: io::Error,
    path: &std::path::Path,
) -> Result<Option<T>, ReadError> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::Unsupported => {
            Ok(None)
        }
        kind => Err(ReadError::Io {
            path: path.to_owned(),
            kind,
        }),
    }
}
