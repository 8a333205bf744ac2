//! A function as far as an attribute on it needs to know: the body stays tokens.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use syn::parse::ParseStream;
use syn::{Attribute, Error, Expr, Signature, Token, Visibility};

pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// `#![…]` of the body, turned to stand before the function: in a closure they may not stand.
    pub(crate) body_attributes: Vec<Attribute>,
    body: TokenStream,
    body_span: Span,
}

impl Function {
    /// The body in its braces, with statements before it. No second pair of braces: the compiler
    /// would tell the user that they are not needed.
    pub(crate) fn body_after(&self, mut statements: TokenStream) -> Group {
        statements.extend(self.body.clone());
        let mut body = Group::new(Delimiter::Brace, statements);
        body.set_span(self.body_span);
        body
    }

    /// The body without its braces.
    pub(crate) fn body(&self) -> TokenStream {
        self.body.clone()
    }

    /// `Box::pin` and the async block of a body that is nothing but a call of one with the other.
    pub(crate) fn boxed_block(&self) -> Option<(Expr, Expr)> {
        let Ok(Expr::Call(mut call)) = syn::parse2(self.body.clone()) else {
            return None;
        };
        let Expr::Path(function) = &*call.func else {
            return None;
        };
        let mut names = function.path.segments.iter().rev();
        let is_box_pin = names.next().is_some_and(|it| it.ident == "pin")
            && names.next().is_some_and(|it| it.ident == "Box");
        let is_all = call.attrs.is_empty() && call.args.len() == 1;
        match call.args.pop() {
            Some(block @ Expr::Async(_)) if is_box_pin && is_all => Some((*call.func, block)),
            _ => None,
        }
    }

    /// Reads what follows the attribute `#[attribute]`, by which a function is `made` something.
    pub(crate) fn parse(input: ParseStream<'_>, attribute: &str, made: &str) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility: Visibility = input.parse()?;
        let start = input.span();
        let signature: Signature = input
            .parse()
            .map_err(|_| Error::new(start, format!("only a function can be {made}")))?;
        if input.peek(Token![;]) {
            return Err(Error::new(
                signature.ident.span(),
                format!(
                    "a function without a body cannot be {made}: put `#[{attribute}]` on its \
                     implementations"
                ),
            ));
        }
        let content;
        let braces = syn::braced!(content in input);
        let mut body_attributes = content.call(Attribute::parse_inner)?;
        for attribute in &mut body_attributes {
            attribute.style = syn::AttrStyle::Outer;
        }
        Ok(Self {
            attributes,
            visibility,
            signature,
            body_attributes,
            body: content.parse()?,
            body_span: braces.span.join(),
        })
    }
}
