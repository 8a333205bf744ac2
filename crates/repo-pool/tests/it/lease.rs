//! Leases: fencing, expiry, dead owners.

use std::fs;
use std::time::Duration;

use brolly_repo_pool::{Error, Token};

use crate::support::{POOL, World, allocate, git, request};

#[test]
fn a_second_release_with_the_same_token_changes_nothing() {
    let (_world, pools) = World::pooled(1);
    let token = pools
        .allocate(&request().durable(Duration::from_secs(60)))
        .expect("a lease")
        .keep();
    pools.release(token).expect("the first release");
    let other = allocate(&pools, "main");
    assert!(matches!(
        pools.release(token),
        Err(Error::AlreadyReleased { .. })
    ));
    assert_eq!(
        pools.status(POOL).expect("status").slots[0]
            .lease
            .as_ref()
            .expect("held")
            .token,
        other.token()
    );
}

#[test]
fn the_token_of_an_expired_lease_cannot_release_the_next_tenants_slot() {
    let (world, pools) = World::pooled(1);
    let old = pools
        .allocate(&request().durable(Duration::from_secs(60)))
        .expect("a lease")
        .keep();
    world.clock.advance(Duration::from_secs(61));
    let new = allocate(&pools, "main");
    assert!(new.token() > old);
    assert!(matches!(pools.release(old), Err(Error::StaleLease { .. })));
    assert!(matches!(pools.attach(old), Err(Error::StaleLease { .. })));
    assert!(matches!(
        pools.renew(old, Duration::from_secs(60)),
        Err(Error::StaleLease { .. })
    ));
    new.release().expect("the new tenant still holds it");
}

#[test]
fn a_token_that_was_never_given_out_is_unknown() {
    let (_world, pools) = World::pooled(1);
    let forged: Token = "999".parse().expect("a number");
    assert!(matches!(
        pools.release(forged),
        Err(Error::UnknownLease { .. })
    ));
}

#[test]
fn tokens_grow_over_all_pools_and_slots() {
    let (_world, pools) = World::pooled(2);
    let (a, b) = (allocate(&pools, "main"), allocate(&pools, "main"));
    assert!(b.token() > a.token());
    let earlier = b.token();
    drop((a, b));
    assert!(allocate(&pools, "main").token() > earlier);
}

#[test]
fn dropping_the_guard_releases_and_cleans() {
    let (_world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    fs::write(lease.path().join("stray"), "").expect("write");
    drop(lease);
    assert!(!allocate(&pools, "main").path().join("stray").exists());
}

#[test]
fn a_guard_dropped_by_a_panic_releases() {
    let (_world, pools) = World::pooled(1);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _lease = allocate(&pools, "main");
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    drop(allocate(&pools, "main"));
}

#[test]
fn a_durable_lease_lives_until_its_end_and_a_renewal_moves_it() {
    let (world, pools) = World::pooled(1);
    let token = pools
        .allocate(&request().durable(Duration::from_secs(60)))
        .expect("a lease")
        .keep();
    world.clock.advance(Duration::from_secs(59));
    assert!(matches!(
        pools.allocate(&request()),
        Err(Error::NoAvailableSlot { .. })
    ));
    pools
        .renew(token, Duration::from_secs(60))
        .expect("renewed");
    world.clock.advance(Duration::from_secs(59));
    assert!(matches!(
        pools.allocate(&request()),
        Err(Error::NoAvailableSlot { .. })
    ));
    let lease = pools.status(POOL).expect("status").slots[0]
        .lease
        .clone()
        .expect("held");
    assert_eq!(lease.expires_in, Some(Duration::from_secs(1)));
    world.clock.advance(Duration::from_secs(1));
    drop(allocate(&pools, "main"));
}

#[test]
fn an_endless_lease_does_not_overflow() {
    let (world, pools) = World::pooled(1);
    let lease = pools
        .allocate(&request().durable(Duration::MAX))
        .expect("a lease");
    world.clock.advance(Duration::from_secs(1 << 33));
    lease.renew(Duration::MAX).expect("renewed");
    assert_eq!(pools.reclaim(POOL).expect("nothing"), 0);
}

#[test]
fn what_an_expired_tenant_left_is_cleaned_away() {
    let (world, pools) = World::pooled(1);
    let lease = pools
        .allocate(&request().durable(Duration::from_secs(60)))
        .expect("a lease");
    fs::write(lease.path().join("stray"), "").expect("write");
    git(lease.path(), &["branch", "mine"]);
    let _token = lease.keep();
    world.clock.advance(Duration::from_secs(60));
    let next = allocate(&pools, "main");
    assert!(!next.path().join("stray").exists());
    assert_eq!(
        git(next.path(), &["branch", "--list"]).lines().count(),
        1,
        "only the detached HEAD"
    );
}

#[test]
fn a_process_lease_never_expires_while_its_process_lives() {
    let (world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    world.clock.advance(Duration::from_secs(1 << 30));
    assert!(matches!(
        pools.allocate(&request()),
        Err(Error::NoAvailableSlot { .. })
    ));
    lease.release().expect("release");
}

#[test]
fn an_attached_lease_releases_like_the_first_guard() {
    let (world, pools) = World::pooled(1);
    let token = pools
        .allocate(&request().durable(Duration::from_secs(60)))
        .expect("a lease")
        .keep();
    let lease = world.open().attach(token).expect("live");
    assert_eq!(lease.commit(), world.head("main"));
    lease.release().expect("release");
    assert!(matches!(
        pools.attach(token),
        Err(Error::AlreadyReleased { .. })
    ));
}

#[test]
fn what_debug_prints_of_a_lease_is_what_a_log_may_show() {
    let (_world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    let printed = format!("{lease:?}");
    for shown in [
        format!("{:?}", lease.token()),
        format!("{:?}", lease.path()),
        lease.commit().to_owned(),
        "slot: 1".to_owned(),
        format!("warm: {}", lease.is_warm()),
    ] {
        assert!(printed.contains(&shown), "{shown} in {printed}");
    }
    assert!(!printed.contains("url"), "{printed}");
}

#[test]
fn a_tenant_commits_while_its_pool_runs_in_a_hook() {
    let (world, pools) = World::pooled(1);
    drop(pools);
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "lease::role_of_a_hook", "--nocapture"])
        .env("BROLLY_TEST_HOOK", world.root())
        // What git tells a pre-receive hook, and what would lead it elsewhere.
        .env("GIT_QUARANTINE_PATH", world.path())
        .env("GIT_DIR", world.path())
        .env("GIT_OBJECT_DIRECTORY", world.path())
        .env("GIT_SHALLOW_FILE", world.path())
        .output()
        .expect("this test again");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("committed"),
        "{said}"
    );
}

#[test]
fn role_of_a_hook() {
    let Some(root) = std::env::var_os("BROLLY_TEST_HOOK") else {
        return;
    };
    let pools = brolly_repo_pool::RepoPool::open(root).expect("the root");
    let lease = allocate(&pools, "main");
    let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
    let outcome = lease
        .command("git")
        .args(identity)
        .args(["commit", "-q", "--allow-empty", "-m", "in a hook"])
        .run()
        .expect("git");
    assert!(outcome.exit.is_success(), "{}", outcome.stderr.text());
    let made = lease.git().current_commit().expect("a commit");
    assert_ne!(made, lease.commit());
    println!("committed");
}

#[test]
fn a_durable_lease_lasts_from_when_it_is_given_not_from_when_it_was_asked_for() {
    let (world, pools) = World::pooled(1);
    let held = allocate(&pools, "main");
    std::thread::scope(|scope| {
        let ttl = Duration::from_secs(60);
        let waiting = scope.spawn(move || {
            let wait = request()
                .durable(ttl)
                .wait(Duration::from_secs(600))
                .holder("waiting");
            pools.allocate(&wait).map(|lease| (lease.keep(), pools))
        });
        world.clock.advance(Duration::from_secs(3600));
        held.release().expect("release");
        let (_token, pools) = waiting.join().expect("no panic").expect("a lease");
        let lease = pools.status(POOL).expect("status").slots[0]
            .lease
            .clone()
            .expect("held");
        assert_eq!(lease.expires_in, Some(ttl));
    });
}

#[test]
fn a_slot_can_be_recovered_when_its_branch_is_gone_from_the_remote() {
    let world = World::new();
    let pools = world.open();
    pools
        .create_pool(&world.config().slots(1).branch("feature"))
        .expect("a pool");
    allocate(&pools, "feature")
        .release_uncleaned()
        .expect("release");
    git(&world.upstream(), &["branch", "-q", "-D", "feature"]);
    pools.fetch(POOL).expect("fetched");
    pools.recover(POOL, 1).expect("recovered");
    drop(allocate(&pools, "main"));
}
