//! A parallel walk that looks at every file of a tree and does nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

/// `lstat` of everything below `root` but `.git`, one thread a processor. Returns how many files
/// there are.
///
/// # Errors
///
/// When something cannot be read.
pub(super) fn count_files(root: &Path) -> io::Result<usize> {
    let queue = Mutex::new(vec![root.to_owned()]);
    let open = AtomicUsize::new(1);
    let files = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let scan = || -> io::Result<()> {
            while open.load(SeqCst) > 0 {
                let next = queue.lock().expect("no scan panics").pop();
                let Some(folder) = next else {
                    thread::yield_now();
                    continue;
                };
                let found = look_at(&folder);
                let (below, here) = match found {
                    Ok(found) => found,
                    Err(error) => {
                        open.store(0, SeqCst);
                        return Err(error);
                    }
                };
                files.fetch_add(here, SeqCst);
                open.fetch_add(below.len(), SeqCst);
                queue.lock().expect("no scan panics").extend(below);
                open.fetch_sub(1, SeqCst);
            }
            Ok(())
        };
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(scan)).collect();
        let mine = scan();
        let theirs = helpers
            .into_iter()
            .map(|helper| helper.join().expect("no scan panics"));
        theirs.chain([mine]).collect::<io::Result<()>>()
    })?;
    Ok(files.into_inner())
}

fn look_at(folder: &Path) -> io::Result<(Vec<PathBuf>, usize)> {
    let mut below = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == ".git" {
            continue;
        }
        // Like `lstat`: links are looked at, not followed.
        if entry.metadata()?.is_dir() {
            below.push(entry.path());
        } else {
            files += 1;
        }
    }
    Ok((below, files))
}
