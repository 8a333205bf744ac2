//! The grammar of what a caller may name: pools, repositories, refs. Nothing else reaches git or the file system.

use crate::error::Error;
use crate::git::redacted;

/// Largest number of slots a pool may have.
pub const MAX_SLOTS: u32 = 1000;

/// Parts of a ref's name are names of files and folders: `NAME_MAX` of Linux and of the common file systems.
const MAX_PART: usize = 255;

const RESERVED: [&str; 4] = [".", "..", "trash", "locks"];

/// A pool's name is a folder's name: `[A-Za-z0-9._-]{1,100}`, not starting with a dot or a dash.
pub(crate) fn check_pool(name: &str) -> Result<(), Error> {
    let rule = if name.is_empty() || name.len() > 100 {
        "expected 1 to 100 characters"
    } else if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    {
        "expected only letters, digits, '.', '_' and '-'"
    } else if name.starts_with(['.', '-']) {
        "it may not begin with '.' or '-'"
    } else if RESERVED.contains(&name) {
        "the name is reserved"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName {
        name: name.to_owned(),
        rule,
    })
}

pub(crate) fn check_slots(slots: u32) -> Result<(), Error> {
    if (1..=MAX_SLOTS).contains(&slots) {
        Ok(())
    } else {
        Err(Error::InvalidSlots {
            slots,
            max: MAX_SLOTS,
        })
    }
}

/// A URL or path that git may be given: nothing that it would read as an option or run as a command.
pub(crate) fn check_url(url: &str) -> Result<(), Error> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    let rule = if url.is_empty() {
        "it is empty"
    } else if url.len() > 4096 {
        "it is longer than 4096 bytes"
    } else if url.starts_with('-') {
        "it begins with '-', which git reads as an option"
    } else if url.contains(char::is_control) {
        "it holds a control character"
    } else if scheme.is_none() && url.contains("::") {
        "remote helpers (\"name::address\") can run commands"
    } else if scheme
        .is_some_and(|scheme| !["https", "http", "ssh", "git", "file"].contains(&scheme))
    {
        "expected https, http, ssh, git or file, or a path"
    } else if host(url).is_some_and(|host| host.starts_with('-')) {
        "its host begins with '-', which ssh reads as an option"
    } else {
        return Ok(());
    };
    Err(Error::InvalidUrl {
        url: redacted(url),
        rule,
    })
}

fn host(url: &str) -> Option<&str> {
    let authority = match url.split_once("://") {
        Some((_, rest)) => rest.split('/').next()?,
        None => url.split_once(':')?.0,
    };
    Some(
        authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host),
    )
}

/// Checks the spelling of a revision: a ref's name by git's own rules, a commit id, or one of these followed by `~n` or `^n`.
///
/// What is refused here is refused wherever a revision is taken; what passes may still name nothing. Only looks at the text.
///
/// # Errors
///
/// [`Error::InvalidRef`] with the rule that it breaks.
pub fn check_revision(name: &str) -> Result<(), Error> {
    let base = name.split(['~', '^']).next().unwrap_or_default();
    let suffix = &name[base.len()..];
    let rule = if name.is_empty() {
        "it is empty"
    } else if base.is_empty() {
        "it begins with '~' or '^', which only follow a name"
    } else if name.len() > 1024 {
        "it is longer than 1024 bytes"
    } else if name.starts_with('-') {
        "it begins with '-', which git reads as an option"
    } else if base.contains(|c: char| c.is_control() || " :?*[\\".contains(c)) {
        "it holds a character that no ref may hold"
    } else if base.contains("..") || base.contains("@{") || base.contains("//") || base == "@" {
        "it holds \"..\", \"@{\", \"//\" or is \"@\""
    } else if base
        .split('/')
        .any(|part| part.starts_with('.') || part.ends_with(".lock") || part.is_empty())
    {
        "a part of it is empty, begins with '.' or ends with \".lock\""
    } else if base.split('/').any(|part| part.len() > MAX_PART) {
        "a part of it is longer than 255 bytes"
    } else if base.ends_with('.') {
        "it ends with '.'"
    } else if !suffix
        .chars()
        .all(|c| c.is_ascii_digit() || c == '~' || c == '^')
    {
        "after '~' or '^' only digits may follow"
    } else {
        return Ok(());
    };
    Err(Error::InvalidRef {
        name: name.to_owned(),
        rule,
    })
}

#[cfg(test)]
mod tests {
    use super::{check_pool, check_revision, check_slots, check_url};

    #[test]
    fn a_pool_name_can_never_leave_its_folder() {
        for good in ["a", "brolly", "Team.repo_1-x", &"x".repeat(100)] {
            assert!(check_pool(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "-x",
            ".hidden",
            "trash",
            "locks",
            "a b",
            "ä",
            "a\0",
            &"x".repeat(101),
        ] {
            assert!(check_pool(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pool_has_one_to_a_thousand_slots() {
        assert!(check_slots(0).is_err());
        assert!(check_slots(1).is_ok());
        assert!(check_slots(1000).is_ok());
        assert!(check_slots(1001).is_err());
    }

    #[test]
    fn a_url_can_never_be_an_option_or_a_command() {
        for good in [
            "https://example.org/a.git",
            "ssh://git@example.org/a",
            "git@example.org:a/b.git",
            "/srv/git/a",
            "../a",
            "file:///srv/a",
            "a-b",
        ] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=touch x",
            "ext::sh -c id",
            "ssh://-oProxyCommand=id/x",
            "-oProxy:x",
            "a\nb",
            "javascript://x",
        ] {
            assert!(check_url(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_url_in_an_error_shows_no_password() {
        let error = check_url("https://user:secret@-host/x").expect_err("host is an option");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_revision_follows_gits_rules() {
        for good in [
            "main",
            "feature/x",
            "origin/main",
            "v1.0",
            "refs/heads/main",
            "HEAD~3",
            "main^2",
            "0123abcd",
            "a-b",
            "@x",
        ] {
            assert!(check_revision(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-x",
            "a..b",
            "a b",
            "a:b",
            "a@{1}",
            "@",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.",
            "a\n",
            "~1",
            "a^{commit}",
            "/a",
            "a/",
        ] {
            assert!(check_revision(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_part_of_a_ref_is_as_long_as_a_file_name_at_most() {
        let part = "x".repeat(255);
        assert!(check_revision(&format!("{part}/{part}~1")).is_ok());
        let error = check_revision(&format!("a/{part}x")).expect_err("too long");
        assert!(error.to_string().contains("255 bytes"), "{error}");
    }

    #[test]
    fn a_revision_that_is_all_suffix_is_told_why() {
        for bad in ["^main", "~1", "^"] {
            let error = check_revision(bad).expect_err("no name").to_string();
            assert!(error.contains("follow a name"), "{error}");
        }
        let error = check_revision("").expect_err("empty").to_string();
        assert!(error.contains("it is empty"), "{error}");
    }
}
