//! A pool that somebody has emptied, and the error that names the line.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use brolly_resource_pool::{Manager, Pool};

struct Tickets;

impl Manager for Tickets {
    type Resource = &'static str;
    type Error = Infallible;

    async fn create(&self) -> Result<&'static str, Infallible> {
        Ok("ticket")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder(Tickets).name("tickets").max_size(2).build()?;
    let _first = pool.acquire_blocking()?;
    let _second = pool.acquire_blocking()?;
    match pool.acquire_blocking_timeout(Duration::from_millis(50)) {
        Ok(_) => Err("there were two")?,
        Err(error) => println!("{error}"),
    }
    for holder in pool.holders() {
        println!("{holder}");
    }
    Ok(())
}
