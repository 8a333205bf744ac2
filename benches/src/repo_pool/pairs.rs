//! Lease pairs: eight processes that allocate and release on eight slots, as fast as they can.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use brolly_repo_pool::{Freshness, RepoPool, Request};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::CRATE;
use super::fixture::{Repository, small};
use super::text;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::Better;

const PROCESSES: usize = 8;
const SLOTS: u32 = 8;

/// Who gives out the slots.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Giver {
    Pool,
    /// A lock on a file and a state file that is replaced, for the lease alone: nothing is
    /// verified, nothing is cleaned.
    FlockJson,
}

/// What a child process is told.
#[derive(Args)]
pub struct Job {
    #[arg(long)]
    giver: Giver,
    /// The pool's root, or the folder of the lock.
    #[arg(long)]
    root: PathBuf,
    /// Where a slot in use has a file.
    #[arg(long)]
    held: PathBuf,
    /// How long to go on.
    #[arg(long)]
    millis: u64,
}

/// What a child process says.
#[derive(Serialize, Deserialize)]
struct Answer {
    /// Microseconds from request to lease, each pair.
    waits_us: Vec<u64>,
    seconds: f64,
}

/// What is read off a run of all processes.
pub(super) struct Run {
    pub(super) pairs_a_second: f64,
    pub(super) p999_ms: f64,
}

pub(super) fn contest(
    axis: &str,
    unit: &'static str,
    better: Better,
    goal: Goal,
    effort: Effort,
    figure: fn(&Run) -> f64,
) -> Result<Contest<'static>, String> {
    let millis = effort.pick(400, 1_000);
    let repository = small()?;
    let pools = repository.pool("pairs", SLOTS)?;
    let root = pools.root().to_owned();
    let lock = repository.place("flock");
    fs::create_dir_all(&lock).map_err(|error| error.to_string())?;
    let again = Rc::clone(&repository);
    Ok(Contest::new(CRATE, axis, unit, better, goal)
        .ours(move || run(&repository, Giver::Pool, &root, millis, figure))
        .peer("flock + JSON, lease alone", move || {
            run(&again, Giver::FlockJson, &lock, millis, figure)
        }))
}

fn run(
    repository: &Repository,
    giver: Giver,
    root: &Path,
    millis: u64,
    figure: fn(&Run) -> f64,
) -> Measured {
    let held = repository.place("held");
    fs::create_dir_all(&held).map_err(|error| error.to_string())?;
    let fail = |error: std::io::Error| format!("a process of the bench: {error}");
    let program = env::current_exe().map_err(fail)?;
    let giver = giver.to_possible_value().expect("every giver has a name");
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        let child = Command::new(&program)
            .args(["lease-pairs", "--giver", giver.get_name()])
            .args(["--root", text(root), "--held", text(&held)])
            .args(["--millis", &millis.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        children.push(child.map_err(fail)?);
    }
    let answers = talk(&mut children);
    for child in &mut children {
        // One that has answered is at its end; one that has not is stopped.
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(figure(&sum(answers?)))
}

/// Waits until all are ready, starts them together and reads what they say.
fn talk(children: &mut [Child]) -> Result<Vec<Answer>, String> {
    let fail = |error: std::io::Error| format!("a process of the bench: {error}");
    let mut outputs = Vec::new();
    for child in children.iter_mut() {
        let output = child.stdout.take().expect("it was asked for as a pipe");
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).map_err(fail)?;
        if line != "ready\n" {
            return Err(format!("a process of the bench said {line:?}"));
        }
        outputs.push(output);
    }
    for child in children.iter_mut() {
        let input = child.stdin.as_mut().expect("it was asked for as a pipe");
        input.write_all(b"go\n").map_err(fail)?;
    }
    let mut answers = Vec::new();
    for output in &mut outputs {
        let mut line = String::new();
        output.read_line(&mut line).map_err(fail)?;
        let answer: Result<Answer, String> =
            serde_json::from_str(&line).map_err(|error| error.to_string())?;
        answers.push(answer?);
    }
    Ok(answers)
}

fn sum(answers: Vec<Answer>) -> Run {
    let pairs_a_second = answers
        .iter()
        .map(|answer| answer.waits_us.len() as f64 / answer.seconds)
        .sum();
    let mut waits: Vec<u64> = answers
        .into_iter()
        .flat_map(|answer| answer.waits_us)
        .collect();
    waits.sort_unstable();
    let at = (waits.len() * 999 / 1000).min(waits.len().saturating_sub(1));
    Run {
        pairs_a_second,
        p999_ms: waits.get(at).map_or(0.0, |wait| *wait as f64 / 1e3),
    }
}

/// The child's side.
///
/// # Errors
///
/// When the parent is gone; what goes wrong in the run is said to it.
pub fn child(job: &Job) -> Result<(), String> {
    let fail = |error: std::io::Error| error.to_string();
    let answer = lease_pairs(job);
    let line = serde_json::to_string(&answer).map_err(|error| error.to_string())?;
    let mut output = std::io::stdout();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(fail)
}

fn lease_pairs(job: &Job) -> Result<Answer, String> {
    match job.giver {
        Giver::Pool => {
            let pools = RepoPool::open(&job.root).map_err(|error| error.to_string())?;
            let request = Request::new("bench")
                .at("main")
                .freshness(Freshness::Cached)
                .wait(Duration::from_secs(30));
            repeat(job, || {
                let lease = pools
                    .allocate(&request)
                    .map_err(|error| error.to_string())?;
                let slot = lease.slot();
                Ok((slot, move || {
                    lease.release().map_err(|error| error.to_string())
                }))
            })
        }
        Giver::FlockJson => repeat(job, || {
            let slot = loop {
                if let Some(slot) = with_state(&job.root, take)? {
                    break slot;
                }
                std::thread::yield_now();
            };
            let give = move || with_state(&job.root, |taken| taken[slot as usize] = false);
            Ok((slot, give))
        }),
    }
}

/// Allocates and releases until the time is over. A slot in use has a file, made so that a second
/// tenant cannot make it again.
fn repeat<G>(
    job: &Job,
    mut allocate: impl FnMut() -> Result<(u32, G), String>,
) -> Result<Answer, String>
where
    G: FnOnce() -> Result<(), String>,
{
    println!("ready");
    let mut go = String::new();
    std::io::stdin()
        .read_line(&mut go)
        .map_err(|error| error.to_string())?;
    let span = Duration::from_millis(job.millis);
    let start = Instant::now();
    let mut waits_us = Vec::new();
    while start.elapsed() < span {
        let asked = Instant::now();
        let (slot, release) = allocate()?;
        waits_us.push(asked.elapsed().as_micros() as u64);
        let mark = job.held.join(slot.to_string());
        File::create_new(&mark).map_err(|error| format!("slot {slot} is held twice: {error}"))?;
        fs::remove_file(&mark).map_err(|error| error.to_string())?;
        release()?;
    }
    Ok(Answer {
        waits_us,
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn take(taken: &mut [bool]) -> Option<u32> {
    let free = taken.iter().position(|taken| !taken)?;
    taken[free] = true;
    u32::try_from(free).ok()
}

/// Locks, reads, changes, writes beside, flushes, renames.
fn with_state<T>(folder: &Path, change: impl FnOnce(&mut [bool]) -> T) -> Result<T, String> {
    let fail = |error: std::io::Error| error.to_string();
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("lock"))
        .map_err(fail)?;
    lock.lock().map_err(fail)?;
    let state = folder.join("state.json");
    let mut taken: Vec<bool> = match fs::read(&state) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string())?,
        Err(_) => vec![false; SLOTS as usize],
    };
    let result = change(&mut taken);
    let beside = folder.join("state.json.new");
    let bytes = serde_json::to_vec(&taken).map_err(|error| error.to_string())?;
    let mut file = File::create(&beside).map_err(fail)?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_data())
        .and_then(|()| fs::rename(&beside, &state))
        .map_err(fail)?;
    Ok(result)
}
