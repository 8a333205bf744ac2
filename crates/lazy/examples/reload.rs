//! A configuration that is read from a file when it is first needed, read again when it changes, and
//! served as it was for as long as the file is broken.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use brolly_lazy::{Lazy, LoadError};
use brolly_sync::ManualClock;

type Config = BTreeMap<String, String>;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the file cannot be read")]
    Unreadable(#[from] io::Error),
    #[error("line {number} has no `=`: {line}")]
    Line { number: usize, line: String },
}

fn read(path: &Path) -> Result<Config, Broken> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| match line.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
            None => Err(Broken::Line {
                number: at + 1,
                line: line.to_owned(),
            }),
        })
        .collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = Folder::new()?;
    let clock = ManualClock::new();
    let lazy = {
        let path = file.path();
        Lazy::builder()
            .time_to_live(Duration::from_secs(60))
            .stale_if_error(Duration::from_secs(600))
            .clock(clock.clone())
            .build_fallible_blocking(move || read(&path))?
    };
    let port = || {
        let config = lazy.try_get_blocking()?;
        Ok::<_, LoadError<Broken>>(config.get("port").cloned().unwrap_or_default())
    };

    file.write("port = 8080")?;
    assert!(!lazy.is_loaded());
    println!("at first  port {}", port()?);
    assert_eq!((port()?.as_str(), lazy.load_count()), ("8080", 1));

    // Somebody says that the file has changed. Until the new one is there, the old one is served.
    file.write("port = 9090")?;
    assert_eq!(port()?, "8080");
    let before = lazy.try_get_blocking()?;
    lazy.refresh_blocking()?;
    println!(
        "changed   port {} (who held {:?} has it still)",
        port()?,
        before["port"]
    );
    assert_eq!(
        (port()?.as_str(), before["port"].as_str()),
        ("9090", "8080")
    );

    // A broken file: who asks for a refresh is told, everybody else is served.
    file.write("port")?;
    let Err(LoadError::Failed(error)) = lazy.refresh_blocking() else {
        return Err("the file is broken".into());
    };
    println!("broken    port {} ({error})", port()?);
    assert_eq!(error.to_string(), "line 1 has no `=`: port");
    assert_eq!(port()?, "9090");

    // Its time is over and the file is broken still: it is served in the place of the error.
    clock.advance(Duration::from_secs(61));
    println!("stale     port {}", port()?);
    assert_eq!(port()?, "9090");
    assert!(!lazy.is_loaded() && lazy.last_error().is_some());

    // But not for ever.
    clock.advance(Duration::from_secs(600));
    assert!(port().is_err());
    file.write("port = 7070")?;
    println!("repaired  port {}", port()?);
    assert_eq!(port()?, "7070");
    assert!(lazy.last_error().is_none());

    let stats = lazy.stats();
    println!(
        "{} loads, {} of them failed, {} callers were served a stale value",
        stats.loads, stats.failures, stats.stale_served
    );
    assert_eq!((stats.loads, stats.loaded, stats.failures), (7, 3, 4));
    Ok(())
}

/// A folder of this run, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("brolly-lazy-reload-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self) -> PathBuf {
        self.0.join("config")
    }

    fn write(&self, text: &str) -> io::Result<()> {
        fs::write(self.path(), text)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
