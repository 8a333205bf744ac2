//! Sequences of calls: no bytes break a promise. What they mean is shared with a plain test.
//!
//! `cargo +nightly fuzz run operations` in the folder of the crate.
#![no_main]

#[path = "../../tests/it/operations.rs"]
mod operations;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| operations::run(bytes));
