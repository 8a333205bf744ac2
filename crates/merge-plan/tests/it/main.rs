//! What the crate promises, one module per topic; the runner and the merges work on real repositories.

mod order;
mod validation;

#[cfg(unix)]
mod defects;
#[cfg(unix)]
mod gates;
#[cfg(unix)]
mod merges;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod support;
