//! Everything is used as one would without the attribute, lints included.

#![deny(warnings, clippy::pedantic)]
#![deny(missing_docs)]
#![forbid(unreachable_code, unused_variables)]

use std::pin::Pin;

use brolly_metrics_core::{Registry, timed};

#[timed]
fn plain() {}

#[timed(name = "shop.sell:fast_1",)]
async fn asynchronous() -> std::io::Result<()> {
    std::future::ready(()).await;
    Ok(())
}

#[timed]
#[rustfmt::skip]
async fn on_one_line() -> Option<u8> { Some(1) }

#[timed(registry = None::<&Registry>)]
fn off() -> impl Future<Output = u8> {
    std::future::ready(1)
}

#[timed(crate = brolly_metrics_core)]
fn boxed<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = &'a str> + Send + 'a>> {
    Box::pin(async move { text })
}

#[timed]
unsafe fn not_safe() {}

fn main() {
    plain();
    drop(asynchronous());
    drop(on_one_line());
    drop(off());
    drop(boxed("x"));
    // SAFETY: it asks for nothing.
    unsafe { not_safe() };
}
