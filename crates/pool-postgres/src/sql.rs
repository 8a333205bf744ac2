//! What the text of a statement says about the state that it leaves behind, and [`Sql`].

use tokio_postgres::{Statement, ToStatement};

mod private {
    pub trait Sealed {}

    impl Sealed for str {}
    impl Sealed for String {}
    impl Sealed for tokio_postgres::Statement {}
}

/// What can be run: a text, or a statement that was prepared on the same connection.
pub trait Sql: ToStatement + private::Sealed + Sync {
    /// The text, where it is known.
    #[doc(hidden)]
    fn text(&self) -> Option<&str>;
}

impl Sql for str {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl Sql for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl Sql for Statement {
    fn text(&self) -> Option<&str> {
        None
    }
}

/// What a text may leave behind, read off its words in one pass.
///
/// The words count wherever they stand, in a string too: a roll back too many does no harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leaves {
    /// A transaction. Nothing but `BEGIN` and `START TRANSACTION` begins one that outlives its
    /// statement.
    pub(crate) transaction: bool,
    /// No transaction, if it succeeds: it is one word that ends one, and no more.
    pub(crate) none_surely: bool,
    /// Fewer prepared statements.
    pub(crate) fewer_statements: bool,
}

impl Leaves {
    pub(crate) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut leaves = Self {
            none_surely: is_an_end(text),
            ..Self::default()
        };
        let mut is_in_word = false;
        for (at, byte) in bytes.iter().enumerate() {
            let begins_word = !is_in_word;
            is_in_word = is_word(*byte);
            if !begins_word {
                continue;
            }
            match byte.to_ascii_uppercase() {
                b'B' => leaves.transaction |= stands_at(bytes, at, b"BEGIN"),
                b'S' => leaves.transaction |= stands_at(bytes, at, b"START"),
                b'D' => {
                    leaves.fewer_statements |=
                        stands_at(bytes, at, b"DEALLOCATE") || discards_all(bytes, at);
                }
                _ => {}
            }
        }
        leaves
    }
}

fn is_an_end(text: &str) -> bool {
    let text = text.trim_matches(|it: char| it.is_ascii_whitespace() || it == ';');
    ["COMMIT", "ROLLBACK", "END", "ABORT"]
        .iter()
        .any(|it| text.eq_ignore_ascii_case(it))
}

/// `DISCARD` with anything after it but what keeps statements.
fn discards_all(bytes: &[u8], at: usize) -> bool {
    const WORD: &[u8] = b"DISCARD";
    let rest = bytes.get(at + WORD.len()..).unwrap_or_default();
    let what = rest.trim_ascii_start();
    let keeps: [&[u8]; 4] = [b"TEMP", b"TEMPORARY", b"SEQUENCES", b"PLANS"];
    stands_at(bytes, at, WORD) && !keeps.iter().any(|it| stands_at(what, 0, it))
}

fn stands_at(bytes: &[u8], at: usize, word: &[u8]) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let next = rest.get(word.len());
    rest.get(..word.len())
        .is_some_and(|it| it.eq_ignore_ascii_case(word))
        && !next.is_some_and(|it| is_word(*it))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_may_begin_a_transaction_is_seen() {
        for text in [
            "BEGIN",
            "begin;",
            "select 1;begin",
            "/* now */ Begin isolation level serializable",
            "START TRANSACTION READ ONLY",
            "select 1;\nstart\ttransaction",
            "COMMIT; BEGIN",
        ] {
            assert!(Leaves::of(text).transaction, "{text}");
        }
    }

    #[test]
    fn names_that_hold_the_words_begin_nothing() {
        for text in ["", "SELECT beginning, restart, begin_at FROM starts", "b"] {
            assert_eq!(Leaves::of(text), Leaves::default(), "{text}");
        }
    }

    #[test]
    fn only_a_whole_end_ends() {
        for text in ["COMMIT", " commit ; ", "ROLLBACK;", "end", "abort"] {
            assert!(Leaves::of(text).none_surely, "{text}");
        }
        for text in [
            "COMMIT AND CHAIN",
            "ROLLBACK TO a",
            "COMMIT; BEGIN",
            "ends",
            "",
        ] {
            assert!(!Leaves::of(text).none_surely, "{text}");
        }
    }

    #[test]
    fn what_takes_statements_away_is_seen() {
        for text in [
            "discard all",
            "DISCARD /* */ ALL",
            "select 1; DEALLOCATE s1",
        ] {
            assert!(Leaves::of(text).fewer_statements, "{text}");
        }
        for text in [
            "SELECT all_discards, discarded FROM t",
            "CLOSE ALL; discard temp;DISCARD\nSEQUENCES",
            "d",
            "",
        ] {
            assert!(!Leaves::of(text).fewer_statements, "{text}");
        }
    }
}
