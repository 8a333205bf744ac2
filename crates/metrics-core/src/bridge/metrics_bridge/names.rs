//! From any name to one that can be exposed: always the same one for the same name.

/// The longest name there may be.
const MAX_LEN: usize = 255;

/// What is put before the name of a label that the exposition formats keep for themselves, as
/// Prometheus does with labels that clash with its own.
const RESERVED_PREFIX: &str = "exported_";

pub(super) fn metric_name(given: &str) -> String {
    let is_first = |letter: char| letter.is_ascii_alphabetic() || matches!(letter, '_' | ':');
    let is_later = |letter: char| is_first(letter) || letter.is_ascii_digit() || letter == '.';
    valid_name(given, is_first, is_later)
}

pub(super) fn label_name(given: &str) -> String {
    let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let is_later = |letter: char| is_first(letter) || letter.is_ascii_digit();
    let mut name = valid_name(given, is_first, is_later);
    if name.starts_with("__") || name == "le" || name == "quantile" {
        name.insert_str(0, RESERVED_PREFIX);
        name.truncate(MAX_LEN);
    }
    name
}

fn valid_name(
    given: &str,
    is_first: impl Fn(char) -> bool,
    is_later: impl Fn(char) -> bool,
) -> String {
    let mut name = String::new();
    if !given.starts_with(&is_first) {
        name.push('_');
    }
    let letters = given.chars().map(|it| if is_later(it) { it } else { '_' });
    // One more is needed at most: every letter is one byte by now.
    name.extend(letters.take(MAX_LEN));
    name.truncate(MAX_LEN);
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kind::Kind;
    use crate::registry::name::{check_labels, check_name};

    #[test]
    fn names_that_can_be_exposed_stay_as_they_are() {
        for name in ["http.requests_total", "a:b", "_x1"] {
            assert_eq!(metric_name(name), name);
        }
        assert_eq!(label_name("status_code"), "status_code");
    }

    #[test]
    fn others_are_mapped_to_ones_that_can() {
        assert_eq!(metric_name(""), "_");
        assert_eq!(metric_name("4xx"), "_4xx");
        assert_eq!(metric_name(".hidden"), "_.hidden");
        assert_eq!(metric_name("größe in %"), "gr__e_in__");
        assert_eq!(label_name("content-type"), "content_type");
        assert_eq!(label_name("le"), "exported_le");
        assert_eq!(label_name("quantile"), "exported_quantile");
        assert_eq!(label_name("__name__"), "exported___name__");
    }

    proptest! {
        #[test]
        fn every_name_becomes_a_valid_one(given in any::<String>()) {
            let name = metric_name(&given);
            prop_assert!(check_name(&name, Kind::Gauge).is_ok(), "{}", name);
            prop_assert_eq!(metric_name(&name), name);
            let label = label_name(&given);
            prop_assert!(check_labels("x", std::slice::from_ref(&label), &[]).is_ok(), "{}", label);
        }

        #[test]
        fn long_names_become_valid_ones(letter in any::<char>(), len in 250_usize..600) {
            let given = letter.to_string().repeat(len);
            prop_assert!(check_name(&metric_name(&given), Kind::Gauge).is_ok());
            let label = label_name(&given);
            prop_assert!(check_labels("x", &[label], &[]).is_ok());
        }
    }
}
