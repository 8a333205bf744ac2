//! A service with a queue, in simulated time: as many requests as its clients' limit lets through.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use brolly_batch::{AdaptiveLimit, LimitSample, Verdict};
use brolly_sync::{Clock, ManualClock};

/// Some workers and one queue before them, first come, first served.
pub(crate) struct Service {
    pub(crate) workers: usize,
    /// How long a worker takes for a request, on average.
    pub(crate) takes: Duration,
    /// How far a request may be above or below that, in percent.
    pub(crate) spread_percent: u64,
    /// Refuses requests at once when it has this many.
    pub(crate) refuses_at: usize,
    random: u64,
}

impl Service {
    pub(crate) fn new(workers: usize, takes: Duration, seed: u64) -> Self {
        Self {
            workers,
            takes,
            spread_percent: 20,
            refuses_at: usize::MAX,
            random: seed,
        }
    }

    fn one(&mut self) -> Duration {
        // Splitmix64: good enough, and the same for the same seed.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let percent =
            100 - self.spread_percent + (mixed ^ (mixed >> 31)) % (2 * self.spread_percent + 1);
        self.takes * u32::try_from(percent).unwrap_or(100) / 100
    }
}

/// What clients saw.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) took: Duration,
    pub(crate) answered: usize,
    /// Within the deadline.
    pub(crate) in_time: usize,
    pub(crate) refused: usize,
    pub(crate) latency: Duration,
    /// After each answer.
    pub(crate) limits: Vec<usize>,
}

impl Report {
    pub(crate) fn mean_latency(&self) -> Duration {
        self.latency / u32::try_from(self.answered.max(1)).unwrap_or(u32::MAX)
    }

    /// Answers within the deadline, by the second.
    pub(crate) fn goodput(&self) -> f64 {
        self.in_time as f64 / self.took.as_secs_f64()
    }
}

/// Clients that always have `demand` requests, of which the limit lets some through.
pub(crate) struct Simulation {
    pub(crate) clock: ManualClock,
    pub(crate) service: Service,
    pub(crate) limit: AdaptiveLimit,
    pub(crate) demand: usize,
    pub(crate) deadline: Duration,
    queue: VecDeque<Request>,
    busy: BinaryHeap<Reverse<(Duration, u64)>>,
    at_work: Vec<(u64, Request)>,
    names: u64,
}

struct Request {
    sent: Duration,
    sample: LimitSample,
}

impl Simulation {
    /// `limit` must measure by `clock`.
    pub(crate) fn new(clock: ManualClock, service: Service, limit: AdaptiveLimit) -> Self {
        Self {
            clock,
            deadline: service.takes * 4,
            service,
            limit,
            demand: usize::MAX,
            queue: VecDeque::new(),
            busy: BinaryHeap::new(),
            at_work: Vec::new(),
            names: 0,
        }
    }

    /// Goes on until this many more requests were answered.
    pub(crate) fn run(&mut self, answers: usize) -> Report {
        let began = self.clock.now();
        let mut report = Report::default();
        while report.answered < answers {
            self.send(&mut report);
            self.start();
            let Some(Reverse((at, name))) = self.busy.pop() else {
                break; // nothing was let through
            };
            self.clock.set(at);
            let place = self.at_work.iter().position(|(other, _)| *other == name);
            let (_, request) = self.at_work.swap_remove(place.expect("busy with it"));
            let latency = at - request.sent;
            request.sample.end(Verdict::Success);
            report.answered += 1;
            report.in_time += usize::from(latency <= self.deadline);
            report.latency += latency;
            report.limits.push(self.limit.limit());
        }
        report.took = self.clock.now() - began;
        report
    }

    fn send(&mut self, report: &mut Report) {
        while self.queue.len() + self.at_work.len() < self.demand {
            let Some(sample) = self.limit.try_acquire() else {
                return;
            };
            if self.queue.len() + self.at_work.len() >= self.service.refuses_at {
                report.refused += 1;
                sample.end(Verdict::Overload);
                return; // to try again after the next answer
            }
            self.queue.push_back(Request {
                sent: self.clock.now(),
                sample,
            });
        }
    }

    fn start(&mut self) {
        while self.at_work.len() < self.service.workers {
            let Some(request) = self.queue.pop_front() else {
                return;
            };
            self.names += 1;
            let done = self.clock.now() + self.service.one();
            self.busy.push(Reverse((done, self.names)));
            self.at_work.push((self.names, request));
        }
    }
}
