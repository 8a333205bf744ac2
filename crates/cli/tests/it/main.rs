//! The command as a user runs it.

mod demo;
mod plan;
mod pool;
mod support;
