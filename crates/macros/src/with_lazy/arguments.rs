//! What stands between the parentheses of `#[with_lazy(…)]`.

use proc_macro2::{Span, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Path, Token, Type};

use crate::arguments::{Handle, Setting, Ttl, equals, expression, once, ttl};

const EXPECTED: &str = "`loader`, `error`, `ttl`, `configure`, `lazy`, `handle` or `crate`";

pub(super) struct Arguments {
    pub(super) source: Source,
    /// What the loader fails with, if it can fail.
    pub(super) error: Option<Type>,
    pub(super) ttl: Option<Ttl>,
    pub(super) configure: Option<Setting>,
    pub(super) handle: Option<Handle>,
    /// The path of the crate that holds the entry points.
    pub(super) base: Option<Path>,
}

/// Where the value comes from.
pub(super) enum Source {
    /// A lazy value of the function's own, with this loader.
    Loader(TokenStream),
    /// One that is there already.
    Lazy(TokenStream),
}

#[derive(Default)]
struct Given {
    loader: Option<Setting>,
    lazy: Option<Setting>,
    error: Option<Type>,
    ttl: Option<Ttl>,
    configure: Option<Setting>,
    handle: Option<Handle>,
    base: Option<Path>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut given = Given::default();
        while !input.is_empty() {
            given.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        given.check()
    }
}

impl Given {
    fn parse_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if input.peek(Token![crate]) {
            let word = input.parse::<Token![crate]>()?;
            equals(input, "crate", word.span)?;
            let base = input.call(Path::parse_mod_style)?;
            return once(&mut self.base, base, "crate", word.span);
        }
        let word: Ident = input
            .parse()
            .map_err(|error| Error::new(error.span(), format!("expected {EXPECTED}")))?;
        let span = word.span();
        let name = word.to_string();
        match &*name {
            "loader" | "lazy" | "configure" => {
                let value = expression(input, &name, span)?;
                let slot = match &*name {
                    "loader" => &mut self.loader,
                    "lazy" => &mut self.lazy,
                    _ => &mut self.configure,
                };
                once(slot, Setting { word, value }, &name, span)
            }
            "error" => {
                equals(input, &name, span)?;
                once(&mut self.error, input.parse()?, &name, span)
            }
            "ttl" => {
                equals(input, &name, span)?;
                let ttl = ttl(input, word)?;
                once(&mut self.ttl, ttl, &name, span)
            }
            "handle" => {
                equals(input, &name, span)?;
                let handle = Handle {
                    word,
                    name: input.parse()?,
                };
                once(&mut self.handle, handle, &name, span)
            }
            unknown => Err(Error::new(
                span,
                format!("unknown argument `{unknown}`: expected {EXPECTED}"),
            )),
        }
    }

    /// What is missing, and what does not go together.
    fn check(self) -> syn::Result<Arguments> {
        let source = match (self.loader, self.lazy) {
            (Some(loader), None) => Source::Loader(loader.value),
            (None, Some(lazy)) => {
                let ttl = self.ttl.as_ref().map(|it| match it {
                    Ttl::Forever(word) | Ttl::For(Setting { word, .. }) => word,
                });
                let configure = self.configure.as_ref().map(|it| &it.word);
                let handle = self.handle.as_ref().map(|it| &it.word);
                if let Some(word) = ttl.or(configure).or(handle) {
                    return Err(Error::new(
                        word.span(),
                        format!(
                            "`{word}` belongs to a value of the function's own, and `lazy` gives \
                             another, which has its settings already"
                        ),
                    ));
                }
                Source::Lazy(lazy.value)
            }
            (Some(_), Some(lazy)) => {
                return Err(Error::new(
                    lazy.word.span(),
                    "`loader` and `lazy` both say where the value comes from: one of them does",
                ));
            }
            (None, None) => {
                return Err(Error::new(
                    Span::call_site(),
                    "where does the value come from? `loader = function`, or `lazy = expression` \
                     for one that is there already",
                ));
            }
        };
        Ok(Arguments {
            source,
            error: self.error,
            ttl: self.ttl,
            configure: self.configure,
            handle: self.handle,
            base: self.base,
        })
    }
}
