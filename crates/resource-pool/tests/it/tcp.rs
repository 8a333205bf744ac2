//! Pools of connections to servers that close, restart, and say too much.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use brolly_resource_pool::{
    AcquireError, Blocking, BlockingManager, Check, CreateError, Guard, Pool, TcpError, TcpManager,
    TryAcquireError,
};
use brolly_sync::{Backoff, ManualClock};

use crate::support::{ms, secs, until};

/// Answers each byte with the same, until it is stopped. A byte `2` is answered twice, `0` with the
/// end of the connection.
struct Echo {
    address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    accepted: Arc<AtomicUsize>,
    accepts: Option<thread::JoinHandle<()>>,
}

impl Echo {
    fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), b"")
    }

    fn at(address: SocketAddr, greeting: &'static [u8]) -> Self {
        let began = Instant::now();
        let listener = loop {
            match TcpListener::bind(address) {
                Ok(listener) => break listener,
                Err(error) => assert!(began.elapsed() < secs(10), "{address}: {error}"),
            }
            thread::sleep(ms(5));
        };
        let address = listener.local_addr().unwrap();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let open = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let accepts = {
            let (is_stopped, open) = (Arc::clone(&is_stopped), Arc::clone(&open));
            let accepted = Arc::clone(&accepted);
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    if is_stopped.load(SeqCst) {
                        return;
                    }
                    accepted.fetch_add(1, SeqCst);
                    stream.set_nodelay(true).unwrap();
                    stream.write_all(greeting).unwrap();
                    open.lock().unwrap().push(stream.try_clone().unwrap());
                    thread::spawn(move || serve(stream));
                }
            })
        };
        Self {
            address,
            is_stopped,
            open,
            accepted,
            accepts: Some(accepts),
        }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }

    /// Ends every connection that is open, from its side.
    fn hang_up(&self, how: Shutdown) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(how);
        }
    }

    fn stop(mut self) -> SocketAddr {
        self.is_stopped.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        self.accepts.take().unwrap().join().unwrap();
        self.hang_up(Shutdown::Both);
        self.address
    }
}

fn serve(mut stream: TcpStream) {
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        let answer: &[u8] = match byte[0] {
            0 => return drop(stream.shutdown(Shutdown::Both)),
            2 => &[2, 2],
            _ => &byte,
        };
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

fn manager(address: SocketAddr) -> TcpManager {
    let builder = TcpManager::builder().address(address.to_string());
    builder.keepalive(secs(30)).build().unwrap()
}

fn pool(address: SocketAddr, max: usize) -> Pool<Blocking<TcpManager>> {
    let builder = manager(address).pool_blocking().max_size(max).min_size(0);
    builder.acquire_timeout(secs(5)).build().unwrap()
}

fn ask(mut stream: &TcpStream, byte: u8) -> io::Result<u8> {
    let mut answer = [0];
    stream.write_all(&[byte])?;
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}

/// Set when it is dropped, so that threads which look at it end with an assertion that fails.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Until something has arrived at a connection, without taking it.
fn until_arrived(stream: &TcpStream) {
    let mut byte = [0];
    stream.peek(&mut byte).unwrap();
}

#[test]
fn connections_are_used_again() {
    let server = Echo::start();
    let pool = pool(server.address, 2);
    for byte in 3..9 {
        let stream = pool.acquire_blocking().unwrap();
        assert_eq!(ask(&stream, byte).unwrap(), byte);
        assert!(stream.nodelay().unwrap());
        assert!(socket2::SockRef::from(&*stream).keepalive().unwrap());
    }
    assert_eq!((pool.stats().created, server.accepted()), (1, 1));
}

#[test]
fn bytes_that_are_there_at_the_return_reach_no_other_holder() {
    let server = Echo::start();
    let pool = pool(server.address, 1);
    let stream = pool.acquire_blocking().unwrap();
    assert_eq!(ask(&stream, 2).unwrap(), 2);
    until_arrived(&stream); // the second byte
    drop(stream);
    assert_eq!(pool.stats().idle, 0);
    let stream = pool.acquire_blocking().unwrap();
    assert_eq!(ask(&stream, 7).unwrap(), 7);
    assert_eq!(pool.stats().created, 2);
}

#[test]
fn bytes_that_come_after_the_return_reach_no_other_holder() {
    let server = Echo::start();
    let pool = pool(server.address, 1);
    let stream = pool.acquire_blocking().unwrap();
    assert_eq!(ask(&stream, 5).unwrap(), 5);
    let mut late = server.open.lock().unwrap()[0].try_clone().unwrap();
    let seen = stream.try_clone().unwrap();
    drop(stream);
    assert_eq!(pool.stats().idle, 1);
    late.write_all(b"late").unwrap();
    until_arrived(&seen);
    drop(seen);
    let stream = pool.acquire_blocking().unwrap();
    assert_eq!(ask(&stream, 7).unwrap(), 7);
    assert_eq!(pool.stats().created, 2);
}

#[test]
fn a_server_that_speaks_first_is_no_reason_to_connect_for_ever() {
    let server = Echo::at("127.0.0.1:0".parse().unwrap(), b"hello");
    let clock = ManualClock::new();
    clock.advance(secs(100));
    let builder = manager(server.address).pool_blocking();
    let builder = builder.max_size(2).min_size(1).check(Check::Always);
    let pool = builder.clock(clock.clone()).build().unwrap();
    assert_eq!(brolly_sync::block_on(pool.warm_up()).unwrap(), 1);
    until("the greeting", || !server.open.lock().unwrap().is_empty());
    thread::sleep(ms(5)); // and it has arrived
    clock.advance(secs(2)); // so that it is checked
    for _ in 0..2 {
        let mut stream = pool.acquire_blocking().unwrap();
        if Guard::usage(&stream).uses == 1 {
            until_arrived(&stream);
            let mut greeting = [0; 5];
            stream.read_exact(&mut greeting).unwrap();
            assert_eq!(&greeting, b"hello");
        }
        assert_eq!(ask(&stream, 7).unwrap(), 7);
    }
    assert_eq!(pool.stats().created, 1);
}

#[test]
fn what_the_peer_has_closed_wholly_or_by_half_is_not_handed_out() {
    for how in [Shutdown::Both, Shutdown::Write] {
        let server = Echo::start();
        let pool = pool(server.address, 1);
        let stream = pool.acquire_blocking().unwrap();
        assert_eq!(ask(&stream, 5).unwrap(), 5);
        let seen = stream.try_clone().unwrap();
        drop(stream);
        server.hang_up(how);
        assert_eq!(seen.peek(&mut [0]).unwrap_or(0), 0);
        drop(seen);
        let stream = pool.acquire_blocking().unwrap();
        assert_eq!(ask(&stream, 7).unwrap(), 7, "{how:?}");
        assert_eq!(pool.stats().created, 2);
    }
}

#[test]
fn what_the_peer_closes_while_it_is_held_does_not_come_back() {
    let server = Echo::start();
    let pool = pool(server.address, 1);
    let stream = pool.acquire_blocking().unwrap();
    assert!(ask(&stream, 0).is_err());
    drop(stream);
    assert_eq!(pool.stats().idle, 0);
}

#[test]
fn a_connection_that_a_holder_made_non_blocking_blocks_for_the_next() {
    let server = Echo::start();
    let pool = pool(server.address, 1);
    pool.acquire_blocking()
        .unwrap()
        .set_nonblocking(true)
        .unwrap();
    let stream = pool.acquire_blocking().unwrap();
    assert_eq!(Guard::usage(&stream).uses, 2);
    assert_eq!(ask(&stream, 7).unwrap(), 7);
}

#[test]
fn a_server_that_is_restarted_under_load_is_found_again() {
    let server = Echo::start();
    let builder = manager(server.address)
        .pool_blocking()
        .max_size(4)
        .min_size(0);
    let pauses = Backoff::builder()
        .initial(ms(5))
        .max(ms(50))
        .build()
        .unwrap();
    let pool = builder
        .acquire_timeout(secs(2))
        .backoff(pauses)
        .build()
        .unwrap();
    let is_over = AtomicBool::new(false);
    let (good, bad) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|threads| {
        let _ends = SetAtEnd(&is_over);
        for _ in 0..6 {
            threads.spawn(|| {
                while !is_over.load(SeqCst) {
                    let began = Instant::now();
                    match pool.acquire_blocking() {
                        Ok(stream) => {
                            stream.set_read_timeout(Some(secs(2))).unwrap();
                            match ask(&stream, 9) {
                                Ok(9) => good.fetch_add(1, SeqCst),
                                Ok(other) => panic!("{other} belongs to somebody else"),
                                Err(_) => {
                                    Guard::discard(stream);
                                    bad.fetch_add(1, SeqCst)
                                }
                            };
                        }
                        Err(AcquireError::Create(CreateError::Failed(error))) => {
                            assert!(matches!(&*error, TcpError::Connect { tried: 1, .. }));
                            bad.fetch_add(1, SeqCst);
                        }
                        Err(AcquireError::Timeout(_)) => {
                            assert!(began.elapsed() < secs(4));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        until("some work", || good.load(SeqCst) > 50);
        let address = server.stop();
        until("some failures", || bad.load(SeqCst) > 5);
        let server = Echo::at(address, b"");
        let before = good.load(SeqCst);
        let restarted = Instant::now();
        until("work again", || good.load(SeqCst) > before);
        // One pause at most, which is 50 ms here; the rest is for a machine that is busy.
        assert!(restarted.elapsed() < secs(2));
        until("as much as ever", || good.load(SeqCst) > before + 50);
        is_over.store(true, SeqCst);
        // Each thread ends with an answer, while the server is there.
        until("all back", || pool.stats().in_use == 0);
        assert!(server.accepted() <= 4 + bad.load(SeqCst));
    });
    let stats = pool.stats();
    assert_eq!(
        (stats.in_use, stats.waiting, stats.creating),
        (0, 0, 0),
        "{stats:?}"
    );
    assert!(stats.size <= 4);
}

/// A port at which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[test]
fn the_first_address_that_answers_is_taken() {
    let server = Echo::start();
    let builder = TcpManager::builder().address(nobody().to_string());
    let builder = builder
        .address("no such name")
        .address(server.address.to_string());
    let pool = builder.build().unwrap().pool_blocking().build().unwrap();
    let stream = pool.acquire_blocking().unwrap();
    assert_eq!(stream.peer_addr().unwrap(), server.address);
}

#[test]
fn nobody_who_answers_is_an_error_that_says_how_many_were_asked() {
    let builder = TcpManager::builder().address(nobody().to_string());
    let builder = builder.address(nobody().to_string());
    let pool = builder.build().unwrap().pool_blocking().build().unwrap();
    let Err(AcquireError::Create(CreateError::Failed(error))) = pool.acquire_blocking() else {
        panic!("somebody answered");
    };
    assert_eq!(error.to_string(), "no connection to any of 2 addresses");
    let pool = TcpManager::builder()
        .address("not an address")
        .build()
        .unwrap();
    let pool = pool.pool_blocking().build().unwrap();
    let Err(AcquireError::Create(CreateError::Failed(error))) = pool.acquire_blocking() else {
        panic!("somebody answered");
    };
    assert!(matches!(&*error, TcpError::Resolve { .. }), "{error:?}");
}

/// A connection to itself answers with what it was sent, and keeps its server from coming back.
#[cfg(target_os = "linux")]
#[test]
fn no_connection_is_one_to_itself_and_the_port_stays_free() {
    // Linux binds to the ports of one parity first, and connects from those of the other.
    let mut ports = (0..100).map(|_| SocketAddr::from(([127, 0, 0, 1], nobody().port() ^ 1)));
    let free = ports.find(|it| TcpListener::bind(it).is_ok()).unwrap();
    let manager = manager(free);
    let refused = (0..60_000).find_map(|_| {
        let error = BlockingManager::create(&manager).map(drop).unwrap_err();
        let TcpError::Connect { source, .. } = error else {
            panic!("{error}");
        };
        source.raw_os_error().is_none().then_some(source)
    });
    let refused = refused.unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    TcpListener::bind(free).unwrap();
}

#[test]
fn settings_out_of_their_range_are_refused_and_long_ones_are_as_long_as_may_be() {
    let field =
        |builder: brolly_resource_pool::TcpManagerBuilder| builder.build().unwrap_err().field;
    let one = || TcpManager::builder().address("127.0.0.1:1");
    assert_eq!(field(TcpManager::builder()), "address");
    assert_eq!(
        field((0..17).fold(TcpManager::builder(), |it, _| it.address("a:1"))),
        "address"
    );
    assert_eq!(
        field(one().connect_timeout(Duration::ZERO)),
        "connect_timeout"
    );
    assert_eq!(field(one().keepalive(ms(999))), "keepalive");
    let server = Echo::start();
    let builder = TcpManager::builder().address(server.address.to_string());
    let builder = builder
        .keepalive(Duration::MAX)
        .connect_timeout(Duration::MAX);
    let pool = builder.build().unwrap().pool_blocking().build().unwrap();
    let stream = pool.acquire_blocking().unwrap();
    assert_eq!(ask(&stream, 7).unwrap(), 7);
}

#[test]
fn a_server_that_is_gone_is_refused_to_those_who_do_not_wait() {
    let pool = pool(nobody(), 1);
    assert!(matches!(
        pool.try_acquire(),
        Err(TryAcquireError::Exhausted { in_use: 0, max: 1 })
    ));
}

#[cfg(feature = "tokio")]
mod tasks {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn pool(address: SocketAddr, max: usize) -> Pool<TcpManager> {
        let builder = manager(address).pool().max_size(max).min_size(0);
        builder.acquire_timeout(secs(5)).build().unwrap()
    }

    async fn ask(stream: &mut tokio::net::TcpStream, byte: u8) -> io::Result<u8> {
        stream.write_all(&[byte]).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn bytes_and_ends_reach_no_other_task() {
        let server = Echo::start();
        let pool = pool(server.address, 1);
        let mut stream = pool.acquire().await.unwrap();
        assert_eq!(ask(&mut stream, 2).await.unwrap(), 2);
        stream.readable().await.unwrap();
        stream.peek(&mut [0]).await.unwrap();
        drop(stream);
        let mut stream = pool.acquire().await.unwrap();
        assert_eq!(ask(&mut stream, 7).await.unwrap(), 7);
        assert_eq!(pool.stats().created, 2);
        let mut late = server.open.lock().unwrap()[1].try_clone().unwrap();
        drop(stream);
        late.write_all(b"late").unwrap();
        let mut stream = loop {
            // The system may take its time, even at home.
            let stream = pool.acquire().await.unwrap();
            if Guard::usage(&stream).uses == 1 {
                break stream;
            }
            drop(stream);
            tokio::task::yield_now().await;
        };
        assert_eq!(ask(&mut stream, 8).await.unwrap(), 8);
        assert!(ask(&mut stream, 0).await.is_err());
        drop(stream);
        let mut stream = pool.acquire().await.unwrap();
        assert_eq!(ask(&mut stream, 9).await.unwrap(), 9);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn nobody_who_answers_is_an_error() {
        let pool = pool(nobody(), 1);
        let Err(AcquireError::Create(CreateError::Failed(error))) = pool.acquire().await else {
            panic!("somebody answered");
        };
        assert!(matches!(&*error, TcpError::Connect { tried: 1, .. }));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn one_address_that_hangs_costs_its_limit_and_no_more() {
        // A line of one that is full: who comes next gets no answer.
        let full = tokio::net::TcpSocket::new_v4().unwrap();
        full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = full.listen(0).unwrap();
        let address = full.local_addr().unwrap();
        let mut line = Vec::new();
        loop {
            let next = tokio::net::TcpStream::connect(address);
            match tokio::time::timeout(ms(100), next).await {
                Ok(stream) => line.push(stream.unwrap()),
                Err(_) => break,
            }
            assert!(line.len() < 64, "the line is never full");
        }
        let server = Echo::start();
        let builder = TcpManager::builder().address(address.to_string());
        let builder = builder.address(server.address.to_string());
        let manager = builder.connect_timeout(ms(50)).build().unwrap();
        let pool = manager.pool().build().unwrap();
        let mut stream = pool.acquire().await.unwrap();
        assert_eq!(ask(&mut stream, 7).await.unwrap(), 7);
    }
}
