//! Everything is used as one would without the attribute, lints included.

#![deny(warnings, clippy::pedantic)]
#![deny(missing_docs, missing_debug_implementations, unreachable_pub)]
#![forbid(unreachable_code, unused_variables, non_camel_case_types, dead_code)]

use std::sync::Arc;
use std::time::Duration;

use brolly_lazy::{Lazy, LoadError, with_lazy};

/// What a library hands out.
pub mod library {
    use super::{Arc, Duration, Lazy, LoadError, with_lazy};

    /// An error.
    #[derive(Clone, Debug)]
    pub struct Refused;

    impl From<LoadError<std::num::ParseIntError>> for Refused {
        fn from(_: LoadError<std::num::ParseIntError>) -> Self {
            Self
        }
    }

    /// A result under another name.
    pub type Answer<T> = Result<T, Refused>;

    fn number() -> Result<u64, std::num::ParseIntError> {
        "7".parse()
    }

    /// Little set.
    #[must_use]
    #[with_lazy(loader = || 7)]
    pub fn plain(number: &u64) -> u64 {
        *number
    }

    /// Much set.
    ///
    /// # Errors
    ///
    /// When there is no number.
    #[with_lazy(
        loader = async || number(),
        error = std::num::ParseIntError,
        ttl = "1h30m",
        configure = |it| it.stale_if_error(Duration::from_secs(5)),
        handle = Much,
    )]
    pub async fn much(number: Arc<u64>, text: &str, mut more: u64) -> Answer<String> {
        std::future::ready(()).await;
        more += *number;
        Ok(format!("{text}{more}"))
    }

    /// Methods.
    #[derive(Debug)]
    pub struct Shop {
        /// One value for each shop.
        pub name: Lazy<String>,
    }

    impl Shop {
        /// A name.
        #[must_use]
        #[with_lazy(lazy = self.name)]
        pub fn name<'a>(&'a self, name: &String, title: &'a str) -> String {
            format!("{title} {name} {:?}", self.name)
        }

        /// A name.
        #[with_lazy(lazy = self.name)]
        pub async fn name_later(self: Arc<Self>, name: Arc<String>) -> Arc<String> {
            std::future::ready(()).await;
            name
        }
    }
}

#[with_lazy(loader = String::new, ttl = "forever")]
fn private(text: &String) -> usize {
    text.len()
}

mod inner {
    #[brolly_lazy::with_lazy(loader = || async { 7 })]
    pub(super) async fn r#match(&n: &u8) -> u8 {
        std::future::ready(()).await;
        n
    }
}

#[with_lazy(loader = || 7, crate = brolly_lazy)]
#[rustfmt::skip]
fn of_another_crate(n: &u64) -> u64 { *n }

#[with_lazy(loader = || NotThere)]
#[cfg(any())]
fn not_there(it: &NotThere) -> NotThere {
    it
}

#[with_lazy(loader = || (1, 2))]
fn generic<T: Into<u32>>(&(a, b): &(u32, u32), c: T) -> u32
where
    T: Clone,
{
    a + b + c.into()
}

#[with_lazy(lazy = lazy, error = std::num::ParseIntError)]
fn given(
    number: &u64,
    lazy: &Lazy<u64, std::num::ParseIntError>,
) -> Result<u64, LoadError<std::num::ParseIntError>> {
    Ok(*number + lazy.load_count())
}

#[with_lazy(loader = || 7)]
fn quiet(_number: &u64) {
    #![allow(clippy::let_unit_value, reason = "it stands for others")]
    let _unit = ();
}

macro_rules! functions {
    ($($name:ident($id:ident: $ty:ty) -> $output:ty = $body:expr, $ttl:literal, $loader:expr;)+) => {$(
        #[with_lazy(loader = $loader, ttl = $ttl)]
        fn $name($id: $ty) -> $output {
            $body
        }
    )+};
}

functions! {
    made(a: &u64) -> u64 = a + 1, "5m", || 1;
    made_for_ever(a: &u64) -> u64 = a + 2, "forever", || 1;
}

fn main() {
    #[derive(Debug, PartialEq)]
    struct Local;

    #[with_lazy(loader = || Local)]
    fn local(it: &Local) -> bool {
        *it == Local
    }

    assert!(local() && local::is_loaded());
    assert_eq!(private(), 0);
    assert!(private::reset().is_some());
    drop(inner::r#match());
    assert!(!inner::r#match::is_loaded());
    assert_eq!(of_another_crate(), 7);
    assert_eq!(generic(3_u8), 6);
    assert_eq!(given(&Lazy::fallible_sync(|| "7".parse())).unwrap(), 8);
    quiet();
    assert_eq!((made(), made_for_ever()), (2, 3));
    drop(library::much("", 1));
    assert!(library::Much::config_error().is_none());
}
