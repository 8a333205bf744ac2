//! The parameter that is filled with the value.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, GenericArgument, GenericParam, Ident, Pat, PatType, PathArguments,
    Signature, Type, TypePath,
};

use crate::tokens::{has_borrow, mentions, ungrouped};

/// The first parameter that is not `self`.
pub(super) struct Value {
    pub(super) pattern: Pat,
    pub(super) attributes: Vec<Attribute>,
    /// As it is written.
    pub(super) ty: Type,
    /// What the loader makes.
    pub(super) loaded: Type,
    pub(super) taken: Taken,
}

/// How the function takes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    ByReference,
    AsArc,
}

impl Value {
    /// Takes the parameter out of a signature.
    pub(super) fn take(signature: &mut Signature) -> syn::Result<Self> {
        let mut inputs: Vec<_> = std::mem::take(&mut signature.inputs).into_iter().collect();
        let at = inputs.iter().position(|it| matches!(it, FnArg::Typed(_)));
        let Some(at) = at else {
            return Err(Error::new(
                signature.ident.span(),
                "the first parameter is what is loaded, and there is none: `value: &Type`",
            ));
        };
        let FnArg::Typed(PatType { attrs, pat, ty, .. }) = inputs.remove(at) else {
            unreachable!("it was found as one");
        };
        signature.inputs = inputs.into_iter().collect();
        let (loaded, taken) = taken(&ty)?;
        check(&loaded, signature)?;
        Ok(Self {
            pattern: *pat,
            attributes: attrs,
            ty: *ty,
            loaded,
            taken,
        })
    }
}

/// What is behind a `&T` or an `Arc<T>`.
fn taken(written: &Type) -> syn::Result<(Type, Taken)> {
    let ty = ungrouped(written);
    let refuse = |message: &str| Err(Error::new(written.span(), message));
    match &ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            refuse("all calls share what is loaded: it cannot be changed, take it as `&T`")
        }
        Type::Reference(reference) if reference.lifetime.is_some() => refuse(
            "what is loaded is there until the function returns, and may be gone then: take it as \
             `&T`, or as `Arc<T>` to keep it",
        ),
        Type::Reference(reference) => Ok((ungrouped(&reference.elem), Taken::ByReference)),
        Type::Path(path) => match behind_arc(path) {
            Some(loaded) => Ok((ungrouped(loaded), Taken::AsArc)),
            None => refuse(EXPECTED),
        },
        _ => refuse(EXPECTED),
    }
}

const EXPECTED: &str =
    "the first parameter is what is loaded, which all calls share: take it as `&T` or `Arc<T>`";

fn behind_arc(path: &TypePath) -> Option<&Type> {
    let last = path.path.segments.last().filter(|it| it.ident == "Arc")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(loaded)) if arguments.args.len() == 1 => Some(loaded),
        _ => None,
    }
}

/// One value serves all calls, so its type is one.
fn check(loaded: &Type, signature: &Signature) -> syn::Result<()> {
    let tokens: TokenStream = loaded.to_token_stream();
    let refuse = |message: &str| Err(Error::new(loaded.span(), message));
    if has_borrow(tokens.clone()) {
        return refuse("what is loaded outlives every call: its type cannot borrow");
    }
    if mentions(
        tokens.clone(),
        &Ident::new("impl", proc_macro2::Span::call_site()),
    ) {
        return refuse("the type of what is loaded needs a name");
    }
    let generic = signature.generics.params.iter().find_map(|it| match it {
        GenericParam::Type(it) => Some(&it.ident),
        GenericParam::Const(it) => Some(&it.ident),
        GenericParam::Lifetime(_) => None,
    });
    match generic {
        Some(it) if mentions(tokens, it) => refuse(
            "one value is loaded for all calls: its type cannot depend on what the function is \
             generic over",
        ),
        _ => Ok(()),
    }
}
