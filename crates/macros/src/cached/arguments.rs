//! What stands between the parentheses of `#[cached(…)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Ident, Lit, LitBool, Path, Token, Type};

use crate::arguments::{Handle, Setting, Ttl, equals, expression, once, time, ttl, ungrouped};

const EXPECTED: &str = "`ttl`, `time_to_idle`, `max_capacity`, `key`, `result`, `option`, \
                        `configure`, `cache`, `handle` or `crate`";

#[derive(Default)]
pub(super) struct Arguments {
    pub(super) ttl: Option<Ttl>,
    pub(super) time_to_idle: Option<Setting>,
    pub(super) max_capacity: Option<Setting>,
    pub(super) key: Option<WrittenKey>,
    pub(super) result: Option<LitBool>,
    pub(super) option: Option<LitBool>,
    pub(super) configure: Option<Setting>,
    /// The cache to use instead of one of the function's own.
    pub(super) cache: Option<Setting>,
    pub(super) handle: Option<Handle>,
    /// The path of the crate that holds the entry points.
    pub(super) base: Option<Path>,
}

/// `key = value`, or `key: ty = value`.
pub(super) struct WrittenKey {
    pub(super) ty: Option<Type>,
    pub(super) value: Expr,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            arguments.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        arguments.check()?;
        Ok(arguments)
    }
}

impl Arguments {
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
            "ttl" => {
                equals(input, &name, span)?;
                let ttl = ttl(input, word)?;
                once(&mut self.ttl, ttl, &name, span)
            }
            "time_to_idle" => {
                equals(input, &name, span)?;
                let value = time(input, &name)?;
                once(&mut self.time_to_idle, Setting { word, value }, &name, span)
            }
            "max_capacity" => {
                equals(input, &name, span)?;
                let value = capacity(input, &name)?;
                once(&mut self.max_capacity, Setting { word, value }, &name, span)
            }
            "key" => {
                let key = key(input, span)?;
                once(&mut self.key, key, &name, span)
            }
            "result" => once(&mut self.result, switch(input, &name, span)?, &name, span),
            "option" => once(&mut self.option, switch(input, &name, span)?, &name, span),
            "configure" => {
                let value = expression(input, &name, span)?;
                once(&mut self.configure, Setting { word, value }, &name, span)
            }
            "cache" => {
                let value = expression(input, &name, span)?;
                once(&mut self.cache, Setting { word, value }, &name, span)
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

    /// What does not go together.
    fn check(&self) -> syn::Result<()> {
        if let (Some(result), Some(option)) = (&self.result, &self.option)
            && result.value
            && option.value
        {
            return Err(Error::new(
                option.span,
                "`result` and `option` are both `true`, and a value is one of them at most",
            ));
        }
        if self.cache.is_none() {
            return Ok(());
        }
        let ttl = self.ttl.as_ref().map(|it| match it {
            Ttl::Forever(word) | Ttl::For(Setting { word, .. }) => word,
        });
        let settings = [&self.time_to_idle, &self.max_capacity, &self.configure];
        let settings = settings.into_iter().flatten().map(|it| &it.word);
        let handle = self.handle.iter().map(|it| &it.word);
        match ttl.into_iter().chain(settings).chain(handle).next() {
            None => Ok(()),
            Some(word) => Err(Error::new(
                word.span(),
                format!(
                    "`{word}` belongs to a cache of the function's own, and `cache` gives another, \
                     which has its settings already"
                ),
            )),
        }
    }
}

fn switch(input: ParseStream<'_>, name: &str, span: Span) -> syn::Result<LitBool> {
    equals(input, name, span)?;
    let at = input.span();
    let switch = input.parse();
    switch.map_err(|_| Error::new(at, format!("`{name}` is `true` or `false`")))
}

fn capacity(input: ParseStream<'_>, name: &str) -> syn::Result<TokenStream> {
    let value = ungrouped(input.parse()?);
    if let Expr::Lit(ExprLit { lit, .. }) = &value {
        let number = match lit {
            Lit::Int(number) => number.base10_parse::<u64>().ok(),
            _ => None,
        };
        if number.is_none_or(|it| it == 0) {
            let message = format!(
                "`{name}` is `{}`: expected a whole number of entries from 1 to {}",
                quote! { #lit },
                u64::MAX
            );
            return Err(Error::new(lit.span(), message));
        }
    }
    Ok(quote! { #value })
}

fn key(input: ParseStream<'_>, span: Span) -> syn::Result<WrittenKey> {
    let ty = match input.parse::<Option<Token![:]>>()? {
        Some(_) => Some(input.parse()?),
        None => None,
    };
    equals(input, "key", span)?;
    Ok(WrittenKey {
        ty,
        value: input.parse()?,
    })
}
