//! Whether a connection may be used again, by what both sides have said (RFC 9112, 9.3 and 9.6, and
//! the `Keep-Alive` header of RFC 2068, 19.7.1.1).

use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, HeaderName};
use http::{StatusCode, Version};

/// What the answer says about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No more requests.
    Close,
    Keep(Terms),
}

/// For how long, and for how many requests more. `None` if the server does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) idle: Option<Duration>,
    pub(crate) requests: Option<u64>,
}

/// Judges by the head of an answer.
pub(crate) fn judge(version: Version, status: StatusCode, headers: &HeaderMap) -> Verdict {
    if status == StatusCode::SWITCHING_PROTOCOLS || says_close(headers) {
        return Verdict::Close;
    }
    // Before 1.1 a connection ends unless it is said that it does not.
    let is_old = !matches!(version, Version::HTTP_11);
    if is_old && !has_token(headers, "keep-alive") {
        return Verdict::Close;
    }
    match terms(headers) {
        Terms {
            requests: Some(0), ..
        } => Verdict::Close,
        terms => Verdict::Keep(terms),
    }
}

/// Whether one side announces the end of the connection.
pub(crate) fn says_close(headers: &HeaderMap) -> bool {
    has_token(headers, "close")
}

/// Whether the `Connection` header has this option in it.
pub(crate) fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|it| it.trim().eq_ignore_ascii_case(token))
}

fn terms(headers: &HeaderMap) -> Terms {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    let values = headers.get_all(KEEP_ALIVE).iter();
    let parameters = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|it| it.split_once('='));
    let mut terms = Terms::default();
    for (name, value) in parameters {
        let value = value.trim().trim_matches('"');
        let is_number = !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit());
        if !is_number {
            continue;
        }
        // What is too large for the number is as good as for ever.
        let value = value.parse().unwrap_or(u64::MAX);
        match name.trim() {
            it if it.eq_ignore_ascii_case("timeout") => {
                terms.idle = Some(Duration::from_secs(value));
            }
            it if it.eq_ignore_ascii_case("max") => terms.requests = Some(value),
            _ => {}
        }
    }
    terms
}

impl Terms {
    /// Whether a connection that was idle for so long should not be used any more. The last second
    /// before the server's limit, or its second half, belongs to the network.
    pub(crate) fn is_over(self, idle_for: Duration) -> bool {
        self.idle.is_some_and(|limit| {
            let margin = Duration::from_secs(1).min(limit / 2);
            idle_for >= limit.saturating_sub(margin)
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let value = HeaderValue::from_str(value).unwrap();
            map.append(HeaderName::from_static(name), value);
        }
        map
    }

    fn of(version: Version, pairs: &[(&'static str, &str)]) -> Verdict {
        judge(version, StatusCode::OK, &headers(pairs))
    }

    #[test]
    fn a_server_that_says_nothing_keeps_the_connection_since_1_1() {
        let keep = Verdict::Keep(Terms::default());
        assert_eq!(of(Version::HTTP_11, &[]), keep);
        assert_eq!(of(Version::HTTP_10, &[]), Verdict::Close);
        let said = [("connection", "Keep-Alive")];
        assert_eq!(of(Version::HTTP_10, &said), keep);
    }

    #[test]
    fn close_is_found_among_other_options_and_headers() {
        for value in [
            "close",
            "Close",
            "foo, close",
            "close,foo",
            " foo ,\tclose ",
        ] {
            assert_eq!(
                of(Version::HTTP_11, &[("connection", value)]),
                Verdict::Close
            );
        }
        let two = [("connection", "foo"), ("connection", "close")];
        assert_eq!(of(Version::HTTP_11, &two), Verdict::Close);
        assert_ne!(
            of(Version::HTTP_11, &[("connection", "closed")]),
            Verdict::Close
        );
    }

    #[test]
    fn limits_are_read_whatever_their_spelling() {
        let said = [("keep-alive", "Timeout=5, max=\"100\", timeout-x=9")];
        let expected = Terms {
            idle: Some(Duration::from_secs(5)),
            requests: Some(100),
        };
        assert_eq!(of(Version::HTTP_11, &said), Verdict::Keep(expected));
        let none = [("keep-alive", "max=0")];
        assert_eq!(of(Version::HTTP_11, &none), Verdict::Close);
        let huge = [("keep-alive", "timeout=99999999999999999999999")];
        let Verdict::Keep(terms) = of(Version::HTTP_11, &huge) else {
            panic!("kept");
        };
        assert!(!terms.is_over(Duration::from_secs(1 << 40)));
    }

    #[test]
    fn the_end_of_a_limit_belongs_to_the_network() {
        let of = |secs| Terms {
            idle: Some(Duration::from_secs(secs)),
            requests: None,
        };
        assert!(of(0).is_over(Duration::ZERO));
        assert!(!of(1).is_over(Duration::from_millis(499)));
        assert!(of(1).is_over(Duration::from_millis(500)));
        assert!(!of(60).is_over(Duration::from_millis(58_999)));
        assert!(of(60).is_over(Duration::from_secs(59)));
        assert!(!Terms::default().is_over(Duration::MAX));
    }

    #[test]
    fn a_connection_that_speaks_another_protocol_is_not_used_again() {
        let status = StatusCode::SWITCHING_PROTOCOLS;
        let verdict = judge(Version::HTTP_11, status, &HeaderMap::new());
        assert_eq!(verdict, Verdict::Close);
    }

    proptest! {
        #[test]
        fn no_header_does_harm(value in "[ -~]{0,60}", also in "[ -~]{0,20}", idle in any::<u64>()) {
            let said = [("connection", value.as_str()), ("keep-alive", also.as_str()), ("keep-alive", value.as_str())];
            if let Verdict::Keep(terms) = of(Version::HTTP_11, &said) {
                let _ = terms.is_over(Duration::from_millis(idle));
            }
        }
    }
}
