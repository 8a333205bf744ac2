//! Which results are kept, and as what.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericArgument, PathArguments, PathSegment, Type};

use super::Expansion;

/// Types that are no `Result` under another name, for all who know the standard library.
const PLAIN: [&str; 28] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
    "u64", "u128", "usize", "Arc", "BTreeMap", "BTreeSet", "Box", "Duration", "HashMap", "HashSet",
    "Option", "PathBuf", "String", "Vec", "VecDeque",
];

/// Which results a function keeps.
enum Kept {
    All,
    Ok,
    Some,
    /// All or what is `Ok`, as the type turns out to be.
    Asked,
}

impl Expansion<'_> {
    /// Which results are kept, as a constant in braces.
    pub(super) fn which(&self) -> TokenStream {
        let private = &self.private;
        match self.kept() {
            Kept::All => quote! { { #private::ALL } },
            Kept::Ok => quote! { { #private::OK } },
            Kept::Some => quote! { { #private::SOME } },
            Kept::Asked => {
                let returned = &self.returned;
                quote_spanned! {Span::mixed_site()=> {
                    use #private::ReturnsAnything as _;
                    #private::Returns::<#returned>::KEPT
                } }
            }
        }
    }

    /// The type of what is kept; by its name where it has been seen, since it is shown to people.
    pub(super) fn value(&self) -> TokenStream {
        let seen = match self.kept() {
            Kept::All => Some(self.returned.to_token_stream()),
            Kept::Ok => self.named("Result", 2),
            Kept::Some => self.named("Option", 1),
            Kept::Asked => None,
        };
        let private = &self.private;
        let returned = &self.returned;
        let which = self.which();
        let at = returned.span().resolved_at(Span::mixed_site());
        seen.unwrap_or_else(|| quote_spanned! {at=> <#returned as #private::Kept<#which>>::Value })
    }

    /// The first of so many types of a type of this name.
    fn named(&self, name: &str, count: usize) -> Option<TokenStream> {
        let segment = last(&self.returned).filter(|it| it.ident == name)?;
        let arguments = arguments(segment).filter(|it| it.len() == count)?;
        arguments.first().map(ToTokens::to_token_stream)
    }

    fn kept(&self) -> Kept {
        let result = self.arguments.result.as_ref().map(|it| it.value);
        if self.arguments.option.as_ref().is_some_and(|it| it.value) {
            return Kept::Some;
        }
        let name = last(&self.returned).map(|it| it.ident.to_string());
        let is_result = name.as_deref() == Some("Result");
        let is_plain = match &self.returned {
            Type::Path(_) => name.is_some_and(|it| PLAIN.contains(&&*it)),
            // Only a path leads to an alias.
            Type::Macro(_) => false,
            _ => true,
        };
        match result {
            Some(true) => Kept::Ok,
            Some(false) => Kept::All,
            None if is_plain => Kept::All,
            // So it is written where it has not been given another meaning.
            None if is_result && self.named("Result", 2).is_some() => Kept::Ok,
            // A type that may be generic cannot be asked.
            None if self.arguments.cache.is_some() && is_result => Kept::Ok,
            None if self.arguments.cache.is_some() => Kept::All,
            None => Kept::Asked,
        }
    }
}

/// The last name of a path.
fn last(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// What stands between the angle brackets, if that is types only.
fn arguments(segment: &PathSegment) -> Option<Vec<&Type>> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    let types = arguments.args.iter().map(|it| match it {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}
