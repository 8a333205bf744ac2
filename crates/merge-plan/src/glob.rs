//! Patterns for gate names: `*` stands for any run of characters, `?` for exactly one, everything else for itself.

/// True if `pattern` matches the whole of `text`.
///
/// Keeps one restart point, the latest `*`, so the worst case is `pattern * text` steps and nothing recurses.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut restart: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some('*') => {
                restart = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((star, taken)) = restart else {
                    return false;
                };
                restart = Some((star, taken + 1));
                at_pattern = star + 1;
                at_text = taken + 1;
            }
        }
    }
    pattern[at_pattern..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    #[test]
    fn a_name_without_wildcards_matches_only_itself() {
        assert!(matches("lint", "lint"));
        for other in ["lin", "lints", "xlint", "", "Lint"] {
            assert!(!matches("lint", other), "{other}");
        }
    }

    #[test]
    fn brackets_and_backslashes_stand_for_themselves() {
        assert!(matches("a[b]\\", "a[b]\\"));
        assert!(!matches("a[b]", "ab"));
    }

    #[test]
    fn many_stars_end_in_bounded_time() {
        assert!(!matches(
            &format!("{}b", "*a".repeat(100)),
            &"a".repeat(10_000)
        ));
    }

    /// The textbook recursion.
    fn oracle(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                oracle(rest, text)
                    || text
                        .split_first()
                        .is_some_and(|(_, left)| oracle(pattern, left))
            }
            (Some(('?', rest)), Some((_, left))) => oracle(rest, left),
            (Some((wanted, rest)), Some((found, left))) => wanted == found && oracle(rest, left),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_textbook_recursion(pattern in "[ab*?é]{0,7}", text in "[abé]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), oracle(&p, &t));
        }
    }
}
