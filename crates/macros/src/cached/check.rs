//! What cannot be cached, and why.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Error, GenericParam, Receiver, ReceiverKind, ReturnType, Signature, Type, parse_quote};

use super::Expansion;
use super::key::changes;
use super::parameters::{Borrows, Parameter, borrows};
use crate::tokens::{mentions, ungrouped};

/// What no cached function can be.
pub(super) fn function(signature: &Signature) -> syn::Result<()> {
    let refuse = |span: Span, message: &str| Err(Error::new(span, message));
    if let Some(it) = &signature.constness {
        return refuse(
            it.span(),
            "a `const fn` cannot be cached: looking into a cache is not const",
        );
    }
    if !matches!(signature.safety, syn::Safety::Default) {
        return refuse(
            signature.safety.span(),
            "an `unsafe fn` cannot be cached: what its caller promised for one call would be taken \
             for granted in others",
        );
    }
    if let Some(it) = &signature.abi {
        return refuse(
            it.span(),
            "an `extern` function cannot be cached: cache a function that it calls",
        );
    }
    Ok(())
}

pub(super) fn parameters(
    signature: &Signature,
    receiver: Option<&Receiver>,
    parameters: &[Parameter],
) -> syn::Result<()> {
    if let Some(receiver) = receiver
        && is_mutable(receiver)
    {
        let name = receiver.self_token.into();
        return Err(Error::new(receiver.span(), changes(&name)));
    }
    for parameter in parameters {
        let Parameter { name, ty } = parameter;
        let message = match parameter.borrows() {
            Borrows::Mutably => changes(name),
            // A load goes on while anybody waits, even when the caller who started it has left.
            Borrows::Within if signature.asyncness.is_some() => format!(
                "`{name}` borrows from the caller, who may be gone before an async body is done: \
                 take it owned, or as a plain reference to something that can be cloned"
            ),
            _ => continue,
        };
        return Err(Error::new(ty.span(), message));
    }
    Ok(())
}

fn is_mutable(receiver: &Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
        ReceiverKind::Typed(_, ty) => matches!(borrows(ty), Borrows::Mutably),
        _ => false,
    }
}

/// The type that is returned.
pub(super) fn returned(output: &ReturnType) -> syn::Result<Type> {
    let ReturnType::Type(_, ty) = output else {
        return Ok(parse_quote! { () });
    };
    let ty = ungrouped(ty);
    let message = match &ty {
        Type::Never(_) => "a function that never returns has nothing to keep",
        ty if has_opaque(ty) => {
            "the type of a cached value needs a name: `impl Trait` has none, and a function that \
             returns a future is written as `async fn`"
        }
        ty if !matches!(borrows(ty), Borrows::Nothing) => {
            "a cached value outlives the call: it cannot borrow, return it owned or as an `Arc`"
        }
        _ => return Ok(ty),
    };
    Err(Error::new(ty.span(), message))
}

fn has_opaque(ty: &Type) -> bool {
    mentions(ty.to_token_stream(), &Ident::new("impl", Span::call_site()))
}

impl Expansion<'_> {
    /// A static belongs to one function only.
    pub(super) fn check_not_generic(&self) -> syn::Result<()> {
        let signature = &self.function.signature;
        let generic = signature.generics.params.iter().find_map(|it| match it {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(it) => Some(it.ident.span()),
            GenericParam::Const(it) => Some(it.ident.span()),
        });
        let opaque = self.parameters.iter().map(|it| &it.ty);
        let generic = generic.or_else(|| opaque.filter(|it| has_opaque(it)).map(Type::span).next());
        if let Some(span) = generic {
            return Err(Error::new(
                span,
                "a generic function cannot have a cache of its own, since it is many functions: \
                 cache one that is not generic, or give a cache by `cache = …`",
            ));
        }
        Ok(())
    }
}
