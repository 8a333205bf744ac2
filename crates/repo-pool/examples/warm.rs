//! How long leases take: `cargo run --release -p brolly-repo-pool --example warm -- PATH_OR_URL`.
//!
//! Pools the repository in a temporary directory (its own upstream, this project, unless one is
//! named), then leases a slot over and over and prints what each kind of lease costs.

use std::time::{Duration, Instant};

use brolly_repo_pool::{Error, Freshness, PoolConfig, RepoPool, Request};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let root = tempfile::tempdir()?;
    let pools = RepoPool::open(root.path())?;
    let created = timed(|| pools.create_pool(&PoolConfig::new("example", url).slots(2)))?;
    println!("create a pool of 2 slots      {created:>10.1?}");

    let warm = Request::new("example").freshness(Freshness::Cached);
    let lease = median(21, || pools.allocate(&warm).map(drop))?;
    println!("lease a warm slot, release it {lease:>10.1?}");
    let lease = median(21, || pools.allocate(&warm)?.release_uncleaned())?;
    println!("lease a slot left as it was   {lease:>10.1?}");
    let current = Request::new("example");
    let lease = median(5, || pools.allocate(&current).map(drop))?;
    println!("the same, asking the remote   {lease:>10.1?}");
    Ok(())
}

fn timed<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<Duration, Error> {
    let started = Instant::now();
    run().map(|_| started.elapsed())
}

fn median(rounds: usize, mut run: impl FnMut() -> Result<(), Error>) -> Result<Duration, Error> {
    let mut times = (0..rounds)
        .map(|_| timed(&mut run))
        .collect::<Result<Vec<_>, _>>()?;
    times.sort();
    Ok(times[rounds / 2])
}
