//! What a function returns, as far as its signature shows.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    GenericArgument, PathArguments, PathSegment, ReturnType, Type, TypeParamBound, parse_quote,
};

/// Each kind holds the type with every `impl Trait` in it left to inference.
pub(super) enum Returned {
    /// `!`: nothing comes of it that could end well or badly.
    Never,
    Value(Type),
    /// `impl Future`.
    Future(Type),
    /// `Pin<Box<dyn Future>>`.
    BoxedFuture(Type),
}

impl Returned {
    pub(super) fn of(output: &ReturnType) -> Self {
        let ReturnType::Type(_, written) = output else {
            return Self::Value(parse_quote! { () });
        };
        let mut inferred = (**written).clone();
        // Types that come out of another macro are wrapped.
        while let Type::Group(syn::TypeGroup { elem, .. })
        | Type::Paren(syn::TypeParen { elem, .. }) = inferred
        {
            inferred = *elem;
        }
        let kind = match &inferred {
            Type::Never(_) => return Self::Never,
            Type::ImplTrait(opaque) if has_future(&opaque.bounds) => Self::Future,
            Type::Path(path) if is_boxed_future(path) => Self::BoxedFuture,
            _ => Self::Value,
        };
        infer_opaque(&mut inferred);
        kind(inferred)
    }

    /// The return type of a closure that runs the body.
    pub(super) fn arrow(&self) -> TokenStream {
        match self {
            Self::Never => quote_spanned! {Span::mixed_site()=> -> ! },
            Self::Value(it) | Self::Future(it) | Self::BoxedFuture(it) => {
                quote_spanned! {it.span()=> -> #it }
            }
        }
    }

    /// A statement that tells an async block its type, which cannot be written down otherwise, so
    /// that `?` knows what to turn errors into. It needs no lint to be allowed, which a user may have
    /// forbidden.
    pub(super) fn hint(&self, private: &syn::Path) -> TokenStream {
        let output = match self {
            Self::Never => return TokenStream::new(),
            Self::Value(it) | Self::Future(it) | Self::BoxedFuture(it) => it,
        };
        if matches!(output, Type::Infer(_)) {
            return TokenStream::new();
        }
        // Mistakes are shown at the type.
        let span = output.span().resolved_at(Span::mixed_site());
        let private = private.to_token_stream().into_iter().map(|mut token| {
            token.set_span(span.resolved_at(token.span()));
            token
        });
        let private: TokenStream = private.collect();
        quote_spanned! {span=>
            if false {
                return #private::never_called::<#output>();
            }
        }
    }
}

fn has_future<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> bool {
    bounds.into_iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => last(&bound.path).is_some_and(|it| it.ident == "Future"),
        _ => false,
    })
}

fn is_boxed_future(path: &syn::TypePath) -> bool {
    let boxed = last(&path.path)
        .filter(|it| it.ident == "Pin")
        .and_then(argument);
    let Some(Type::Path(boxed)) = boxed else {
        return false;
    };
    let object = last(&boxed.path)
        .filter(|it| it.ident == "Box")
        .and_then(argument);
    matches!(object, Some(Type::TraitObject(object)) if has_future(&object.bounds))
}

fn last(path: &syn::Path) -> Option<&PathSegment> {
    path.segments.last()
}

/// The only type between the angle brackets.
fn argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(argument)) if arguments.args.len() == 1 => Some(argument),
        _ => None,
    }
}

/// Puts `_` where `impl Trait` stands, which may not stand in a closure.
fn infer_opaque(ty: &mut Type) {
    match ty {
        Type::ImplTrait(opaque) => {
            let inferred = quote_spanned! {opaque.span()=> _ };
            *ty = parse_quote! { #inferred };
        }
        Type::Array(array) => infer_opaque(&mut array.elem),
        Type::Group(group) => infer_opaque(&mut group.elem),
        Type::Paren(paren) => infer_opaque(&mut paren.elem),
        Type::Reference(reference) => infer_opaque(&mut reference.elem),
        Type::Slice(slice) => infer_opaque(&mut slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(infer_opaque),
        Type::Ptr(pointer) => infer_opaque(&mut pointer.elem),
        Type::Path(path) => infer_opaque_arguments(&mut path.path),
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    infer_opaque_arguments(&mut bound.path);
                }
            }
        }
        _ => {}
    }
}

fn infer_opaque_arguments(path: &mut syn::Path) {
    for segment in &mut path.segments {
        if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
            for argument in &mut arguments.args {
                match argument {
                    GenericArgument::Type(it) => infer_opaque(it),
                    GenericArgument::AssocType(it) => infer_opaque(&mut it.ty),
                    _ => {}
                }
            }
        }
    }
}
