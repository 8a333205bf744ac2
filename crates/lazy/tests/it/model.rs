//! The same answers as a naive value with a list of rules, over random calls; and what must hold of
//! loads in flight, whoever polls, leaves, resets and replaces in whatever order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use brolly_lazy::{Guard, Lazy, LoadError};
use brolly_sync::ManualClock;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::support::{Boxed, Source, boxed, cases, look};

type Answer = Result<u64, u64>;

/// The rules, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Rules {
    live: Option<u64>,
    refresh: Option<u64>,
    revalidate: Option<u64>,
    if_error: Option<u64>,
    errors: Option<u64>,
}

fn rules() -> impl Strategy<Value = Rules> {
    let span = || prop::option::of(1_u64..40);
    (span(), span(), span(), span(), span()).prop_map(|it| {
        let (live, refresh, revalidate, if_error, errors) = it;
        Rules {
            live,
            // What a builder would refuse is not what is modelled here.
            refresh: refresh.filter(|due| live.is_none_or(|end| *due < end)),
            revalidate: revalidate.filter(|_| live.is_some()),
            if_error: if_error.filter(|_| live.is_some()),
            errors,
        }
    })
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Get,
    Read,
    Peek,
    Refresh,
    Reset,
    /// Resets an even value.
    ResetIf,
    Replace(u64),
    Pass(u64),
    /// What the loader returns from now on.
    Source(Answer),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Get),
        2 => Just(Op::Read),
        2 => Just(Op::Peek),
        1 => Just(Op::Refresh),
        1 => Just(Op::Reset),
        1 => Just(Op::ResetIf),
        1 => (0_u64..100).prop_map(Op::Replace),
        4 => (0_u64..30).prop_map(Op::Pass),
        2 => (0_u64..100).prop_map(|it| Op::Source(Ok(it))),
        2 => (0_u64..100).prop_map(|it| Op::Source(Err(it))),
    ]
}

/// As naive as it can be: what is there, since when, and what went wrong last.
struct Oracle {
    rules: Rules,
    now: f64,
    value: Option<(u64, f64)>,
    failure: Option<(u64, f64)>,
    source: Answer,
    loads: u64,
}

impl Oracle {
    fn age(&self) -> f64 {
        self.value.map_or(f64::MAX, |(_, since)| self.now - since)
    }

    fn end(&self) -> f64 {
        self.rules.live.map_or(f64::INFINITY, |live| live as f64)
    }

    fn is_alive(&self) -> bool {
        self.value.is_some() && self.age() < self.end()
    }

    /// Past its end by less than this.
    fn is_within(&self, window: Option<u64>) -> bool {
        let past = self.age() - self.end();
        self.value.is_some() && window.is_some_and(|window| past < window as f64)
    }

    fn pause(&self) -> f64 {
        let ahead = match (self.rules.refresh, self.rules.live) {
            (Some(due), Some(end)) => Some(end - due),
            (due, _) => due,
        };
        let window = self.rules.revalidate.max(ahead);
        window.map_or(0.0, |window| (window as f64 / 8.0).min(1_000.0))
    }

    fn load(&mut self) -> Answer {
        self.loads += 1;
        match self.source {
            Ok(value) => {
                self.value = Some((value, self.now));
                self.failure = None;
            }
            Err(error) => self.failure = Some((error, self.now)),
        }
        self.source
    }

    fn kept_error(&self) -> Option<u64> {
        let (error, since) = self.failure?;
        let keep = self.rules.errors? as f64;
        (self.now < since + keep).then_some(error)
    }

    fn get(&mut self) -> Answer {
        let Some((value, _)) = self.value else {
            return self.kept_error().map_or_else(|| self.load(), Err);
        };
        let is_due = |due: u64| self.age() >= due as f64;
        let is_aging = self.is_alive() && self.rules.refresh.is_some_and(is_due);
        if self.is_alive() && !is_aging {
            return Ok(value);
        }
        if is_aging || !self.is_alive() && self.is_within(self.rules.revalidate) {
            let paused = |(_, since): (u64, f64)| self.now < since + self.pause();
            if self.failure.is_some_and(paused) || self.kept_error().is_some() {
                return Ok(value);
            }
            // Nobody else is there to do it: this caller loads.
            return Ok(self.load().unwrap_or(value));
        }
        if self.is_within(self.rules.if_error) {
            if self.kept_error().is_some() {
                return Ok(value);
            }
            return Ok(self.load().unwrap_or(value));
        }
        self.kept_error().map_or_else(|| self.load(), Err)
    }

    fn set(&mut self, value: Option<u64>) -> Option<u64> {
        let before = self.value.map(|(value, _)| value);
        self.value = value.map(|value| (value, self.now));
        self.failure = None;
        before
    }
}

fn answer(result: Result<u64, LoadError<u64>>) -> Answer {
    result.map_err(|error| *error.failure().expect("this loader only fails"))
}

proptest! {
    #![proptest_config(Config { cases: cases(512), ..Config::default() })]

    #[test]
    fn a_lazy_value_answers_as_a_naive_one_does(
        rules in rules(),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let clock = ManualClock::new();
        let source = Arc::new(Mutex::new(Ok(0)));
        let mut builder = Lazy::builder().clock(clock.clone());
        let millis = Duration::from_millis;
        if let Some(span) = rules.live {
            builder = builder.time_to_live(millis(span));
        }
        if let Some(span) = rules.refresh {
            builder = builder.refresh_after(millis(span));
        }
        if let Some(span) = rules.revalidate {
            builder = builder.stale_while_revalidate(millis(span));
        }
        if let Some(span) = rules.if_error {
            builder = builder.stale_if_error(millis(span));
        }
        if let Some(span) = rules.errors {
            builder = builder.cache_errors_for(millis(span));
        }
        let answers = Arc::clone(&source);
        let lazy = builder
            .build_fallible_sync(move || *answers.lock().expect("nobody panics"))
            .expect("only what is allowed is made");
        let mut reader = lazy.reader();
        let mut oracle = Oracle {
            rules,
            now: 0.0,
            value: None,
            failure: None,
            source: Ok(0),
            loads: 0,
        };
        for op in ops {
            match op {
                Op::Get => {
                    let got = answer(lazy.try_get_blocking().map(|value| *value));
                    prop_assert_eq!(got, oracle.get());
                }
                Op::Read => {
                    let got = answer(reader.try_get_blocking().map(|value| **value));
                    prop_assert_eq!(got, oracle.get());
                }
                Op::Peek => {
                    let expected = oracle.value.map(|(value, _)| value).filter(|_| oracle.is_alive());
                    prop_assert_eq!(lazy.peek().map(|value| *value), expected);
                    prop_assert_eq!(reader.peek().map(|value| **value), expected);
                    prop_assert_eq!(lazy.is_loaded(), expected.is_some());
                }
                Op::Refresh => {
                    let got = answer(lazy.refresh_blocking().map(|value| *value));
                    prop_assert_eq!(got, oracle.load());
                }
                Op::Reset => {
                    prop_assert_eq!(lazy.reset().map(|value| *value), oracle.set(None));
                }
                Op::ResetIf => {
                    let is_even = oracle.value.is_some_and(|(value, _)| value % 2 == 0);
                    let expected = if is_even { oracle.set(None) } else { None };
                    let got = lazy.reset_if(|value| value % 2 == 0);
                    prop_assert_eq!(got.map(|value| *value), expected);
                }
                Op::Replace(value) => {
                    let got = lazy.replace(value);
                    prop_assert_eq!(got.map(|value| *value), oracle.set(Some(value)));
                }
                Op::Pass(time) => {
                    clock.advance(millis(time));
                    oracle.now += time as f64;
                }
                Op::Source(answer) => {
                    *source.lock().expect("nobody panics") = answer;
                    oracle.source = answer;
                }
            }
            prop_assert_eq!(lazy.load_count(), oracle.loads);
            let last = oracle.failure.map(|(error, _)| error);
            prop_assert_eq!(lazy.last_error().and_then(|it| it.failure().copied()), last);
        }
    }
}

/// What happens to loads in flight.
#[derive(Clone, Copy, Debug)]
enum Event {
    Ask,
    Refresh,
    /// Polls one of the callers.
    Poll(usize),
    /// One of the callers leaves.
    Leave(usize),
    /// One load ends, whichever is polled next.
    Finish,
    Stir,
    Reset,
    Replace,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Ask),
        2 => Just(Event::Refresh),
        8 => (0_usize..8).prop_map(Event::Poll),
        2 => (0_usize..8).prop_map(Event::Leave),
        3 => Just(Event::Finish),
        1 => Just(Event::Stir),
        1 => Just(Event::Reset),
        1 => Just(Event::Replace),
    ]
}

/// A caller, and the moment at which its call began.
struct Caller<'a> {
    wants_new: bool,
    since: Option<u64>,
    future: Boxed<'a, Result<Guard<u64>, LoadError>>,
}

proptest! {
    #![proptest_config(Config { cases: cases(512), ..Config::default() })]

    /// Values are the moments at which they began to be: of a load, when its loader was called.
    #[test]
    fn nobody_gets_what_began_before_it_may_have(
        events in prop::collection::vec(event(), 1..120),
    ) {
        let moment = Arc::new(AtomicU64::new(1));
        let tick = || moment.fetch_add(1, Ordering::SeqCst);
        let source = Source::<()>::new();
        let (loads, clock) = (Arc::clone(&source), Arc::clone(&moment));
        let lazy = Lazy::new(move || {
            let (load, begun) = (loads.load(), clock.fetch_add(1, Ordering::SeqCst));
            async move {
                load.await;
                begun
            }
        });
        let mut callers: Vec<Caller<'_>> = Vec::new();
        let mut last_change = 0;
        // What a caller gets at the least, by when it began.
        let mut changes = vec![(0, 0)];
        for event in events {
            match event {
                Event::Ask | Event::Refresh if callers.len() < 8 => {
                    let wants_new = matches!(event, Event::Refresh);
                    let future = match wants_new {
                        true => boxed(lazy.refresh()),
                        false => boxed(lazy.try_get()),
                    };
                    callers.push(Caller { wants_new, since: None, future });
                }
                Event::Ask | Event::Refresh => {}
                Event::Poll(at) if at < callers.len() => {
                    let caller = &mut callers[at];
                    let since = *caller.since.get_or_insert_with(tick);
                    if let Poll::Ready(value) = look(&mut caller.future) {
                        let value = *value.expect("this loader cannot fail");
                        let (_, least) = changes
                            .iter()
                            .rev()
                            .find(|(at, _)| *at < since)
                            .expect("there is a first one");
                        prop_assert!(value > *least, "{value} is from before {least}");
                        prop_assert!(!caller.wants_new || value > since, "{value} is not new");
                        drop(callers.swap_remove(at));
                    }
                }
                Event::Leave(at) if at < callers.len() => {
                    drop(callers.swap_remove(at));
                }
                Event::Poll(_) | Event::Leave(_) => {}
                Event::Finish => source.finish(()),
                Event::Stir => source.stir(),
                Event::Reset => {
                    lazy.reset();
                    last_change = tick();
                    changes.push((last_change, last_change));
                }
                Event::Replace => {
                    let value = tick();
                    lazy.replace(value);
                    // The value itself may be served.
                    last_change = value - 1;
                    changes.push((tick(), last_change));
                }
            }
            if let Some(value) = lazy.peek() {
                prop_assert!(*value > last_change, "{} was published after {last_change}", *value);
            }
            if callers.is_empty() {
                prop_assert!(!lazy.is_loading(), "a load of nobody");
                prop_assert_eq!(source.starts(), source.drops());
            }
        }
        // Whoever is left is served when the loads end.
        for mut caller in callers.drain(..) {
            let mut polls = 0;
            loop {
                source.finish(());
                if look(&mut caller.future).is_ready() {
                    break;
                }
                polls += 1;
                prop_assert!(polls < 10, "never served");
            }
        }
        prop_assert_eq!(source.starts(), source.drops());
    }
}
