//! Where the pools are, and which pool a repository has.

use std::path::{Path, PathBuf};

use brolly_repo_pool::{Error, MAX_SLOTS, PoolConfig, RepoPool};

use crate::args::{Global, Source};
use crate::failure::Failure;
use crate::output::{Output, count};

/// The pools that this user works with.
pub(crate) fn open(global: &Global) -> Result<RepoPool, Failure> {
    let root = match &global.root {
        Some(root) => root.clone(),
        None => default_root()?,
    };
    Ok(RepoPool::open(root)?)
}

/// The number of slots as the user gave it, if a pool can have that many.
pub(crate) fn slots(number: i64) -> Result<u32, Failure> {
    let slots = u32::try_from(number).ok();
    let slots = slots.filter(|slots| (1..=MAX_SLOTS).contains(slots));
    slots.ok_or_else(|| {
        let message = format!("invalid number of slots {number}: expected 1 to {MAX_SLOTS}");
        Failure::bad_input("invalid_slots", message)
    })
}

/// An empty variable counts as one that is not set.
fn default_root() -> Result<PathBuf, Failure> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(root) = variable("BROLLY_ROOT") {
        return Ok(root);
    }
    let data = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
    let message = "no folder for the pools: set --root, BROLLY_ROOT or HOME";
    Ok(data
        .ok_or_else(|| Failure::bad_input("no_root", message))?
        .join("brolly"))
}

/// The pool that the arguments name; one for a repository that has none yet is created.
pub(crate) fn pool_of(
    pools: &RepoPool,
    source: &Source,
    output: &Output,
) -> Result<String, Failure> {
    let slots = slots(source.slots)?;
    match (&source.place.pool, &source.place.repo) {
        (Some(name), _) => {
            pools.status(name)?;
            Ok(name.clone())
        }
        (None, Some(url)) => {
            let name = name_of(url);
            match pools.status(&name) {
                Ok(_) => {}
                Err(Error::PoolNotFound { .. }) => {
                    let words = count(slots as usize, "slot", "slots");
                    output.note(format_args!("creating pool {name} with {words}"));
                    pools.create_pool(&PoolConfig::new(&name, url).slots(slots))?;
                }
                Err(error) => return Err(error.into()),
            }
            Ok(name)
        }
        (None, None) => Err(Failure::bad_input(
            "no_pool",
            "name a pool with --pool or a repository with --repo",
        )),
    }
}

/// A name that is the same for the same repository: its last word, and a number made of all of it.
pub(crate) fn name_of(url: &str) -> String {
    let absolute = Path::new(url)
        .canonicalize()
        .ok()
        .filter(|_| !url.contains("://"));
    let full = absolute.map_or_else(
        || url.to_owned(),
        |path| path.to_string_lossy().into_owned(),
    );
    let last = full
        .trim_end_matches('/')
        .trim_end_matches(".git")
        .rsplit(['/', ':'])
        .next()
        .unwrap_or_default();
    let word: String = last
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .take(60)
        .collect();
    let word = if word.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        word
    } else {
        format!("repo{word}")
    };
    format!("{word}-{:016x}", fnv1a(full.as_bytes()))
}

/// FNV-1a, 64 bits: names must stay the same over versions of the standard library, whose hashes may not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::{fnv1a, name_of};

    #[test]
    fn a_repository_has_one_name_and_another_one_has_another() {
        assert_eq!(
            name_of("https://example.org/team/app.git"),
            name_of("https://example.org/team/app.git")
        );
        assert_ne!(
            name_of("https://example.org/team/app.git"),
            name_of("https://example.org/other/app.git")
        );
        assert!(name_of("git@example.org:team/app.git").starts_with("app-"));
        assert!(name_of("https://example.org/-x").starts_with("repo-x-"));
        assert_eq!(
            name_of("."),
            name_of(&std::env::current_dir().expect("a folder").to_string_lossy())
        );
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
