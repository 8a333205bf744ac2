#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
mod cached;
mod duration;
mod function;
mod handle_name;
mod timed;
mod tokens;
mod with_lazy;

use proc_macro::TokenStream;

/// Caches what a function returns: a call with arguments that were seen before is answered from a
/// cache, and calls that come together run the body once.
///
/// ```
/// use brolly_ttl_cache::cached;
///
/// /// The length of a page.
/// #[cached(ttl = "30s", max_capacity = 10_000)]
/// async fn length(site: &str, page: u32) -> Result<usize, String> {
///     Ok(format!("{site}/{page}").len())
/// }
///
/// # async fn example() -> Result<(), String> {
/// assert_eq!(length("a.example", 7).await?, 11);
/// assert_eq!(length("a.example", 7).await?, 11); // from the cache
/// assert_eq!(length::stats().hits, 1);
///
/// assert!(length::invalidate("a.example", 7)); // this one is forgotten
/// length::clear(); // all are
/// # Ok(())
/// # }
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(std::pin::pin!(example()).poll(&mut context).is_ready());
/// ```
///
/// # Arguments
///
/// Of the function's own cache; what is not given is as the cache's builder has it, 300 seconds and
/// 1,000 entries:
///
/// - `ttl = "30s"`: how long a result is kept. A time from `"1ms"` to `"365d"`, in whole numbers with
///   the units `d`, `h`, `m`, `s` and `ms` (`"1h30m"`), which is checked by the compiler; or
///   `"forever"`; or an expression of type `Duration`.
/// - `time_to_idle = "5m"`: how long a result is kept that nobody asks for; written as `ttl` is.
/// - `max_capacity = 1_000`: how many results are kept at most; a literal or an expression of type
///   `u64`.
/// - `configure = |builder| builder.ttl_jitter(0.1)`: everything else that the builder can do, after
///   the settings above.
/// - `handle = Name`: the name of the handle, which is the function's otherwise.
///
/// Of the key and the results:
///
/// - `key = id` or `key = (tenant, id)`: which parameters tell the results apart. By default all of
///   them. The others may be of any type, and are those of whichever call ran the body.
/// - `key: u64 = user.id`: a key that is computed, with its type. It is made on every call and may
///   use the parameters without taking them.
/// - `result = true`: only what is `Ok` is kept, as is the default where a `Result` is returned, under
///   whatever name. `result = false` keeps errors as well.
/// - `option = true`: only what is `Some` is kept. By default `None` is a result like any other.
///
/// Of where things are:
///
/// - `cache = self.users`: an expression for a cache that is there already, instead of one of the
///   function's own; it may use the parameters, `self` among them. With it go no settings and no
///   handle. This is the form for methods and for generic functions. Here a `Result` is known by the
///   name that is written last in its path; `result = true` says it for aliases.
/// - `crate = path`: the path of `brolly_ttl_cache`, for those who reach it through another crate.
///
/// # The handle
///
/// Beside the function stands a type of the same name and visibility. As types and functions have
/// namespaces of their own, whoever imports one imports the other:
///
/// | | |
/// |---|---|
/// | `length::cache()` | the cache itself, a `&'static Cache<K, V>` |
/// | `length::clear()` | forgets all results and returns how many there were |
/// | `length::invalidate("a.example", 7)` | forgets one, and returns whether there was one; takes the parameters that the key is made of |
/// | `length::stats()` | what the cache has counted |
/// | `length::config_error()` | why the settings were refused, if they were |
///
/// # The key
///
/// The key is a tuple of the parameters themselves, compared and hashed by their own `Eq` and `Hash`,
/// never their text or their addresses; a single parameter is a key without a tuple. References are
/// kept as what they refer to, made owned: `&str` as `String`, `&[T]` as `Vec<T>`, `&T` as a clone of
/// `T`. A key that is one reference is looked up by that reference, and made owned only when the body
/// has to run; any other is made on every call, by one clone of each parameter in it.
///
/// # One run for everybody
///
/// Callers who ask for a key that is being computed wait for that run and share its end, asynchronous
/// callers on any runtime and blocked threads alike. An error is shared too, which is why it has to be
/// `Clone`; it is not kept. A caller of an `async fn` that is dropped leaves the run to those who
/// still wait, who go on with it where it stands. That is why the body of an `async fn` gets its
/// parameters owned, references as references to a copy that is made when the body has to run; and why
/// its future must be `Send`.
///
/// A result is not kept if its key was invalidated, or all were cleared, while the body ran.
///
/// # Other attributes
///
/// What else stands before the function stays with what callers see: `#[timed]` below `#[cached]` times
/// every call, above it only the runs of the body.
///
/// # Errors
///
/// Only those of the function. Settings that are not checked by the compiler and that the builder
/// refuses, such as a `Duration` of zero that is computed, switch the cache off: every call runs the
/// body, and `config_error` of the handle says why.
///
/// # Panics
///
/// When the body panics, so does every caller who waited for that run, and says with what; the next
/// call runs it again. A body that calls itself with the same key, which could only wait for itself,
/// panics as well.
///
/// # Limitations
///
/// - What is returned is owned, has a type that can be named and is `Clone + Send + Sync`. A function
///   that returns a future is written as `async fn`.
/// - Parameters are names, not patterns, and no `&mut`. Those of an `async fn` borrow by a plain
///   reference to something `Clone` or not at all.
/// - A `const`, `unsafe` or `extern` function cannot be cached; a method, or an associated function,
///   only by `cache = …`, and not in the `impl` of a trait. A method that is an `async fn` needs a
///   receiver that is `Clone`.
/// - An `async fn` that calls itself may do so by its name, boxed as ever. Two that call each other have
///   to hide one future behind `Pin<Box<dyn Future + Send>>`.
/// - Links in documentation say which they mean, the function as `` [`length()`] `` or the handle as
///   `` [`length`](enum@length) ``.
/// - The cache of a function lives as long as the program, and with it what it keeps: bound it.
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    cached::expand(arguments.into(), item.into()).into()
}

/// Times a function: each call is recorded with how it ended.
///
/// The metric is a histogram in seconds with the label `outcome`, which reads `success`, `error`
/// (the function returned an `Err`), `panic` or `cancelled` (its future was dropped after it was
/// first polled and before it was done).
///
/// # Arguments
///
/// - `name = "…"`: the name of the metric. By default the module's path and the function's name,
///   joined by dots: `shop.cart.checkout`. Functions of one module that share a name share the
///   metric.
/// - `registry = …`: an expression for where to record, a `&Registry` or an `Option<&Registry>`;
///   it may use the function's parameters, `self` among them. `None` records nothing, at the cost
///   of a branch. By default `brolly_metrics_core::default_registry()`.
/// - `crate = …`: the path of `brolly_metrics_core`, for those who reach it through another crate.
///
/// # What is timed
///
/// - A function: its body, the dropping of its parameters included as far as the body uses them.
/// - An `async fn`: from the first poll of its future to the end, time spent waiting included.
/// - A function whose return type is written as `impl Future<…>` or `Pin<Box<dyn Future<…>>>`: the
///   future that it returns, as for an `async fn`. The second form is boxed once more unless
///   the body is nothing but `Box::pin(async …)`, and the first loses `Unpin` if it had it. A future behind an alias is not seen: then the call that
///   makes it is timed.
///
/// An error is told by the type of the value, so that aliases such as `std::io::Result` count.
///
/// # When the metric cannot be had
///
/// A name that the registry refuses, because a metric of another kind has it, because the name is
/// not valid, or because the registry is full, turns recording off for this place and that registry;
/// the function itself runs as ever. The counter `timed_sites_refused_total` of the registry counts
/// them.
///
/// # Limitations
///
/// The body runs in a closure, or in a block of its own if it is async: `#[track_caller]` on the
/// function does not reach into it. A `const fn` cannot be timed.
#[proc_macro_attribute]
pub fn timed(arguments: TokenStream, item: TokenStream) -> TokenStream {
    timed::expand(arguments.into(), item.into()).into()
}

/// Loads the first parameter of a function: callers leave it out, the first call loads it, and all
/// calls share it.
///
/// ```
/// use brolly_lazy::{LoadError, with_lazy};
/// use std::num::ParseIntError;
///
/// async fn load() -> Result<u32, ParseIntError> {
///     "40".parse()
/// }
///
/// /// Adds to what is loaded.
/// #[with_lazy(loader = load, error = ParseIntError, ttl = "5m")]
/// async fn add(base: &u32, more: u32) -> Result<u32, LoadError<ParseIntError>> {
///     Ok(base + more)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(add(2).await.unwrap(), 42); // loads
/// assert_eq!(add(3).await.unwrap(), 43);
/// assert_eq!(add::lazy().load_count(), 1);
/// assert_eq!(add::reset().as_deref(), Some(&40)); // the next call loads again
/// # }
/// ```
///
/// # Arguments
///
/// - `loader = function`: what makes the value, an expression for a function without arguments: an
///   async one for an `async fn`, a plain one for a `fn`. The value lives as long as the program.
/// - `lazy = self.config`: an expression of type `Lazy<T, E>` for a value that is there already,
///   instead of a `loader`; it may use the parameters, `self` among them. This is the form for methods,
///   for loaders that block, and for values that several functions share. With it go no `ttl`,
///   `configure` and `handle`.
/// - `error = Type`: the loader can fail, and returns a `Result` with this error. The function returns
///   a `Result` too, whose error is `From<LoadError<Type>>`: a call whose value could not be loaded
///   ends with it, and the body does not run.
/// - `ttl = "30s"`: how long the value is kept. A time from `"1ms"` to `"365d"`, in whole numbers with
///   the units `d`, `h`, `m`, `s` and `ms` (`"1h30m"`), which is checked by the compiler; or
///   `"forever"`, as is the default; or an expression of type `Duration`.
/// - `configure = |builder| builder.stale_if_error(…)`: everything else that the builder can do.
/// - `handle = Name`: the name of the handle, which is the function's otherwise.
/// - `crate = path`: the path of `brolly_lazy`, for those who reach it through another crate.
///
/// # The parameter
///
/// It is the first one, after `self` if there is one, and may be a pattern. As `&T` it is there until
/// the function returns, in an `async fn` across every await. As `Arc<T>` it can be kept.
///
/// # The handle
///
/// Beside a function with a `loader` stands a type of the same name and visibility. As types and
/// functions have namespaces of their own, whoever imports one imports the other:
///
/// | | |
/// |---|---|
/// | `add::lazy()` | the value, a `&'static Lazy<T, E>`: `refresh`, `replace`, `stats` and so on |
/// | `add::is_loaded()` | whether it is there |
/// | `add::reset()` | takes it away and returns it |
/// | `add::config_error()` | why the settings were refused, if they were |
///
/// # Errors
///
/// With `error`, those of loading. Settings that are not checked by the compiler and that the builder
/// refuses, such as a `Duration` of zero that is computed, make every call load, and `config_error` of
/// the handle says why.
///
/// # Panics
///
/// When the loader panics, so does the call that began the load. Without `error`, so does every call
/// that waited for it; with `error` these get `LoadError::Panicked`. A loader that calls the function
/// is told of the recursion in the same way.
///
/// # Cancel safety
///
/// An `async fn` that is dropped while it loads leaves the load to the other calls that wait for it.
///
/// # Limitations
///
/// - What is loaded is `Send + Sync + 'static`, of a type that does not depend on the function's
///   generics.
/// - A `const fn` cannot load anything. Methods, and functions in the `impl` of a type, need
///   `lazy = …`.
/// - Links in documentation say which they mean, the function as `` [`add()`] `` or the handle as
///   `` [`add`](enum@add) ``.
#[proc_macro_attribute]
pub fn with_lazy(arguments: TokenStream, item: TokenStream) -> TokenStream {
    with_lazy::expand(arguments.into(), item.into()).into()
}
