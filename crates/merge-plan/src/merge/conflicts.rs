//! What git says of a merge that did not come about, read into names and sentences.

/// The paths that a merge left unmerged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Sorted, each once. A name that is not UTF-8 stands as git quotes it, so that no name is ever made up.
    pub(super) names: Vec<String>,
    /// True if there were more than could be read.
    pub(super) more: bool,
}

/// Reads the answer of `git diff --name-only` with `core.quotePath`; `truncated` says that its middle was left out.
pub(super) fn files(answer: &str, truncated: bool) -> Files {
    let mut lines: Vec<&str> = answer.lines().collect();
    let gap = |line: &&str| line.starts_with("[... ") && line.ends_with(" bytes left out ...]");
    if truncated && let Some(gap) = lines.iter().position(gap) {
        // The lines beside the gap are halves of names.
        lines.drain(gap.saturating_sub(1)..lines.len().min(gap + 2));
    }
    let mut names: Vec<String> = lines
        .into_iter()
        .filter(|line| !line.is_empty())
        .map(unquoted)
        .collect();
    names.sort_unstable();
    names.dedup();
    Files {
        names,
        more: truncated,
    }
}

/// The lines in which git says what is in conflict and why; bounded.
pub(super) fn sentences(stdout: &str) -> Vec<String> {
    const SHOWN: usize = 20;
    let mut lines = stdout.lines().filter(|line| line.starts_with("CONFLICT"));
    let mut shown: Vec<String> = lines.by_ref().take(SHOWN).map(str::to_owned).collect();
    match lines.count() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown
}

/// The name that git quoted as C does; git's own spelling where the name is not UTF-8.
fn unquoted(line: &str) -> String {
    line.strip_prefix('"')
        .and_then(|line| line.strip_suffix('"'))
        .and_then(|inner| String::from_utf8(unescaped(inner.as_bytes())?).ok())
        .unwrap_or_else(|| line.to_owned())
}

/// The bytes behind C's escapes, or nothing where they are not well formed.
fn unescaped(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((&first, rest)) = text.split_first() {
        text = rest;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&escape, rest) = text.split_first()?;
        text = rest;
        bytes.push(match escape {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'"' | b'\\' => escape,
            b'0'..=b'3' => {
                let (digits, rest) = text.split_at_checked(2)?;
                text = rest;
                let mut value = escape - b'0';
                for digit in digits {
                    value = value * 8 + digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
                }
                value
            }
            _ => return None,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Files, files, sentences, unquoted};

    #[test]
    fn a_quoted_name_is_the_name_and_what_is_not_utf8_stays_quoted() {
        for (quoted, name) in [
            ("plain name", "plain name"),
            (r#""sp\303\244te \"Datei\"""#, "späte \"Datei\""),
            (r#""a\tb\nc\\d\033""#, "a\tb\nc\\d\u{1b}"),
            (r#""f\377.txt""#, r#""f\377.txt""#),
            (r#""bad\9""#, r#""bad\9""#),
            (r#""cut\37""#, r#""cut\37""#),
            ("\"", "\""),
        ] {
            assert_eq!(unquoted(quoted), name);
        }
    }

    #[test]
    fn a_listing_with_a_gap_names_no_half_of_a_file() {
        let answer = "b\na\nhalf of a na\n[... 12 bytes left out ...]\nme of a file\nz\n";
        let expected = Files {
            names: ["a", "b", "z"].map(str::to_owned).to_vec(),
            more: true,
        };
        assert_eq!(files(answer, true), expected);
        let whole = files("[... 3 bytes left out ...]\na\n", false);
        assert_eq!((whole.names.len(), whole.more), (2, false));
    }

    #[test]
    fn the_sentences_about_conflicts_are_bounded() {
        let said = "Auto-merging a\nCONFLICT (content): a\n".repeat(23);
        let said = sentences(&said);
        assert_eq!((said.len(), said[20].as_str()), (21, "and 3 more"));
        assert!(sentences("Automatic merge failed").is_empty());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(answer in "[\"\\\\0-9a\n\\[\\]. é]{0,60}", truncated in any::<bool>()) {
            let _ = files(&answer, truncated);
        }
    }
}
