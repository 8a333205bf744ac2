//! The command as a user runs it.

mod demo;
mod interrupt;
mod plan;
mod pool;
mod support;
