//! Snapshots of a histogram beside two writers that never rest.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::CRATE;
use super::data::{Sample, Shape};
use super::faces::{self, Histogram, Reading, Recorder};
use super::hot::expect;
use super::ours;
use super::peers::{
    bare, client_rust, everyone, fast_telemetry, fastmetrics, measured, metrics_facade,
    opentelemetry, rust_prometheus, with_text,
};
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::Better;

const WRITERS: usize = 2;
const SAMPLES: usize = 4_096;
const SNAPSHOTS_A_SECOND: f64 = 100_000.0;

fn snapshots<H: Histogram>(samples: &[Sample], time: Duration) -> Measured {
    let mut histogram = H::new();
    let is_over = AtomicBool::new(false);
    let started = AtomicUsize::new(0);
    let written = AtomicU64::new(0);
    let read = thread::scope(|scope| {
        for _ in 0..WRITERS {
            let mut recorder = histogram.recorder();
            let (is_over, started, written) = (&is_over, &started, &written);
            scope.spawn(move || {
                let mut own = 0;
                started.fetch_add(1, Relaxed);
                while !is_over.load(Relaxed) {
                    for sample in samples {
                        recorder.record(*sample);
                    }
                    own += samples.len() as u64;
                }
                written.fetch_add(own, Relaxed);
            });
        }
        // Readings are looked at when nobody waits for the clock.
        let mut read = Vec::with_capacity(1 << 20);
        while started.load(Relaxed) < WRITERS {
            thread::yield_now();
        }
        let start = Instant::now();
        while start.elapsed() < time {
            read.push(histogram.read());
        }
        let elapsed = start.elapsed();
        is_over.store(true, Relaxed);
        (read, elapsed)
    });
    let (mut read, elapsed) = read;
    let taken = read.len();
    let last = histogram.read();
    expect("the count at the end", last.count, written.into_inner())?;
    read.push(last);
    check(&read)?;
    Ok(taken as f64 / elapsed.as_secs_f64())
}

fn check(read: &[Reading]) -> Result<(), String> {
    let torn = read.iter().filter(|it| it.count != it.buckets).count();
    if torn > 0 {
        let share = 100.0 * torn as f64 / read.len() as f64;
        return Err(format!(
            "the count is not the sum of the buckets in {share:.0} % of snapshots"
        ));
    }
    if read.windows(2).any(|pair| pair[0].count > pair[1].count) {
        return Err("a count went down".to_owned());
    }
    Ok(())
}

pub(super) fn axes() -> Vec<Axis> {
    vec![Axis::new("snapshots_beside_2_writers", |effort: Effort| {
        let samples = Shape::Lognormal.samples(SAMPLES);
        let time = Duration::from_millis(effort.pick(100, 400));
        let goal = Goal::Bound("100,000 a second", SNAPSHOTS_A_SECOND);
        let name = "snapshots_beside_2_writers";
        let contest = Contest::new(CRATE, name, "snapshots/s", Better::Higher, goal);
        everyone!(contest, snapshots::<Histogram>(&samples, time))
            .peer(fast_telemetry::Distribution::NAME, || {
                snapshots::<fast_telemetry::Distribution>(&samples, time)
            })
            .peer(bare::Atomic::NAME, || {
                snapshots::<bare::Atomic>(&samples, time)
            })
            .peer(bare::Hdr::NAME, || snapshots::<bare::Hdr>(&samples, time))
            .run(effort, effort.pick(3, 7))
    })]
}
