//! One task writes while others read, and nobody waits for the other kind.

use std::error::Error;

use brolly_pool_sqlite::Sqlite;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let db = Sqlite::builder(directory.path().join("events.db"))
        .readers(3)
        .open()?;
    db.write(|it| it.execute_batch("CREATE TABLE events(id INTEGER PRIMARY KEY, name TEXT)"))
        .await?;

    let writing = tokio::spawn({
        let db = db.clone();
        async move {
            for number in 0..100 {
                let name = format!("event {number}");
                db.transaction(move |it| {
                    it.execute("INSERT INTO events(name) VALUES (?1)", [name])
                })
                .await?;
            }
            Ok::<_, brolly_pool_sqlite::WorkError>(())
        }
    });
    let mut seen = 0;
    while seen < 100 {
        let count: i64 = db
            .read(|it| {
                let mut statement = it.prepare_cached("SELECT count(*) FROM events")?;
                statement.query_row([], |row| row.get(0))
            })
            .await?;
        assert!(count >= seen, "what was committed stays");
        seen = count;
    }
    writing.await??;

    let (readers, writer) = (db.readers().stats(), db.writer().stats());
    println!("{seen} events");
    println!(
        "{} reads on {} connections",
        readers.acquisitions, readers.created
    );
    println!("{} writes on {}", writer.acquisitions, writer.size);
    assert_eq!(writer.size, 1);
    Ok(())
}
