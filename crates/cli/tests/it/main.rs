//! The command as a user runs it.

mod demo;
mod exec;
mod interrupt;
mod plan;
mod pool;
mod support;
