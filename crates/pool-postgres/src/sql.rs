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

/// Whether a text may leave a transaction open. Nothing but `BEGIN` and `START TRANSACTION` begins
/// one that outlives its statement. The words count wherever they stand, in a string too: a roll
/// back too many does no harm.
pub(crate) fn may_begin(text: &str) -> bool {
    contains_word(text, "BEGIN") || contains_word(text, "START")
}

/// Whether a text that succeeded leaves no transaction open: it is one of these words and no more.
pub(crate) fn surely_ends(text: &str) -> bool {
    let text = text.trim_matches(|it: char| it.is_ascii_whitespace() || it == ';');
    ["COMMIT", "ROLLBACK", "END", "ABORT"]
        .iter()
        .any(|it| text.eq_ignore_ascii_case(it))
}

/// Whether a text may take prepared statements away.
pub(crate) fn may_deallocate(text: &str) -> bool {
    contains_word(text, "DISCARD") && contains_word(text, "ALL")
        || contains_word(text, "DEALLOCATE")
}

fn contains_word(text: &str, word: &str) -> bool {
    let bytes = text.as_bytes();
    let is_part = |at: Option<&u8>| at.is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
    bytes.windows(word.len()).enumerate().any(|(at, window)| {
        window.eq_ignore_ascii_case(word.as_bytes())
            && !is_part(at.checked_sub(1).and_then(|it| bytes.get(it)))
            && !is_part(bytes.get(at + word.len()))
    })
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
            assert!(may_begin(text), "{text}");
        }
    }

    #[test]
    fn names_that_hold_the_words_begin_nothing() {
        for text in ["", "SELECT beginning, restart, begin_at FROM starts", "b"] {
            assert!(!may_begin(text), "{text}");
        }
    }

    #[test]
    fn only_a_whole_end_ends() {
        for text in ["COMMIT", " commit ; ", "ROLLBACK;", "end", "abort"] {
            assert!(surely_ends(text), "{text}");
        }
        for text in [
            "COMMIT AND CHAIN",
            "ROLLBACK TO a",
            "COMMIT; BEGIN",
            "ends",
            "",
        ] {
            assert!(!surely_ends(text), "{text}");
        }
    }

    #[test]
    fn what_takes_statements_away_is_seen() {
        assert!(may_deallocate("discard all"));
        assert!(may_deallocate("DEALLOCATE s1"));
        assert!(!may_deallocate("DISCARD TEMP"));
        assert!(!may_deallocate("SELECT all_discards FROM t"));
    }
}
