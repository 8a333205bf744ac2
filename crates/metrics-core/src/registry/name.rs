//! The rules for names of metrics and labels, and which names a metric takes in the exposition.

use crate::encode::push_name;
use crate::error::RegisterError;
use crate::kind::Kind;

/// The longest name of a metric or a label, in bytes.
const MAX_NAME: usize = 255;

/// The most labels of a metric.
const MAX_LABELS: usize = 32;

pub(crate) fn check_name(name: &str, kind: Kind) -> Result<(), RegisterError> {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    let is_later = |byte: u8| is_first(byte) || byte.is_ascii_digit() || byte == b'.';
    let bytes = name.as_bytes();
    let is_valid = bytes.len() <= MAX_NAME
        && bytes.first().is_some_and(|byte| is_first(*byte))
        && bytes.iter().all(|byte| is_later(*byte))
        // A counter's family is called by what comes before the suffix.
        && (kind != Kind::Counter || name != "_total");
    if is_valid {
        return Ok(());
    }
    Err(RegisterError::InvalidName {
        name: shortened(name),
        max: MAX_NAME,
    })
}

/// Checks the labels of a metric. `own` are those that the kind of metric adds by itself.
pub(crate) fn check_labels(
    name: &str,
    labels: &[String],
    own: &[&str],
) -> Result<(), RegisterError> {
    if labels.len() > MAX_LABELS {
        return Err(RegisterError::TooManyLabels {
            name: name.to_owned(),
            count: labels.len(),
            max: MAX_LABELS,
        });
    }
    for (position, label) in labels.iter().enumerate() {
        let (name, bytes) = (name.to_owned(), label.as_bytes());
        let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let is_valid = bytes.len() <= MAX_NAME
            && bytes.first().is_some_and(|byte| is_first(*byte))
            && bytes
                .iter()
                .all(|byte| is_first(*byte) || byte.is_ascii_digit());
        if !is_valid {
            return Err(RegisterError::InvalidLabel {
                name,
                label: shortened(label),
                max: MAX_NAME,
            });
        }
        let label = label.clone();
        let is_reserved = label.starts_with("__") || label == "le" || label == "quantile";
        if is_reserved || own.contains(&label.as_str()) {
            return Err(RegisterError::ReservedLabel { name, label });
        }
        if labels[..position].contains(&label) {
            return Err(RegisterError::DuplicateLabel { name, label });
        }
    }
    Ok(())
}

/// The family name in the exposition, as a page shows it: dots are not allowed there, nor what a
/// snapshot made by hand may have besides.
pub(crate) fn exposed(name: &str) -> String {
    let mut exposed = String::new();
    push_name(&mut exposed, name);
    exposed
}

/// All names that a metric takes in the exposition.
pub(crate) fn claims(name: &str, kind: Kind) -> Vec<String> {
    let name = exposed(name);
    let (base, suffixes): (&str, &[&str]) = match kind {
        Kind::Counter => {
            let base = name.strip_suffix("_total").unwrap_or(&name);
            (base, &["", "_total", "_created"])
        }
        Kind::Gauge => (&name, &[""]),
        Kind::Histogram => (&name, &["", "_bucket", "_sum", "_count", "_created"]),
        Kind::Summary => (&name, &["", "_sum", "_count", "_created"]),
    };
    let claimed = suffixes.iter().map(|suffix| format!("{base}{suffix}"));
    claimed.collect()
}

/// What an error message shows of a name of any length.
fn shortened(name: &str) -> String {
    let mut end = name.len().min(64);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    if end == name.len() {
        return name.to_owned();
    }
    format!("{}…", &name[..end])
}
