//! [`Origin`]: the one place that a pool's connections lead to.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, PathAndQuery};

/// How an origin is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Through TLS, which is the connector's business.
    Https,
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn of(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// Scheme, host and port (RFC 9110, 4.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    /// In lower case; an IPv6 address in brackets.
    host: String,
    port: u16,
}

pub(crate) const ALLOWED: &str = "http://host or https://host, with a port or without, and no more";

impl Origin {
    /// How it is spoken to.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The name or the address of the host, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        let inner = self.host.strip_prefix('[');
        inner
            .and_then(|it| it.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    /// The port; that of the scheme where none was given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as they stand in a `Host` header: without the port of the scheme.
    pub(crate) fn authority(&self) -> String {
        match self.port == self.scheme.default_port() {
            true => self.host.clone(),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    fn of(scheme: &str, authority: &Authority) -> Option<Self> {
        let scheme = Scheme::of(scheme)?;
        let has_user = authority.as_str().contains('@');
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // A colon with nothing that is a port behind it.
            None if authority.as_str().len() > authority.host().len() => return None,
            None => scheme.default_port(),
        };
        let host = authority.host().to_ascii_lowercase();
        (!has_user && !host.is_empty() && port != 0).then_some(Self { scheme, host, port })
    }

    /// Whether a request with this address is for this origin. One without scheme and host is.
    pub(crate) fn covers(&self, uri: &Uri) -> bool {
        match (uri.scheme_str(), uri.authority()) {
            (None, None) => true,
            (Some(scheme), Some(authority)) => Self::of(scheme, authority).as_ref() == Some(self),
            _ => false,
        }
    }
}

impl FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let uri: Uri = text.parse().map_err(|_| ())?;
        let is_bare = uri
            .path_and_query()
            .is_none_or(|it: &PathAndQuery| it == "/");
        match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) if is_bare => Self::of(scheme, authority).ok_or(()),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
    }
}
