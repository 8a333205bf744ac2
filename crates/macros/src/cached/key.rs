//! By what the results of a function are told apart.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprPath, Ident};

use super::arguments::WrittenKey;
use super::parameters::{Borrows, Parameter};
use crate::tokens::mentions;

/// As many as the tuples have that can be compared and hashed.
const MOST: usize = 12;

pub(super) struct Key<'a> {
    pub(super) ty: TokenStream,
    /// The types it is made of, and where they are written.
    pub(super) parts: Vec<(Span, TokenStream)>,
    /// Makes the key while the parameters are still needed.
    pub(super) value: TokenStream,
    /// The parameter that the key is looked up by and made of on a miss only, a reference.
    pub(super) by_ref: Option<&'a Parameter>,
    /// The parameters it is made of.
    pub(super) made_of: Vec<&'a Parameter>,
}

impl<'a> Key<'a> {
    /// The key that was written, or all parameters.
    pub(super) fn of(
        written: Option<&WrittenKey>,
        parameters: &'a [Parameter],
        function: &Ident,
    ) -> syn::Result<Self> {
        let Some(WrittenKey { ty, value }) = written else {
            return Self::tuple(parameters.iter().collect(), function.span());
        };
        let Some(ty) = ty else {
            let Some(names) = names(value) else {
                return Err(unknown_type(value));
            };
            let known = |name: &Ident| {
                let known = parameters.iter().find(|it| it.name == *name);
                known.ok_or_else(|| {
                    Error::new(
                        name.span(),
                        format!("`{name}` is not a parameter of `{function}`"),
                    )
                })
            };
            let made_of = names.iter().map(known).collect::<syn::Result<_>>()?;
            return Self::tuple(made_of, value.span());
        };
        let tokens = value.to_token_stream();
        let span = value.span().resolved_at(Span::mixed_site());
        Ok(Self {
            ty: ty.to_token_stream(),
            parts: vec![(
                ty.span().resolved_at(Span::mixed_site()),
                ty.to_token_stream(),
            )],
            // In a closure it can neither return from the function nor await.
            value: quote_spanned! {span=> (|| -> #ty { #value })() },
            by_ref: None,
            made_of: parameters
                .iter()
                .filter(|it| mentions(tokens.clone(), &it.name))
                .collect(),
        })
    }

    fn tuple(made_of: Vec<&'a Parameter>, span: Span) -> syn::Result<Self> {
        if made_of.len() > MOST {
            return Err(Error::new(
                span,
                format!(
                    "a key is made of {} parameters: expected at most {MOST}, named by \
                     `key = (a, b)`, or a key of another type, `key: Type = …`",
                    made_of.len()
                ),
            ));
        }
        for parameter in &made_of {
            let name = &parameter.name;
            let message = match parameter.borrows() {
                Borrows::Nothing | Borrows::All(_) => continue,
                Borrows::Within => format!(
                    "`{name}` borrows, and a key outlives the call: name other parameters by \
                     `key = (a, b)`, or make a key that is owned, `key: Type = …`"
                ),
                Borrows::Mutably => changes(name),
            };
            return Err(Error::new(parameter.ty.span(), message));
        }
        let mut types = made_of.iter().map(|it| it.owned());
        let mut values = made_of.iter().map(|it| it.copied());
        let (ty, value) = match (types.next(), values.next(), made_of.len()) {
            (Some(ty), Some(value), 1) => (ty, value),
            (ty, value, _) => {
                let (ty, value) = (ty.into_iter(), value.into_iter());
                (
                    quote! { (#(#ty,)* #(#types,)*) },
                    quote! { (#(#value,)* #(#values,)*) },
                )
            }
        };
        let by_ref = match made_of[..] {
            [it] if matches!(it.borrows(), Borrows::All(_)) => Some(it),
            _ => None,
        };
        let parts = made_of.iter();
        let parts = parts.map(|it| (it.ty.span().resolved_at(Span::mixed_site()), it.owned()));
        Ok(Self {
            ty,
            parts: parts.collect(),
            value,
            by_ref,
            made_of,
        })
    }
}

/// Why no `&mut` may be given to a cached function.
pub(super) fn changes(name: &Ident) -> String {
    format!("`{name}` can be changed by the body, which does not run where the answer is cached")
}

/// A parameter, or several between parentheses.
fn names(value: &Expr) -> Option<Vec<Ident>> {
    let name = |it: &Expr| match it {
        Expr::Path(ExprPath {
            attrs,
            qself: None,
            path,
        }) if attrs.is_empty() => path.get_ident().cloned(),
        _ => None,
    };
    match value {
        Expr::Tuple(tuple) => tuple.elems.iter().map(name).collect(),
        Expr::Paren(paren) => names(&paren.expr),
        Expr::Group(group) => names(&group.expr),
        value => Some(vec![name(value)?]),
    }
}

fn unknown_type(value: &Expr) -> Error {
    Error::new(
        value.span(),
        "the type of this key cannot be seen: write `key: Type = …`, or name parameters, \
         `key = (a, b)`",
    )
}
