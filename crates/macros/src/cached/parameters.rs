//! The parameters of a cached function: how they are kept, and what they tell of the key.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, Ident, Pat, PatIdent, Receiver, Signature, Type, TypeReference};

use crate::tokens::{has_borrow, ungrouped};

/// A parameter that is not `self`.
pub(super) struct Parameter {
    pub(super) name: Ident,
    pub(super) ty: Type,
}

/// What a type borrows, as far as it can be seen.
pub(super) enum Borrows {
    /// Nothing, or for ever.
    Nothing,
    /// It is a plain reference to something that borrows nothing.
    All(Box<Type>),
    /// Somewhere inside.
    Within,
    Mutably,
}

/// The receiver and the parameters by name.
pub(super) fn of(signature: &Signature) -> syn::Result<(Option<&Receiver>, Vec<Parameter>)> {
    let mut receiver = None;
    let mut parameters = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(it) => receiver = Some(it),
            FnArg::Typed(it) => {
                let Pat::Ident(PatIdent {
                    by_ref: None,
                    subpat: None,
                    ident,
                    ..
                }) = &*it.pat
                else {
                    return Err(Error::new(
                        it.pat.span(),
                        "a parameter of a cached function needs a name: take it apart in the body",
                    ));
                };
                parameters.push(Parameter {
                    name: ident.clone(),
                    ty: ungrouped(&it.ty),
                });
            }
        }
    }
    Ok((receiver, parameters))
}

impl Parameter {
    /// The parameter as it is written before a body that does not change it.
    pub(super) fn declared(&self) -> TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        quote! { #name: #ty }
    }

    /// The type that can be kept in a key.
    pub(super) fn owned(&self) -> TokenStream {
        match self.borrows() {
            Borrows::All(of) => owned(&of),
            _ => self.ty.to_token_stream(),
        }
    }

    /// A copy of its own, from the parameter.
    pub(super) fn copied(&self) -> TokenStream {
        let name = &self.name;
        let span = self.ty.span().resolved_at(Span::mixed_site());
        match self.borrows() {
            Borrows::All(of) => quote_spanned! {span=>
                <#of as ::std::borrow::ToOwned>::to_owned(#name)
            },
            _ => quote_spanned! {span=> ::core::clone::Clone::clone(&#name) },
        }
    }

    pub(super) fn borrows(&self) -> Borrows {
        borrows(&self.ty)
    }
}

pub(super) fn borrows(ty: &Type) -> Borrows {
    match ty {
        Type::Reference(TypeReference {
            lifetime: Some(it), ..
        }) if it.ident == "static" => Borrows::Nothing,
        Type::Reference(TypeReference {
            mutability: Some(_),
            ..
        }) => Borrows::Mutably,
        Type::Reference(TypeReference { elem, .. }) if !has_borrow(elem.to_token_stream()) => {
            Borrows::All(Box::new(ungrouped(elem)))
        }
        _ if has_borrow(ty.to_token_stream()) => Borrows::Within,
        _ => Borrows::Nothing,
    }
}

/// The type in which a copy of this one is kept.
fn owned(of: &Type) -> TokenStream {
    let span = of.span().resolved_at(Span::mixed_site());
    match of {
        Type::Path(path) if path.path.is_ident("str") => {
            quote_spanned! {span=> ::std::string::String }
        }
        Type::Slice(slice) => {
            let elem = &slice.elem;
            quote_spanned! {span=> ::std::vec::Vec<#elem> }
        }
        _ => quote_spanned! {span=> <#of as ::std::borrow::ToOwned>::Owned },
    }
}
