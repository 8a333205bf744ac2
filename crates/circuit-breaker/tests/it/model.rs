//! A breaker and a naive one, which keeps every call in a queue, agree on every step.

use std::collections::VecDeque;
use std::time::Duration;

use brolly_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder, Outcome, Permit, State};
use brolly_sync::ManualClock;
use proptest::option;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
enum Rule {
    Consecutive(u32),
    Count {
        size: usize,
        failures: Option<u32>,
        rate: f64,
        slow: Option<f64>,
        minimum: u32,
    },
    Time {
        slices: u64,
        failures: Option<u32>,
        rate: f64,
        slow: Option<f64>,
        minimum: u32,
    },
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    rule: Rule,
    permitted: u32,
    successes: Option<u32>,
    success_rate: (u32, f64),
    wait_ms: Option<u64>,
    cancel_is_failure: bool,
}

/// A slice of the time windows, and how long calls may take before they are slow.
const SLICE_MS: u64 = 40;
const SLOW_MS: u64 = 25;
const OPEN_MS: u64 = 100;

impl Settings {
    fn builder(&self) -> CircuitBreakerBuilder {
        let builder = CircuitBreaker::builder()
            .open_for(OPEN_MS as u32 * MS)
            .backoff(2.0, 4 * OPEN_MS as u32 * MS)
            .permitted_probes(self.permitted)
            .max_half_open_wait(self.wait_ms.map(Duration::from_millis))
            .count_cancel_as_failure(self.cancel_is_failure);
        let builder = match self.successes {
            Some(successes) => builder.success_threshold(successes),
            None => builder.success_rate(self.success_rate.0, self.success_rate.1),
        };
        let rates = |builder: CircuitBreakerBuilder,
                     failures: Option<u32>,
                     rate,
                     slow: Option<f64>,
                     minimum| {
            let builder = builder.failure_rate(rate).minimum_calls(minimum);
            let builder = match slow {
                Some(slow) => builder.slow_call_rate(SLOW_MS as u32 * MS, slow),
                None => builder,
            };
            match failures {
                Some(failures) => builder.failures(failures),
                None => builder,
            }
        };
        match self.rule {
            Rule::Consecutive(failures) => builder.consecutive_failures(failures),
            Rule::Count {
                size,
                failures,
                rate,
                slow,
                minimum,
            } => rates(
                builder.count_window(size as u32),
                failures,
                rate,
                slow,
                minimum,
            ),
            Rule::Time {
                slices,
                failures,
                rate,
                slow,
                minimum,
            } => {
                let span = Duration::from_millis(slices * SLICE_MS);
                let builder = builder.time_window_in(span, slices as u32);
                rates(builder, failures, rate, slow, minimum)
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Told(Outcome),
    Dropped,
}

#[derive(Clone, Debug)]
enum Op {
    Acquire,
    /// A call of this many milliseconds.
    Call(u64, Outcome),
    /// Of the held permit at this place, counted round.
    End(usize, Ending),
    Advance(u64),
    Reset,
    ForceOpen,
    Disable,
    MetricsOnly,
}

/// A breaker as one would write it without a thought for cost.
struct Naive {
    settings: Settings,
    state: State,
    generation: u64,
    until: Option<u64>,
    openings: u32,
    /// When, failed, slow.
    calls: VecDeque<(u64, bool, bool)>,
    in_flight: u32,
    succeeded: u32,
    failed: u32,
}

struct Held<'a> {
    permit: Permit<'a>,
    naive: NaivePermit,
}

#[derive(Clone, Copy)]
struct NaivePermit {
    generation: u64,
    started: u64,
}

impl Naive {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Closed,
            generation: 0,
            until: None,
            openings: 0,
            calls: VecDeque::new(),
            in_flight: 0,
            succeeded: 0,
            failed: 0,
        }
    }

    fn set(&mut self, state: State, now: u64) {
        self.state = state;
        self.generation += 1;
        self.until = None;
        (self.in_flight, self.succeeded, self.failed) = (0, 0, 0);
        match state {
            State::Open => {
                let open_for = (OPEN_MS << self.openings.min(10)).min(4 * OPEN_MS);
                self.until = Some(now + open_for);
                self.openings += 1;
            }
            State::HalfOpen => self.until = self.settings.wait_ms.map(|wait| now + wait),
            _ => {
                self.openings = 0;
                self.calls.clear();
            }
        }
    }

    fn seen(&self, now: u64) -> State {
        match (self.state, self.until) {
            (State::Open, Some(until)) if now >= until => State::HalfOpen,
            (State::HalfOpen, Some(until)) if now >= until => State::Open,
            (state, _) => state,
        }
    }

    fn acquire(&mut self, now: u64) -> Option<NaivePermit> {
        if self.seen(now) != self.state {
            self.set(self.seen(now), now);
        }
        match self.state {
            State::Open | State::ForcedOpen => return None,
            State::HalfOpen if self.in_flight >= self.settings.permitted => return None,
            State::HalfOpen => self.in_flight += 1,
            _ => {}
        }
        Some(NaivePermit {
            generation: self.generation,
            started: now,
        })
    }

    fn end(&mut self, permit: NaivePermit, ending: Ending, now: u64) {
        if permit.generation != self.generation {
            return;
        }
        let failed = match ending {
            Ending::Told(Outcome::Success) => Some(false),
            Ending::Told(Outcome::Failure) => Some(true),
            Ending::Dropped if self.settings.cancel_is_failure => Some(true),
            _ => None,
        };
        let watches_slow = match self.settings.rule {
            Rule::Consecutive(_) => false,
            Rule::Count { slow, .. } | Rule::Time { slow, .. } => slow.is_some(),
        };
        let slow = watches_slow && now - permit.started > SLOW_MS;
        match (self.state, failed) {
            (State::HalfOpen, _) => {
                self.in_flight -= 1;
                match failed {
                    Some(failed) if failed || slow => self.failed += 1,
                    Some(_) => self.succeeded += 1,
                    None => {}
                }
                self.judge_probes(now);
            }
            (State::Closed | State::MetricsOnly, Some(failed)) => {
                self.calls.push_back((now, failed, slow));
                if self.is_tripped(now) && self.state == State::Closed {
                    self.set(State::Open, now);
                }
            }
            _ => {}
        }
    }

    fn judge_probes(&mut self, now: u64) {
        let is_well = match self.settings.successes {
            Some(_) if self.failed > 0 => false,
            Some(needed) if self.succeeded >= needed => true,
            Some(_) => return,
            None => {
                let (of, rate) = self.settings.success_rate;
                if f64::from(self.succeeded) / f64::from(of) >= rate {
                    true
                } else if f64::from(of.saturating_sub(self.failed)) / f64::from(of) < rate {
                    false
                } else {
                    return;
                }
            }
        };
        self.set(if is_well { State::Closed } else { State::Open }, now);
    }

    /// What is in the window: calls, failures, slow ones.
    fn window(&mut self, now: u64) -> (u32, u32, u32) {
        match self.settings.rule {
            Rule::Consecutive(_) => {
                let failures = self
                    .calls
                    .iter()
                    .rev()
                    .take_while(|(_, failed, _)| *failed)
                    .count();
                return (failures as u32, failures as u32, 0);
            }
            Rule::Count { size, .. } => {
                while self.calls.len() > size {
                    self.calls.pop_front();
                }
            }
            Rule::Time { slices, .. } => {
                let oldest = (now / SLICE_MS + 1).saturating_sub(slices);
                self.calls.retain(|(at, ..)| at / SLICE_MS >= oldest);
            }
        }
        let count =
            |part: fn(&(u64, bool, bool)) -> bool| self.calls.iter().filter(|it| part(it)).count();
        (
            self.calls.len() as u32,
            count(|it| it.1) as u32,
            count(|it| it.2) as u32,
        )
    }

    fn is_tripped(&mut self, now: u64) -> bool {
        let (calls, failures, slow) = self.window(now);
        match self.settings.rule {
            Rule::Consecutive(threshold) => failures >= threshold,
            Rule::Count {
                failures: threshold,
                rate,
                slow: slow_rate,
                minimum,
                ..
            }
            | Rule::Time {
                failures: threshold,
                rate,
                slow: slow_rate,
                minimum,
                ..
            } => {
                let share = |part: u32| f64::from(part) / f64::from(calls);
                threshold.is_some_and(|threshold| failures >= threshold)
                    || calls >= minimum
                        && (share(failures) >= rate
                            || slow_rate.is_some_and(|rate| share(slow) >= rate))
            }
        }
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    let shares = || prop_oneof![Just(0.1), Just(0.5), Just(1.0), 0.01..1.0_f64];
    let size = prop_oneof![1..12_usize, 60..70_usize, 125..132_usize];
    prop_oneof![
        (1..6_u32).prop_map(Rule::Consecutive),
        (
            size,
            option::of(1..20_u32),
            shares(),
            option::of(shares()),
            1..30_u32
        )
            .prop_map(|(size, failures, rate, slow, minimum)| Rule::Count {
                size,
                failures: failures.map(|failures| failures.min(size as u32)),
                rate,
                slow,
                minimum: minimum.min(size as u32),
            }),
        (
            1..12_u64,
            option::of(1..20_u32),
            shares(),
            option::of(shares()),
            1..30_u32
        )
            .prop_map(|(slices, failures, rate, slow, minimum)| Rule::Time {
                slices,
                failures,
                rate,
                slow,
                minimum
            }),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let probes = (1..5_u32, option::of(1..4_u32), (1..6_u32, 0.05..=1.0_f64));
    let wait = option::of(1..300_u64);
    (rule(), probes, wait, any::<bool>()).prop_map(
        |(rule, (permitted, successes, success_rate), wait_ms, cancel_is_failure)| Settings {
            rule,
            permitted,
            successes,
            success_rate,
            wait_ms,
            cancel_is_failure,
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        5 => Just(Outcome::Success),
        4 => Just(Outcome::Failure),
        1 => Just(Outcome::Ignored),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let ending = prop_oneof![
        4 => outcome().prop_map(Ending::Told),
        1 => Just(Ending::Dropped),
    ];
    let takes = prop_oneof![4 => Just(0), 1 => 1..60_u64];
    prop_oneof![
        20 => Just(Op::Acquire),
        60 => (takes, outcome()).prop_map(|(takes, outcome)| Op::Call(takes, outcome)),
        20 => (any::<usize>(), ending).prop_map(|(at, ending)| Op::End(at, ending)),
        20 => prop_oneof![1..20_u64, 1..500_u64].prop_map(Op::Advance),
        1 => Just(Op::Reset),
        1 => Just(Op::ForceOpen),
        1 => Just(Op::Disable),
        1 => Just(Op::MetricsOnly),
    ]
}

fn end(permit: Permit<'_>, ending: Ending) {
    match ending {
        Ending::Told(outcome) => permit.record(outcome),
        Ending::Dropped => drop(permit),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn a_breaker_agrees_with_a_naive_one(settings in settings(), ops in prop::collection::vec(op(), 1..250)) {
        let clock = ManualClock::new();
        let breaker = settings.builder().clock(clock.clone()).build().unwrap();
        let mut naive = Naive::new(settings);
        let mut now = 0;
        let mut held: Vec<Held<'_>> = Vec::new();
        for op in ops {
            match op {
                Op::Acquire => {
                    let (permit, expected) = (breaker.try_acquire(), naive.acquire(now));
                    prop_assert_eq!(permit.is_ok(), expected.is_some());
                    if let (Ok(permit), Some(naive)) = (permit, expected) {
                        held.push(Held { permit, naive });
                    }
                }
                Op::Call(takes, outcome) => {
                    let (permit, expected) = (breaker.try_acquire(), naive.acquire(now));
                    prop_assert_eq!(permit.is_ok(), expected.is_some());
                    now += takes;
                    clock.advance(Duration::from_millis(takes));
                    if let (Ok(permit), Some(expected)) = (permit, expected) {
                        permit.record(outcome);
                        naive.end(expected, Ending::Told(outcome), now);
                    }
                }
                Op::End(at, ending) => {
                    if !held.is_empty() {
                        let it = held.swap_remove(at % held.len());
                        end(it.permit, ending);
                        naive.end(it.naive, ending, now);
                    }
                }
                Op::Advance(by) => {
                    now += by;
                    clock.advance(Duration::from_millis(by));
                }
                Op::Reset => {
                    breaker.reset();
                    naive.set(State::Closed, now);
                }
                Op::ForceOpen => {
                    if breaker.force_open() {
                        naive.set(State::ForcedOpen, now);
                    }
                }
                Op::Disable => {
                    if breaker.disable() {
                        naive.set(State::Disabled, now);
                    }
                }
                Op::MetricsOnly => {
                    if breaker.metrics_only() {
                        naive.set(State::MetricsOnly, now);
                    }
                }
            }
            let snapshot = breaker.snapshot();
            prop_assert_eq!(breaker.state(), naive.seen(now));
            prop_assert_eq!(snapshot.state, naive.seen(now));
            prop_assert_eq!(snapshot.generation, naive.generation);
            prop_assert_eq!(snapshot.openings_in_a_row, naive.openings);
            if naive.state == State::HalfOpen {
                prop_assert_eq!(snapshot.probes_in_flight, naive.in_flight);
                prop_assert_eq!(snapshot.probe_successes, naive.succeeded);
                prop_assert_eq!(snapshot.probe_failures, naive.failed);
            } else if naive.state.admits_all() {
                let window = snapshot.window;
                let seen = (window.calls, window.failures, window.slow_calls);
                prop_assert_eq!(seen, naive.window(now));
            }
        }
    }
}
