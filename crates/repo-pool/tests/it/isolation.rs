//! The promise to tenants: nothing of the last one is left, and nothing of another one is seen.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{POOL, World, allocate, git};

/// Leaves one of everything that git shares between ordinary worktrees of one repository.
fn leave_traces(dir: &Path) {
    let common = git(
        dir,
        &["rev-parse", "--path-format=absolute", "--git-common-dir"],
    );
    let hook = Path::new(common.trim()).join("hooks/post-checkout");
    fs::create_dir_all(hook.parent().expect("hooks")).expect("mkdir");
    fs::write(&hook, "#!/bin/sh\ntouch hook-ran\n").expect("write");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("chmod");
    git(
        dir,
        &["config", "core.fsmonitor", "touch fsmonitor-ran; false"],
    );
    git(
        dir,
        &["config", "filter.evil.smudge", "touch filter-ran; cat"],
    );
    fs::create_dir_all(Path::new(common.trim()).join("info")).expect("mkdir");
    fs::write(
        Path::new(common.trim()).join("info/attributes"),
        "* filter=evil\n",
    )
    .expect("write");
    git(dir, &["checkout", "-q", "-b", "mine"]);
    fs::write(dir.join("mine.txt"), "mine\n").expect("write");
    git(dir, &["add", "mine.txt"]);
    git(dir, &["commit", "-q", "-m", "mine"]);
    git(dir, &["tag", "my-tag"]);
    fs::write(dir.join("src/a.txt"), "stashed\n").expect("write");
    git(dir, &["stash", "push", "-q"]);
    git(dir, &["notes", "add", "-m", "note", "HEAD"]);
    git(dir, &["worktree", "add", "-q", "../elsewhere", "HEAD~1"]);
    git(dir, &["checkout", "-q", "-b", "other", "origin/main"]);
    fs::write(dir.join("mine.txt"), "theirs\n").expect("write");
    git(dir, &["add", "mine.txt"]);
    git(dir, &["commit", "-q", "-m", "theirs"]);
    let merge = std::process::Command::new("git")
        .current_dir(dir)
        .args([
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@b",
            "merge",
            "-q",
            "mine",
        ])
        .output()
        .expect("git");
    assert!(
        !merge.status.success(),
        "the merge is meant to stop half-way"
    );
}

fn assert_no_traces(dir: &Path, head: &str) {
    assert_eq!(git(dir, &["rev-parse", "HEAD"]).trim(), head);
    assert_eq!(
        git(
            dir,
            &[
                "for-each-ref",
                "--format=%(refname)",
                "refs/heads",
                "refs/tags",
                "refs/stash",
                "refs/notes"
            ]
        ),
        ""
    );
    assert_eq!(git(dir, &["stash", "list"]), "");
    assert_eq!(git(dir, &["reflog"]), "");
    let status = git(dir, &["status", "--porcelain", "--ignored"]);
    assert_eq!(status, "");
    let said = git(dir, &["status"]);
    assert!(
        !said.contains("merging") && !said.contains("rebas"),
        "{said}"
    );
    let config = git(dir, &["config", "--local", "--list"]);
    assert!(
        !config.contains("evil") && !config.contains("fsmonitor"),
        "{config}"
    );
    git(dir, &["checkout", "-q", "--detach", "origin/feature"]);
    for trace in ["hook-ran", "fsmonitor-ran", "filter-ran"] {
        assert!(!dir.join(trace).exists(), "{trace}");
    }
}

#[test]
fn the_next_lease_sees_nothing_of_the_last_one() {
    let (world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    leave_traces(lease.path());
    let path = lease.path().to_owned();
    lease.release().expect("release");
    let next = allocate(&pools, "main");
    assert_eq!(next.path(), path);
    assert_no_traces(next.path(), &world.head("main"));
}

#[test]
fn a_tenant_of_another_slot_sees_nothing_while_the_first_one_works() {
    let (world, pools) = World::pooled(2);
    let (first, second) = (allocate(&pools, "main"), allocate(&pools, "main"));
    leave_traces(first.path());
    assert_no_traces(second.path(), &world.head("main"));
}

#[test]
fn the_work_of_a_live_tenant_survives_the_release_of_another() {
    let (_world, pools) = World::pooled(2);
    let (first, second) = (allocate(&pools, "main"), allocate(&pools, "main"));
    git(second.path(), &["branch", "precious"]);
    leave_traces(first.path());
    first.release().expect("release");
    assert_eq!(
        git(second.path(), &["branch", "--list", "precious"]).trim(),
        "precious"
    );
}

#[test]
fn garbage_collection_in_a_slot_cannot_reach_the_objects_of_others() {
    let (world, pools) = World::pooled(2);
    let (first, second) = (allocate(&pools, "main"), allocate(&pools, "feature"));
    git(first.path(), &["gc", "--quiet", "--prune=now"]);
    git(second.path(), &["fsck", "--connectivity-only"]);
    assert_eq!(
        git(second.path(), &["show", "-s", "--format=%H", "HEAD"]).trim(),
        world.head("feature")
    );
}

#[test]
fn objects_of_a_tenant_are_gone_with_it_and_the_mirror_stays_sound() {
    let (_world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    git(
        lease.path(),
        &["commit", "-q", "--allow-empty", "-m", "mine"],
    );
    let mine = git(lease.path(), &["rev-parse", "HEAD"]).trim().to_owned();
    lease.release().expect("release");
    let mirror = pools.git(POOL).expect("git");
    assert!(
        !mirror
            .try_run(["cat-file", "-e", &mine])
            .expect("answer")
            .success()
    );
    mirror.run(["fsck", "--connectivity-only"]).expect("sound");
}

#[test]
fn the_mirror_can_be_fetched_while_tenants_are_at_commits_of_their_own() {
    let (world, pools) = World::pooled(2);
    let lease = allocate(&pools, "main");
    git(
        lease.path(),
        &["commit", "-q", "--allow-empty", "-m", "mine"],
    );
    world.write("new.txt", "new\n");
    let pushed = world.commit("second");
    pools.fetch(POOL).expect("fetched");
    assert_eq!(pools.resolve(POOL, "main").expect("known"), pushed);
    git(
        lease.path(),
        &["push", "-q", "origin", "HEAD:refs/heads/mine"],
    );
    let mine = git(lease.path(), &["rev-parse", "HEAD"]).trim().to_owned();
    lease.release().expect("release");
    // What was pushed comes back through the remote, whole, though a slot had it before.
    assert_eq!(
        pools
            .allocate(&brolly_repo_pool::Request::new(POOL).at("mine"))
            .expect("a lease")
            .commit(),
        mine
    );
    pools
        .git(POOL)
        .expect("git")
        .run(["fsck", "--connectivity-only"])
        .expect("a sound mirror");
}

#[test]
fn the_mirror_keeps_what_a_slot_stands_on_when_the_remote_forgets_it() {
    let (world, pools) = World::pooled(1);
    let lease = allocate(&pools, "feature");
    git(&world.upstream(), &["branch", "-q", "-D", "feature"]);
    pools.fetch(POOL).expect("fetched");
    let mirror = pools.git(POOL).expect("git");
    mirror
        .run(["reflog", "expire", "--all", "--expire=now"])
        .expect("expired");
    mirror
        .run(["gc", "--quiet", "--prune=now"])
        .expect("collected");
    git(lease.path(), &["fsck", "--connectivity-only"]);
    assert_eq!(
        git(lease.path(), &["show", "HEAD:feature.txt"]),
        "feature\n"
    );
}

#[test]
fn a_command_in_a_slot_is_told_where_it_is_and_not_led_elsewhere() {
    let (_world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    let script = "echo $BROLLY_SLOT $BROLLY_LEASE; git rev-parse --show-toplevel";
    let outcome = lease.command("sh").args(["-c", script]).run().expect("sh");
    let expected = format!("1 {}\n{}\n", lease.token(), lease.path().display());
    assert_eq!(outcome.stdout.text(), expected);
}
