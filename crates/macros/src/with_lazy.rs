//! `#[with_lazy]`: from a function to the same function without its first parameter, which is loaded.

mod arguments;
mod value;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Error, FnArg, Signature, parse_quote, parse_quote_spanned};

use self::arguments::{Arguments, Source};
use self::value::{Taken, Value};
use crate::arguments::{Setting, Ttl};
use crate::function::Function;
use crate::handle_name::handle_name;

/// The function that loads its first parameter; on a mistake the function as it was, and the mistake.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function =
        |input: ParseStream<'_>| Function::parse(input, "with_lazy", "given a lazy value");
    let expanded = function.parse2(item.clone()).and_then(|function| {
        let arguments = syn::parse2::<Arguments>(arguments)?;
        check(&function.signature)?;
        let mut signature = function.signature.clone();
        let value = Value::take(&mut signature)?;
        let expansion = Expansion {
            private: arguments.private(),
            arguments: &arguments,
            function: &function,
            signature,
            value,
        };
        match &arguments.source {
            Source::Loader(loader) => expansion.with_own(loader),
            Source::Lazy(lazy) => {
                let here = lazy.span().resolved_at(Span::mixed_site());
                Ok(expansion.loading(&quote_spanned! {here=> &#lazy }))
            }
        }
    });
    expanded.unwrap_or_else(|mistake| {
        let mistake = mistake.into_compile_error();
        quote! { #mistake #item }
    })
}

fn check(signature: &Signature) -> syn::Result<()> {
    match &signature.constness {
        Some(constness) => Err(Error::new(
            constness.span(),
            "a `const fn` cannot load anything",
        )),
        None => Ok(()),
    }
}

struct Expansion<'a> {
    arguments: &'a Arguments,
    function: &'a Function,
    /// Without the parameter that is loaded.
    signature: Signature,
    value: Value,
    private: syn::Path,
}

impl Expansion<'_> {
    /// With a value of the function's own, and a type of the function's name to reach it.
    fn with_own(&self, loader: &TokenStream) -> syn::Result<TokenStream> {
        let receiver = self.signature.inputs.first();
        if let Some(FnArg::Receiver(receiver)) = receiver {
            return Err(Error::new(
                receiver.span(),
                "a method needs a value that lives in `self`, so that each instance has its own: \
                 `#[with_lazy(lazy = self.field)]`",
            ));
        }
        let handle = handle_name(&self.signature.ident, self.arguments.handle.as_ref())?;
        let private = &self.private;
        let here = Span::mixed_site();
        let function = self.loading(&quote_spanned! {here=> #private::lazy::<#handle>() });
        let handle = self.handle(&handle, loader);
        Ok(quote! { #function #handle })
    }

    /// The function as callers see it, with the value from there.
    fn loading(&self, lazy: &TokenStream) -> TokenStream {
        let here = Span::mixed_site();
        let private = &self.private;
        let is_async = self.signature.asyncness.is_some();
        let wait = is_async.then(|| quote_spanned! {here=> .await });
        let [loaded, value, error] = ["loaded", "value", "error"].map(|it| Ident::new(it, here));
        let entry = match (self.arguments.error.is_some(), is_async) {
            (false, true) => "get",
            (false, false) => "get_sync",
            (true, true) => "try_get",
            (true, false) => "try_get_sync",
        };
        let entry = Ident::new(entry, here);
        let ty_of_value = &self.value.loaded;
        let at = ty_of_value.span().resolved_at(here);
        let get = match &self.arguments.error {
            None => quote_spanned! {at=> #private::#entry::<#ty_of_value>(#lazy)#wait },
            Some(fails_with) => {
                let returned = match &self.signature.output {
                    syn::ReturnType::Default => here,
                    syn::ReturnType::Type(_, ty) => ty.span().resolved_at(here),
                };
                // A mistake is shown at the type that is returned.
                let fail = shown_at(returned, &parse_quote! { #private::fail });
                let fail = quote_spanned! {here=> #fail(#error) };
                quote_spanned! {at=>
                    match #private::#entry::<#ty_of_value, #fails_with>(#lazy)#wait {
                        ::core::result::Result::Ok(#value) => #value,
                        ::core::result::Result::Err(#error) => return #fail,
                    }
                }
            }
        };
        let Value {
            pattern,
            attributes: value_attributes,
            ty,
            taken,
            ..
        } = &self.value;
        let bound = match taken {
            Taken::ByReference => quote_spanned! {here=> &*#loaded },
            Taken::AsArc => quote_spanned! {here=> #private::IntoArc::into_arc(#loaded) },
        };
        let body = self.function.body_after(quote_spanned! {here=>
            let #loaded = #get;
            #(#value_attributes)*
            let #pattern: #ty = #bound;
        });
        let attributes = &self.function.attributes;
        let body_attributes = &self.function.body_attributes;
        let visibility = &self.function.visibility;
        let signature = &self.signature;
        quote_spanned! {here=>
            #(#attributes)*
            #(#body_attributes)*
            #visibility #signature #body
        }
    }

    /// The type that stands for the value.
    fn handle(&self, handle: &Ident, loader: &TokenStream) -> TokenStream {
        let here = Span::mixed_site();
        let private = &self.private;
        let visibility = &self.function.visibility;
        let name = &self.signature.ident;
        let value = &self.value.loaded;
        let error = match &self.arguments.error {
            Some(error) => error.to_token_stream(),
            None => quote! { ::core::convert::Infallible },
        };
        let build = match (self.arguments.error.is_some(), &self.signature.asyncness) {
            (false, Some(_)) => "build",
            (false, None) => "build_sync",
            (true, Some(_)) => "build_fallible",
            (true, None) => "build_fallible_sync",
        };
        let at_loader = loader.span().resolved_at(here);
        let build = Ident::new(build, at_loader);
        let build = quote_spanned! {at_loader=> builder.#build(#loader) };
        let settings = self.settings();
        let cfgs: Vec<_> = (self.function.attributes.iter())
            .filter(|it| it.path().is_ident("cfg"))
            .collect();
        let doc = format!("What [`{name}`](fn@{name}) loads.");
        quote_spanned! {here=>
            #(#cfgs)*
            #[doc = #doc]
            #[derive(Debug)]
            #visibility enum #handle {}

            #(#cfgs)*
            #[doc(hidden)]
            impl #private::Function for #handle {
                type Value = #value;
                type Error = #error;

                fn site() -> &'static #private::Site<#value, #error> {
                    static SITE: #private::Site<#value, #error> =
                        #private::Site::new(|builder| #settings, |builder| #build);
                    &SITE
                }
            }

            #(#cfgs)*
            impl #handle {
                /// The lazy value itself, with everything that one can do.
                #visibility fn lazy() -> &'static #private::Lazy<#value, #error> {
                    #private::lazy::<Self>()
                }

                /// Whether there is a value whose time is not over.
                #visibility fn is_loaded() -> bool {
                    #private::lazy::<Self>().is_loaded()
                }

                /// Takes the value away and returns it; the next call loads anew.
                #visibility fn reset() -> ::core::option::Option<::std::sync::Arc<#value>> {
                    #private::lazy::<Self>().reset()
                }

                /// Why the settings were refused, if they were. Then every call loads.
                #visibility fn config_error() -> ::core::option::Option<&'static #private::ConfigError> {
                    #private::config_error::<Self>()
                }
            }
        }
    }

    /// What is done to the builder.
    fn settings(&self) -> TokenStream {
        let here = Span::mixed_site();
        let private = &self.private;
        let mut settings = quote_spanned! {here=> builder };
        if let Some(Ttl::For(Setting { value, .. })) = &self.arguments.ttl {
            settings.extend(quote_spanned! {here=> .time_to_live(#value) });
        }
        match &self.arguments.configure {
            None => settings,
            Some(Setting { value, .. }) => {
                let span = value.span().resolved_at(here);
                quote_spanned! {span=> #private::configure(#settings, #value) }
            }
        }
    }
}

/// A path about which the compiler complains there.
fn shown_at(span: Span, path: &syn::Path) -> TokenStream {
    let tokens = path.to_token_stream().into_iter().map(|mut token| {
        token.set_span(span.resolved_at(token.span()));
        token
    });
    tokens.collect()
}

impl Arguments {
    /// Where the entry points of expansions lie.
    fn private(&self) -> syn::Path {
        let base = self
            .base
            .clone()
            .unwrap_or_else(|| parse_quote! { ::brolly_lazy });
        parse_quote_spanned! {base.span()=> #base::__macros }
    }
}
