//! Times a function and a future, and shows what Prometheus would see.

use std::pin::pin;
use std::task::{Context, Waker};

use brolly_metrics_core::{Format, Registry, timed};

#[timed(name = "fibonacci", registry = registry)]
fn fibonacci(registry: &Registry, n: u32) -> Result<u64, &'static str> {
    let mut pair = (0_u64, 1_u64);
    for _ in 0..n {
        pair = (pair.1, pair.0.checked_add(pair.1).ok_or("too large")?);
    }
    Ok(pair.0)
}

#[timed(name = "never_done", registry = registry)]
async fn never_done(registry: &Registry) {
    std::future::pending().await
}

fn main() {
    let registry = Registry::new();
    for n in [10, 50, 90, 130] {
        println!("fibonacci({n}) = {:?}", fibonacci(&registry, n));
    }
    {
        let mut future = pin!(never_done(&registry));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    let page = registry.encode(Format::Text);
    for line in page.lines().filter(|line| line.contains("_count")) {
        println!("{line}");
    }
}
