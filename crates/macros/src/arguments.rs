//! How the arguments of every attribute are read: `key = value`, each key once.

use proc_macro2::Span;
use syn::parse::ParseStream;
use syn::{Error, Token};

/// Reads the `=` after a key.
pub(crate) fn equals(input: ParseStream<'_>, key: &str, span: Span) -> syn::Result<()> {
    let equals = input.parse::<Token![=]>();
    equals.map_err(|_| Error::new(span, format!("`{key}` needs a value: `{key} = …`")))?;
    Ok(())
}

/// Keeps the value of a key that was not there before.
pub(crate) fn once<T>(slot: &mut Option<T>, value: T, key: &str, span: Span) -> syn::Result<()> {
    match slot.replace(value) {
        Some(_) => Err(Error::new(span, format!("`{key}` is given twice"))),
        None => Ok(()),
    }
}
