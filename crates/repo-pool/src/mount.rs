//! What is mounted below a directory: nothing there may be deleted, for it is not the pool's.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The mount points of this process's view of the file system at one moment.
#[derive(Debug)]
pub(crate) struct Mounts {
    points: Vec<PathBuf>,
}

impl Mounts {
    /// Reads `/proc/self/mountinfo` (proc(5)); nothing is mounted where there is no such file.
    pub(crate) fn now() -> Self {
        let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
        let lines = table.split(|byte| *byte == b'\n');
        let points = lines
            .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
            .map(unescaped);
        Self {
            points: points.collect(),
        }
    }

    /// A mount point at `dir` or below it.
    pub(crate) fn below(&self, dir: &Path) -> Option<&Path> {
        self.points
            .iter()
            .find(|point| point.starts_with(dir))
            .map(PathBuf::as_path)
    }
}

/// The table writes blanks and the like as three octal digits after a backslash.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|digits| {
            byte == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit))
        });
        match digits {
            Some(digits) => {
                bytes.push(digits.iter().fold(0_u8, |value, digit| {
                    value.wrapping_mul(8).wrapping_add(digit - b'0')
                }));
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    PathBuf::from(text(bytes))
}

#[cfg(unix)]
fn text(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn text(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;

    use super::{Mounts, unescaped};

    #[test]
    fn the_root_and_proc_are_mounted_and_a_new_folder_is_not() {
        let mounts = Mounts::now();
        assert_eq!(mounts.below(Path::new("/proc")), Some(Path::new("/proc")));
        assert!(
            mounts
                .below(tempfile::tempdir().expect("dir").path())
                .is_none()
        );
    }

    #[test]
    fn names_with_blanks_read_back() {
        assert_eq!(unescaped(br"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescaped(br"/a\9x"), Path::new(r"/a\9x"));
    }
}
