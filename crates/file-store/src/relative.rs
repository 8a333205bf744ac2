//! Paths as users give them, made relative to the root and plain; nothing here looks at a disk.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, PathFault};

/// A path below the root: no empty component and none that is `.`, no slash at either end. Components
/// that are `..` stay, since where they lead depends on the links before them. It is empty for the
/// root itself.
pub(crate) fn relative<'a>(roots: &[&Path], path: &'a Path) -> Result<Cow<'a, [u8]>, Error> {
    let bytes = path.as_os_str().as_bytes();
    let invalid = |fault| Error::InvalidPath {
        path: path.to_owned(),
        fault,
    };
    if bytes.is_empty() {
        return Err(invalid(PathFault::Empty));
    }
    if bytes.contains(&0) {
        return Err(invalid(PathFault::ZeroByte));
    }
    if !path.is_absolute() {
        return Ok(plain(bytes));
    }
    let below = roots.iter().find_map(|root| path.strip_prefix(root).ok());
    match below {
        Some(below) => Ok(plain(below.as_os_str().as_bytes())),
        None => Err(Error::Outside {
            path: path.to_owned(),
        }),
    }
}

fn plain(path: &[u8]) -> Cow<'_, [u8]> {
    if components(path).map(|part| part.len() + 1).sum::<usize>() == path.len() + 1 {
        return Cow::Borrowed(path);
    }
    let parts: Vec<&[u8]> = components(path).collect();
    Cow::Owned(parts.join(&b'/'))
}

/// The components that say something.
pub(crate) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let parts = path.split(|byte| *byte == b'/');
    parts.filter(|part| !part.is_empty() && *part != b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str) -> Result<String, Error> {
        let roots = [Path::new("/srv/data"), Path::new("/mnt/d")];
        relative(&roots, Path::new(path))
            .map(|path| String::from_utf8(path.into_owned()).expect("was text"))
    }

    #[test]
    fn spellings_of_a_path_become_one() {
        for spelling in [
            "a/b",
            "./a/b",
            "a//b",
            "a/./b",
            "a/b/",
            "a/b/.",
            "/srv/data/a/b",
            "/mnt/d//a/./b",
        ] {
            assert_eq!(check(spelling).expect(spelling), "a/b");
        }
    }

    #[test]
    fn a_plain_path_is_not_copied() {
        let path = relative(&[], Path::new("some/path.txt")).expect("plain");
        assert!(matches!(path, Cow::Borrowed(_)));
    }

    #[test]
    fn parents_stay_for_whoever_knows_the_links() {
        assert_eq!(check("a/../b").expect("plain"), "a/../b");
        assert_eq!(check("..").expect("plain"), "..");
    }

    #[test]
    fn the_root_itself_is_the_empty_path() {
        for spelling in [".", "./", "/srv/data", "/srv/data/"] {
            assert_eq!(check(spelling).expect(spelling), "");
        }
    }

    #[test]
    fn what_names_nothing_below_the_root_is_refused() {
        assert!(matches!(
            check(""),
            Err(Error::InvalidPath {
                fault: PathFault::Empty,
                ..
            })
        ));
        assert!(matches!(
            check("a\0b"),
            Err(Error::InvalidPath {
                fault: PathFault::ZeroByte,
                ..
            })
        ));
        for path in ["/", "/srv", "/srv/data2", "/srv/database/a", "/etc/passwd"] {
            assert!(matches!(check(path), Err(Error::Outside { .. })), "{path}");
        }
    }
}
