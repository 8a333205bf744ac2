//! Sixty-four callers miss the same key at once, and some of them leave again: one load runs.
//!
//! `cargo run -p brolly-ttl-cache --example stampede`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brolly_ttl_cache::Cache;

const CALLERS: usize = 64;
const LOAD: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() {
    let cache: Cache<&str, Arc<str>> = Cache::new(1_000);
    let loads = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (cache, loads) = (cache.clone(), Arc::clone(&loads));
            tokio::spawn(async move {
                let load = || async move {
                    loads.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(LOAD).await;
                    Arc::<str>::from("the front page")
                };
                cache.get_with("/", load).await
            })
        })
        .collect();

    // The first caller, who started the load, and half of the others lose patience.
    tokio::time::sleep(LOAD / 2).await;
    callers.iter().step_by(2).for_each(|caller| caller.abort());

    let mut served = 0;
    for caller in callers {
        if let Ok(page) = caller.await {
            assert_eq!(&*page.expect("the load succeeds"), "the front page");
            served += 1;
        }
    }
    let (loads, took) = (loads.load(Ordering::Relaxed), start.elapsed());
    println!("{CALLERS} callers, {served} of them patient: {loads} load, {took:.1?}");
    println!("{:?}", cache.stats().loads);
    assert_eq!((served, loads), (CALLERS / 2, 1));
    assert!(took < LOAD * 2, "nothing started again from the beginning");
    assert_eq!(cache.get("/").as_deref(), Some("the front page"));
}
