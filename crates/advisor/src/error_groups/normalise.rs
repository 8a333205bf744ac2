//! What messages have in common: the same text with numbers, quoted strings, paths, UUIDs and
//! hexadecimal numbers replaced. One pass, in linear time.

/// The longest prefix of at most `max` bytes that ends at the end of a character.
pub(super) fn truncate(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Replaces what differs between like messages: `<n>`, `<str>`, `<path>`, `<uuid>`, `<hex>`.
pub(super) fn normalise(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut quotes = Quotes::default();
    let mut rest = message;
    // Whether the text just before `rest` could be part of the same word.
    let mut in_word = false;
    while let Some(first) = rest.chars().next() {
        let found = match in_word {
            true => digits(rest).map(|len| ("<n>", len)),
            false => variable(rest, first, &mut quotes),
        };
        let len = match found {
            Some((name, len)) => {
                out.push_str(name);
                len
            }
            None => {
                out.push(first);
                first.len_utf8()
            }
        };
        // What follows digits within a word is still that word. Were it not, every letter between
        // two digits would look for the end of the word again.
        if found.is_none() {
            in_word = first.is_alphanumeric() || first == '_';
        }
        rest = &rest[len..];
    }
    out
}

/// Quotation marks that are known not to be closed, so that nobody looks for their end again.
#[derive(Default)]
struct Quotes {
    unclosed: Vec<char>,
}

/// The number of digits at the beginning, such as those of `worker12`; none when there are none.
fn digits(rest: &str) -> Option<usize> {
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    (len > 0).then_some(len)
}

/// What stands in for the beginning of `rest`, and how many bytes of it.
fn variable(rest: &str, first: char, quotes: &mut Quotes) -> Option<(&'static str, usize)> {
    match first {
        '"' | '\'' | '`' => quoted(rest, first, quotes).map(|len| ("<str>", len)),
        '/' | '\\' | '~' | '.' => path(rest).map(|len| ("<path>", len)),
        '+' | '-' | '0'..='9' | 'a'..='z' | 'A'..='Z' => word(rest),
        _ => None,
    }
}

/// The length of the quoted string at the beginning of `rest`.
fn quoted(rest: &str, mark: char, quotes: &mut Quotes) -> Option<usize> {
    if quotes.unclosed.contains(&mark) {
        return None;
    }
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == mark => return Some(at + 1),
            _ => {}
        }
    }
    quotes.unclosed.push(mark);
    None
}

/// The length of the path at the beginning of `rest`.
fn path(rest: &str) -> Option<usize> {
    let is_path = ["/", "~/", "./", "../", ".\\", "..\\", "\\\\"];
    let start = is_path.iter().find(|start| rest.starts_with(**start))?;
    let len = rest.find(ends_path).unwrap_or(rest.len());
    // A stop or a comma that ends the path ends the sentence.
    let len = rest[..len].trim_end_matches(['.', ',', ':', ';']).len();
    (len > start.len()).then_some(len)
}

fn ends_path(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '"' | '\'' | '`' | ')' | ']' | '}' | '>' | '<' | '|' | '='
        )
}

/// A number, a UUID, a hexadecimal number or a path with a drive at the beginning of `rest`.
fn word(rest: &str) -> Option<(&'static str, usize)> {
    let bytes = rest.as_bytes();
    if bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && bytes[2] == b'\\' {
        return Some(("<path>", rest.find(ends_path).unwrap_or(rest.len())));
    }
    if let Some(len) = uuid(bytes) {
        return Some(("<uuid>", len));
    }
    if let Some(digits) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let len = digits.len()
            - digits
                .trim_start_matches(|c: char| c.is_ascii_hexdigit())
                .len();
        return (len > 0).then_some(("<hex>", len + 2));
    }
    let hex = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let is_whole = !bytes.get(hex).is_some_and(|byte| is_word(*byte));
    let digits = bytes[..hex]
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .count();
    // Such as a commit; all letters could be a word, and all digits are a number.
    if hex >= 8 && is_whole && digits > 0 && digits < hex {
        return Some(("<hex>", hex));
    }
    number(bytes).map(|len| ("<n>", len))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The length of the UUID at the beginning.
fn uuid(bytes: &[u8]) -> Option<usize> {
    let uuid = bytes.get(..36)?;
    let is_uuid = uuid.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let ends = !bytes.get(36).is_some_and(|byte| is_word(*byte));
    (is_uuid && ends).then_some(36)
}

/// The length of the number at the beginning: a sign, digits with `.`, `,` or `_` between them,
/// and an exponent.
fn number(bytes: &[u8]) -> Option<usize> {
    let sign = usize::from(matches!(bytes[0], b'+' | b'-'));
    let mut len = sign;
    loop {
        let digits = bytes[len..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return None;
        }
        len += digits;
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        match bytes.get(len) {
            Some(b'.' | b',' | b'_') if is_digit(len + 1) => len += 1,
            Some(b'e' | b'E') if is_digit(len + 1) => len += 1,
            Some(b'e' | b'E')
                if matches!(bytes.get(len + 1), Some(b'+' | b'-')) && is_digit(len + 2) =>
            {
                len += 2;
            }
            _ => return Some(len),
        }
    }
}
