//! A server that does what the path of a request says, and can be stopped and started again.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use brolly_pool_http::http::{Request, Response};
use brolly_pool_http::http_body_util::{Empty, Full};
use brolly_pool_http::{HttpPool, HttpPoolBuilder, PooledBody, SendError, TcpConnector};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) live: AtomicUsize,
    pub(crate) requests: AtomicUsize,
}

/// Stops when it is dropped, with all of its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    task: JoinHandle<()>,
}

struct Live(Arc<Seen>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, SeqCst);
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = listen(address).await;
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let all = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            // Dropped with this task, and with it all connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                all.connections.fetch_add(1, SeqCst);
                all.live.fetch_add(1, SeqCst);
                let live = Live(Arc::clone(&all));
                connections.spawn(async move {
                    serve(stream, &live.0).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    pub(crate) async fn stop(mut self) -> SocketAddr {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.address
    }

    pub(crate) fn builder(&self) -> HttpPoolBuilder<TcpConnector> {
        HttpPool::builder(format!("http://{}", self.address))
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }

    pub(crate) fn live(&self) -> usize {
        self.seen.live.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The port of a server that was stopped may be somebody's outgoing one for a moment.
async fn listen(address: SocketAddr) -> TcpListener {
    let began = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(10), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Answers by path until the connection ends.
async fn serve(mut stream: TcpStream, seen: &Seen) {
    let mut read = Vec::new();
    loop {
        let Some((path, head)) = read_head(&mut stream, &mut read).await else {
            return;
        };
        seen.requests.fetch_add(1, SeqCst);
        let mut parts = path.trim_start_matches('/').split(['/', '?']);
        let what = parts.next().unwrap_or_default().to_owned();
        let rest: Vec<String> = parts.map(str::to_owned).collect();
        let number = |at: usize| {
            rest.get(at)
                .and_then(|it| it.parse().ok())
                .unwrap_or(0usize)
        };
        let body = match what.as_str() {
            "early" => Vec::new(),
            _ => read_body(&mut stream, &mut read, &head).await,
        };
        let answer = match what.as_str() {
            "len" => ok("", &vec![b'x'; number(0)]),
            "empty" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            "chunked" => {
                let body = "x".repeat(number(0));
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes()
            }
            "says-close" => ok("connection: close\r\n", b"last"),
            "old" => b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold".to_vec(),
            "keep" => {
                let header = format!("keep-alive: timeout={}, max={}\r\n", number(0), number(1));
                ok(&header, b"kept")
            }
            "echo" => ok("", &body),
            "head" => ok("", head.as_bytes()),
            "early" => ok("", b"early"),
            "garbage" => b"what is this\r\n\r\n".to_vec(),
            "drop" => return,
            "then-close" => {
                let _ = stream.write_all(&ok("", b"bye")).await;
                return;
            }
            "half" => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\nx", number(0));
                let _ = stream.write_all(head.as_bytes()).await;
                wait_for_end(&mut stream).await;
                return;
            }
            "torn" => {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx";
                let _ = stream.write_all(head.as_bytes()).await;
                return;
            }
            "slow" => {
                tokio::time::sleep(Duration::from_millis(number(0) as u64)).await;
                ok("", b"slow")
            }
            _ => {
                wait_for_end(&mut stream).await;
                return;
            }
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Answers nothing more.
async fn wait_for_end(stream: &mut TcpStream) {
    let mut sink = [0; 64];
    while !matches!(stream.read(&mut sink).await, Ok(0) | Err(_)) {}
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

async fn read_head(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8(read.drain(..end + 4).collect()).ok()?;
            let path = head.split(' ').nth(1)?.to_owned();
            return Some((path, head));
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

async fn read_body(stream: &mut TcpStream, read: &mut Vec<u8>, head: &str) -> Vec<u8> {
    let lines = head.lines().filter_map(|it| it.split_once(": "));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths.next().map_or(0, |(_, it)| it.parse().unwrap());
    while read.len() < length {
        if stream.read_buf(read).await.unwrap_or(0) == 0 {
            break;
        }
    }
    let length = length.min(read.len());
    read.drain(..length).collect()
}

pub(crate) fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).body(Empty::new()).unwrap()
}

pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(path).body(Full::new(body.into())).unwrap()
}

/// A request with its whole answer.
pub(crate) async fn fetch(pool: &HttpPool, path: &str) -> Result<Bytes, SendError> {
    let answer: Response<PooledBody> = pool.send(get(path)).await?;
    Ok(answer.into_body().bytes(1 << 20).await.unwrap())
}

pub(crate) fn look<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits for what other tasks are about to do. Fails after ten seconds.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
