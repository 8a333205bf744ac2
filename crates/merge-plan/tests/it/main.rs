//! What the crate promises, one module per topic; the runner and the merges work on real repositories.

mod defects;
mod gates;
mod merges;
mod order;
mod report;
mod support;
mod validation;
