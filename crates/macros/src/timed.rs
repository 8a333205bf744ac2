//! `#[timed]`: from a function to the same function with its body timed.

mod arguments;
mod returned;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Error, Ident, parse_quote, parse_quote_spanned};

use self::arguments::Arguments;
use self::returned::Returned;
use crate::function::Function;

/// The function with its body timed; on a mistake the function as it was, and the mistake.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = |input: ParseStream<'_>| Function::parse(input, "timed", "timed");
    let expanded = function.parse2(item.clone()).and_then(|function| {
        let arguments = syn::parse2::<Arguments>(arguments)?;
        check(&function)?;
        Ok(timed(&arguments, &function))
    });
    expanded.unwrap_or_else(|mistake| {
        let mistake = mistake.into_compile_error();
        quote! { #mistake #item }
    })
}

fn check(function: &Function) -> syn::Result<()> {
    match &function.signature.constness {
        Some(constness) => Err(Error::new(
            constness.span(),
            "a `const fn` cannot be timed: reading a clock is not const",
        )),
        None => Ok(()),
    }
}

fn timed(arguments: &Arguments, function: &Function) -> TokenStream {
    // Locals of this span cannot be seen by the body, nor shadow what it sees.
    let here = Span::mixed_site();
    let private = arguments.private();
    let site = site(arguments, function);
    let registry = registry(arguments);
    let returned = Returned::of(&function.signature.output);

    let [call, result, future] = ["call", "result", "future"].map(|it| Ident::new(it, here));
    let outcome = quote_spanned! {here=> {
        use #private::OutcomeOfAnything as _;
        #private::OutcomeOf(&#result).outcome()
    }};
    // From the start to the end of what `work` does.
    let measured = |work: TokenStream| match returned {
        Returned::Never => quote_spanned! {here=>
            let _started = #call.start();
            #work
        },
        _ => quote_spanned! {here=>
            let #call = #call.start();
            let #result = #work;
            #call.finish(#outcome);
            #result
        },
    };
    // What is awaited gets its name first, so that no temporary of it lives across the await.
    let awaited = measured(quote_spanned! {here=> #future.await });
    let arrow = returned.arrow();
    let body = function.body_after(TokenStream::new());
    let run = quote_spanned! {here=> #private::call(move || #arrow #body) };

    let steps = match &returned {
        _ if function.signature.asyncness.is_some() => {
            let body = function.body_after(returned.hint(&private));
            quote_spanned! {here=>
                let #future = async move #body;
                #awaited
            }
        }
        Returned::Never | Returned::Value(_) => measured(run),
        Returned::Future(_) => quote_spanned! {here=>
            let #future = #run;
            async move { #awaited }
        },
        Returned::BoxedFuture(_) => match function.boxed_block() {
            Some((pin, block)) => quote_spanned! {here=>
                #pin({
                    let #future = #block;
                    async move { #awaited }
                })
            },
            None => quote_spanned! {here=>
                let #future = #run;
                #private::Box::pin(async move { #awaited })
            },
        },
    };

    let attributes = &function.attributes;
    let body_attributes = &function.body_attributes;
    let visibility = &function.visibility;
    let signature = &function.signature;
    // The static is an item, and items are not hygienic: hence its name.
    quote_spanned! {here=>
        #(#attributes)*
        #(#body_attributes)*
        #visibility #signature {
            static __BROLLY_TIMED_SITE: #private::TimedSite = #site;
            let #call = __BROLLY_TIMED_SITE.call(#registry);
            #steps
        }
    }
}

fn site(arguments: &Arguments, function: &Function) -> TokenStream {
    let private = arguments.private();
    match &arguments.name {
        Some(name) => quote! { #private::TimedSite::named(#name) },
        None => {
            let function = function.signature.ident.to_string();
            quote! {
                #private::TimedSite::at(
                    ::core::concat!(::core::module_path!(), "::", #function)
                )
            }
        }
    }
}

fn registry(arguments: &Arguments) -> TokenStream {
    let private = arguments.private();
    match &arguments.registry {
        Some(registry) => quote_spanned! {registry.span()=>
            #private::RegistrySource::registry(#registry)
        },
        None => quote! { ::core::option::Option::Some(#private::default_registry()) },
    }
}

impl Arguments {
    /// Where the entry points of expansions lie.
    fn private(&self) -> syn::Path {
        let base = self
            .base
            .clone()
            .unwrap_or_else(|| parse_quote! { ::brolly_metrics_core });
        parse_quote_spanned! {base.span()=> #base::__private }
    }
}
