//! The paths that run per event: counter, gauge, histogram, timer.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use super::CRATE;
use super::data::{Sample, Shape};
use super::faces::{self, Counter, Gauge, Histogram, Recorder, Timer};
use super::ours;
use super::peers::{
    bare, client_rust, everyone, fast_telemetry, fastmetrics, measured, metrics_facade,
    opentelemetry, rust_prometheus, with_text,
};
use crate::alloc::footprint;
use crate::axis::Axis;
use crate::batch::{fails, spin, steps_per_microsecond};
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record, median};

/// Operations in a batch.
const OPS: u64 = 20_000;
/// Batches in a measurement; the median of them is its figure, so that a slice of time lost to
/// another process does not count.
pub(super) const BATCHES: usize = 15;

/// Nanoseconds per operation of `batch`, which does [`OPS`] of them.
fn nanos(batch: impl FnMut()) -> f64 {
    nanos_of(OPS, batch)
}

/// Nanoseconds per operation of `batch`, which does `ops` of them.
pub(super) fn nanos_of(ops: u64, mut batch: impl FnMut()) -> f64 {
    batch();
    let times: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            batch();
            start.elapsed().as_nanos() as f64 / ops as f64
        })
        .collect();
    median(&times)
}

/// What [`nanos`] did in all.
const DONE: u64 = OPS * (BATCHES as u64 + 1);

pub(super) fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: T,
    want: T,
) -> Result<(), String> {
    if got == want {
        return Ok(());
    }
    Err(format!("{what} is {got:?} instead of {want:?}"))
}

fn close(what: &str, got: f64, want: f64) -> Result<(), String> {
    if (got - want).abs() <= want.abs() * 1e-6 {
        return Ok(());
    }
    Err(format!("{what} is {got} instead of {want}"))
}

fn count<C: Counter>() -> Measured {
    let counter = C::new();
    let figure = nanos(|| {
        for _ in 0..OPS {
            black_box(&counter).inc();
        }
    });
    expect("the total", counter.total(), DONE)?;
    Ok(figure)
}

fn count_in_threads<C: Counter>(threads: usize) -> Measured {
    let counter = C::new();
    let barrier = Barrier::new(threads);
    let figures: Vec<f64> = thread::scope(|scope| {
        let work = || {
            barrier.wait();
            nanos(|| {
                for _ in 0..OPS {
                    black_box(&counter).inc();
                }
            })
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = running.into_iter().map(|it| it.join());
        joined
            .map(|figure| figure.expect("no thread panics"))
            .collect()
    });
    expect("the total", counter.total(), DONE * threads as u64)?;
    Ok(figures.iter().sum::<f64>() / threads as f64)
}

fn set<G: Gauge>() -> Measured {
    let gauge = G::new();
    let figure = nanos(|| {
        for value in 0..OPS {
            black_box(&gauge).set(black_box(value as f64));
        }
    });
    expect("the gauge", gauge.value(), (OPS - 1) as f64)?;
    Ok(figure)
}

/// A power of two, so that going round costs one instruction.
const SAMPLES: usize = 4_096;

fn record<H: Histogram>(samples: &[Sample]) -> Measured {
    let mut histogram = H::new();
    let mut recorder = histogram.recorder();
    let figure = nanos(|| {
        for at in 0..OPS as usize {
            black_box(&mut recorder).record(samples[at % SAMPLES]);
        }
        histogram.upkeep();
    });
    drop(recorder);
    let reading = histogram.read();
    expect("the count", reading.count, DONE)?;
    expect("the sum of the buckets", reading.buckets, DONE)?;
    let recorded = || {
        samples
            .iter()
            .cycle()
            .take(OPS as usize)
            .map(|it| it.seconds)
    };
    if let Some(sum) = reading.sum {
        close(
            "the sum",
            sum,
            recorded().sum::<f64>() * (BATCHES + 1) as f64,
        )?;
    }
    if let Some(min) = reading.min {
        close("the minimum", min, recorded().fold(f64::MAX, f64::min))?;
    }
    if let Some(max) = reading.max {
        close("the maximum", max, recorded().fold(0.0, f64::max))?;
    }
    Ok(figure)
}

fn time<T: Timer>() -> Measured {
    let timer = T::new();
    let figure = nanos(|| {
        for _ in 0..OPS {
            black_box(&timer).time(|| Ok(()));
        }
        timer.upkeep();
    });
    expect("successes and errors", timer.counts(), (DONE, 0))?;
    Ok(figure)
}

/// About a microsecond of work, of which one in a hundred fails.
fn time_work<T: Timer>() -> Measured {
    const OPS: u64 = 1_000;
    let timer = T::new();
    let steps = steps_per_microsecond();
    let figure = nanos_of(OPS, || {
        for item in 0..OPS {
            black_box(&timer).time(|| {
                spin(steps);
                if fails(item) { Err(()) } else { Ok(()) }
            });
        }
        timer.upkeep();
    });
    let done = OPS * (BATCHES as u64 + 1);
    expect(
        "successes and errors",
        timer.counts(),
        (done / 100 * 99, done / 100),
    )?;
    Ok(figure)
}

/// Allocations of `hit`, once it has run a few times.
pub(super) fn allocations(mut hit: impl FnMut()) -> Measured {
    const HITS: u64 = 10_000;
    for _ in 0..HITS {
        hit();
    }
    let ((), used) = footprint(|| {
        for _ in 0..HITS {
            hit();
        }
    });
    Ok(used.allocations as f64 / HITS as f64)
}

fn count_allocations<C: Counter>() -> Measured {
    let counter = C::new();
    allocations(|| counter.inc())
}

fn record_allocations<H: Histogram>(samples: &[Sample]) -> Measured {
    let mut histogram = H::new();
    let mut recorder = histogram.recorder();
    let mut at = 0;
    let figure = allocations(|| {
        recorder.record(samples[at % SAMPLES]);
        at += 1;
    })?;
    histogram.upkeep();
    Ok(figure)
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("counter_inc", |name, effort| {
            let contest = nanos_contest(name, Goal::BestPeer(3.0));
            everyone!(contest, count::<Counter>()).run(effort, effort.pick(15, 31))
        }),
        axis("counter_inc_2_threads", |name, effort| {
            let contest = nanos_contest(name, Goal::BestPeer(3.0));
            everyone!(contest, count_in_threads::<Counter>(2)).run(effort, effort.pick(15, 31))
        }),
        axis("gauge_set", |name, effort| {
            let contest = nanos_contest(name, Goal::BestPeer(0.95));
            everyone!(contest, set::<Gauge>()).run(effort, effort.pick(25, 51))
        }),
        axis("histogram_observe", |name, effort| {
            let samples = Shape::Lognormal.samples(SAMPLES);
            let contest = nanos_contest(name, Goal::BestPeer(4.0));
            everyone!(contest, record::<Histogram>(&samples))
                .peer(fast_telemetry::Distribution::NAME, || {
                    record::<fast_telemetry::Distribution>(&samples)
                })
                .run(effort, effort.pick(15, 31))
        }),
        axis("histogram_record", |name, effort| {
            let samples = Shape::Lognormal.samples(SAMPLES);
            nanos_contest(name, Goal::BestPeer(4.0))
                .ours(|| record::<ours::HistogramOfSteps>(&samples))
                .peer(fast_telemetry::Histogram::NAME, || {
                    record::<fast_telemetry::Histogram>(&samples)
                })
                .peer(fast_telemetry::Distribution::NAME, || {
                    record::<fast_telemetry::Distribution>(&samples)
                })
                .run(effort, effort.pick(15, 31))
        }),
        axis("histogram_record_vs_atomic", |name, effort| {
            let samples = Shape::Lognormal.samples(SAMPLES);
            nanos_contest(name, Goal::Peer(bare::Atomic::NAME, 1.2))
                .ours(|| record::<ours::HistogramOfSteps>(&samples))
                .peer(bare::Atomic::NAME, || record::<bare::Atomic>(&samples))
                .peer(bare::Hdr::NAME, || record::<bare::Hdr>(&samples))
                .run(effort, effort.pick(15, 31))
        }),
        axis("timer", |name, effort| {
            let contest = nanos_contest(name, Goal::BestPeer(2.5));
            everyone!(contest, time::<Timer>())
                .floor("two reads of Instant", || {
                    Ok(empty_timer(|| Instant::now().elapsed()))
                })
                .floor("two reads of the time stamp counter", || {
                    let clock = quanta::Clock::new();
                    Ok(empty_timer(|| (clock.raw(), clock.raw())))
                })
                .run(effort, effort.pick(9, 31))
        }),
        axis("timer_work_1us", |name, effort| {
            let contest = nanos_contest(name, Goal::BestPeer(0.95));
            everyone!(contest, time_work::<Timer>()).run(effort, effort.pick(9, 31))
        }),
        axis("allocs_per_counter_inc", |name, effort| {
            let contest = allocations_contest(name);
            everyone!(contest, count_allocations::<Counter>()).run(effort, 3)
        }),
        axis("allocs_per_record", |name, effort| {
            let samples = Shape::Lognormal.samples(SAMPLES);
            let contest = allocations_contest(name);
            everyone!(contest, record_allocations::<Histogram>(&samples)).run(effort, 3)
        }),
    ]
}

/// What a timer costs that records nothing.
fn empty_timer<T>(read_clock_twice: impl Fn() -> T) -> f64 {
    nanos(|| {
        for _ in 0..OPS {
            black_box(read_clock_twice());
        }
    })
}

pub(super) fn nanos_contest<'a>(axis: &str, goal: Goal) -> Contest<'a> {
    Contest::new(CRATE, axis, "ns", Better::Lower, goal)
}

/// Nothing may be allocated; the others are shown.
pub(super) fn allocations_contest<'a>(axis: &str) -> Contest<'a> {
    let goal = Goal::Bound("no allocation", 0.0);
    Contest::new(CRATE, axis, "allocations", Better::Lower, goal)
}
