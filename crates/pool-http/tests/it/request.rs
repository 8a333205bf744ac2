//! Requests as the server sees them.

use brolly_pool_http::http::{Request, Version};
use brolly_pool_http::http_body_util::Empty;
use bytes::Bytes;

use crate::support::{Server, fetch, get, post};

async fn seen(server: &Server, request: Request<Empty<Bytes>>) -> String {
    let pool = server.builder().build().unwrap();
    let answer = pool.send(request).await.unwrap();
    let bytes = answer.into_body().bytes(10_000).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_path_and_a_host_are_what_is_sent() {
    let server = Server::start().await;
    let head = seen(&server, get("/head?a=b")).await;
    assert!(head.starts_with("GET /head?a=b HTTP/1.1\r\n"), "{head}");
    let host = format!("host: {}\r\n", server.address);
    assert!(head.contains(&host), "{head}");
}

#[tokio::test]
async fn an_address_of_the_origin_is_sent_as_its_path() {
    let server = Server::start().await;
    let head = seen(&server, get(&format!("http://{}/head/x", server.address))).await;
    assert!(head.starts_with("GET /head/x HTTP/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn a_host_that_was_given_stays() {
    let server = Server::start().await;
    let mut request = get("/head");
    let host = "example.org".parse().unwrap();
    request.headers_mut().insert("host", host);
    *request.version_mut() = Version::HTTP_10;
    let head = seen(&server, request).await;
    assert!(head.contains("host: example.org\r\n"), "{head}");
    assert_eq!(head.matches("host:").count(), 1);
    assert!(head.contains(" HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_body_arrives_as_it_is() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    for size in [0, 1, 1000, 300_000] {
        let body: Vec<u8> = (0..size).map(|it| (it % 251) as u8).collect();
        let answer = pool.send(post("/echo", body.clone())).await.unwrap();
        let back = answer.into_body().bytes(size).await.unwrap();
        assert!(back == body, "{size}");
    }
    fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(server.connections(), 1);
}
