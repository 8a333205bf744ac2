//! Somebody has the only connection that writes; whoever waits for it is told the line.

use std::error::Error;
use std::time::Duration;

use brolly_pool_sqlite::Sqlite;

fn main() -> Result<(), Box<dyn Error>> {
    let db = Sqlite::in_memory()
        .writer_pool(|pool| {
            pool.name("orders")
                .acquire_timeout(Duration::from_millis(50))
        })
        .open()?;

    let line = line!() + 1;
    let held = db.writer().acquire_blocking()?;
    let Err(error) = db.write_blocking(|it| it.execute("DELETE FROM orders", [])) else {
        return Err("there is one writer, and it was held".into());
    };
    println!("{error}");

    let holder = format!("{}:{line}", file!());
    assert!(error.to_string().contains(&holder), "{holder} is not named");
    assert_eq!(db.writer().holders()[0].site.line, line);
    drop(held);
    Ok(())
}
