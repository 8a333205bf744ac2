//! A tiny web server for the pages of a test.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use brolly_metrics_core::{Format, Snapshot};

pub(super) enum Body {
    /// This page, whatever is asked for.
    Page(Format, String),
    /// The snapshot in the format asked for.
    Negotiated(Snapshot),
}

pub(super) struct Target {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    pages: Vec<(&'static str, Body)>,
    is_over: AtomicBool,
    negotiated: Mutex<Option<Format>>,
}

impl Target {
    pub(super) fn start(pages: impl IntoIterator<Item = (&'static str, Body)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            pages: pages.into_iter().collect(),
            is_over: AtomicBool::new(false),
            negotiated: Mutex::new(None),
        });
        let server = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if server.is_over.load(Ordering::Acquire) {
                    return;
                }
                // A client that goes away harms only itself.
                let _ = stream.and_then(|stream| server.answer(stream));
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The format last negotiated.
    pub(super) fn negotiated(&self) -> Option<Format> {
        let negotiated = self.shared.negotiated.lock();
        *negotiated.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes the thread out of waiting for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        let mut accept = String::new();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("accept")
            {
                value.clone_into(&mut accept);
            }
        }
        let path = request.split(' ').nth(1).unwrap_or_default();
        let found = self.pages.iter().find(|(it, _)| *it == path);
        let (status, format, page) = match found.map(|(_, body)| body) {
            Some(Body::Page(format, page)) => ("200 OK", *format, page.clone()),
            Some(Body::Negotiated(snapshot)) => {
                let format = Format::negotiate(&accept);
                let negotiated = self.negotiated.lock();
                *negotiated.unwrap_or_else(PoisonError::into_inner) = Some(format);
                ("200 OK", format, snapshot.encode(format))
            }
            None => ("404 Not Found", Format::Text, String::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            format.content_type(),
            page.len(),
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(page.as_bytes())
    }
}
