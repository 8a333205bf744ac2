//! Strings as YAML scalars.

use std::fmt::Write;

/// A double-quoted scalar: every string has one, and it reads back as the same string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Line ends of YAML that are none elsewhere, the mark of the byte order, and what is
            // not printable.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c if matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff) => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_is_not_printable_is_escaped() {
        for (text, scalar) in [
            ("", r#""""#),
            ("a: [b] # c", r#""a: [b] # c""#),
            ("\"\\\n\t", r#""\"\\\n\t""#),
            ("\0\r\u{7f}\u{85}", r#""\u0000\u000d\u007f\u0085""#),
            ("\u{2028}\u{2029}\u{feff}", r#""\u2028\u2029\ufeff""#),
            ("\u{ffff}\u{1fffe}", r#""\U0000ffff\U0001fffe""#),
            ("日本 {{ $x }}", r#""日本 {{ $x }}""#),
        ] {
            assert_eq!(quoted(text), scalar);
        }
    }
}
