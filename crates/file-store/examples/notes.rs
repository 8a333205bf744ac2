//! Several tasks share files with a program that knows nothing of them.
//!
//! Run with `cargo run -p brolly-file-store --example notes`.

#[cfg(unix)]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use brolly_file_store::{Error, FileStore};
    use std::time::Duration;

    let dir = tempfile::tempdir()?;
    let store = FileStore::builder(dir.path())
        .settle(Duration::from_millis(50))
        .build()?;

    // Eight tasks count in one file. The lock is theirs while they read, add and write.
    store.write("count", "0").await?;
    let tasks = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                let held = store.lock("count").await?;
                let content = held.read().await?;
                let count: u32 = content.to_str().unwrap_or("").parse().unwrap_or(0);
                held.write((count + 1).to_string()).await?;
            }
            Ok::<_, Error>(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    println!("counted to {}", store.read_to_string("count").await?);
    assert_eq!(store.read("count").await?, "40");

    // Once the file has been left alone for a moment, reads come from memory.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..1_000 {
        store.read("count").await?;
    }
    let stats = store.stats();
    println!(
        "{} reads from memory, {} from the disk",
        stats.hits, stats.file_reads
    );
    assert!(stats.hits >= 999);

    // Another program edits the file in place, keeping its length. The next read sees it.
    std::fs::write(dir.path().join("count"), "41")?;
    assert_eq!(store.read("count").await?, "41");

    // Nothing leads out.
    match store.read("../../etc/passwd").await {
        Err(Error::Outside { path }) => println!("{} is not ours", path.display()),
        other => panic!("it must be refused: {other:?}"),
    }
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("the store is for Unix");
}
