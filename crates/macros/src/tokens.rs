//! What can be told of tokens and types without knowing what they mean.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::Type;

/// Whether a word stands anywhere in these tokens, the names in format strings included.
pub(crate) fn mentions(tokens: TokenStream, word: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), word),
        TokenTree::Ident(ident) => ident == *word,
        TokenTree::Literal(literal) => literal.to_string().contains(&format!("{{{word}")),
        TokenTree::Punct(_) => false,
    })
}

/// Types that come out of another macro are wrapped.
pub(crate) fn ungrouped(ty: &Type) -> Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        ty => ty.clone(),
    }
}
