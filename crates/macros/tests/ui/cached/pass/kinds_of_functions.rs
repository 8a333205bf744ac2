//! Everything is used as one would without the attribute, lints included.

#![deny(warnings, clippy::pedantic)]
#![deny(missing_docs, missing_debug_implementations, unreachable_pub)]
#![forbid(unreachable_code, unused_variables, non_camel_case_types, dead_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brolly_ttl_cache::{Cache, cached};

const CAPACITY: u64 = 5;

/// What a library hands out.
pub mod library {
    use super::{Cache, Duration, Path, PathBuf, cached};

    /// An error.
    #[derive(Clone, Debug)]
    pub struct Refused;

    /// A result under another name.
    pub type Answer<T> = Result<T, Refused>;

    /// Nothing set.
    #[must_use]
    #[cached]
    pub fn plain() -> String {
        String::new()
    }

    /// Much set.
    ///
    /// # Errors
    ///
    /// None.
    #[cached(ttl = "1h30m", time_to_idle = Duration::from_secs(5), max_capacity = 7,)]
    pub async fn much(id: u64, name: &str, path: &Path, bytes: &[u8]) -> Answer<PathBuf> {
        std::future::ready(()).await;
        let _ = (id, name, bytes);
        Ok(path.to_owned())
    }

    /// A key that is computed, and a handle with a name.
    #[must_use]
    #[cached(key: usize = { let n = text.len(); n + 1 }, ttl = "forever", handle = Lengths)]
    pub fn length(text: &str, unseen: &[u8]) -> usize {
        text.len() + unseen.len()
    }

    /// Methods.
    #[derive(Clone, Debug)]
    pub struct Shop {
        /// One cache for each shop.
        pub names: std::sync::Arc<Names>,
    }

    /// A cache.
    pub struct Names(pub Cache<u64, String>);

    impl std::fmt::Debug for Names {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Names")
        }
    }

    impl Shop {
        /// A name.
        #[must_use]
        #[cached(cache = self.names.0)]
        pub async fn name(&self, id: u64) -> String {
            std::future::ready(()).await;
            format!("{id} {self:?}")
        }

        /// A name.
        #[must_use]
        #[cached(cache = self.names.0, key = id)]
        #[expect(clippy::needless_pass_by_value, reason = "it stands for others")]
        pub fn name_now(&self, id: u64, other: String) -> String {
            format!("{id} {} {self:?}", other.len())
        }
    }
}

#[cached(option = true, key = (id, deep))]
fn private<'a>(id: &'a String, deep: &'static str, name: &'a str) -> Option<usize> {
    (id != name).then_some(deep.len())
}

mod inner {
    use super::Duration;

    #[brolly_ttl_cache::cached(
        max_capacity = crate::CAPACITY,
        configure = |it| it.time_to_live(Duration::from_secs(1)),
    )]
    pub(super) async fn r#match(mut n: u8) -> u8 {
        std::future::ready(()).await;
        n = n.saturating_add(1);
        n
    }
}

#[cached(crate = brolly_ttl_cache)]
#[rustfmt::skip]
async fn calls_itself(n: u64) -> u64 { if n == 0 { 0 } else { Box::pin(calls_itself(n - 1)).await } }

#[cached]
#[cfg(any())]
fn not_there(it: NotThere) -> NotThere {
    it
}

#[cached(cache = cache, key: (u8, String) = (count, format!("{name}")))]
fn generic<T>(cache: &Cache<(u8, String), Vec<T>>, count: u8, name: impl AsRef<str> + std::fmt::Display, it: T) -> Vec<T>
where
    T: Clone + Send + Sync + 'static,
{
    vec![it; count.into()]
}

#[cached]
fn not_clone(id: u64) -> Result<Arc<str>, Arc<std::io::Error>> {
    let name = std::env::current_exe().map_err(Arc::new)?;
    Ok(format!("{id} {name:?}").into())
}

macro_rules! functions {
    ($($name:ident($id:ident: $ty:ty, $other:ident: &$inner:ty) -> $output:ty = $body:expr, $ttl:literal;)+) => {$(
        #[cached(ttl = $ttl, key = ($id, $other))]
        fn $name($id: $ty, $other: &$inner) -> $output {
            $body
        }
    )+};
}

functions! {
    made(a: u64, b: &str) -> Option<u64> = b.parse::<u64>().ok().map(|b| a + b), "5m";
    made_for_ever(a: u64, b: &str) -> Option<u64> = b.parse::<u64>().ok().map(|b| a + b), "forever";
}

fn main() {
    #[derive(Clone, Debug, Hash, PartialEq, Eq)]
    struct Local;

    #[cached]
    fn local(it: Local) -> Local {
        it
    }

    assert_eq!(local(Local), Local);
    assert_eq!(private(&String::from("x"), "y", "z"), Some(1));
    assert!(private::invalidate(&String::from("x"), "y"));
    drop(inner::r#match(1));
    assert_eq!(inner::r#match::clear(), 0);
    drop(calls_itself(1));
    let cache = Cache::new(5);
    assert_eq!(generic(&cache, 2, "x", 'x'), ['x', 'x']);
    assert!(not_clone(1).is_ok());
    assert_eq!(made(1, "1"), Some(2));
    assert_eq!(made_for_ever(1, "1"), Some(2));
}
