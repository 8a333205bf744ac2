//! A router of pools: each piece of work goes to the least loaded pool that will do.

use std::convert::Infallible;
use std::error::Error;

use brolly_resource_pool::{Fallback, Manager, Pool, Query, Router, Target};

/// Connections to one region.
struct Region(&'static str);

impl Manager for Region {
    type Resource = String;
    type Error = Infallible;

    async fn create(&self) -> Result<String, Infallible> {
        Ok(format!("a connection to {}", self.0))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let router = Router::builder().build()?;
    for (region, weight) in [("eu", 2), ("us", 1), ("asia", 1)] {
        let pool = Pool::builder(Region(region))
            .name(region)
            .max_size(4)
            .build()?;
        router.add(Target::new(region, pool).weight(weight))?;
    }

    // What is held counts as load: eight pieces of work are spread 4 : 2 : 2.
    let mut leases = Vec::new();
    for _ in 0..8 {
        let pool = router.pick()?;
        let connection = pool.acquire_blocking()?;
        println!("{:>4}: {}", pool.id(), *connection);
        drop(connection);
        leases.push(pool);
    }
    for it in router.targets() {
        println!("{:>4}: load {} at weight {}", it.id, it.load, it.weight);
    }
    assert!(
        router
            .targets()
            .iter()
            .all(|it| it.load == 2 * u64::from(it.weight))
    );
    drop(leases);

    // The same user comes to the same pool, until that one fails too often.
    let query = Query::new().key("user 7", Fallback::Another);
    let home = *router.pick_for(&query)?.id();
    for _ in 0..5 {
        router.pick_for(&query)?.fail();
    }
    let refuge = router.pick_for(&query)?;
    println!(
        "user 7: at home in {home}, now in {} ({:?})",
        refuge.id(),
        refuge.reason()
    );
    assert_ne!(home, *refuge.id());
    Ok(())
}
