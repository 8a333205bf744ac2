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

/// Whether a reference or a lifetime that is not `'static` stands in it.
pub(crate) fn has_borrow(tokens: TokenStream) -> bool {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) if has_borrow(group.stream()) => return true,
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                let is_static =
                    |it: &TokenTree| matches!(it, TokenTree::Ident(it) if it == "static");
                if !tokens.peek().is_some_and(is_static) {
                    return true;
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                let is_lifetime =
                    |it: &TokenTree| matches!(it, TokenTree::Punct(it) if it.as_char() == '\'');
                if !tokens.peek().is_some_and(is_lifetime) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Types that come out of another macro are wrapped.
pub(crate) fn ungrouped(ty: &Type) -> Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        ty => ty.clone(),
    }
}
