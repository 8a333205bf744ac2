//! Messages of errors: none makes the grouping panic, lose a count or outgrow its bounds.
//!
//! `cargo +nightly fuzz run errors` in the folder of the crate.
#![no_main]

use std::time::Duration;

use brolly_advisor::ErrorGroups;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &str| {
    let mut groups = ErrorGroups::new(1);
    groups.record(Duration::ZERO, message, message, message);
    groups.record(Duration::ZERO, message, message, message);
    assert_eq!((groups.total(), groups.overflow()), (2, 0));
    let group = &groups.groups()[0];
    assert!(group.example.len() <= 4096 && message.starts_with(&group.example));
    // A stand-in of five bytes at most takes the place of a byte.
    assert!(group.pattern.len() <= 6 * group.example.len());
});
