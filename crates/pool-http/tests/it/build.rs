//! Settings and origins.

use std::time::Duration;

use brolly_pool_http::{Connect, HttpPool, Origin, Scheme};

fn refused(origin: &str) -> bool {
    let built = HttpPool::builder(origin).build();
    built.is_err_and(|error| error.field == "origin")
}

#[test]
fn what_is_no_origin_is_refused() {
    for text in [
        "",
        "/",
        "localhost",
        "localhost:80",
        "http://",
        "http:///x",
        "http://host/path",
        "http://host/?query",
        "http://user@host",
        "http://user:secret@host",
        "http://user@host:80",
        "http://host:",
        "http://host:0",
        "http://host:65536",
        "http://host:x",
        "ftp://host",
        "http://a b",
        "https://host",
    ] {
        assert!(refused(text), "{text}");
    }
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let of = |text: &str| text.parse::<Origin>().unwrap();
    let origin = of("http://Example.ORG");
    assert_eq!(origin.scheme(), Scheme::Http);
    assert_eq!((origin.host(), origin.port()), ("example.org", 80));
    assert_eq!(origin, of("HTTP://example.org:80/"));
    assert_eq!(origin.to_string(), "http://example.org");
    assert_eq!(of("https://x:8443").to_string(), "https://x:8443");
    assert_eq!(of("https://x").port(), 443);
    let six = of("http://[::1]:81");
    assert_eq!((six.host(), six.port()), ("::1", 81));
    assert_eq!(six.to_string(), "http://[::1]:81");
}

#[test]
fn https_wants_a_connector_that_is_secure() {
    struct Tls;
    impl Connect for Tls {
        type Io = hyper_util::rt::TokioIo<tokio::io::DuplexStream>;
        async fn connect(&self, _: &Origin) -> std::io::Result<Self::Io> {
            Ok(hyper_util::rt::TokioIo::new(tokio::io::duplex(64).0))
        }
        fn is_secure(&self) -> bool {
            true
        }
    }
    assert!(refused("https://localhost"));
    HttpPool::with_connector("https://localhost", Tls)
        .build()
        .unwrap();
}

#[test]
fn settings_out_of_their_range_are_named() {
    let builder = || HttpPool::builder("http://localhost");
    let zero = Duration::ZERO;
    let errors = [
        builder().max_size(0).build().unwrap_err(),
        builder().acquire_timeout(zero).build().unwrap_err(),
        builder().connect_timeout(zero).build().unwrap_err(),
        builder().response_timeout(zero).build().unwrap_err(),
        builder().body_timeout(zero).build().unwrap_err(),
        builder().pool(|it| it.min_size(21)).build().unwrap_err(),
    ];
    let names = [
        "max_size",
        "acquire_timeout",
        "connect_timeout",
        "response_timeout",
        "body_timeout",
        "min_size",
    ];
    for (error, name) in errors.iter().zip(names) {
        let text = error.to_string();
        assert!(text.starts_with(&format!("{name} is ")), "{text}");
    }
    let longest = builder()
        .acquire_timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .response_timeout(Duration::MAX)
        .body_timeout(Duration::MAX)
        .drain_limit(u64::MAX);
    longest.build().unwrap();
}

#[tokio::test]
async fn the_longest_limits_do_no_harm() {
    let server = crate::support::Server::start().await;
    let builder = server
        .builder()
        .acquire_timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .response_timeout(Duration::MAX)
        .body_timeout(Duration::MAX);
    let pool = builder.drain_limit(u64::MAX).build().unwrap();
    crate::support::fetch(&pool, "/slow/5").await.unwrap();
    drop(pool.send(crate::support::get("/len/100000")).await.unwrap());
    crate::support::fetch(&pool, "/len/9").await.unwrap();
}
