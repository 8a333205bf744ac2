//! The `brolly` command.

#![forbid(unsafe_code)]

fn main() {}
