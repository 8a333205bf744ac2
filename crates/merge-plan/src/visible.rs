//! Characters that nobody sees and that change what is seen around them.

/// True for control characters, for Unicode's line and paragraph separators, and for what changes the direction of text.
///
/// The last can make a name or a line read as another one.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
