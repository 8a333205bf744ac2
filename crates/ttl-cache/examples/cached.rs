//! A function behind a cache: one run for callers who come together, and a handle of its name.

use std::num::ParseIntError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use brolly_ttl_cache::{Cache, cached};

static RUNS: AtomicU64 = AtomicU64::new(0);

/// What something costs, in cents. Errors are not kept.
#[cached(ttl = "30s", max_capacity = 10_000)]
fn price(shop: &str, text: &str) -> Result<u64, ParseIntError> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(50)); // as if it came over a network
    let euros: u64 = text.parse()?;
    Ok(euros.saturating_mul(100).saturating_add(shop.len() as u64))
}

/// A method keeps its results in its own instance.
struct Warehouse {
    stock: Cache<u64, u64>,
    boxes: u64,
}

impl Warehouse {
    #[cached(cache = self.stock, key = id)]
    fn stock(&self, id: u64, asked_by: &str) -> u64 {
        println!("counting {id} for {asked_by}");
        self.boxes.saturating_mul(id)
    }
}

fn main() {
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| assert_eq!(price("corner", "7"), Ok(706)));
        }
    });
    let stats = price::stats();
    let runs = RUNS.load(Ordering::Relaxed);
    println!(
        "64 callers, {runs} run, {} hits, {} misses",
        stats.hits, stats.misses
    );
    assert_eq!(runs, 1);

    assert!(price("corner", "seven").is_err());
    println!("{} result is kept", price::cache().len());
    assert!(price::invalidate("corner", "7"));
    assert_eq!(price("corner", "7"), Ok(706));
    println!(
        "after it was invalidated: {} runs",
        RUNS.load(Ordering::Relaxed)
    );
    assert_eq!(RUNS.load(Ordering::Relaxed), 3);
    assert_eq!(price::clear(), 1);

    let warehouse = Warehouse {
        stock: Cache::new(100),
        boxes: 12,
    };
    assert_eq!(warehouse.stock(2, "you"), 24);
    assert_eq!(warehouse.stock(2, "me"), 24);
    println!("{} hit", warehouse.stock.stats().hits);
}
