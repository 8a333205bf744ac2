//! The name of the type that stands beside a function, for what the function keeps.

use proc_macro2::{Ident, Span};
use syn::Error;

use crate::arguments::Handle;

/// Names that are types everywhere.
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16",
    "u32", "u64", "u128", "usize",
];

/// The name that was given, or the function's: types and functions of one name do not meet, since
/// they live in different namespaces.
pub(crate) fn handle_name(function: &Ident, given: Option<&Handle>) -> syn::Result<Ident> {
    if let Some(handle) = given {
        return Ok(handle.name.clone());
    }
    if PRIMITIVES.iter().any(|it| function == it) {
        // It would hide the type from everything around.
        let message = format!(
            "a handle that is named `{function}` would hide the type `{function}`: `handle = Name`"
        );
        return Err(Error::new(function.span(), message));
    }
    let mut handle = function.clone();
    handle.set_span(Span::mixed_site().located_at(handle.span()));
    Ok(handle)
}
