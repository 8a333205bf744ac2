//! How the arguments of every attribute are read: `key = value`, each key once.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, Token};

use crate::duration;

/// An expression and the word it was given for.
pub(crate) struct Setting {
    pub(crate) word: Ident,
    pub(crate) value: TokenStream,
}

/// How long something is kept.
pub(crate) enum Ttl {
    Forever(Ident),
    For(Setting),
}

/// The name of the type that stands beside a function.
pub(crate) struct Handle {
    pub(crate) word: Ident,
    pub(crate) name: Ident,
}

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

/// Reads an expression.
pub(crate) fn expression(
    input: ParseStream<'_>,
    name: &str,
    span: Span,
) -> syn::Result<TokenStream> {
    equals(input, name, span)?;
    let value: Expr = input.parse()?;
    Ok(quote! { #value })
}

/// Reads how long something is kept.
pub(crate) fn ttl(input: ParseStream<'_>, word: Ident) -> syn::Result<Ttl> {
    if let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = ungrouped(input.fork().parse()?)
        && text.value() == "forever"
    {
        input.parse::<Expr>()?;
        return Ok(Ttl::Forever(word));
    }
    let value = time(input, "ttl")?;
    Ok(Ttl::For(Setting { word, value }))
}

/// A literal is read here, anything else is an expression of type `Duration`.
pub(crate) fn time(input: ParseStream<'_>, name: &str) -> syn::Result<TokenStream> {
    let value = ungrouped(input.parse()?);
    let Expr::Lit(ExprLit { lit, .. }) = &value else {
        let span = value.span().resolved_at(Span::mixed_site());
        return Ok(quote::quote_spanned! {span=>
            ::core::convert::identity::<::core::time::Duration>(#value)
        });
    };
    let forever = if name == "ttl" {
        ", or \"forever\""
    } else {
        ""
    };
    let refused = |given: &str| {
        let message = format!(
            "`{name}` is {given}: expected a time from \"1ms\" to \"365d\", such as \"250ms\", \
             \"30s\" or \"1h30m\"{forever}, or an expression of type `Duration`"
        );
        Error::new(lit.span(), message)
    };
    let Lit::Str(text) = lit else {
        return Err(refused(&format!("`{}`", quote! { #lit })));
    };
    let time =
        duration::parse(&text.value()).ok_or_else(|| refused(&format!("{:?}", text.value())))?;
    let (seconds, nanos) = (time.as_secs(), time.subsec_nanos());
    Ok(quote! { ::core::time::Duration::new(#seconds, #nanos) })
}

/// What comes out of another macro is wrapped.
pub(crate) fn ungrouped(value: Expr) -> Expr {
    match value {
        Expr::Group(group) => ungrouped(*group.expr),
        value => value,
    }
}
