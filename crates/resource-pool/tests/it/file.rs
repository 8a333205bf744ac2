//! Pools of handles of one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use brolly_resource_pool::{
    AcquireError, Blocking, Check, CreateError, FileError, FileManager, Pool, PoolBuilder,
};

/// A folder that is gone when this is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("brolly-resource-pool-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn of(path: &Path, options: &OpenOptions) -> PoolBuilder<Blocking<FileManager>> {
    let manager = FileManager::new(path, options.clone());
    Pool::builder(Blocking(manager)).max_size(2).min_size(0)
}

fn read(file: &mut File) -> String {
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn each_holder_begins_at_the_beginning() {
    let folder = Folder::new("rewinds");
    let path = folder.path().join("words");
    fs::write(&path, "words").unwrap();
    let pool = of(&path, File::options().read(true)).build().unwrap();
    for _ in 0..3 {
        assert_eq!(read(&mut pool.acquire_blocking().unwrap()), "words");
    }
    let mut first = pool.acquire_blocking().unwrap();
    let mut second = pool.acquire_blocking().unwrap();
    first.seek(SeekFrom::Start(3)).unwrap();
    assert_eq!(
        (read(&mut first).as_str(), read(&mut second).as_str()),
        ("ds", "words")
    );
    drop((first, second));
    assert_eq!(pool.stats().created, 2);
}

#[test]
fn what_a_holder_has_locked_is_unlocked_when_it_comes_back() {
    let folder = Folder::new("locks");
    let path = folder.path().join("words");
    fs::write(&path, "words").unwrap();
    let pool = of(&path, File::options().read(true)).build().unwrap();
    let first = pool.acquire_blocking().unwrap();
    first.lock().unwrap();
    let second = pool.acquire_blocking().unwrap();
    assert!(second.try_lock().is_err());
    drop(first);
    second.try_lock().unwrap();
}

#[test]
fn a_file_that_was_moved_or_replaced_is_opened_anew() {
    let folder = Folder::new("rotates");
    let path = folder.path().join("log");
    let options = File::options().append(true).create(true).clone();
    let pool = of(&path, &options).check(Check::Always).build().unwrap();
    let line = |text: &str| {
        let mut log = pool.acquire_blocking().unwrap();
        log.write_all(text.as_bytes()).unwrap();
    };
    line("one ");
    line("two ");
    assert_eq!(pool.stats().created, 1);
    let moved = folder.path().join("log.1");
    fs::rename(&path, &moved).unwrap();
    line("three ");
    line("four");
    assert_eq!(fs::read_to_string(&moved).unwrap(), "one two ");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three four");
    assert_eq!(pool.stats().created, 2);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    line("five");
    assert_eq!(fs::read_to_string(&path).unwrap(), "five");
}

#[test]
fn what_cannot_be_opened_is_the_systems_error_with_the_path() {
    let folder = Folder::new("missing");
    let path = folder.path().join("missing");
    let pool = of(&path, File::options().read(true)).build().unwrap();
    let Err(AcquireError::Create(CreateError::Failed(error))) = pool.acquire_blocking() else {
        panic!("it was opened");
    };
    assert!(error.to_string().contains("missing"));
    assert!(
        matches!(&*error, FileError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound)
    );
    fs::write(&path, "there").unwrap();
    assert_eq!(read(&mut pool.acquire_blocking().unwrap()), "there");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_rewound_is_used_once() {
    // A terminal, a pipe: here the pipe that a shell leaves under a name.
    let folder = Folder::new("pipe");
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|it| it.success()) {
        return;
    }
    let pool = of(&path, File::options().read(true).write(true))
        .build()
        .unwrap();
    for created in 1..=2 {
        drop(pool.acquire_blocking().unwrap());
        assert_eq!(pool.stats().created, created);
        assert_eq!(pool.stats().idle, 0);
    }
}
