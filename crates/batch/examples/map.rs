//! Fetches twenty pages, four at a time, from a server that is slow and sometimes fails.
//!
//! Run with `cargo run -p brolly-batch --example map`.

use std::time::{Duration, Instant};

use brolly_batch::{BatchProcessor, ItemError};

async fn fetch(page: u32) -> Result<String, String> {
    tokio::time::sleep(Duration::from_millis(u64::from(page % 5) * 10)).await;
    match page {
        7 => Err("connection reset".to_owned()),
        13 => panic!("page 13 is cursed"),
        _ => Ok(format!("<h1>page {page}</h1>")),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let processor = BatchProcessor::builder().max_concurrent(4).build()?;
    let start = Instant::now();
    let pages = processor.map(0..20, fetch).await;
    for (number, page) in pages.iter().enumerate() {
        match page {
            Ok(html) => println!("{number:2}  {html}"),
            Err(ItemError::Failed(error)) => println!("{number:2}  failed: {error}"),
            Err(other) => println!("{number:2}  {other}"),
        }
    }
    println!("20 pages in {:?}", start.elapsed());
    Ok(())
}
