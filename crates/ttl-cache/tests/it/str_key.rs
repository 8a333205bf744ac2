//! Texts that are fit to be keys.

use brolly_ttl_cache::{Cache, KeyError, StrKey};

#[test]
fn one_to_a_thousand_characters_are_a_key() {
    assert_eq!(StrKey::new(""), Err(KeyError::Empty));
    assert!(StrKey::new("k").is_ok());
    // Characters, not bytes.
    assert!(StrKey::new("ä".repeat(1_000)).is_ok());
    assert_eq!(
        StrKey::new("ä".repeat(1_001)),
        Err(KeyError::TooLong { allowed: 1_000 })
    );
}

#[test]
fn control_characters_are_named_with_their_place() {
    for (text, character, at) in [
        ("a\nb", '\n', 1),
        ("\0", '\0', 0),
        ("ä\u{7f}", '\u{7f}', 2),
        ("x\u{85}", '\u{85}', 1),
    ] {
        assert_eq!(
            StrKey::new(text),
            Err(KeyError::ControlCharacter { character, at })
        );
    }
    let error = StrKey::new("a\nb").expect_err("a line break");
    assert_eq!(
        error.to_string(),
        "the key has the control character '\\n' at byte 1"
    );
}

#[test]
fn a_cache_with_such_keys_is_asked_with_any_text() {
    let cache: Cache<StrKey, u64> = Cache::new(10);
    cache.insert("user:1".parse().expect("a key"), 1);
    assert_eq!(cache.get("user:1"), Some(1));
    assert_eq!(cache.invalidate_prefix("user:"), 1);
    assert_eq!(cache.remove("user:1"), None);
}

#[cfg(feature = "serde")]
#[test]
fn keys_from_files_are_checked_too() {
    let key: StrKey = serde_json::from_str("\"a\"").expect("a key");
    assert_eq!(serde_json::to_string(&key).expect("text"), "\"a\"");
    let error = serde_json::from_str::<StrKey>("\"a\\u0000\"").expect_err("no key");
    assert!(error.to_string().contains("control character"), "{error}");
}
