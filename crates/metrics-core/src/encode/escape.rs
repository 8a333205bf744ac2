//! Names, label values and help texts as the exposition formats want them.

/// Appends `{a="x",b="y"}`, or nothing when there are no labels.
pub(crate) fn render_labels(
    out: &mut String,
    names: &[impl AsRef<str>],
    values: &[impl AsRef<str>],
) {
    let mut before = '{';
    for (name, value) in names.iter().zip(values) {
        out.push(before);
        before = ',';
        push_label_name(out, name.as_ref());
        out.push_str("=\"");
        push_escaped(out, value.as_ref(), true);
        out.push('"');
    }
    if before == ',' {
        out.push('}');
    }
}

/// Appends a metric name as it is exposed: every character that may not be in one, the dot above
/// all, becomes `_`.
pub(crate) fn push_name(out: &mut String, name: &str) {
    push_sanitized(out, name, |c| {
        c.is_ascii_alphanumeric() || c == '_' || c == ':'
    });
}

pub(crate) fn push_label_name(out: &mut String, name: &str) {
    push_sanitized(out, name, |c| c.is_ascii_alphanumeric() || c == '_');
}

fn push_sanitized(out: &mut String, name: &str, is_allowed: impl Fn(char) -> bool) {
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        out.push('_');
    }
    out.extend(name.chars().map(|c| if is_allowed(c) { c } else { '_' }));
}

/// Appends a text with backslashes and line feeds escaped, and double quotes if asked.
///
/// The formats have no escape for a NUL, and Prometheus takes one for the end of the page: it
/// becomes U+FFFD, so that one hostile value cannot hide the metrics after it.
pub(super) fn push_escaped(out: &mut String, text: &str, escape_quotes: bool) {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\n', '"', '\0']) {
        let (clean, special) = rest.split_at(at);
        out.push_str(clean);
        match special.as_bytes()[0] {
            b'\n' => out.push_str("\\n"),
            b'\0' => out.push('\u{fffd}'),
            b'"' if !escape_quotes => out.push('"'),
            b'"' => out.push_str("\\\""),
            _ => out.push_str("\\\\"),
        }
        rest = &special[1..];
    }
    out.push_str(rest);
}
