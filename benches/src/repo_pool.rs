//! `brolly-repo-pool` and its peers: the axes.

mod disk;
mod fixture;
pub mod pairs;
mod walk;
mod ways;

use std::path::Path;

use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record};
use fixture::Repository;
use ways::{Checkout, Near, NewTree, ResetAndClean, Walk, Warm, Way, release};

const CRATE: &str = "repo-pool";

pub fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("hot_vs_clone", |name, effort| {
            let repository = fixture::many_files()?;
            let plain = NewTree::local_clone(&repository);
            let parallel = NewTree::local_clone_with_workers(&repository);
            hot(name, &repository, Goal::Peer(plain.name(), 20.0), 2)?
                .peer(plain.name(), timed(plain))
                .peer(parallel.name(), timed(parallel))
                .run(effort, effort.pick(4, 11))
        }),
        axis("hot_vs_full_clone", |name, effort| {
            let repository = fixture::long_history(effort.quick)?;
            let full = NewTree::full_clone(&repository);
            hot(name, &repository, Goal::BestPeer(1_000.0), 2)?
                .peer(full.name(), timed(full))
                .run(effort, effort.pick(3, 7))
        }),
        axis("hot_vs_worktree_add", |name, effort| {
            let repository = fixture::many_files()?;
            let plain = NewTree::worktree(&repository)?;
            let parallel = NewTree::worktree_with_workers(&repository)?;
            hot(name, &repository, Goal::BestPeer(15.0), 2)?
                .peer(plain.name(), timed(plain))
                .peer(parallel.name(), timed(parallel))
                .run(effort, effort.pick(4, 11))
        }),
        axis("hot_vs_walk", |name, effort| {
            let repository = fixture::many_files()?;
            let walk = Walk::new(&repository)?;
            hot(name, &repository, Goal::Peer(walk.name(), 0.77), 2)?
                .peer(walk.name(), timed(walk))
                .run(effort, effort.pick(15, 51))
        }),
        axis("near_vs_checkout", |name, effort| {
            let repository = fixture::many_files()?;
            let near = Near::new(&repository)?;
            let checkout = Checkout::new(&repository)?;
            let goal = Goal::Peer(checkout.name(), 0.77);
            Contest::new(CRATE, name, "ms", Better::Lower, goal)
                .ours(timed(near))
                .peer(checkout.name(), timed(checkout))
                .run(effort, effort.pick(7, 21))
        }),
        axis("release_untouched", |name, effort| {
            released(name, 0, effort)
        }),
        axis("release_dirty", |name, effort| {
            released(name, fixture::DIRT, effort)
        }),
        axis("pairs_8_processes", |name, effort| {
            let goal = Goal::Bound("10,000 pairs a second", 10_000.0);
            pairs::contest(name, "pairs/s", Better::Higher, goal, effort, |run| {
                run.pairs_a_second
            })?
            .run(effort, effort.pick(3, 9))
        }),
        axis("wait_p999_8_processes", |name, effort| {
            let goal = Goal::Bound("10 ms", 10.0);
            pairs::contest(name, "ms", Better::Lower, goal, effort, |run| run.p999_ms)?
                .run(effort, effort.pick(3, 9))
        }),
        axis("slots_many_vs_10", |name, effort| {
            const FEW: &str = "a pool of 10";
            let repository = fixture::small()?;
            let few = Warm::new(&repository, 10)?;
            let many = effort.pick(100, 1_000);
            hot(name, &repository, Goal::Peer(FEW, 0.83), many)?
                .peer(FEW, timed(few))
                .run(effort, effort.pick(31, 101))
        }),
        axis("disk_vs_clones", |name, effort| {
            let repository = fixture::long_history(effort.quick)?;
            disk(name, &repository, effort)
        }),
        axis("disk_vs_clones_many_files", |name, effort| {
            disk(name, &*fixture::many_files()?, effort)
        }),
    ]
}

/// A slot that is at the wanted commit already, in a pool of so many; the peers follow.
fn hot<'a>(
    axis: &str,
    repository: &'a Repository,
    goal: Goal,
    slots: u32,
) -> Result<Contest<'a>, String> {
    let warm = Warm::new(repository, slots)?;
    Ok(Contest::new(CRATE, axis, "ms", Better::Lower, goal).ours(timed(warm)))
}

fn timed<'a>(mut way: impl Way + 'a) -> impl FnMut() -> Measured + 'a {
    move || ways::measure(&mut way)
}

/// Giving a slot back with `dirt` files of each kind in it, against what git has for that.
fn released(axis: &str, dirt: usize, effort: Effort) -> Result<Record, String> {
    let repository = fixture::many_files()?;
    let mut git = ResetAndClean::new(&repository)?;
    let pool = repository.pool("release", 1)?;
    Contest::new(
        CRATE,
        axis,
        "ms",
        Better::Lower,
        Goal::Peer(git.name(), 0.95),
    )
    .ours(|| release(&pool, &repository, dirt))
    .peer(git.name(), || git.measure(dirt))
    .run(effort, effort.pick(7, 21))
}

/// The share of the disk that a pool of 8 takes, of what 8 full clones take.
fn disk(axis: &str, repository: &Repository, effort: Effort) -> Result<Record, String> {
    const COPIES: u32 = 8;
    let full = f64::from(COPIES) * disk::of_clones(repository, 1, "--no-local")?;
    let pool = disk::of_pool(repository, COPIES)? / full;
    // Each clone after the first adds the same.
    let first = disk::of_clones(repository, 1, "--local")?;
    let two = disk::of_clones(repository, 2, "--local")?;
    let linked = (first + f64::from(COPIES - 1) * (two - first)) / full;
    let goal = Goal::Bound("of 8 full clones", 0.4);
    // Bytes do not vary, so they are counted once.
    Contest::new(CRATE, axis, "share", Better::Lower, goal)
        .ours(|| Ok(pool))
        .peer("local clones, hard links", || Ok(linked))
        .run(effort, 1)
}

/// A path as git takes it.
fn text(path: &Path) -> &str {
    path.to_str()
        .expect("the bench's own folders have plain names")
}
