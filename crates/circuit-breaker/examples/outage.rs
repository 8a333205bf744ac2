//! A real server on the loopback goes down, comes back slow, and recovers; the breaker's timeline.
//!
//! `cargo run --release -p brolly-circuit-breaker --example outage`

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use brolly_circuit_breaker::{CallError, CircuitBreaker, Reason, State};

const UP: u8 = 0;
const DOWN: u8 = 1;
const SLOW: u8 = 2;

/// What a slow answer takes, and from when on the breaker calls it slow.
const SLOW_ANSWER: Duration = Duration::from_millis(60);
const SLOW_CALL: Duration = Duration::from_millis(30);

/// Answers each connection with four bytes, closes it without a word, or takes its time.
struct Server {
    address: SocketAddr,
    mode: Arc<AtomicU8>,
    requests: Arc<AtomicU32>,
}

impl Server {
    fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self {
            address: listener.local_addr()?,
            mode: Arc::default(),
            requests: Arc::default(),
        };
        let (mode, requests) = (Arc::clone(&server.mode), Arc::clone(&server.requests));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                requests.fetch_add(1, Relaxed);
                match mode.load(Relaxed) {
                    DOWN => continue,
                    SLOW => thread::sleep(SLOW_ANSWER),
                    _ => {}
                }
                // A client that has gone is its own concern.
                let _ = stream.write_all(b"pong");
            }
        });
        Ok(server)
    }
}

fn ask(address: SocketAddr) -> io::Result<[u8; 4]> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// What became of the calls of a phase.
#[derive(Debug, Default)]
struct Tally {
    answered: u32,
    failed: u32,
    rejected: u32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let start = Instant::now();
    let breaker = CircuitBreaker::builder()
        .name("pong")
        .count_window(10)
        .minimum_calls(5)
        .failure_rate(0.5)
        .slow_call_rate(SLOW_CALL, 0.5)
        .open_for(Duration::from_millis(150))
        .backoff(1.5, Duration::from_millis(400))
        .success_threshold(2)
        .on_transition(move |event| {
            let (at, reason) = (start.elapsed().as_millis(), event.reason);
            println!("{at:>6} ms  {} -> {} ({reason:?})", event.from, event.to);
        })
        .build()?;

    let phase = |name: &str, mode: u8, lasts: Duration| {
        server.mode.store(mode, Relaxed);
        let (begin, seen) = (Instant::now(), server.requests.load(Relaxed));
        println!(
            "{:>6} ms  the server is {name}",
            start.elapsed().as_millis()
        );
        let mut tally = Tally::default();
        while begin.elapsed() < lasts {
            match breaker.call_sync(|| ask(server.address)) {
                Ok(answer) => {
                    assert_eq!(&answer, b"pong");
                    tally.answered += 1;
                }
                Err(CallError::Rejected(rejection)) => {
                    assert!(rejection.retry_after().is_some());
                    tally.rejected += 1;
                }
                Err(_) => tally.failed += 1,
            }
            thread::sleep(Duration::from_millis(2));
        }
        let requests = server.requests.load(Relaxed) - seen;
        println!(
            "{:>6} ms  {tally:?}, {requests} requests arrived",
            start.elapsed().as_millis()
        );
        tally
    };

    let up = phase("up", UP, Duration::from_millis(500));
    let down = phase("down", DOWN, Duration::from_millis(1_500));
    let back = phase("up", UP, Duration::from_millis(1_000));
    let slow = phase("slow", SLOW, Duration::from_millis(1_500));
    let well = phase("up", UP, Duration::from_millis(1_000));

    assert!(
        up.answered > 0 && up.failed + up.rejected == 0,
        "nothing is lost while it is up"
    );
    assert!(
        down.answered == 0 && down.rejected > down.failed,
        "an outage fails fast"
    );
    assert!(
        back.answered > 0 && back.failed == 0,
        "it is back by itself"
    );
    assert!(slow.rejected > slow.answered, "a slow server is spared");
    assert!(
        well.answered > well.rejected,
        "and trusted again when it is well"
    );
    assert_eq!(breaker.state(), State::Closed);
    let reasons: Vec<_> = breaker.events().iter().map(|event| event.reason).collect();
    assert!(reasons.contains(&Reason::FailureRate) && reasons.contains(&Reason::SlowCallRate));
    let totals = breaker.snapshot().totals;
    println!("{totals:?}");
    assert_eq!(totals.failures, u64::from(down.failed));
    Ok(())
}
