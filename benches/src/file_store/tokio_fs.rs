//! What `tokio::fs` of tokio 1.54 does, which is behind a feature that these benches do without: the
//! call of `std::fs` on a thread for blocking work.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

pub async fn read(path: &Path) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    away(move || fs::read(path)).await
}

pub async fn write(path: &Path, bytes: impl AsRef<[u8]> + Send + 'static) -> io::Result<()> {
    let path = path.to_owned();
    away(move || fs::write(path, bytes)).await
}

pub async fn metadata(path: &Path) -> io::Result<Metadata> {
    let path = path.to_owned();
    away(move || fs::metadata(path)).await
}

async fn away<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::other("background task failed")),
    }
}
