//! What stands between the parentheses of `#[timed(…)]`.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, LitStr, Path, Token};

use crate::arguments::{equals, once};

#[derive(Default)]
pub(super) struct Arguments {
    pub(super) name: Option<LitStr>,
    pub(super) registry: Option<Expr>,
    /// The path of the crate that holds the entry points.
    pub(super) base: Option<Path>,
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
        Ok(arguments)
    }
}

impl Arguments {
    fn parse_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if input.peek(Token![crate]) {
            let key = input.parse::<Token![crate]>()?;
            equals(input, "crate", key.span)?;
            let base = input.call(Path::parse_mod_style)?;
            return once(&mut self.base, base, "crate", key.span);
        }
        let key: Ident = input
            .parse()
            .map_err(|error| Error::new(error.span(), "expected `name`, `registry` or `crate`"))?;
        match key.to_string().as_str() {
            "name" => {
                equals(input, "name", key.span())?;
                let name: LitStr = input.parse()?;
                check_name(&name)?;
                once(&mut self.name, name, "name", key.span())
            }
            "registry" => {
                equals(input, "registry", key.span())?;
                let registry: Expr = input.parse()?;
                once(&mut self.registry, registry, "registry", key.span())
            }
            unknown => Err(Error::new(
                key.span(),
                format!("unknown argument `{unknown}`: expected `name`, `registry` or `crate`"),
            )),
        }
    }
}

/// A name that no registry accepts is a mistake that can be seen here.
fn check_name(name: &LitStr) -> syn::Result<()> {
    let value = name.value();
    let mut bytes = value.bytes();
    let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    let is_valid = value.len() <= 255
        && bytes.next().is_some_and(starts)
        && bytes.all(|byte| starts(byte) || byte.is_ascii_digit() || byte == b'.');
    if is_valid {
        Ok(())
    } else {
        Err(Error::new(
            name.span(),
            "the name of a metric is a letter, `_` or `:`, then letters, digits, `_`, `:` and `.`, at \
             most 255 in all",
        ))
    }
}
