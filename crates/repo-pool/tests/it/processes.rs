//! Several processes on one root: nothing is held twice, nothing is lost, a killed process frees its slot.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use brolly_repo_pool::{RepoPool, SlotState};

use crate::support::{POOL, World, allocate, git, listing, request};

const ROUNDS: u32 = 1000;

/// How often a tenant is killed, each time a little later in its work.
const KILLS: u64 = 100;

/// Runs the test named `role` of this file in another process, where it plays its role.
fn spawn(role: &str, world: &World) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", &format!("processes::{role}"), "--nocapture"])
        .env("BROLLY_TEST_WORLD", world.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test again")
}

/// The world to play a role in; none when the test is run as one of many.
fn role() -> Option<(PathBuf, RepoPool)> {
    let world = PathBuf::from(std::env::var_os("BROLLY_TEST_WORLD")?);
    let pools = RepoPool::open(world.join("root")).expect("the root");
    Some((world, pools))
}

/// Reads what a child says until it says that it begins.
fn wait_until_ready(child: &mut Child) {
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut lines = output.lines().map(|line| line.expect("UTF-8"));
    assert!(lines.any(|line| line.ends_with("ready")), "it ended first");
}

/// Takes the slot's own mark: whoever finds it taken shares the slot with somebody.
fn mark(world: &Path, slot: u32) -> PathBuf {
    let path = world.join(format!("held-{slot}"));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap_or_else(|_| panic!("slot {slot} is held twice"));
    path
}

#[test]
fn role_of_a_busy_tenant() {
    let Some((world, pools)) = role() else { return };
    for round in 0..ROUNDS {
        let lease = pools
            .allocate(&request().wait(Duration::from_secs(300)))
            .expect("a lease");
        let mark = mark(&world, lease.slot());
        let stray = lease.path().join("stray");
        assert!(!stray.exists(), "the slot was not cleaned");
        if round % 10 == 0 {
            fs::write(&stray, "").expect("write");
        }
        fs::remove_file(mark).expect("the mark");
        lease.release().expect("release");
    }
}

#[test]
fn eight_processes_on_four_slots_never_share_one_and_lose_none() {
    let (world, pools) = World::pooled(4);
    let tenants: Vec<_> = (0..8)
        .map(|_| spawn("role_of_a_busy_tenant", &world))
        .collect();
    for mut tenant in tenants {
        let mut output = String::new();
        tenant
            .stdout
            .take()
            .expect("piped")
            .read_to_string(&mut output)
            .expect("UTF-8");
        assert!(tenant.wait().expect("ended").success(), "{output}");
    }
    let status = pools.status(POOL).expect("status");
    assert!(
        status
            .slots
            .iter()
            .all(|slot| slot.state == SlotState::Available),
        "{status:?}"
    );
    assert_eq!(status.summary.allocations, u64::from(8 * ROUNDS));
    assert_eq!(status.summary.failures, 0);
}

#[test]
fn role_of_a_tenant_that_never_leaves() {
    let Some((_, pools)) = role() else { return };
    let lease = allocate(&pools, "main");
    fs::write(lease.path().join("stray"), "").expect("write");
    // A child of the tenant that outlives it and works in the slot.
    let mut child = Command::new("sleep")
        .arg("600")
        .current_dir(lease.path())
        .spawn()
        .expect("sleep");
    fs::write(lease.path().join("child"), child.id().to_string()).expect("write");
    println!("ready");
    child.wait().expect("never");
}

#[test]
fn a_killed_process_frees_its_slot_and_what_it_left_there_ends() {
    let (world, pools) = World::pooled(1);
    let mut tenant = spawn("role_of_a_tenant_that_never_leaves", &world);
    wait_until_ready(&mut tenant);
    let path = pools.status(POOL).expect("status").slots[0].path.clone();
    let child = fs::read_to_string(path.join("child")).expect("its child");
    tenant.kill().expect("kill");
    tenant.wait().expect("ended");
    let lease = allocate(&pools, "main");
    assert!(!lease.path().join("stray").exists());
    let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(
        stat.is_empty() || stat.contains(") Z"),
        "its child is still at work: {stat}"
    );
}

#[test]
fn role_of_a_restless_tenant() {
    let Some((_, pools)) = role() else { return };
    println!("ready");
    for round in 0_u32.. {
        let branch = ["main", "feature"][(round % 2) as usize];
        let lease = pools
            .allocate(&request().at(branch).wait(Duration::from_secs(60)))
            .expect("a lease");
        fs::write(lease.path().join("src/a.txt"), "edited").expect("write");
        fs::write(lease.path().join("stray"), "").expect("write");
        git(lease.path(), &["checkout", "-q", "-b", "mine"]);
        if round % 3 == 0 {
            lease.release_uncleaned().expect("release");
        } else {
            lease.release().expect("release");
        }
    }
}

#[test]
fn a_tenant_killed_at_any_moment_loses_no_slot_and_leaves_no_trace() {
    let (world, pools) = World::pooled(2);
    let fresh = ["main", "feature"].map(|branch| listing(allocate(&pools, branch).path()));
    for round in 0..KILLS {
        let mut tenant = spawn("role_of_a_restless_tenant", &world);
        wait_until_ready(&mut tenant);
        // From the first step of the first lease to well into the third one.
        std::thread::sleep(Duration::from_micros(round * 1500));
        tenant.kill().expect("kill");
        tenant.wait().expect("ended");
        let branch = (round % 2) as usize;
        let leases = [0, 1].map(|_| allocate(&pools, ["main", "feature"][branch]));
        for lease in &leases {
            assert_eq!(listing(lease.path()), fresh[branch], "round {round}");
            assert_eq!(
                git(lease.path(), &["rev-parse", "HEAD"]).trim(),
                lease.commit()
            );
            let branches = ["for-each-ref", "refs/heads"];
            assert_eq!(git(lease.path(), &branches), "", "round {round}");
        }
    }
    let status = pools.status(POOL).expect("status");
    assert!(
        status
            .slots
            .iter()
            .all(|slot| slot.state == SlotState::Available),
        "{status:?}"
    );
    assert_eq!(
        fs::read_dir(world.root().join("trash"))
            .expect("readable")
            .count(),
        0
    );
    pools
        .git(POOL)
        .expect("git")
        .run(["fsck", "--connectivity-only"])
        .expect("a sound mirror");
}

#[test]
fn role_of_a_creator() {
    let Some((world, pools)) = role() else { return };
    println!("ready");
    let url = world.join("upstream");
    let config = brolly_repo_pool::PoolConfig::new(POOL, url.to_str().expect("UTF-8")).slots(4);
    let created = pools.create_pool(&config);
    // Killed or not: the parent looks at what is left.
    drop(created);
}

#[test]
fn a_creation_killed_at_any_point_can_be_repeated() {
    let world = World::new();
    let mut created = 0;
    for delay in 0..12 {
        let mut creator = spawn("role_of_a_creator", &world);
        wait_until_ready(&mut creator);
        std::thread::sleep(Duration::from_millis(delay * 8));
        creator.kill().expect("kill");
        creator.wait().expect("ended");
        let root = world.root();
        let pools = RepoPool::open(&root).expect("the root");
        if pools.status(POOL).is_err() {
            pools
                .create_pool(&world.config().slots(4))
                .expect("created again");
            created += 1;
        }
        let lease = allocate(&pools, "feature");
        assert!(lease.path().join("feature.txt").exists());
        lease.release().expect("release");
        drop(pools);
        fs::remove_dir_all(root).expect("removed");
    }
    assert!(created > 0, "no creation was interrupted");
}
