//! A server goes away and comes back; callers are told in time, and the pool recovers.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use brolly_pool_http::bytes::Bytes;
use brolly_pool_http::http::Request;
use brolly_pool_http::http_body_util::Empty;
use brolly_pool_http::{HttpPool, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Says hello to everybody, on connections that end with the task.
fn serve(listener: TcpListener) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut read = [0; 1024];
                while stream.read(&mut read).await.is_ok_and(|it| it > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}

async fn ask(pool: &HttpPool) -> Result<Bytes, Box<dyn Error>> {
    let request = Request::get("/").body(Empty::<Bytes>::new())?;
    Ok(pool.send(request).await?.into_body().bytes(100).await?)
}

/// An error with its sources.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address: SocketAddr = listener.local_addr()?;
    let server = serve(listener);
    let pool = HttpPool::builder(format!("http://{address}"))
        .max_size(4)
        .acquire_timeout(Duration::from_millis(200))
        .build()?;
    assert_eq!(ask(&pool).await?, "hello");

    server.abort();
    let _ = server.await;
    let error = ask(&pool).await.expect_err("nobody is there");
    assert!(error.is::<SendError>());
    println!("while it is away: {}", chain(&*error));

    let server = serve(TcpListener::bind(address).await?);
    let mut attempts = 1;
    while ask(&pool).await.is_err() {
        attempts += 1;
    }
    println!("answered again at attempt {attempts}");
    println!(
        "{} connections were made in all",
        pool.connections().stats().created
    );
    server.abort();
    Ok(())
}
