//! Sequences of keys as they were asked for: recorded ones from a folder, made ones without.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;
use ruzstd::decoding::StreamingDecoder;

use super::data::Zipf;
use crate::driver::{Effort, random};

/// The folder with recorded traces: little-endian keys of 64 bits, compressed.
pub(super) const FOLDER: &str = "BROLLY_TRACES";
const ENDING: &str = ".u64le.zst";

/// Keys in the order in which they are asked for.
pub(super) struct Trace {
    pub(super) name: String,
    pub(super) keys: Vec<u64>,
    /// Capacities, in hundredths of the different keys.
    pub(super) shares: &'static [usize],
}

const SHARES: &[usize] = &[1, 5, 20];

impl Trace {
    /// Different keys.
    pub(super) fn footprint(&self) -> usize {
        let seen: HashSet<&u64, RandomState> = self.keys.iter().collect();
        seen.len()
    }
}

/// Where a trace comes from.
pub(super) enum Source {
    Recorded(PathBuf),
    Made(&'static str, &'static [usize], fn(usize) -> Vec<u64>),
}

/// All traces of a run, by name.
///
/// # Errors
///
/// When the folder is set and has no trace, or cannot be read.
pub(super) fn sources() -> Result<Vec<Source>, String> {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return Ok(made());
    };
    let folder = Path::new(&folder);
    let fail = |error: std::io::Error| format!("{FOLDER}={}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.to_string_lossy().ends_with(ENDING) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(format!("{FOLDER}={}: no *{ENDING}", folder.display()));
    }
    files.sort();
    Ok(files.into_iter().map(Source::Recorded).collect())
}

impl Source {
    /// The first accesses of it, as many as the effort allows.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is no such trace.
    pub(super) fn trace(&self, effort: Effort) -> Result<Trace, String> {
        let most = effort.pick(100_000, 600_000);
        match self {
            Self::Recorded(path) => {
                let file_name = path.file_name().unwrap_or_default().to_string_lossy();
                Ok(Trace {
                    name: file_name.trim_end_matches(ENDING).to_owned(),
                    keys: read(path, most).map_err(|why| format!("{}: {why}", path.display()))?,
                    shares: SHARES,
                })
            }
            Self::Made(name, shares, make) => Ok(Trace {
                name: (*name).to_owned(),
                keys: make(most),
                shares,
            }),
        }
    }
}

fn read(path: &Path, most: usize) -> Result<Vec<u64>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let decoder = StreamingDecoder::new(BufReader::new(file)).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    decoder
        .take(most as u64 * 8)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    let (keys, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(format!("{} bytes after the last key", rest.len()));
    }
    Ok(keys.iter().map(|key| u64::from_le_bytes(*key)).collect())
}

fn made() -> Vec<Source> {
    vec![
        Source::Made("zipf-0.7", SHARES, |most| zipf(0.7, most)),
        Source::Made("zipf-0.9", SHARES, |most| zipf(0.9, most)),
        Source::Made("zipf-1.1", SHARES, |most| zipf(1.1, most)),
        Source::Made("scan", SHARES, scan),
        // Half of the loop fits.
        Source::Made("loop", &[20, 50], |most| {
            (0..most as u64).map(|at| at % 5_000).collect()
        }),
        Source::Made("shift", SHARES, shift),
        Source::Made("mixture", SHARES, mixture),
    ]
}

const KEYS: u32 = 50_000;

fn zipf(exponent: f64, most: usize) -> Vec<u64> {
    let (zipf, mut state) = (Zipf::new(KEYS, exponent), 1);
    (0..most)
        .map(|_| u64::from(zipf.draw(&mut state)))
        .collect()
}

/// Few keys asked for often, and now and then everything in a row that nobody asks for again.
fn scan(most: usize) -> Vec<u64> {
    let (zipf, mut state) = (Zipf::new(KEYS, 0.9), 2);
    let mut scanned = u64::from(KEYS);
    (0..most)
        .map(|at| {
            if at % 20_000 < 15_000 {
                return u64::from(zipf.draw(&mut state));
            }
            scanned += 1;
            scanned
        })
        .collect()
}

/// What is asked for often changes.
fn shift(most: usize) -> Vec<u64> {
    let (zipf, mut state) = (Zipf::new(KEYS, 0.9), 3);
    (0..most)
        .map(|at| {
            let moved = (at / 25_000) as u64 * 7_919;
            (u64::from(zipf.draw(&mut state)) + moved) % u64::from(KEYS)
        })
        .collect()
}

/// A loop, few keys asked for often, and keys that are asked for again soon or never.
fn mixture(most: usize) -> Vec<u64> {
    let (zipf, mut state) = (Zipf::new(KEYS, 1.0), 4);
    (0..most as u64)
        .map(|at| match random(&mut state) % 10 {
            0..4 => u64::from(zipf.draw(&mut state)),
            4..7 => 1_000_000 + at % 8_000,
            _ => 2_000_000 + at - random(&mut state) % 2_000.min(at + 1),
        })
        .collect()
}

/// Hits of a cache that knows the future: what is needed last goes first, also at once (Belady, "A
/// study of replacement algorithms for a virtual-storage computer", 1966). No cache that is as
/// small has more.
pub(super) fn most_hits(keys: &[u64], capacity: usize) -> usize {
    const NEVER: usize = usize::MAX;
    let mut next = vec![NEVER; keys.len()];
    let mut seen: HashMap<u64, usize, RandomState> = HashMap::default();
    for (at, key) in keys.iter().enumerate().rev() {
        next[at] = seen.insert(*key, at).unwrap_or(NEVER);
    }
    // What is held, by key, and when it is needed; the heap has outdated lines too.
    let mut held: HashMap<u64, usize, RandomState> = HashMap::default();
    let mut farthest = BinaryHeap::new();
    let mut hits = 0;
    for (at, key) in keys.iter().enumerate() {
        hits += usize::from(held.insert(*key, next[at]).is_some());
        farthest.push((next[at], *key));
        while held.len() > capacity {
            let Some((needed, key)) = farthest.pop() else {
                break;
            };
            if held.get(&key) == Some(&needed) {
                held.remove(&key);
            }
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::most_hits;

    #[test]
    fn the_best_choice_is_known_for_small_cases() {
        assert_eq!(most_hits(&[1, 2, 3, 1, 2, 3], 3), 3);
        // A loop of three in two places: two of them stay, the third is never let in.
        assert_eq!(most_hits(&[1, 2, 3, 1, 2, 3, 1, 2, 3], 2), 4);
        assert_eq!(most_hits(&[1, 1, 1, 1], 1), 3);
        assert_eq!(most_hits(&[1, 2, 1, 3, 1, 4, 1], 1), 3);
        assert_eq!(most_hits(&[], 1), 0);
    }
}
