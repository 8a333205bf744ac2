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

/// A database of another program, with `sql` done to it, and the bytes of its file.
fn foreign_database(sql: &str) -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("pool.db");
    let database = rusqlite::Connection::open(&path).expect("open");
    database.execute_batch(sql).expect("sql");
    drop(database);
    let bytes = fs::read(path).expect("readable");
    assert!(!bytes.is_empty());
    (dir, bytes)
}

#[test]
fn a_database_that_another_program_made_is_left_as_it_is() {
    for sql in [
        "CREATE TABLE pool (x)",
        "CREATE TABLE other (x); DROP TABLE other",
        "PRAGMA journal_mode = WAL; CREATE TABLE other (x)",
        "PRAGMA user_version = 1",
    ] {
        let (dir, before) = foreign_database(sql);
        let error = RepoPool::open(dir.path()).expect_err(sql);
        assert!(
            matches!(&error, Error::Database { reason, .. } if reason.contains("another program")),
            "{sql}: {error}"
        );
        assert!(
            fs::read(dir.path().join("pool.db")).expect("kept") == before,
            "{sql}"
        );
        assert!(!dir.path().join("pools").exists(), "{sql}");
    }
}

#[test]
fn the_log_of_another_programs_database_is_not_written_back() {
    let (dir, _) = foreign_database("PRAGMA journal_mode = WAL; CREATE TABLE other (x)");
    let (path, copy) = (dir.path().join("pool.db"), dir.path().join("other.db"));
    // What a program that was killed leaves: a log that nobody has written back yet.
    let database = rusqlite::Connection::open(&path).expect("open");
    database
        .execute("INSERT INTO other VALUES (1)", [])
        .expect("a row");
    fs::copy(&path, &copy).expect("copy");
    fs::copy(
        dir.path().join("pool.db-wal"),
        dir.path().join("other.db-wal"),
    )
    .expect("copy");
    drop(database);
    fs::rename(copy, &path).expect("rename");
    fs::rename(
        dir.path().join("other.db-wal"),
        dir.path().join("pool.db-wal"),
    )
    .expect("rename");
    let before = fs::read(&path).expect("readable");
    RepoPool::open(dir.path()).expect_err("foreign");
    assert!(fs::read(&path).expect("kept") == before);
    assert!(dir.path().join("pool.db-wal").exists());
}

#[test]
fn an_empty_file_is_no_other_programs_database() {
    let dir = tempfile::tempdir().expect("dir");
    fs::write(dir.path().join("pool.db"), "").expect("write");
    drop(RepoPool::open(dir.path()).expect("made"));
    drop(RepoPool::open(dir.path()).expect("ours"));
}

#[cfg(unix)]
#[test]
fn a_root_and_its_database_are_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("dir");
    let open_to_all = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    };
    let mode = |name: &str| {
        let found = fs::metadata(dir.path().join(name)).expect("there");
        found.permissions().mode() & 0o7777
    };
    open_to_all(dir.path(), 0o755);
    let first = RepoPool::open(dir.path()).expect("a root");
    assert_eq!(mode(""), 0o700);
    for file in ["pool.db", "pool.db-wal", "pool.db-shm"] {
        assert_eq!(mode(file), 0o600, "{file}");
        open_to_all(&dir.path().join(file), 0o644);
    }
    let second = RepoPool::open(dir.path()).expect("the same root");
    for file in ["pool.db", "pool.db-wal", "pool.db-shm"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    drop((first, second));
}

#[cfg(unix)]
#[test]
fn a_root_of_another_user_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    // Only root may give a directory away; to anybody else, "/" is another user's.
    let given = std::os::unix::fs::chown(dir.path(), Some(54_321), None).is_ok();
    let root = if given { dir.path() } else { "/".as_ref() };
    assert!(matches!(
        RepoPool::open(root),
        Err(Error::ForeignRoot { .. })
    ));
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
}

#[test]
fn the_longest_timeouts_overflow_nothing() {
    let world = World::new();
    let pools = Options::new(world.root())
        .lock_timeout(Duration::MAX)
        .git_timeout(Duration::MAX)
        .open()
        .expect("a root");
    pools.create_pool(&world.config().slots(1)).expect("a pool");
    let request = request().wait(Duration::MAX).durable(Duration::MAX);
    drop(pools.allocate(&request).expect("a lease"));
}

#[test]
fn what_debug_prints_of_a_pool_holds_no_password() {
    let config = PoolConfig::new(POOL, "https://user:secret@example.org/app").slots(3);
    let printed = format!("{config:?}");
    assert!(!printed.contains("secret"), "{printed}");
    assert!(
        printed.contains("example.org/app") && printed.contains("slots: 3"),
        "{printed}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_branch_whose_name_is_not_utf_8_hides_no_other() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    let mut packed = b"# pack-refs with: peeled fully-peeled sorted \n".to_vec();
    for name in [&b"caf\xe9"[..], "caf\u{e9}".as_bytes()] {
        packed.extend_from_slice(world.head("main").as_bytes());
        packed.extend_from_slice(b" refs/heads/");
        packed.extend_from_slice(name);
        packed.push(b'\n');
    }
    packed = {
        let mut lines: Vec<_> = packed.split_inclusive(|byte| *byte == b'\n').collect();
        lines[1..].sort_by_key(|line| std::ffi::OsStr::from_bytes(&line[41..]));
        lines.concat()
    };
    fs::write(world.upstream().join(".git/packed-refs"), packed).expect("write");
    let pools = world.open();
    pools.create_pool(&world.config().slots(1)).expect("a pool");
    let names: Vec<_> = pools
        .branches(POOL)
        .expect("branches")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["caf\u{e9}", "feature", "main"]);
}

#[test]
fn a_remote_of_the_repository_around_is_no_url() {
    let world = World::new();
    crate::support::git(
        &world.upstream(),
        &[
            "remote",
            "add",
            "origin",
            world.upstream().to_str().expect("UTF-8"),
        ],
    );
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "bad_input::role_of_a_user_inside_a_clone",
            "--nocapture",
        ])
        .current_dir(world.upstream())
        .env("BROLLY_TEST_CLONE", world.path())
        .output()
        .expect("this test again");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("refused"),
        "{said}"
    );
}

#[test]
fn role_of_a_user_inside_a_clone() {
    let Some(world) = std::env::var_os("BROLLY_TEST_CLONE") else {
        return;
    };
    let pools = RepoPool::open(std::path::Path::new(&world).join("root")).expect("a root");
    let error = pools
        .create_pool(&PoolConfig::new(POOL, "origin"))
        .expect_err("no repository of that name");
    // Already the first question is refused; later ones are asked from the pool's own folder.
    assert!(
        matches!(&error, Error::Git(_)) && error.to_string().contains("ls-remote"),
        "{error}"
    );
    pools
        .create_pool(&PoolConfig::new(POOL, ".").slots(1))
        .expect("a path relative to the current directory");
    println!("refused");
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
