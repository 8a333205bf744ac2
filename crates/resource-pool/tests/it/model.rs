//! The pool against a plain model of it, one step after another.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;

use brolly_resource_pool::{AcquireError, Controller, Guard, Pass, Refused};
use proptest::prelude::*;

use crate::support::{Bench, Broken, Factory, bench, look, secs};

#[derive(Clone, Debug)]
enum Op {
    Acquire,
    TryAcquire,
    /// Of those held, the one at this position.
    Release(usize),
    Break(usize),
    Discard(usize),
    Detach(usize),
    /// Of those who wait, the one at this position leaves.
    Leave(usize),
    Resize(usize),
    Reset,
    /// Time passes: seconds.
    Pass(u64),
    Add,
    /// The gate lets nothing be created, and again.
    Shut,
    Open,
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Acquire),
        3 => Just(Op::TryAcquire),
        6 => (0..8_usize).prop_map(Op::Release),
        1 => (0..8_usize).prop_map(Op::Break),
        1 => (0..8_usize).prop_map(Op::Discard),
        1 => (0..8_usize).prop_map(Op::Detach),
        2 => (0..8_usize).prop_map(Op::Leave),
        1 => (1..6_usize).prop_map(Op::Resize),
        1 => Just(Op::Reset),
        1 => (1..400_u64).prop_map(Op::Pass),
        1 => Just(Op::Add),
        1 => Just(Op::Shut),
        2 => Just(Op::Open),
        1 => prop::num::u8::ANY.prop_map(|dice| if dice < 8 { Op::Close } else { Op::Acquire }),
    ]
}

type Acquired<'a> = Result<Guard<'a, Factory>, AcquireError<Broken>>;

/// What a pool is, said without its means: numbers, and a line.
struct Model {
    max: usize,
    min_idle: usize,
    is_steered: bool,
    /// Creations may be refused.
    is_shut: bool,
    is_closed: bool,
    /// How many are held, and by how many the line has been served.
    held: usize,
    waiting: usize,
}

struct Run<'a> {
    bench: &'a Bench,
    gate: Arc<AtomicBool>,
    model: Model,
    held: Vec<Guard<'a, Factory>>,
    line: Vec<Pin<Box<dyn Future<Output = Acquired<'a>> + 'a>>>,
}

impl<'a> Run<'a> {
    fn step(&mut self, op: &Op) {
        match *op {
            Op::Acquire => self.acquire(),
            Op::TryAcquire => self.try_acquire(),
            Op::Release(at) => drop(self.pick(at)),
            Op::Break(at) => {
                if let Some(mut guard) = self.pick(at) {
                    guard.is_broken = true;
                }
            }
            Op::Discard(at) => {
                if let Some(guard) = self.pick(at) {
                    Guard::discard(guard);
                }
            }
            Op::Detach(at) => {
                if let Some(guard) = self.pick(at) {
                    drop(Guard::detach(guard));
                }
            }
            Op::Leave(at) => {
                if !self.line.is_empty() {
                    drop(self.line.remove(at % self.line.len()));
                    self.model.waiting -= 1;
                }
            }
            Op::Resize(max) => {
                self.bench.pool.resize(0, max).unwrap();
                self.model.max = max;
            }
            Op::Reset => self.bench.pool.reset(),
            Op::Pass(seconds) => {
                self.bench.pass(secs(seconds));
                self.follow_the_controller();
                self.expect_idle();
            }
            Op::Add => {
                let thing = crate::support::Thing::new(&self.bench.plant);
                let _ = self.bench.pool.add(thing);
            }
            Op::Shut => {
                self.gate.store(true, SeqCst);
                self.model.is_shut = true;
            }
            Op::Open => {
                self.gate.store(false, SeqCst);
                // It is asked again within a second.
                self.bench.pass(secs(2));
                self.follow_the_controller();
                self.model.is_shut = false;
            }
            Op::Close => {
                self.bench.pool.close();
                self.model.is_closed = true;
            }
        }
        self.bench.tasks.run();
        self.follow_the_controller();
        self.serve();
        self.compare();
    }

    fn follow_the_controller(&mut self) {
        let max = self.bench.pool.stats().max;
        if self.model.is_steered {
            assert!(BOUNDS.contains(&max), "{max}");
        } else {
            assert_eq!(max, self.model.max);
        }
        self.model.max = max;
    }

    /// The idle minimum is kept, as far as there is room and creations are let pass.
    fn expect_idle(&self) {
        if self.model.is_shut || self.model.is_closed || self.model.waiting > 0 {
            return;
        }
        let room = self.model.max.saturating_sub(self.model.held);
        let idle = self.bench.pool.stats().idle;
        assert!(
            idle >= self.model.min_idle.min(room),
            "{:?}",
            self.bench.pool
        );
    }

    fn acquire(&mut self) {
        let future = self.bench.pool.acquire_timeout(secs(1_000_000));
        self.line.push(Box::pin(future));
        self.model.waiting += 1;
        // It takes its place when it is looked at first; whoever came before was looked at before.
        let last = self.line.len() - 1;
        if let Poll::Ready(result) = look(self.line[last].as_mut()) {
            drop(self.line.pop());
            self.model.waiting -= 1;
            self.answer(result);
        }
    }

    fn try_acquire(&mut self) {
        let result = self.bench.pool.try_acquire();
        if result.is_ok() {
            assert!(!self.model.is_closed);
            assert!(self.model.held < self.model.max, "more than there may be");
            assert_eq!(self.model.waiting, 0, "somebody was overtaken");
        }
        if let Ok(guard) = result {
            self.held.push(guard);
            self.model.held += 1;
        }
    }

    fn pick(&mut self, at: usize) -> Option<Guard<'a, Factory>> {
        if self.held.is_empty() {
            return None;
        }
        self.model.held -= 1;
        Some(self.held.remove(at % self.held.len()))
    }

    /// The line is served from its head, as far as there may be resources.
    fn serve(&mut self) {
        loop {
            let can_serve = self.model.is_closed || self.model.held < self.model.max;
            if self.model.waiting == 0 || !can_serve {
                break;
            }
            match look(self.line[0].as_mut()) {
                Poll::Ready(result) => {
                    drop(self.line.remove(0));
                    self.model.waiting -= 1;
                    self.answer(result);
                }
                Poll::Pending => panic!("the first in line is not served: {:?}", self.bench.pool),
            }
        }
        for waiting in &mut self.line {
            assert!(
                look(waiting.as_mut()).is_pending(),
                "somebody was overtaken"
            );
        }
    }

    fn answer(&mut self, result: Acquired<'a>) {
        match result {
            Ok(guard) => {
                assert!(!self.model.is_closed);
                self.held.push(guard);
                self.model.held += 1;
            }
            Err(error) => {
                let is_refusal = error.retry_after().is_some();
                assert!(matches!(error, AcquireError::Closed) || is_refusal);
                assert!(
                    self.model.is_closed || is_refusal && self.model.is_shut,
                    "{error}"
                );
            }
        }
    }

    fn compare(&self) {
        let stats = self.bench.assert_conserved();
        assert_eq!(stats.in_use, self.model.held);
        assert_eq!(stats.waiting, self.model.waiting);
        assert_eq!(self.bench.pool.holders().len(), self.model.held);
        assert!(
            stats.size <= self.model.max.max(self.model.held),
            "{stats:?}"
        );
        let live = self.bench.plant.live.load(SeqCst);
        assert_eq!(live, stats.idle + stats.in_use, "{stats:?}");
        if self.model.is_closed {
            assert_eq!(stats.idle, 0);
        }
    }
}

/// What the controller may set the maximum to.
const BOUNDS: std::ops::RangeInclusive<usize> = 1..=6;

fn controller() -> Controller {
    let builder = Controller::builder().step(1).interval(secs(10));
    let builder = builder.min_size(*BOUNDS.start()).max_size(*BOUNDS.end());
    builder.cool_down(secs(20)).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn the_pool_does_what_the_model_does(
        max in 1..5_usize,
        min_idle in 0..4_usize,
        is_steered in any::<bool>(),
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let min_idle = min_idle.min(max);
        let gate = Arc::new(AtomicBool::new(false));
        let is_shut = Arc::clone(&gate);
        let bench = bench(|it| {
            let it = it.max_size(max).min_idle(min_idle).max_uses(5).leak_after(None);
            let it = it.gate(move || match is_shut.load(SeqCst) {
                true => Err(Refused::for_now(secs(5))),
                false => Ok(Pass::silent()),
            });
            match is_steered {
                true => it.controller(controller()),
                false => it,
            }
        });
        let mut warm_up = Box::pin(bench.pool.warm_up());
        while look(warm_up.as_mut()).is_pending() {
            bench.tasks.run();
        }
        drop(warm_up);
        let mut run = Run {
            bench: &bench,
            gate,
            model: Model {
                max,
                min_idle,
                is_steered,
                is_shut: false,
                is_closed: false,
                held: 0,
                waiting: 0,
            },
            held: Vec::new(),
            line: Vec::new(),
        };
        for op in &ops {
            run.step(op);
        }
        drop(run);
        bench.tasks.run();
        let stats = bench.assert_conserved();
        prop_assert_eq!((stats.in_use, stats.waiting), (0, 0));
    }
}
