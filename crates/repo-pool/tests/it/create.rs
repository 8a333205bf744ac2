//! Creating a pool: all or nothing, one mirror, no network for a second slot.

use std::fs;

use brolly_repo_pool::{Error, PoolConfig, SlotState};

use crate::support::{POOL, World, allocate, git, listing};

#[test]
fn a_new_pool_has_its_slots_at_the_remotes_default_branch() {
    let (world, pools) = World::pooled(3);
    let status = pools.status(POOL).expect("status");
    assert_eq!(status.branch, "main");
    let ids: Vec<_> = status.slots.iter().map(|slot| slot.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "workspace-app-slot1",
            "workspace-app-slot2",
            "workspace-app-slot3"
        ]
    );
    for slot in &status.slots {
        assert_eq!(
            (slot.state, &slot.commit),
            (SlotState::Available, &world.head("main"))
        );
        assert_eq!(
            git(&slot.path, &["rev-parse", "HEAD"]).trim(),
            world.head("main")
        );
        assert_eq!(git(&slot.path, &["status", "--porcelain", "--ignored"]), "");
    }
    assert_eq!((status.summary.total, status.summary.available), (3, 3));
}

#[test]
fn a_slot_is_byte_equal_to_a_fresh_clone() {
    let (world, pools) = World::pooled(1);
    let clone = world.path().join("clone");
    git(
        world.path(),
        &[
            "clone",
            "-q",
            world.upstream().to_str().expect("UTF-8"),
            "clone",
        ],
    );
    let lease = allocate(&pools, "main");
    assert_eq!(listing(lease.path()), listing(&clone));
}

#[test]
fn slots_share_the_mirrors_objects_and_are_worktrees_of_it() {
    let (world, pools) = World::pooled(2);
    let worktrees = pools
        .git(POOL)
        .expect("git")
        .run(["worktree", "list", "--porcelain"])
        .expect("list")
        .stdout;
    for slot in pools.status(POOL).expect("status").slots {
        assert!(
            worktrees.contains(slot.path.to_str().expect("UTF-8")),
            "{worktrees}"
        );
        let objects = world.root().join(format!(
            "pools/{POOL}/slots/{:04}/git/objects/pack",
            slot.number
        ));
        assert_eq!(fs::read_dir(objects).expect("readable").count(), 0);
    }
}

#[test]
fn a_second_pool_of_that_name_is_refused_and_the_first_stays() {
    let (world, pools) = World::pooled(1);
    assert!(matches!(
        pools.create_pool(&world.config()),
        Err(Error::PoolExists { .. })
    ));
    allocate(&pools, "main").release().expect("the pool works");
}

#[test]
fn a_failed_creation_leaves_nothing_and_can_be_tried_again() {
    let world = World::new();
    let pools = world.open();
    let error = pools
        .create_pool(&world.config().branch("nowhere"))
        .expect_err("no such branch");
    assert!(matches!(error, Error::UnknownRef { .. }), "{error}");
    assert!(!world.root().join("pools").join(POOL).exists());
    assert_eq!(
        fs::read_dir(world.root().join("trash"))
            .expect("readable")
            .count(),
        0
    );
    assert!(pools.pools().expect("pools").is_empty());
    pools
        .create_pool(&world.config())
        .expect("the second attempt");
}

#[test]
fn a_repository_that_cannot_be_reached_is_reported_before_anything_is_created() {
    let world = World::new();
    let pools = world.open();
    let missing = world.path().join("missing");
    let error = pools
        .create_pool(&PoolConfig::new(POOL, missing.to_str().expect("UTF-8")))
        .expect_err("missing");
    assert!(matches!(error, Error::Git(_)), "{error}");
    assert!(!world.root().join("pools").join(POOL).exists());
}

#[test]
fn an_empty_repository_is_a_typed_error() {
    let world = World::new();
    git(world.path(), &["init", "-q", "empty"]);
    let empty = world.path().join("empty");
    let error = world
        .open()
        .create_pool(&PoolConfig::new(POOL, empty.to_str().expect("UTF-8")))
        .expect_err("empty");
    assert!(matches!(error, Error::EmptyRepository { .. }), "{error}");
}

#[test]
fn a_repository_that_tracks_slot_json_works() {
    let world = World::new();
    world.write("slot.json", "{\"mine\": true}\n");
    world.commit("tracks slot.json");
    let pools = world.open();
    pools.create_pool(&world.config()).expect("a pool");
    let lease = allocate(&pools, "main");
    assert_eq!(
        fs::read_to_string(lease.path().join("slot.json")).expect("tracked"),
        "{\"mine\": true}\n"
    );
}

#[test]
fn a_pool_named_after_the_roots_own_files_is_refused_or_listed() {
    let world = World::new();
    let pools = world.open();
    for name in ["locks", "trash", "..", "../escape", "pools/x"] {
        let config = PoolConfig::new(name, world.upstream().to_str().expect("UTF-8"));
        assert!(
            matches!(pools.create_pool(&config), Err(Error::InvalidName { .. })),
            "{name}"
        );
    }
    let config = PoolConfig::new("pool.db", world.upstream().to_str().expect("UTF-8"));
    pools.create_pool(&config).expect("a fine name");
    assert_eq!(pools.pools().expect("pools")[0].name, "pool.db");
}

#[test]
fn a_shallow_repository_can_be_pooled() {
    let world = World::new();
    world.write("more", "x");
    world.commit("second");
    let url = format!("file://{}", world.upstream().display());
    git(
        world.path(),
        &["clone", "-q", "--depth", "1", &url, "shallow"],
    );
    let pools = world.open();
    pools
        .create_pool(&PoolConfig::new(
            POOL,
            world.path().join("shallow").to_str().expect("UTF-8"),
        ))
        .expect("a pool");
    let lease = allocate(&pools, "main");
    assert_eq!(git(lease.path(), &["log", "--oneline"]).lines().count(), 1);
}

#[test]
fn a_sha256_repository_can_be_pooled() {
    let world = World::new();
    git(
        world.path(),
        &[
            "init",
            "-q",
            "-b",
            "main",
            "--object-format=sha256",
            "sha256",
        ],
    );
    let upstream = world.path().join("sha256");
    git(&upstream, &["commit", "-q", "--allow-empty", "-m", "first"]);
    let pools = world.open();
    pools
        .create_pool(&PoolConfig::new(POOL, upstream.to_str().expect("UTF-8")))
        .expect("a pool");
    let lease = allocate(&pools, "main");
    assert_eq!(lease.commit().len(), 64);
    assert_eq!(git(lease.path(), &["status", "--porcelain"]), "");
}
