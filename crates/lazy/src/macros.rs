//! What the expansion of `#[with_lazy]` names: the value of a function, and the ways to it.
//!
//! Public only for expansions, and hidden: none of it is part of the interface.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use crate::{ConfigError, Lazy, LazyBuilder, LoadError};

use crate::published::Guard;

/// What a value has to be able to do that calls share.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be loaded for all calls",
    label = "it is not `Send + Sync + 'static`",
    note = "one value is kept for all calls, of whatever threads and tasks"
)]
pub trait Value: Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Value for T {}

/// What a function returns that can say why nothing was loaded.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say why a value could not be loaded",
    label = "with `error = …`, a function returns a `Result` whose error is `From<LoadError<{E}>>`"
)]
pub trait Fails<E> {
    /// The end of a call whose value could not be loaded.
    fn fail(error: LoadError<E>) -> Self;
}

impl<R, X: From<LoadError<E>>, E> Fails<E> for Result<R, X> {
    fn fail(error: LoadError<E>) -> Self {
        Err(X::from(error))
    }
}

/// The end of a call whose value could not be loaded.
#[cold]
pub fn fail<R: Fails<E>, E>(error: LoadError<E>) -> R {
    R::fail(error)
}

/// A function with a value of its own, in the shape of the type that stands for it.
pub trait Function {
    /// What is loaded.
    type Value: Value;
    /// What the loader fails with.
    type Error: Send + Sync + 'static;

    /// Where its value lies.
    fn site() -> &'static Site<Self::Value, Self::Error>;
}

type Settings = fn(LazyBuilder) -> LazyBuilder;
type Build<T, E> = fn(LazyBuilder) -> Result<Lazy<T, E>, ConfigError>;

/// The value of a function, built when it is first needed.
pub struct Site<T: 'static, E: 'static> {
    settings: Settings,
    build: Build<T, E>,
    built: OnceLock<Built<T, E>>,
}

struct Built<T: 'static, E: 'static> {
    lazy: Lazy<T, E>,
    /// Why nothing is kept.
    refused: Option<ConfigError>,
}

impl<T, E> fmt::Debug for Site<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

impl<T, E> Site<T, E> {
    /// A value that will be built with these settings and this loader.
    pub const fn new(settings: Settings, build: Build<T, E>) -> Self {
        Self {
            settings,
            build,
            built: OnceLock::new(),
        }
    }

    #[inline]
    fn built(&self) -> &Built<T, E> {
        self.built.get_or_init(|| self.build())
    }

    #[cold]
    fn build(&self) -> Built<T, E> {
        match (self.build)((self.settings)(LazyBuilder::new())) {
            Ok(lazy) => Built {
                lazy,
                refused: None,
            },
            Err(refused) => {
                // The shortest there is: every call loads.
                let shortest = LazyBuilder::new().time_to_live(Duration::from_nanos(1));
                Built {
                    lazy: (self.build)(shortest).expect("more than zero is allowed"),
                    refused: Some(refused),
                }
            }
        }
    }
}

/// The value of a function.
#[inline]
pub fn lazy<F: Function>() -> &'static Lazy<F::Value, F::Error> {
    &F::site().built().lazy
}

/// Why the settings were refused, if they were.
pub fn config_error<F: Function>() -> Option<&'static ConfigError> {
    F::site().built().refused.as_ref()
}

/// Lets a closure know what it is given.
pub fn configure(
    builder: LazyBuilder,
    settings: impl FnOnce(LazyBuilder) -> LazyBuilder,
) -> LazyBuilder {
    settings(builder)
}

/// What was loaded, as an [`Arc`].
pub trait IntoArc<T> {
    /// The value.
    fn into_arc(self) -> Arc<T>;
}

impl<T> IntoArc<T> for Arc<T> {
    fn into_arc(self) -> Self {
        self
    }
}

impl<T> IntoArc<T> for Guard<T> {
    fn into_arc(self) -> Arc<T> {
        Guard::into_arc(self)
    }
}

/// The value, for a body that may wait for long.
pub async fn get<T: Value>(lazy: &Lazy<T, Infallible>) -> Arc<T> {
    Guard::into_arc(lazy.get().await)
}

/// The value, or why there is none, for a body that may wait for long.
///
/// # Errors
///
/// As for [`Lazy::try_get`].
pub async fn try_get<T: Value, E: Send + Sync + 'static>(
    lazy: &Lazy<T, E>,
) -> Result<Arc<T>, LoadError<E>> {
    lazy.try_get().await.map(Guard::into_arc)
}

/// The value, for a body on this thread.
pub fn get_sync<T: Value>(lazy: &Lazy<T, Infallible>) -> Guard<T> {
    lazy.get_blocking()
}

/// The value, or why there is none, for a body on this thread.
///
/// # Errors
///
/// As for [`Lazy::try_get`].
pub fn try_get_sync<T: Value, E: Send + Sync + 'static>(
    lazy: &Lazy<T, E>,
) -> Result<Guard<T>, LoadError<E>> {
    lazy.try_get_blocking()
}
