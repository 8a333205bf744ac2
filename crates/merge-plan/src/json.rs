//! JSON text as this crate writes it: indented, keys in the order of the types, a newline at the end.

use serde::Serialize;

/// `value` as text.
pub(crate) fn pretty<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value)
        .expect("these types have string keys and no failing serializer");
    text.push('\n');
    text
}
