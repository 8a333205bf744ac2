//! Cleaning: whatever a tenant did to its tree, the next one finds what a fresh checkout holds.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use brolly_repo_pool::SlotState;
use proptest::prelude::*;

use crate::support::{POOL, World, allocate, git, listing};

/// What a tenant does to a tree, and the doing.
type Abuse = (&'static str, fn(&Path));

/// What a tenant may do to a tree. Each names what plain `reset --hard` and `clean -fdx` make of it.
fn abuses() -> Vec<Abuse> {
    vec![
        ("edits, removes and adds files", |dir| {
            fs::write(dir.join("src/a.txt"), "edited").expect("write");
            fs::remove_file(dir.join("src/deep/b.txt")).expect("remove");
            fs::create_dir_all(dir.join("new/dir")).expect("mkdir");
            fs::write(dir.join("new/dir/file"), "").expect("write");
        }),
        ("leaves ignored files", |dir| {
            fs::create_dir_all(dir.join("target/debug")).expect("mkdir");
            fs::write(dir.join("target/debug/app"), "binary").expect("write");
        }),
        (
            "leaves a nested repository, which needs a second -f",
            |dir| {
                git(dir, &["init", "-q", "nested"]);
                git(
                    &dir.join("nested"),
                    &["commit", "-q", "--allow-empty", "-m", "inner"],
                );
            },
        ),
        (
            "hides an edit behind skip-worktree, which status does not show",
            |dir| {
                git(dir, &["update-index", "--skip-worktree", "src/a.txt"]);
                fs::write(dir.join("src/a.txt"), "hidden").expect("write");
            },
        ),
        ("hides an edit behind assume-unchanged", |dir| {
            git(dir, &["update-index", "--assume-unchanged", "src/a.txt"]);
            fs::write(dir.join("src/a.txt"), "hidden").expect("write");
        }),
        (
            "edits without changing size or time, under a weakened stat check",
            |dir| {
                git(dir, &["config", "core.trustctime", "false"]);
                git(dir, &["config", "core.checkStat", "minimal"]);
                let path = dir.join("src/a.txt");
                let time = fs::metadata(&path).expect("stat").modified().expect("time");
                fs::write(&path, "ONE\n").expect("write");
                fs::File::options()
                    .write(true)
                    .open(&path)
                    .expect("open")
                    .set_modified(time)
                    .expect("set");
            },
        ),
        ("leaves a stale index.lock, on which reset fails", |dir| {
            let git_dir = git(dir, &["rev-parse", "--absolute-git-dir"]);
            fs::write(Path::new(git_dir.trim()).join("index.lock"), "").expect("write");
            fs::write(dir.join("src/a.txt"), "edited").expect("write");
        }),
        (
            "replaces .git by a repository of its own, which reset would work on",
            |dir| {
                fs::remove_file(dir.join(".git")).expect("remove");
                git(dir, &["init", "-q"]);
                git(dir, &["add", "-A"]);
                git(dir, &["commit", "-q", "-m", "mine"]);
                fs::write(dir.join("src/a.txt"), "edited").expect("write");
            },
        ),
        ("removes .git", |dir| {
            fs::remove_file(dir.join(".git")).expect("remove")
        }),
        (
            "replaces a tracked directory by a link to the outside",
            |dir| {
                let outside = dir
                    .parent()
                    .expect("slot")
                    .parent()
                    .expect("slots")
                    .join("outside");
                fs::create_dir_all(&outside).expect("mkdir");
                fs::write(outside.join("precious"), "keep").expect("write");
                fs::remove_dir_all(dir.join("src")).expect("remove");
                symlink(&outside, dir.join("src")).expect("link");
            },
        ),
        (
            "replaces a file by a directory and a directory by a file",
            |dir| {
                fs::remove_file(dir.join("run.sh")).expect("remove");
                fs::create_dir(dir.join("run.sh")).expect("mkdir");
                fs::write(dir.join("run.sh/x"), "").expect("write");
                fs::remove_dir_all(dir.join("src")).expect("remove");
                fs::write(dir.join("src"), "").expect("write");
            },
        ),
        ("changes modes of files and directories", |dir| {
            fs::set_permissions(dir.join("run.sh"), fs::Permissions::from_mode(0o600))
                .expect("chmod");
            fs::set_permissions(dir.join("src"), fs::Permissions::from_mode(0o555)).expect("chmod");
            fs::create_dir_all(dir.join("sealed/inner")).expect("mkdir");
            fs::write(dir.join("sealed/inner/file"), "").expect("write");
            fs::set_permissions(dir.join("sealed/inner"), fs::Permissions::from_mode(0o555))
                .expect("chmod");
        }),
        ("changes the attributes by which files are written", |dir| {
            fs::write(dir.join(".gitattributes"), "* text eol=crlf\n").expect("write");
            fs::remove_file(dir.join("src/a.txt")).expect("remove");
        }),
        ("empties the tree", |dir| {
            for entry in fs::read_dir(dir).expect("readable") {
                let path = entry.expect("entry").path();
                if path.is_dir() {
                    fs::remove_dir_all(path)
                } else {
                    fs::remove_file(path)
                }
                .expect("remove");
            }
        }),
        ("stops in the middle of a rebase", |dir| {
            git(dir, &["checkout", "-q", "-b", "mine"]);
            git(dir, &["commit", "-q", "--allow-empty", "-m", "one"]);
            let _ = std::process::Command::new("git")
                .current_dir(dir)
                .args([
                    "-c",
                    "user.name=A",
                    "-c",
                    "user.email=a@b",
                    "rebase",
                    "-q",
                    "--exec",
                    "false",
                    "HEAD~1",
                ])
                .output();
        }),
    ]
}

#[test]
fn whatever_a_tenant_does_the_next_one_finds_a_fresh_checkout() {
    for (what, abuse) in abuses() {
        let (_world, pools) = World::pooled(1);
        let lease = allocate(&pools, "main");
        let fresh = listing(lease.path());
        abuse(lease.path());
        lease
            .release()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let next = allocate(&pools, "main");
        assert_eq!(listing(next.path()), fresh, "{what}");
        assert_eq!(
            git(next.path(), &["status", "--porcelain", "--ignored"]),
            "",
            "{what}"
        );
        assert_eq!(
            git(next.path(), &["ls-files", "-v"])
                .lines()
                .filter(|line| !line.starts_with("H "))
                .count(),
            0,
            "{what}"
        );
        assert!(next.is_warm(), "{what}");
    }
}

#[test]
fn what_a_link_in_the_tree_points_to_is_never_touched() {
    let (world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    let outside = world.path().join("outside");
    fs::create_dir_all(outside.join("deep")).expect("mkdir");
    fs::write(outside.join("deep/b.txt"), "precious").expect("write");
    fs::remove_dir_all(lease.path().join("src")).expect("remove");
    symlink(&outside, lease.path().join("src")).expect("link");
    symlink(&outside, lease.path().join("link")).expect("link");
    lease.release().expect("release");
    assert_eq!(
        fs::read_to_string(outside.join("deep/b.txt")).expect("kept"),
        "precious"
    );
}

#[test]
fn an_uncleaned_slot_is_cleaned_before_its_next_lease() {
    let (_world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    fs::write(lease.path().join("stray"), "").expect("write");
    lease.release_uncleaned().expect("release");
    assert_eq!(
        pools.status(POOL).expect("status").slots[0].state,
        SlotState::Dirty
    );
    assert!(!allocate(&pools, "main").path().join("stray").exists());
}

#[test]
fn a_lost_seal_means_a_new_slot_never_an_unchecked_one() {
    let (world, pools) = World::pooled(1);
    let pool = world.root().join("pools").join(POOL);
    for damage in [&b""[..], b"brolly seal 1\n torn"] {
        fs::write(pool.join("seals/0001/seal"), damage).expect("write");
        fs::write(pool.join("slots/0001/w/src/a.txt"), "edited").expect("write");
        let lease = allocate(&pools, "main");
        assert_eq!(
            fs::read_to_string(lease.path().join("src/a.txt")).expect("tracked"),
            "one\n"
        );
    }
}

#[test]
fn a_slot_is_at_the_commit_that_is_asked_for_even_if_the_database_is_behind_the_disk() {
    let (world, pools) = World::pooled(1);
    allocate(&pools, "feature").release().expect("release");
    // Whoever prepared the slot died before it could say so.
    let database = rusqlite::Connection::open(world.root().join("pool.db")).expect("open");
    database
        .execute("UPDATE slot SET head = ?1", [world.head("main")])
        .expect("update");
    let lease = allocate(&pools, "main");
    assert!(!lease.is_warm() && !lease.path().join("feature.txt").exists());
    assert_eq!(
        git(lease.path(), &["rev-parse", "HEAD"]).trim(),
        world.head("main")
    );
}

#[test]
fn a_working_copy_replaced_by_a_link_is_replaced_and_what_it_leads_to_is_untouched() {
    let (world, pools) = World::pooled(1);
    let precious = world.path().join("precious");
    fs::create_dir(&precious).expect("mkdir");
    fs::write(precious.join("thesis"), "years of work").expect("write");
    for name in ["w", ""] {
        let lease = allocate(&pools, "main");
        let fresh = listing(lease.path());
        let slot = lease.path().parent().expect("slot").join(name);
        let slot = slot.components().as_path().to_owned();
        fs::remove_dir_all(&slot).expect("remove");
        symlink(&precious, &slot).expect("link");
        lease.release().expect("release");
        assert_eq!(
            fs::read_to_string(precious.join("thesis")).expect("kept"),
            "years of work"
        );
        let next = allocate(&pools, "main");
        assert_eq!(next.path().canonicalize().expect("there"), next.path());
        assert_eq!(listing(next.path()), fresh);
    }
}

#[test]
fn what_a_tenant_mounted_is_never_emptied() {
    let (world, pools) = World::pooled(1);
    let precious = world.path().join("precious");
    fs::create_dir(&precious).expect("mkdir");
    fs::write(precious.join("thesis"), "years of work").expect("write");
    let lease = allocate(&pools, "main");
    let point = lease.path().join("mnt");
    fs::create_dir(&point).expect("mkdir");
    let mount = std::process::Command::new("mount")
        .arg("--bind")
        .args([&precious, &point])
        .output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        return; // Only root may mount, and not in every sandbox.
    }
    let error = lease.release().expect_err("something is mounted");
    let unmounted = std::process::Command::new("umount")
        .arg(&point)
        .status()
        .expect("umount");
    assert!(unmounted.success());
    assert!(
        matches!(&error, brolly_repo_pool::Error::Cleanup { source, .. } if source.to_string().contains("mounted")),
        "{error}"
    );
    assert_eq!(
        fs::read_to_string(precious.join("thesis")).expect("kept"),
        "years of work"
    );
    pools.recover(POOL, 1).expect("recovered");
    assert!(!allocate(&pools, "main").path().join("mnt").exists());
}

#[test]
fn what_a_tenant_put_beside_its_working_copy_is_gone() {
    let (_world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    let beside = lease.path().parent().expect("slot").join("notes");
    fs::write(&beside, "mine").expect("write");
    git(
        lease.path(),
        &["worktree", "add", "-q", "../feature", "origin/feature"],
    );
    lease.release().expect("release");
    let next = allocate(&pools, "main");
    assert!(!beside.exists());
    git(
        next.path(),
        &["worktree", "add", "-q", "../feature", "origin/feature"],
    );
}

#[test]
fn the_working_copys_own_mode_is_put_back() {
    let (_world, pools) = World::pooled(1);
    let lease = allocate(&pools, "main");
    let mode = |path: &Path| fs::metadata(path).expect("stat").permissions().mode();
    let before = mode(lease.path());
    fs::set_permissions(lease.path(), fs::Permissions::from_mode(0o2777)).expect("chmod");
    lease.release().expect("release");
    assert_eq!(mode(allocate(&pools, "main").path()), before);
}

#[test]
fn attributes_that_change_between_two_commits_are_applied_to_every_file() {
    let world = World::new();
    world.write(".gitattributes", "*.txt eol=crlf\n");
    let with = world.commit("attributes");
    let pools = world.open();
    pools.create_pool(&world.config().slots(1)).expect("a pool");
    drop(allocate(&pools, "feature"));
    let lease = allocate(&pools, &with);
    assert_eq!(
        fs::read(lease.path().join("src/a.txt")).expect("tracked"),
        b"one\r\n"
    );
    drop(lease);
    assert_eq!(
        fs::read(allocate(&pools, "feature").path().join("src/a.txt")).expect("tracked"),
        b"one\n"
    );
}

#[test]
fn a_moved_root_is_made_whole_and_never_works_in_anothers_repository() {
    let (world, pools) = World::pooled(1);
    drop(pools);
    let moved = world.path().join("moved");
    fs::rename(world.root(), &moved).expect("rename");
    let other = world.open();
    other
        .create_pool(&world.config().slots(1))
        .expect("a pool at the old place");
    let pools = brolly_repo_pool::RepoPool::open(&moved).expect("the moved root");
    let lease = allocate(&pools, "main");
    let git_dir = git(lease.path(), &["rev-parse", "--absolute-git-dir"]);
    assert!(Path::new(git_dir.trim()).starts_with(&moved), "{git_dir}");
    git(lease.path(), &["checkout", "-q", "-b", "mine"]);
    assert_eq!(
        git(
            allocate(&other, "main").path(),
            &["branch", "--list", "mine"]
        ),
        ""
    );
}

#[derive(Clone, Debug)]
enum Op {
    Write(usize, bool),
    Remove(usize),
    Mkdir(usize),
    Commit,
    Branch(usize),
}

const PATHS: [&str; 8] = [
    "src/a.txt",
    "src",
    "src/deep/b.txt",
    "run.sh",
    ".gitignore",
    "target/x",
    "new/y",
    ".gitattributes",
];

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..PATHS.len(), any::<bool>()).prop_map(|(at, long)| Op::Write(at, long)),
        (0..PATHS.len()).prop_map(Op::Remove),
        (0..PATHS.len()).prop_map(Op::Mkdir),
        Just(Op::Commit),
        (0..2usize).prop_map(Op::Branch),
    ]
}

fn apply(dir: &Path, op: &Op) {
    // What the tree does not allow just does not happen.
    match op {
        Op::Write(at, long) => {
            let path = dir.join(PATHS[*at]);
            let _ = fs::create_dir_all(path.parent().expect("a parent"));
            let _ = fs::write(path, if *long { "a longer text" } else { "ONE\n" });
        }
        Op::Remove(at) => {
            let path = dir.join(PATHS[*at]);
            let _ = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
        }
        Op::Mkdir(at) => drop(fs::create_dir_all(dir.join(PATHS[*at]))),
        Op::Commit => {
            git(dir, &["add", "-A"]);
            git(dir, &["commit", "-q", "--allow-empty", "-m", "work"]);
        }
        Op::Branch(at) => drop(git(
            dir,
            &["checkout", "-q", "-B", ["mine", "feature"][*at]],
        )),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_sequence_of_work_is_cleaned_away(work in proptest::collection::vec((proptest::collection::vec(op(), 0..6), any::<bool>()), 1..4)) {
        let (_world, pools) = World::pooled(1);
        let fresh = ["main", "feature"].map(|branch| listing(allocate(&pools, branch).path()));
        for (ops, on_feature) in &work {
            let lease = allocate(&pools, ["main", "feature"][usize::from(*on_feature)]);
            prop_assert_eq!(&listing(lease.path()), &fresh[usize::from(*on_feature)]);
            for op in ops {
                apply(lease.path(), op);
            }
            lease.release().expect("release");
        }
    }
}
