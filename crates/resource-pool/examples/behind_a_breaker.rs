//! A pool whose backend is down, behind a circuit breaker: callers are told at once and for how long,
//! and the backend is left alone until the breaker lets one attempt pass.
//!
//! `cargo run -p brolly-resource-pool --example behind_a_breaker`

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use brolly_circuit_breaker::CircuitBreaker;
use brolly_resource_pool::{Blocking, BlockingManager, Made, Pass, Pool, Refused};

#[derive(Clone, Default)]
struct Backend {
    is_up: Arc<AtomicBool>,
    attempts: Arc<AtomicUsize>,
}

impl BlockingManager for Backend {
    type Resource = &'static str;
    type Error = io::Error;

    fn create(&self) -> io::Result<&'static str> {
        self.attempts.fetch_add(1, SeqCst);
        match self.is_up.load(SeqCst) {
            true => Ok("a connection"),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = Backend::default();
    let breaker = CircuitBreaker::builder()
        .consecutive_failures(2)
        .open_for(Duration::from_secs(1))
        .build()?;
    let asked = breaker.clone();
    let gate = move || match asked.try_acquire_owned() {
        Ok(permit) => Ok(Pass::new(move |made| match made {
            Made::Succeeded => permit.success(),
            Made::Failed => permit.failure(),
        })),
        Err(rejection) => {
            let retry_after = rejection.retry_after().unwrap_or(Duration::MAX);
            Err(Refused::for_now(retry_after))
        }
    };
    let pool = Pool::builder(Blocking(backend.clone()))
        .name("db")
        .max_size(4)
        .gate(gate)
        .build()?;

    let mut refused = 0;
    for _ in 0..40 {
        if let Err(error) = pool.acquire_blocking() {
            refused += usize::from(error.retry_after().is_some());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let attempts = backend.attempts.load(SeqCst);
    println!("down: 40 callers, {attempts} attempts, {refused} told at once to come back later");
    assert!(attempts < 10);

    backend.is_up.store(true, SeqCst);
    let mut waited = 0;
    let connection = loop {
        match pool.acquire_blocking() {
            Ok(connection) => break connection,
            Err(error) => {
                let retry_after = error.retry_after().unwrap_or(Duration::from_millis(50));
                thread::sleep(retry_after);
                waited += 1;
            }
        }
    };
    println!("up: {} after being sent away {waited} times", *connection);
    assert!(waited <= 20);
    Ok(())
}
