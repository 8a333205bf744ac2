//! Allocating: the slot is at the ref that was asked for, warm where it can be, refused with the facts where it cannot.

use std::fs;
use std::time::Duration;

use brolly_repo_pool::process::Cancel;
use brolly_repo_pool::{Error, Freshness, Request, SlotPolicy, SlotState};

use crate::support::{POOL, World, allocate, git, request};

#[test]
fn a_slot_is_prepared_at_the_requested_ref_not_at_what_the_last_tenant_left() {
    let (world, pools) = World::pooled(1);
    let first = allocate(&pools, "feature");
    assert_eq!(first.commit(), world.head("feature"));
    git(
        first.path(),
        &["commit", "-q", "--allow-empty", "-m", "mine"],
    );
    first.release().expect("release");
    let second = allocate(&pools, "main");
    assert_eq!(
        git(second.path(), &["rev-parse", "HEAD"]).trim(),
        world.head("main")
    );
    assert!(!second.path().join("feature.txt").exists());
}

#[test]
fn a_branch_means_what_it_means_on_the_remote_now() {
    let (world, pools) = World::pooled(1);
    allocate(&pools, "main").release().expect("release");
    world.write("new.txt", "new\n");
    let pushed = world.commit("second");
    let lease = pools
        .allocate(&Request::new(POOL).at("main"))
        .expect("a lease");
    assert_eq!(lease.commit(), pushed);
    assert!(lease.path().join("new.txt").exists());
    assert_eq!(
        git(lease.path(), &["rev-parse", "origin/main"]).trim(),
        pushed
    );
}

#[test]
fn a_cached_request_asks_the_remote_only_for_what_is_unknown() {
    let (world, pools) = World::pooled(1);
    let before = world.head("main");
    world.write("new.txt", "new\n");
    let pushed = world.commit("second");
    let lease = allocate(&pools, "main");
    assert_eq!(lease.commit(), before);
    drop(lease);
    assert_eq!(allocate(&pools, &pushed).commit(), pushed);
}

#[test]
fn a_request_within_an_age_uses_the_last_fetch_until_it_is_older() {
    let (world, pools) = World::pooled(1);
    world.clock.advance(Duration::from_secs(100));
    pools.fetch(POOL).expect("fetch");
    let before = world.head("main");
    world.write("new.txt", "new\n");
    let pushed = world.commit("second");
    let within = Request::new(POOL)
        .at("main")
        .freshness(Freshness::Within(Duration::from_secs(60)));
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(pools.allocate(&within).expect("a lease").commit(), before);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(pools.allocate(&within).expect("a lease").commit(), pushed);
}

#[test]
fn every_way_to_name_a_commit_leads_to_it() {
    let (world, pools) = World::pooled(1);
    git(
        &world.upstream(),
        &["tag", "-a", "v1", "-m", "one", "feature"],
    );
    pools.fetch(POOL).expect("fetch");
    let feature = world.head("feature");
    let names = [
        "feature",
        "origin/feature",
        "refs/heads/feature",
        "refs/remotes/origin/feature",
        "v1",
        "refs/tags/v1",
    ];
    for name in names.into_iter().chain([feature.as_str(), &feature[..10]]) {
        assert_eq!(pools.resolve(POOL, name).expect(name), feature, "{name}");
    }
    assert_eq!(
        pools.resolve(POOL, "feature~1").expect("parent"),
        world.head("main")
    );
    assert_eq!(
        pools.resolve(POOL, "HEAD").expect("default"),
        world.head("main")
    );
    let ours = pools
        .git(POOL)
        .expect("git")
        .commit_id("refs/remotes/origin/feature")
        .expect("git's own answer");
    assert_eq!(ours, feature);
}

#[test]
fn an_unknown_ref_is_an_error_and_takes_no_slot() {
    let (_world, pools) = World::pooled(1);
    for name in [
        "nowhere",
        "0123456789012345678901234567890123456789",
        "main~99",
    ] {
        let error = pools
            .allocate(&Request::new(POOL).at(name))
            .expect_err("unknown");
        assert!(matches!(error, Error::UnknownRef { .. }), "{name}: {error}");
    }
    let summary = pools.status(POOL).expect("status").summary;
    assert_eq!(
        (summary.available, summary.failures, summary.allocations),
        (1, 3, 0)
    );
}

#[test]
fn a_slot_at_the_commit_already_is_chosen_and_counts_as_warm() {
    let (_world, pools) = World::pooled(2);
    allocate(&pools, "feature").release().expect("release");
    let feature = allocate(&pools, "feature");
    let main = allocate(&pools, "main");
    assert!(feature.is_warm() && main.is_warm());
    let summary = pools.status(POOL).expect("status").summary;
    assert_eq!((summary.allocations, summary.warm_hits), (3, 2));
}

#[test]
fn tenants_that_take_turns_on_as_many_commits_as_slots_stay_warm() {
    let (_world, pools) = World::pooled(2);
    for _ in 0..3 {
        allocate(&pools, "feature").release().expect("release");
        allocate(&pools, "main").release().expect("release");
    }
    let summary = pools.status(POOL).expect("status").summary;
    assert_eq!((summary.allocations, summary.warm_hits), (6, 5));
}

#[test]
fn the_policy_decides_among_slots_that_are_equally_warm() {
    let (_world, pools) = World::pooled(3);
    let all: Vec<_> = (0..3).map(|_| allocate(&pools, "main")).collect();
    let numbers: Vec<_> = all.iter().map(brolly_repo_pool::Lease::slot).collect();
    drop(all);
    let take = |policy| {
        pools
            .allocate(&request().at("feature").policy(policy))
            .expect("a lease")
            .slot()
    };
    assert_eq!(take(SlotPolicy::WarmFirst), numbers[0]);
    let (_world, pools) = World::pooled(3);
    drop((0..3).map(|_| allocate(&pools, "main")).collect::<Vec<_>>());
    let take = |policy| {
        pools
            .allocate(&request().at("feature").policy(policy))
            .expect("a lease")
            .slot()
    };
    assert_eq!(take(SlotPolicy::MostRecentlyUsed), numbers[2]);
    let (_world, pools) = World::pooled(3);
    drop(allocate(&pools, "main"));
    let take = |policy| {
        pools
            .allocate(&request().at("feature").policy(policy))
            .expect("a lease")
            .slot()
    };
    assert_eq!(take(SlotPolicy::LowestIndex), 1);
}

#[test]
fn a_full_pool_refuses_at_once_and_says_who_holds_it() {
    let (_world, pools) = World::pooled(1);
    let lease = pools
        .allocate(&request().holder("nightly build"))
        .expect("a lease");
    let error = pools.allocate(&request()).expect_err("full");
    assert!(
        matches!(
            error,
            Error::NoAvailableSlot {
                leased: 1,
                busy: 0,
                failed: 0,
                ..
            }
        ),
        "{error}"
    );
    let slot = &pools.status(POOL).expect("status").slots[0];
    let held = slot.lease.as_ref().expect("a lease");
    assert_eq!(
        (held.holder.as_str(), held.token),
        ("nightly build", lease.token())
    );
    assert_eq!(
        held.owner.as_ref().expect("a process").pid,
        std::process::id()
    );
}

#[test]
fn a_waiting_tenant_gets_the_slot_as_soon_as_it_is_released() {
    let (_world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            pools
                .allocate(&request().wait(Duration::from_secs(60)))
                .expect("a lease")
                .slot()
        });
        lease.release().expect("release");
        assert_eq!(waiting.join().expect("no panic"), 1);
    });
}

#[test]
fn a_waiting_tenant_can_be_cancelled() {
    let (_world, pools) = World::pooled(1);
    let _lease = allocate(&pools, "main");
    let cancel = Cancel::new().expect("pipe");
    std::thread::scope(|scope| {
        let waiting = scope
            .spawn(|| pools.allocate(&request().wait(Duration::from_secs(600)).cancel(&cancel)));
        cancel.cancel();
        assert!(matches!(
            waiting.join().expect("no panic"),
            Err(Error::Cancelled)
        ));
    });
}

#[test]
fn a_slot_that_was_tampered_with_while_free_is_put_right_before_it_is_given_out() {
    let (_world, pools) = World::pooled(1);
    let path = pools.status(POOL).expect("status").slots[0].path.clone();
    fs::write(path.join("src/a.txt"), "ONE\n").expect("write");
    fs::write(path.join("stray"), "").expect("write");
    let lease = allocate(&pools, "main");
    assert_eq!(
        fs::read_to_string(lease.path().join("src/a.txt")).expect("tracked"),
        "one\n"
    );
    assert!(!lease.path().join("stray").exists());
}

#[test]
fn a_slot_that_cannot_be_prepared_goes_into_error_and_the_next_one_is_given() {
    let (world, pools) = World::pooled(2);
    let slots = world.root().join("pools").join(POOL).join("slots");
    let admin = world
        .root()
        .join("pools")
        .join(POOL)
        .join("mirror.git/worktrees/0001");
    // Whatever stands in a slot's place is moved away, and the slot is made anew.
    fs::remove_dir_all(slots.join("0001")).expect("remove");
    fs::remove_dir_all(&admin).expect("remove");
    std::os::unix::fs::symlink("/dev/null/nowhere", slots.join("0001")).expect("link");
    allocate(&pools, "main").release().expect("release");
    // With the mirror's objects gone nothing can be made anew; the other slot is still whole.
    fs::remove_dir_all(slots.join("0001")).expect("remove");
    let objects = world
        .root()
        .join("pools")
        .join(POOL)
        .join("mirror.git/objects");
    fs::rename(&objects, objects.with_extension("away")).expect("rename");
    let lease = pools
        .allocate(
            &request()
                .at(world.head("main"))
                .policy(SlotPolicy::LowestIndex),
        )
        .expect("slot 2");
    assert_eq!(lease.slot(), 2);
    let status = pools.status(POOL).expect("status");
    assert_eq!(status.slots[0].state, SlotState::Error);
    assert!(
        status.slots[0]
            .note
            .as_ref()
            .is_some_and(|note| note.contains("git")),
        "{:?}",
        status.slots[0].note
    );
    fs::rename(objects.with_extension("away"), &objects).expect("rename");
    pools.recover(POOL, 1).expect("recovered");
    assert_eq!(
        pools.status(POOL).expect("status").slots[0].state,
        SlotState::Available
    );
}

#[test]
fn a_commit_that_cannot_be_checked_out_fails_its_own_request_and_no_slot() {
    let world = World::new();
    // A name that no file system takes.
    let blob = git(&world.upstream(), &["rev-parse", "main:src/a.txt"]);
    let entry = format!("100644 blob {}\t{}\n", blob.trim(), "x".repeat(300));
    fs::write(world.path().join("entry"), entry).expect("write");
    let script =
        "git update-ref refs/heads/long $(git commit-tree -m long $(git mktree < ../entry))";
    let made = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(world.upstream())
        .status();
    assert!(made.expect("sh").success());
    let pools = world.open();
    pools.create_pool(&world.config().slots(2)).expect("a pool");
    for _ in 0..3 {
        assert!(matches!(
            pools.allocate(&request().at("long")),
            Err(Error::Git(_))
        ));
    }
    let status = pools.status(POOL).expect("status");
    assert_eq!(
        (status.summary.available, status.summary.error),
        (2, 0),
        "{status:?}"
    );
    assert_eq!(
        git(
            allocate(&pools, "main").path(),
            &["status", "--porcelain", "--ignored"]
        ),
        ""
    );
}

#[test]
fn a_lock_that_a_killed_git_left_in_the_mirror_stops_no_fetch() {
    let (world, pools) = World::pooled(1);
    let mirror = world.root().join("pools").join(POOL).join("mirror.git");
    for name in [
        "packed-refs.lock",
        "refs/remotes/origin/main.lock",
        "shallow.lock",
    ] {
        fs::create_dir_all(mirror.join("refs/remotes/origin")).expect("mkdir");
        fs::write(mirror.join(name), "").expect("write");
    }
    world.write("new.txt", "new\n");
    let pushed = world.commit("second");
    assert_eq!(
        pools
            .allocate(&Request::new(POOL))
            .expect("a lease")
            .commit(),
        pushed
    );
}

#[test]
fn refs_that_changed_without_the_database_knowing_reach_the_next_tenant() {
    let (world, pools) = World::pooled(1);
    world.write("new.txt", "new\n");
    let pushed = world.commit("second");
    // A process that died between its fetch and its entry in the database did just this.
    let mirror = world.root().join("pools").join(POOL).join("mirror.git");
    git(&mirror, &["fetch", "-q", "origin"]);
    git(&mirror, &["pack-refs", "--all"]);
    let lease = allocate(&pools, "main");
    assert_eq!(lease.commit(), pushed);
    assert_eq!(
        git(lease.path(), &["rev-parse", "origin/main"]).trim(),
        pushed
    );
}

#[test]
fn a_slot_that_could_not_be_let_go_of_at_once_is_let_go_of_later() {
    let world = World::new();
    let pools = brolly_repo_pool::Options::new(world.root())
        .lock_timeout(Duration::from_millis(50))
        .open()
        .expect("a root");
    pools.create_pool(&world.config().slots(1)).expect("a pool");
    let lease = allocate(&pools, "main");
    fs::write(lease.path().join("stray"), "").expect("write");
    let turnstile = fs::File::open(world.root().join("write.lock")).expect("open");
    let token = lease.keep();
    std::thread::scope(|scope| {
        // Held from the moment the release has begun: its last write must fail.
        let release = scope.spawn(|| pools.release(token));
        let cleaning = || pools.status(POOL).expect("status").slots[0].state == SlotState::Cleaning;
        while !cleaning() && !release.is_finished() {
            std::thread::yield_now();
        }
        turnstile.lock().expect("lock");
        let _ = release.join().expect("no panic");
    });
    turnstile.unlock().expect("unlock");
    let next = allocate(&pools, "main");
    assert!(!next.path().join("stray").exists());
}
