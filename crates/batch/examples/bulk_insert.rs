//! Five sources of a hundred items each, collected side by side and inserted into a SQLite file by
//! bulk calls, against the same work done one item at a time.
//!
//! Every call takes 100 ms on its way, to a source as well as to the store; the file is real. One
//! at a time, 500 items take 50 s and more, so only 20 of them are run and the rest is extrapolated
//! from their time; `--full` runs them all.
//!
//! ```text
//! cargo run --release -p brolly-batch --example bulk_insert [-- --full]
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brolly_batch::{BulkSink, BulkStore, Receipt, gather};
use rusqlite::{Connection, params_from_iter, types::Value};
use tokio::sync::Mutex;

const SOURCES: [&str; 5] = ["pool-a", "pool-b", "pool-c", "pool-d", "pool-e"];
const ITEMS_PER_SOURCE: u32 = 100;
const ITEMS: usize = SOURCES.len() * ITEMS_PER_SOURCE as usize;
const ROUND_TRIP: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
struct Memory {
    source: &'static str,
    id: u32,
}

/// One call: everything that a source has.
async fn fetch(source: &'static str) -> Result<Vec<Memory>, String> {
    tokio::time::sleep(ROUND_TRIP).await;
    Ok((0..ITEMS_PER_SOURCE)
        .map(|id| Memory { source, id })
        .collect())
}

/// A table behind a network. Clones share the file.
#[derive(Clone)]
struct Table {
    file: Arc<Mutex<Connection>>,
    calls: Arc<Calls>,
}

#[derive(Default)]
struct Calls {
    sum: AtomicUsize,
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Table {
    fn create(path: &Path) -> rusqlite::Result<Self> {
        let file = Connection::open(path)?;
        file.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             CREATE TABLE memory (source TEXT, id INTEGER, PRIMARY KEY (source, id));",
        )?;
        let file = Arc::new(Mutex::new(file));
        Ok(Self {
            file,
            calls: Arc::default(),
        })
    }

    /// One call: one round trip and one statement, however many rows. A row that is there already
    /// is replaced, so a batch may come twice.
    async fn insert(&self, rows: Vec<Memory>) -> Result<(), String> {
        self.calls.sum.fetch_add(1, Ordering::Relaxed);
        let now = self.calls.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.calls.peak.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(ROUND_TRIP).await;
        let file = Arc::clone(&self.file).lock_owned().await;
        let write = move || {
            let places = vec!["(?, ?)"; rows.len()].join(", ");
            let values = rows.iter().flat_map(|row| {
                [
                    Value::from(row.source.to_owned()),
                    Value::from(i64::from(row.id)),
                ]
            });
            let statement = format!("INSERT OR REPLACE INTO memory VALUES {places}");
            file.prepare_cached(&statement)?
                .execute(params_from_iter(values))
        };
        let written = tokio::task::spawn_blocking(write).await;
        self.calls.now.fetch_sub(1, Ordering::Relaxed);
        match written {
            Ok(Ok(_rows)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Reads the file: how many rows there are, and of how many sources.
    async fn count(&self) -> rusqlite::Result<(usize, usize)> {
        let file = self.file.lock().await;
        file.query_row(
            "SELECT count(*), count(DISTINCT source) FROM memory",
            [],
            |row| {
                Ok((
                    row.get::<_, u32>(0)? as usize,
                    row.get::<_, u32>(1)? as usize,
                ))
            },
        )
    }
}

impl BulkStore<Memory> for Table {
    type Error = String;

    async fn store(&self, batch: &[Memory]) -> Result<Receipt<String>, String> {
        self.insert(batch.to_vec()).await.map(Receipt::from)
    }
}

/// A row of the report.
struct Run {
    way: String,
    took: Duration,
    calls: usize,
    at_once: usize,
}

impl Run {
    fn new(way: impl Into<String>, took: Duration, table: &Table) -> Self {
        Self {
            way: way.into(),
            took,
            calls: table.calls.sum.load(Ordering::Relaxed),
            at_once: table.calls.peak.load(Ordering::Relaxed),
        }
    }
}

/// Asks one source after the other and inserts `most` items one after the other.
async fn one_by_one(table: &Table, most: usize) -> Result<Run, Box<dyn Error>> {
    let begin = Instant::now();
    let mut items = Vec::new();
    for source in SOURCES {
        items.extend(fetch(source).await?);
    }
    let collected = begin.elapsed();
    let begin = Instant::now();
    for item in items.into_iter().take(most) {
        table.insert(vec![item]).await?;
    }
    let inserted = begin.elapsed();
    let (rows, _) = table.count().await?;
    assert_eq!(rows, most);
    let mut run = Run::new("one by one", collected + inserted, table);
    if most < ITEMS {
        run.took = collected + inserted * ITEMS as u32 / most as u32;
        run.calls = ITEMS;
        run.way = format!("one by one ({most} of {ITEMS} items run, the rest extrapolated)");
    }
    Ok(run)
}

/// Asks all sources at once and inserts every item by a call of its own, all at once.
async fn all_at_once(table: &Table) -> Result<Run, Box<dyn Error>> {
    let begin = Instant::now();
    let answer = gather(SOURCES.map(|source| (source, fetch(source)))).await?;
    let (collected, _failed) = answer.into_parts();
    let items = collected.into_iter().flat_map(|(_, items)| items);
    let inserts = items
        .enumerate()
        .map(|(n, item)| (n, table.insert(vec![item])));
    let answer = gather(inserts).limit(ITEMS).await?;
    assert!(answer.is_complete());
    let run = Run::new("a call for each item, all at once", begin.elapsed(), table);
    assert_eq!(table.count().await?, (ITEMS, SOURCES.len()));
    Ok(run)
}

/// Asks all sources at once and inserts by bulk calls, a few at a time.
async fn in_bulk(table: &Table) -> Result<Run, Box<dyn Error>> {
    let sink = BulkSink::builder()
        .batch_size(20)
        .max_concurrent(13)
        .build(table.clone())?;

    let begin = Instant::now();
    let answer = gather(SOURCES.map(|source| (source, fetch(source))))
        .timeout(Duration::from_secs(5))
        .await?;
    for (source, error) in answer.failed() {
        println!("{source} is missing: {error}"); // and the others are here all the same
    }
    let (collected, _failed) = answer.into_parts();
    let items = collected.into_iter().flat_map(|(_, items)| items).collect();
    let inserted = sink.insert(items).await;
    let run = Run::new("gather and BulkSink", begin.elapsed(), table);

    assert_eq!((inserted.stored, inserted.failed), (ITEMS, 0));
    assert_eq!(table.count().await?, (ITEMS, SOURCES.len()));
    Ok(run)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let most = match std::env::args().any(|argument| argument == "--full") {
        true => ITEMS,
        false => 20,
    };
    let directory = tempfile::tempdir()?;
    let table = |name| Table::create(&directory.path().join(name));
    let runs = [
        one_by_one(&table("one-by-one.sqlite")?, most).await?,
        all_at_once(&table("all-at-once.sqlite")?).await?,
        in_bulk(&table("in-bulk.sqlite")?).await?,
    ];

    println!("{:>9}  {:>5}  {:>7}  way", "time", "calls", "at once");
    for Run {
        way,
        took,
        calls,
        at_once,
    } in &runs
    {
        println!(
            "{:>7.2} s  {calls:>5}  {at_once:>7}  {way}",
            took.as_secs_f64()
        );
    }
    let [slow, _, fast] = &runs;
    let times = slow.took.as_secs_f64() / fast.took.as_secs_f64();
    println!(
        "{ITEMS} items in {} calls instead of {}, {times:.0} times as fast",
        fast.calls, slow.calls
    );
    assert!(times > 20.0, "bulk calls are much faster: {times}");
    Ok(())
}
