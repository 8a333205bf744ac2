//! The pool against real git repositories.

mod allocate;
mod bad_input;
mod cleaning;
mod create;
mod isolation;
mod lease;
mod model;
mod process;
mod processes;
mod support;
