#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod timed;

use proc_macro::TokenStream;

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
