//! Bad input: a typed error that names field, value and rule, and nothing touched.

use std::fs;
use std::time::Duration;

use brolly_repo_pool::{Error, Options, PoolConfig, RepoPool, Request};

use crate::support::{POOL, World, allocate, request};

#[test]
fn names_slots_and_urls_are_checked_before_anything_is_created() {
    let world = World::new();
    let pools = world.open();
    let url = world.upstream().to_str().expect("UTF-8").to_owned();
    let untouched = || {
        fs::read_dir(world.root().join("pools"))
            .expect("readable")
            .count()
            == 0
    };
    assert!(matches!(
        pools.create_pool(&PoolConfig::new("../x", &url)),
        Err(Error::InvalidName { .. })
    ));
    assert!(matches!(
        pools.create_pool(&PoolConfig::new(POOL, &url).slots(0)),
        Err(Error::InvalidSlots { slots: 0, .. })
    ));
    assert!(matches!(
        pools.create_pool(&PoolConfig::new(POOL, &url).slots(1001)),
        Err(Error::InvalidSlots { .. })
    ));
    assert!(matches!(
        pools.create_pool(&PoolConfig::new(POOL, "--upload-pack=touch x")),
        Err(Error::InvalidUrl { .. })
    ));
    assert!(matches!(
        pools.create_pool(&PoolConfig::new(POOL, "ext::sh -c id")),
        Err(Error::InvalidUrl { .. })
    ));
    assert!(matches!(
        pools.create_pool(&PoolConfig::new(POOL, &url).branch("-x")),
        Err(Error::InvalidRef { .. })
    ));
    assert!(untouched());
}

#[test]
fn requests_are_checked_before_a_slot_is_taken() {
    let (_world, pools) = World::pooled(1);
    assert!(matches!(
        pools.allocate(&Request::new("none")),
        Err(Error::PoolNotFound { .. })
    ));
    assert!(matches!(
        pools.allocate(&request().at("--help")),
        Err(Error::InvalidRef { .. })
    ));
    assert!(matches!(
        pools.allocate(&request().durable(Duration::ZERO)),
        Err(Error::InvalidSetting { field: "ttl", .. })
    ));
    let long = "x".repeat(1001);
    assert!(matches!(
        pools.allocate(&request().holder(long)),
        Err(Error::InvalidSetting {
            field: "holder",
            ..
        })
    ));
    assert_eq!(pools.status(POOL).expect("status").summary.available, 1);
}

#[test]
fn timeouts_of_zero_are_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let options = Options::new(dir.path().join("root"));
    let error = options
        .clone()
        .lock_timeout(Duration::ZERO)
        .open()
        .expect_err("zero");
    assert!(matches!(
        error,
        Error::InvalidSetting {
            field: "lock_timeout",
            ..
        }
    ));
    assert!(matches!(
        options.git_timeout(Duration::ZERO).open(),
        Err(Error::InvalidSetting {
            field: "git_timeout",
            ..
        })
    ));
    assert!(!dir.path().join("root").exists());
}

#[test]
fn a_damaged_database_is_refused_with_advice_and_left_as_it_is() {
    let world = World::new();
    drop(world.open());
    let path = world.root().join("pool.db");
    fs::write(
        &path,
        "this is no database, and certainly not one of SQLite's: its header is missing",
    )
    .expect("write");
    let error = RepoPool::open(world.root()).expect_err("damaged");
    assert!(
        matches!(&error, Error::Database { reason, .. } if reason.contains("damaged")),
        "{error}"
    );
    assert!(
        fs::read_to_string(&path)
            .expect("kept")
            .starts_with("this is no database")
    );
}

#[test]
fn a_database_of_a_newer_version_or_of_another_program_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    drop(RepoPool::open(dir.path()).expect("a root"));
    let database = rusqlite::Connection::open(dir.path().join("pool.db")).expect("open");
    database
        .pragma_update(None, "user_version", 99)
        .expect("pragma");
    let error = RepoPool::open(dir.path()).expect_err("newer");
    assert!(
        matches!(&error, Error::Database { reason, .. } if reason.contains("99")),
        "{error}"
    );
    database
        .pragma_update(None, "application_id", 7)
        .expect("pragma");
    let error = RepoPool::open(dir.path()).expect_err("foreign");
    assert!(
        matches!(&error, Error::Database { reason, .. } if reason.contains("another program")),
        "{error}"
    );
}

#[test]
fn only_a_slot_that_needs_it_can_be_recovered() {
    let (_world, pools) = World::pooled(1);
    assert!(matches!(
        pools.recover(POOL, 1),
        Err(Error::InvalidState { .. })
    ));
    assert!(matches!(
        pools.recover(POOL, 7),
        Err(Error::SlotNotFound { slot: 7, .. })
    ));
    let lease = allocate(&pools, "main");
    assert!(matches!(
        pools.recover(POOL, 1),
        Err(Error::InvalidState { .. })
    ));
    lease.release_uncleaned().expect("release");
    pools.recover(POOL, 1).expect("recovered");
}

#[test]
fn a_push_makes_a_new_ref_and_never_touches_an_old_one() {
    let (world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    let commit = lease.commit().to_owned();
    assert!(matches!(
        lease.push_new(&commit, "x"),
        Err(Error::InvalidRef { .. })
    ));
    assert!(matches!(
        lease.push_new("--force", "refs/heads/x"),
        Err(Error::InvalidRef { .. })
    ));
    lease
        .push_new(&commit, "refs/heads/pushed")
        .expect("pushed");
    assert_eq!(world.head("pushed"), commit);
    crate::support::git(
        lease.path(),
        &["commit", "-q", "--allow-empty", "-m", "more"],
    );
    let later = lease.git().current_commit().expect("a commit");
    assert!(matches!(
        lease.push_new(&later, "refs/heads/pushed"),
        Err(Error::Git(_))
    ));
    assert_eq!(world.head("pushed"), commit);
}
