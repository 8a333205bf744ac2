//! Errors in groups: what counts as alike, and what is bounded.

use std::time::{Duration, Instant};

use brolly_advisor::{ErrorGroup, ErrorGroups};
use proptest::prelude::*;

fn pattern(message: &str) -> String {
    let mut groups = ErrorGroups::default();
    groups.record(Duration::ZERO, "E", message, "");
    groups.groups()[0].pattern.clone()
}

#[test]
fn what_differs_between_like_messages_is_replaced() {
    for (message, expected) in [
        ("timeout after 30 s", "timeout after <n> s"),
        ("took 1.5e-3 of -7", "took <n> of <n>"),
        ("10.0.0.1:5432 refused", "<n>:<n> refused"),
        ("worker12 died", "worker<n> died"),
        ("no such table \"users\"", "no such table <str>"),
        (
            "can't open 'a b', isn't there",
            "can't open <str>, isn't there",
        ),
        ("bad `x\\`y`", "bad <str>"),
        ("open /var/lib/x.db: denied", "open <path>: denied"),
        ("see ~/a, ./b and ../c.", "see <path>, <path> and <path>."),
        ("open C:\\Users\\a", "open <path>"),
        (
            "job 3f2504e0-4f89-11d3-9a0c-0305e82c3301 failed",
            "job <uuid> failed",
        ),
        ("at 0xDEADbeef", "at <hex>"),
        ("commit 9fceb02d0ae598e9", "commit <hex>"),
        ("see abcdef12xyz", "see abcdef<n>xyz"),
        ("id 1234567890", "id <n>"),
        ("defaced and decades", "defaced and decades"),
        ("and/or 50 %", "and/or <n> %"),
        ("naïve 日本 7", "naïve 日本 <n>"),
        ("", ""),
        ("an \"unclosed one", "an \"unclosed one"),
    ] {
        assert_eq!(pattern(message), expected, "{message}");
    }
}

fn record(groups: &mut ErrorGroups, at: u64, kind: &str, message: &str) {
    groups.record(Duration::from_secs(at), kind, message, &format!("at {at}"));
}

#[test]
fn like_errors_are_counted_together() {
    let mut groups = ErrorGroups::default();
    record(&mut groups, 5, "Timeout", "after 30 s");
    record(&mut groups, 9, "Timeout", "after 60 s");
    record(&mut groups, 7, "Io", "after 60 s");
    let got: Vec<_> = groups
        .groups()
        .iter()
        .map(|g| (g.kind.as_str(), g.count))
        .collect();
    assert_eq!(got, [("Timeout", 2), ("Io", 1)]);
    let group: &ErrorGroup = &groups.groups()[0];
    assert_eq!(group.example, "after 30 s");
    assert_eq!(
        (group.first, group.last),
        (Duration::from_secs(5), Duration::from_secs(9))
    );
    assert_eq!(groups.total(), 3);
}

#[test]
fn a_group_keeps_the_last_ten_contexts() {
    // The originals kept all of them.
    let mut groups = ErrorGroups::default();
    for at in 0..1_000 {
        record(&mut groups, at, "E", "message");
    }
    let contexts: Vec<_> = groups.groups()[0].contexts.iter().cloned().collect();
    let last: Vec<_> = (990..1_000).map(|at| format!("at {at}")).collect();
    assert_eq!(contexts, last);
}

#[test]
fn groups_are_bounded_and_the_total_stays_right() {
    let mut groups = ErrorGroups::new(3);
    for kind in ["a", "b", "c", "d", "e", "a"] {
        record(&mut groups, 0, kind, "message");
    }
    assert_eq!(groups.groups().len(), 3);
    assert_eq!((groups.overflow(), groups.total()), (2, 6));
}

#[test]
fn the_top_is_by_count_and_then_by_age() {
    let mut groups = ErrorGroups::default();
    for (kind, count) in [("a", 1), ("b", 3), ("c", 2), ("d", 3), ("e", 1), ("f", 1)] {
        for _ in 0..count {
            record(&mut groups, 0, kind, "message");
        }
    }
    let top: Vec<_> = groups
        .top(5)
        .iter()
        .map(|group| group.kind.as_str())
        .collect();
    assert_eq!(top, ["b", "d", "c", "a", "e"]);
}

#[test]
fn long_texts_are_cut_between_characters() {
    let mut groups = ErrorGroups::default();
    let long = "é".repeat(10_000);
    groups.record(
        Duration::ZERO,
        &long,
        &format!("x{long}"),
        &format!("xx{long}"),
    );
    let group = &groups.groups()[0];
    assert_eq!(group.kind.len(), 256);
    assert_eq!(group.example.len(), 4_095);
    assert_eq!(group.contexts[0].len(), 4_096);
}

#[test]
fn digits_do_not_end_a_word() {
    for (message, expected) in [
        ("node1deadbeef1 left", "node<n>deadbeef<n> left"),
        ("a1b2c3d4e5x gone", "a<n>b<n>c<n>d<n>e<n>x gone"),
        ("host1/b", "host<n>/b"),
        ("5 deadbeef1", "<n> <hex>"),
    ] {
        assert_eq!(pattern(message), expected);
    }
}

#[test]
fn hostile_messages_take_no_longer_than_plain_ones() {
    // Each would take a scan of the rest for every character if it were not for the bounds; a
    // quadratic pass over 4 KiB is 8 million steps a message.
    let begun = Instant::now();
    let mut groups = ErrorGroups::default();
    for piece in [
        "\" '", "'a ", "`\\", "./,", "/.", "..\\", "a-", "1,", "1e+", "0x", "abcdef0-", "{",
    ] {
        let message = piece.repeat(4_096 / piece.len());
        for _ in 0..20 {
            groups.record(Duration::ZERO, "E", &message, "");
        }
    }
    assert_eq!(groups.total(), 240);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

proptest! {
    #[test]
    fn every_message_has_a_pattern_that_stays_the_same(message in any::<String>()) {
        let _ = pattern(&message);
    }

    #[test]
    fn numbers_do_not_make_groups(a in any::<u64>(), b in any::<u64>(), text in "[g-z ]{0,20}") {
        let message = |n| format!("{text} {n} {text}{n} x");
        prop_assert_eq!(pattern(&message(a)), pattern(&message(b)));
    }

    #[test]
    fn the_total_is_what_was_recorded(kinds in proptest::collection::vec(0u8..20, 0..200), room in 0usize..10) {
        let mut groups = ErrorGroups::new(room);
        for kind in &kinds {
            record(&mut groups, 1, &format!("{kind}kind"), "m");
        }
        prop_assert_eq!(groups.total(), kinds.len() as u64);
        prop_assert!(groups.groups().len() <= room.max(1));
    }
}
