//! `#[cached]`: from a function to the same function behind a cache, and a handle of that cache.

mod arguments;
mod check;
mod handle;
mod kept;
mod key;
mod parameters;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, Pat, Receiver, ReceiverKind, Type, parse_quote, parse_quote_spanned,
};

use self::arguments::Arguments;
use self::key::Key;
use self::parameters::{Borrows, Parameter};
use crate::arguments::Setting;
use crate::function::Function;
use crate::handle_name::handle_name;
use crate::tokens::mentions;

/// The function behind its cache; on a mistake the function as it was, and the mistake.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = |input: ParseStream<'_>| Function::parse(input, "cached", "cached");
    let expanded = function.parse2(item.clone()).and_then(|function| {
        let arguments = syn::parse2::<Arguments>(arguments)?;
        check::function(&function.signature)?;
        let (receiver, parameters) = parameters::of(&function.signature)?;
        check::parameters(&function.signature, receiver, &parameters)?;
        let returned = check::returned(&function.signature.output)?;
        let name = &function.signature.ident;
        let expansion = Expansion {
            key: Key::of(arguments.key.as_ref(), &parameters, name)?,
            private: arguments.private(),
            arguments: &arguments,
            function: &function,
            receiver,
            parameters: &parameters,
            returned,
        };
        match &arguments.cache {
            Some(given) => Ok(expansion.with_given(given)),
            None => expansion.with_own(),
        }
    });
    expanded.unwrap_or_else(|mistake| {
        let mistake = mistake.into_compile_error();
        quote! { #mistake #item }
    })
}

/// Where the cache of a function is.
#[derive(Clone, Copy)]
enum Home<'a> {
    /// With the type that stands for it.
    Own(&'a Ident),
    /// Where this expression says.
    Given(&'a TokenStream),
}

struct Expansion<'a> {
    arguments: &'a Arguments,
    function: &'a Function,
    receiver: Option<&'a Receiver>,
    parameters: &'a [Parameter],
    returned: Type,
    key: Key<'a>,
    private: syn::Path,
}

impl Expansion<'_> {
    /// With a cache of the function's own, and a type of the function's name to reach it.
    fn with_own(&self) -> syn::Result<TokenStream> {
        let signature = &self.function.signature;
        if let Some(receiver) = self.receiver {
            return Err(Error::new(
                receiver.span(),
                "a method needs a cache that lives in `self`, so that each instance has its own: \
                 `#[cached(cache = self.field)]`",
            ));
        }
        self.check_not_generic()?;
        let handle = handle_name(&signature.ident, self.arguments.handle.as_ref())?;

        let here = Span::mixed_site();
        let uncached = Ident::new("__brolly_uncached", here);
        let body = self.uncached(&uncached);
        let steps = self.steps(Home::Own(&handle), &quote! { #uncached });
        let function = self.cached(&quote_spanned! {here=> #body #steps });
        let handle = self.handle(&handle);
        Ok(quote! { #function #handle })
    }

    /// With a cache that is there already.
    fn with_given(&self, given: &Setting) -> TokenStream {
        let here = Span::mixed_site();
        let home = Home::Given(&given.value);
        let Some(receiver) = self.receiver else {
            let uncached = Ident::new("__brolly_uncached", here);
            let body = self.uncached(&uncached);
            let steps = self.steps(home, &quote! { #uncached });
            return self.cached(&quote_spanned! {here=> #body #steps });
        };
        // `Self` and the parameters of the `impl` are known in a sibling only.
        let uncached = format_ident!(
            "__brolly_uncached_{}",
            self.function.signature.ident,
            span = here
        );
        let body = self.uncached(&uncached);
        let this = match self.function.signature.asyncness {
            Some(_) => Ident::new("this", here),
            None => receiver.self_token.into(),
        };
        let steps = self.steps(home, &quote_spanned! {here=> #this.#uncached });
        let function = self.cached(&steps);
        let lints = self.function.attributes.iter().filter(|it| is_lint(it));
        quote! {
            #function
            #(#lints)*
            #[doc(hidden)]
            #body
        }
    }

    /// The function as callers see it.
    fn cached(&self, steps: &TokenStream) -> TokenStream {
        let mut signature = self.function.signature.clone();
        for input in &mut signature.inputs {
            match input {
                // Only the body may change its parameters.
                FnArg::Typed(it) => {
                    if let Pat::Ident(it) = &mut *it.pat {
                        it.mutability = None;
                    }
                }
                FnArg::Receiver(it) => it.mutability = None,
            }
        }
        let visibility = &self.function.visibility;
        let attributes = self.function.attributes.iter().map(|it| match is_lint(it) {
            // What is expected is found in the body, which is elsewhere.
            true if self.is_method() => allowed(it),
            _ => it.clone(),
        });
        quote! {
            #(#attributes)*
            #visibility #signature {
                #steps
            }
        }
    }

    fn is_method(&self) -> bool {
        self.receiver.is_some()
    }

    /// The function as it was written, under another name.
    fn uncached(&self, name: &Ident) -> TokenStream {
        let mut signature = self.function.signature.clone();
        signature.ident = name.clone();
        let attributes = &self.function.body_attributes;
        let body = self.function.body_after(self.uses());
        quote! {
            #(#attributes)*
            #signature #body
        }
    }

    /// Uses of the parameters that the arguments use, so that nobody is told that the body does not.
    fn uses(&self) -> TokenStream {
        let key = self
            .arguments
            .key
            .iter()
            .map(|it| it.value.to_token_stream());
        let cache = self.arguments.cache.iter().map(|it| it.value.clone());
        let arguments: TokenStream = key.chain(cache).collect();
        let used = self.parameters.iter().map(|it| &it.name);
        let used = used.filter(|it| mentions(arguments.clone(), it));
        quote_spanned! {Span::mixed_site()=> #(let _ = &#used;)* }
    }

    /// Looks the result up, or calls `uncached` with the parameters.
    fn steps(&self, home: Home<'_>, uncached: &TokenStream) -> TokenStream {
        let here = Span::mixed_site();
        let private = &self.private;
        let which = self.which();
        let returned = &self.returned;
        let at = returned.span().resolved_at(here);
        let is_async = self.function.signature.asyncness.is_some();
        let run = if is_async {
            self.run(uncached)
        } else {
            let names = self.parameters.iter().map(|it| &it.name);
            quote_spanned! {here=> || #uncached(#(#names),*) }
        };

        let (mut entry, place, cache) = match home {
            Home::Own(handle) => (String::from("cached"), quote! { #handle }, None),
            Home::Given(cache) => {
                let span = cache.span().resolved_at(here);
                let cache = quote_spanned! {span=> &#cache, };
                (String::from("given"), quote! { _ }, Some(cache))
            }
        };
        let mut inferred = TokenStream::new();
        let key = match self.key.by_ref {
            Some(Parameter { name, .. }) => {
                entry.push_str("_by_ref");
                inferred.extend(quote! { , _ });
                quote! { #name }
            }
            None => {
                let Key { ty, value, .. } = &self.key;
                quote_spanned! {here=> { let key: #ty = #value; key } }
            }
        };
        let wait = if is_async {
            inferred.extend(quote! { , _ });
            quote_spanned! {here=> .await }
        } else {
            entry.push_str("_sync");
            TokenStream::new()
        };
        let entry = Ident::new(&entry, here);
        let call = quote_spanned! {at=> #private::#entry::<#which, #returned, #place #inferred> };
        quote_spanned! {here=> #call(#cache #key, #run) #wait }
    }

    /// A closure that makes the future of an async body, which borrows nothing.
    fn run(&self, uncached: &TokenStream) -> TokenStream {
        let here = Span::mixed_site();
        let names: Vec<_> = self.parameters.iter().map(|it| &it.name).collect();
        let kept = self.parameters.iter().map(|it| match it.borrows() {
            Borrows::All(_) => it.copied(),
            _ => it.name.to_token_stream(),
        });
        let given = self.parameters.iter().map(|it| {
            let name = &it.name;
            match it.borrows() {
                Borrows::All(of) => {
                    let at = of.span().resolved_at(here);
                    quote_spanned! {at=> ::core::borrow::Borrow::<#of>::borrow(&#name) }
                }
                _ => quote! { #name },
            }
        });
        let work = quote_spanned! {here=> async move { #uncached(#(#given),*).await } };
        let receiver = self.receiver.map(kept_receiver);
        let name = &self.function.signature.ident;
        // What may be generic cannot be put into another function.
        if self.arguments.cache.is_some() || !mentions(self.function.body(), name) {
            return quote_spanned! {here=>
                || {
                    #receiver
                    #(let #names = #kept;)*
                    #work
                }
            };
        }
        // The future of a function that calls itself holds another of its own. Whether it is `Send`
        // can be told in a function of its own only, whose type says so.
        let private = &self.private;
        let returned = &self.returned;
        let types = self.parameters.iter().map(Parameter::owned);
        quote_spanned! {here=>
            || {
                fn __brolly_boxed(#(#names: #types),*) -> #private::Boxed<#returned> {
                    ::std::boxed::Box::pin(#work)
                }
                __brolly_boxed(#(#kept),*)
            }
        }
    }
}

/// `self` of its own for an async body, under the name `this`.
fn kept_receiver(receiver: &Receiver) -> TokenStream {
    let here = Span::mixed_site();
    let this = Ident::new("this", here);
    let self_token = receiver.self_token;
    let span = receiver.span().resolved_at(here);
    // The cache may lie in it, and is needed until the end.
    let by_value = quote_spanned! {here=>
        let #this = ::core::clone::Clone::clone(&#self_token);
    };
    let of = match &receiver.kind {
        ReceiverKind::Reference(..) => quote_spanned! {span=> Self },
        ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(it) => it.elem.to_token_stream(),
            _ => return by_value,
        },
        _ => return by_value,
    };
    quote_spanned! {span=> let #this = <#of as ::core::clone::Clone>::clone(#self_token); }
}

fn is_lint(attribute: &Attribute) -> bool {
    let lints = ["allow", "expect", "warn", "deny", "forbid"];
    lints.iter().any(|it| attribute.path().is_ident(it))
}

/// `#[expect(…)]` as `#[allow(…)]`, anything else as it is.
fn allowed(attribute: &Attribute) -> Attribute {
    let mut attribute = attribute.clone();
    if let syn::Meta::List(list) = &mut attribute.meta
        && list.path.is_ident("expect")
    {
        list.path = parse_quote! { allow };
    }
    attribute
}

impl Arguments {
    /// Where the entry points of expansions lie.
    fn private(&self) -> syn::Path {
        let base = self
            .base
            .clone()
            .unwrap_or_else(|| parse_quote! { ::brolly_ttl_cache });
        parse_quote_spanned! {base.span()=> #base::__macros }
    }
}
