//! The type that stands beside a function for its cache.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::Expansion;
use super::key::Key;
use super::parameters::Borrows;
use crate::arguments::{Setting, Ttl};

impl Expansion<'_> {
    /// The type that stands for the cache.
    pub(super) fn handle(&self, handle: &Ident) -> TokenStream {
        let here = Span::mixed_site();
        let private = &self.private;
        let visibility = &self.function.visibility;
        let name = &self.function.signature.ident;
        let Key {
            ty, value, made_of, ..
        } = &self.key;
        let at = self.returned.span().resolved_at(here);
        let kept = self.value();
        let cfgs: Vec<_> = (self.function.attributes.iter())
            .filter(|it| it.path().is_ident("cfg"))
            .collect();
        let settings = self.settings();
        // Asked for themselves, so that the one that will not do is shown.
        let parts = self.key.parts.iter();
        let parts =
            parts.map(|(span, part)| quote_spanned! {*span=> #private::is_key::<#part>(); });
        let value_check = quote_spanned! {at=> #private::is_value::<#kept>(); };
        let parameters = made_of.iter().map(|it| match it.borrows() {
            Borrows::All(of) => {
                let name = &it.name;
                quote! { #name: &#of }
            }
            _ => it.declared(),
        });
        let doc = format!("The cache of [`{name}`](fn@{name}).");
        quote_spanned! {here=>
            #(#cfgs)*
            #[doc = #doc]
            #[derive(Debug)]
            #visibility enum #handle {}

            #(#cfgs)*
            #[doc(hidden)]
            impl #private::Function for #handle {
                type Key = #ty;
                type Value = #kept;

                fn site() -> &'static #private::Site<#ty, #kept> {
                    static SITE: #private::Site<#ty, #kept> =
                        #private::Site::new(|builder| #settings);
                    &SITE
                }
            }

            #(#cfgs)*
            impl #handle {
                /// The cache itself, with everything that a cache can do.
                #visibility fn cache() -> &'static #private::Cache<#ty, #kept> {
                    #private::cache::<Self>()
                }

                /// Forgets every result, and returns how many there were.
                #visibility fn clear() -> u64 {
                    #private::clear::<Self>()
                }

                /// Forgets the result for these arguments, and returns whether there was one. A run
                /// that is under way is not kept either.
                #visibility fn invalidate(#(#parameters),*) -> bool {
                    let key: #ty = #value;
                    #private::invalidate::<Self>(&key)
                }

                /// What the cache has counted since it was built.
                #visibility fn stats() -> #private::Stats {
                    #private::stats::<Self>()
                }

                /// Why the settings were refused, if they were. Then nothing is kept, and every call
                /// runs the function.
                #visibility fn config_error() -> ::core::option::Option<&'static #private::ConfigError> {
                    #private::config_error::<Self>()
                }
            }
            #(#cfgs)*
            const _: () = {
                #(#parts)*
                #value_check
            };
        }
    }

    /// What is done to the builder.
    fn settings(&self) -> TokenStream {
        let here = Span::mixed_site();
        let private = &self.private;
        let mut settings = quote_spanned! {here=> builder };
        match &self.arguments.ttl {
            None => {}
            Some(Ttl::Forever(_)) => settings.extend(quote_spanned! {here=> .no_time_to_live() }),
            Some(Ttl::For(Setting { value, .. })) => {
                settings.extend(quote_spanned! {here=> .time_to_live(#value) });
            }
        }
        if let Some(Setting { value, .. }) = &self.arguments.time_to_idle {
            settings.extend(quote_spanned! {here=> .time_to_idle(#value) });
        }
        if let Some(Setting { value, .. }) = &self.arguments.max_capacity {
            settings.extend(quote_spanned! {here=> .max_capacity(#value) });
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
