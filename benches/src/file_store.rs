//! `brolly-file-store` and its peers: the axes.

use std::fs::{self, File};
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use brolly_file_store::FileStore;
use tokio::fs as tokio_fs;
use tokio::runtime::{Builder, Runtime};

use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record};

const CRATE: &str = "file-store";
const READS: &str = "tokio::fs::read";
const BY_HAND: &str = "temp + fsync + rename by hand";
const BY_HAND_UNSYNCED: &str = "temp + rename by hand";

pub fn axes() -> Vec<Axis> {
    let mut axes = Vec::new();
    for (name, len, goal) in [
        ("cached_read_4k", 4 << 10, 5.0),
        ("cached_read_64k", 64 << 10, 5.0),
        ("cached_read_1m", 1 << 20, 5.0),
    ] {
        axes.push(Axis::new(name, move |effort| {
            cached_read(name, len, goal, effort)
        }));
    }
    axes.push(Axis::new("cached_read_64k_2_threads", two_threads));
    axes.push(Axis::new("cached_read_64k_off_thread", off_thread));
    axes.push(Axis::new("uncached_read_64k", uncached_read));
    for (name, synced) in [("write_64k", true), ("write_64k_unsynced", false)] {
        axes.push(Axis::new(name, move |effort| write(name, synced, effort)));
    }
    axes.push(Axis::new("lock", lock));
    axes
}

/// A directory with one file of a given length, which has settled.
struct Files {
    dir: tempfile::TempDir,
    len: usize,
}

impl Files {
    fn new(len: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        fs::write(dir.path().join("file"), contents(len)).expect("a file can be written");
        std::thread::sleep(Duration::from_millis(50));
        Self { dir, len }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("file")
    }

    fn store(&self) -> FileStore {
        let builder = FileStore::builder(self.dir.path());
        let store = builder.settle(Duration::ZERO).build();
        store.expect("the settings are valid")
    }

    fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let ends = (bytes.first().copied(), bytes.last().copied());
        if bytes.len() == self.len && ends == (Some(b'f'), Some(b'l')) {
            return Ok(());
        }
        Err(format!("wrong content of {} bytes", bytes.len()))
    }
}

fn contents(len: usize) -> Vec<u8> {
    let mut contents = vec![b'.'; len];
    contents[0] = b'f';
    contents[len - 1] = b'l';
    contents
}

/// What somebody writes who has moka at hand: the times are compared as they are.
struct MokaByHand {
    cache: moka::future::Cache<PathBuf, Kept>,
}

#[derive(Clone)]
struct Kept {
    bytes: std::sync::Arc<Vec<u8>>,
    len: u64,
    modified: SystemTime,
}

impl MokaByHand {
    fn new() -> Self {
        Self {
            cache: moka::future::Cache::new(1_000),
        }
    }

    async fn read(&self, path: &Path) -> std::io::Result<std::sync::Arc<Vec<u8>>> {
        let now = tokio_fs::metadata(path).await?;
        if let Some(kept) = self.cache.get(path).await
            && (kept.len, Some(kept.modified)) == (now.len(), now.modified().ok())
        {
            return Ok(kept.bytes);
        }
        let kept = Kept {
            bytes: std::sync::Arc::new(tokio_fs::read(path).await?),
            len: now.len(),
            modified: now.modified()?,
        };
        self.cache.insert(path.to_owned(), kept.clone()).await;
        Ok(kept.bytes)
    }
}

fn one_thread() -> Runtime {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("a runtime can be started")
}

/// Nanoseconds for each of `times` runs of an operation that checks its result.
fn timed<F: Future<Output = Result<(), String>>>(
    runtime: &Runtime,
    times: usize,
    operation: impl Fn() -> F,
) -> Measured {
    runtime.block_on(async {
        operation().await?;
        let start = Instant::now();
        for _ in 0..times {
            operation().await?;
        }
        Ok(start.elapsed().as_nanos() as f64 / times as f64)
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn cached_read(name: &str, len: usize, goal: f64, effort: Effort) -> Result<Record, String> {
    let files = Files::new(len);
    let (store, moka, path) = (files.store(), MokaByHand::new(), files.path());
    let runtime = one_thread();
    let (cheap, dear) = effort.pick((2_000, 300), (10_000, 1_000));
    let record = Contest::new(CRATE, name, "ns", Better::Lower, Goal::Peer(READS, goal))
        .ours(|| {
            timed(&runtime, cheap, async || {
                files.check(&store.read("file").await.map_err(text)?)
            })
        })
        .peer(READS, || {
            timed(&runtime, dear, async || {
                files.check(&tokio_fs::read(&path).await.map_err(text)?)
            })
        })
        .peer("moka + tokio::fs::metadata by hand", || {
            timed(&runtime, dear, async || {
                files.check(&moka.read(&path).await.map_err(text)?)
            })
        })
        .floor("std::fs::read, which blocks the task", || {
            timed(&runtime, dear, async || {
                files.check(&fs::read(&path).map_err(text)?)
            })
        })
        .run(effort, effort.pick(9, 31))?;
    let stats = store.stats();
    if stats.file_reads > 1 {
        return Err(format!("ours was not cached: {stats:?}"));
    }
    Ok(record)
}

fn two_threads(effort: Effort) -> Result<Record, String> {
    let files = std::sync::Arc::new(Files::new(64 << 10));
    let (store, path) = (files.store(), files.path());
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .map_err(text)?;
    let (cheap, dear) = effort.pick((2_000, 300), (10_000, 1_000));
    /// Two tasks that do the same.
    fn both<F>(runtime: &Runtime, times: usize, task: impl Fn() -> F) -> Measured
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        runtime.block_on(async {
            let start = Instant::now();
            let tasks = [tokio::spawn(task()), tokio::spawn(task())];
            for task in tasks {
                task.await.map_err(text)??;
            }
            Ok(start.elapsed().as_nanos() as f64 / (2 * times) as f64)
        })
    }
    Contest::new(
        CRATE,
        "cached_read_64k_2_threads",
        "ns",
        Better::Lower,
        Goal::Peer(READS, 5.0),
    )
    .ours(|| {
        both(&runtime, cheap, || {
            let (files, store) = (std::sync::Arc::clone(&files), store.clone());
            async move {
                for _ in 0..cheap {
                    files.check(&store.read("file").await.map_err(text)?)?;
                }
                Ok(())
            }
        })
    })
    .peer(READS, || {
        both(&runtime, dear, || {
            let (files, path) = (std::sync::Arc::clone(&files), path.clone());
            async move {
                for _ in 0..dear {
                    files.check(&tokio_fs::read(&path).await.map_err(text)?)?;
                }
                Ok(())
            }
        })
    })
    .run(effort, effort.pick(9, 31))
}

fn off_thread(effort: Effort) -> Result<Record, String> {
    let files = Files::new(64 << 10);
    let store = FileStore::builder(files.dir.path())
        .settle(Duration::ZERO)
        .check_inline(false)
        .build()
        .map_err(text)?;
    let path = files.path();
    let runtime = one_thread();
    let times = effort.pick(300, 1_000);
    Contest::new(
        CRATE,
        "cached_read_64k_off_thread",
        "ns",
        Better::Lower,
        Goal::Peer(READS, 0.95),
    )
    .ours(|| {
        timed(&runtime, times, async || {
            files.check(&store.read("file").await.map_err(text)?)
        })
    })
    .peer(READS, || {
        timed(&runtime, times, async || {
            files.check(&tokio_fs::read(&path).await.map_err(text)?)
        })
    })
    .run(effort, effort.pick(9, 31))
}

/// A file that is too young to be kept, as after every change.
fn uncached_read(effort: Effort) -> Result<Record, String> {
    let files = Files::new(64 << 10);
    let store = FileStore::builder(files.dir.path())
        .settle(Duration::MAX)
        .build()
        .map_err(text)?;
    let path = files.path();
    let runtime = one_thread();
    let times = effort.pick(300, 1_000);
    Contest::new(
        CRATE,
        "uncached_read_64k",
        "ns",
        Better::Lower,
        Goal::Peer(READS, 0.7),
    )
    .ours(|| {
        timed(&runtime, times, async || {
            files.check(&store.read("file").await.map_err(text)?)
        })
    })
    .peer(READS, || {
        timed(&runtime, times, async || {
            files.check(&tokio_fs::read(&path).await.map_err(text)?)
        })
    })
    .run(effort, effort.pick(9, 31))
}

/// Another file in the place of one, with the steps in one function.
fn replace_by_hand(dir: &Path, bytes: &[u8], synced: bool) -> std::io::Result<()> {
    let temporary = dir.join("temporary");
    let mut file = File::create_new(&temporary)?;
    file.write_all(bytes)?;
    if synced {
        file.sync_all()?;
    }
    fs::rename(&temporary, dir.join("by_hand"))?;
    if synced {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

fn write(name: &str, synced: bool, effort: Effort) -> Result<Record, String> {
    let files = Files::new(64 << 10);
    let store = FileStore::builder(files.dir.path())
        .durable(synced)
        .build()
        .map_err(text)?;
    let bytes = std::sync::Arc::new(contents(64 << 10));
    let runtime = one_thread();
    let times = if synced {
        effort.pick(10, 30)
    } else {
        effort.pick(200, 500)
    };
    let by_hand = if synced { BY_HAND } else { BY_HAND_UNSYNCED };
    let in_place = files.dir.path().join("in_place");
    Contest::new(CRATE, name, "ns", Better::Lower, Goal::Peer(by_hand, 0.9))
        .ours(|| {
            timed(&runtime, times, async || {
                let bytes = Shared(std::sync::Arc::clone(&bytes));
                store.write("file", bytes).await.map_err(text)
            })
        })
        .peer(by_hand, || {
            timed(&runtime, times, async || {
                let (bytes, dir) = (std::sync::Arc::clone(&bytes), files.dir.path().to_owned());
                tokio::task::spawn_blocking(move || replace_by_hand(&dir, &bytes, synced))
                    .await
                    .map_err(text)?
                    .map_err(text)
            })
        })
        .floor("tokio::fs::write, in place and unsynced", || {
            timed(&runtime, times, async || {
                let bytes = Shared(std::sync::Arc::clone(&bytes));
                tokio_fs::write(&in_place, bytes).await.map_err(text)
            })
        })
        .run(effort, effort.pick(9, 31))
}

/// Bytes that several writes share.
struct Shared(std::sync::Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Taking the lock of a path and giving it back, alone.
fn lock(effort: Effort) -> Result<Record, String> {
    let files = Files::new(1 << 10);
    let store = files.store();
    let path = files.path();
    let runtime = one_thread();
    let times = effort.pick(1_000, 5_000);
    let by_hand: std::sync::Mutex<
        std::collections::HashMap<PathBuf, std::sync::Arc<tokio::sync::Mutex<()>>>,
    > = std::sync::Mutex::default();
    Contest::new(
        CRATE,
        "lock",
        "ns",
        Better::Lower,
        Goal::Peer("canonicalize + map of tokio mutexes by hand", 0.95),
    )
    .ours(|| {
        timed(&runtime, times, async || {
            drop(store.lock("file").await.map_err(text)?);
            Ok(())
        })
    })
    .peer("canonicalize + map of tokio mutexes by hand", || {
        timed(&runtime, times, async || {
            let path = fs::canonicalize(&path).map_err(text)?;
            let mutex = {
                let mut map = by_hand.lock().map_err(text)?;
                std::sync::Arc::clone(map.entry(path).or_default())
            };
            drop(mutex.lock().await);
            Ok(())
        })
    })
    .run(effort, effort.pick(9, 31))
}
