//! The pool against a naive model of who holds what.

use std::collections::BTreeMap;
use std::time::Duration;

use brolly_repo_pool::{Error, Lease, SlotState, Token};
use proptest::prelude::*;

use crate::support::{POOL, World, request};

const SLOTS: u32 = 3;
const TTL: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Op {
    Allocate { durable: bool, feature: bool },
    Release(usize),
    ReleaseUncleaned(usize),
    ReleaseAgain(usize),
    Renew(usize),
    Advance(u64),
    Reclaim,
    Recover(u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (any::<bool>(), any::<bool>()).prop_map(|(durable, feature)| Op::Allocate { durable, feature }),
        3 => (0..8usize).prop_map(Op::Release),
        1 => (0..8usize).prop_map(Op::ReleaseUncleaned),
        1 => (0..8usize).prop_map(Op::ReleaseAgain),
        1 => (0..8usize).prop_map(Op::Renew),
        2 => (1..50u64).prop_map(Op::Advance),
        1 => Just(Op::Reclaim),
        1 => (1..=SLOTS).prop_map(Op::Recover),
    ]
}

/// What is known of a lease that was granted: its slot, its end, and whether it was released or taken back.
#[derive(Debug)]
struct Known {
    slot: u32,
    ends: Option<Duration>,
    fate: Fate,
    guard: Option<Lease>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Live,
    Released,
    TakenBack,
}

#[derive(Debug, Default)]
struct Model {
    now: Duration,
    leases: BTreeMap<Token, Known>,
}

impl Model {
    fn live(&self) -> impl Iterator<Item = (&Token, &Known)> {
        self.leases
            .iter()
            .filter(|(_, known)| known.fate == Fate::Live)
    }

    fn pick(&self, at: usize) -> Option<Token> {
        self.leases
            .keys()
            .nth(at % self.leases.len().max(1))
            .copied()
    }

    /// Every lease whose end has come is taken back.
    fn reclaim(&mut self) -> usize {
        let now = self.now;
        let expired = |known: &&mut Known| {
            known.fate == Fate::Live && known.ends.is_some_and(|end| end <= now)
        };
        self.leases
            .values_mut()
            .filter(expired)
            .map(|known| known.fate = Fate::TakenBack)
            .count()
    }

    fn agrees(&self, token: Token, result: &Result<(), Error>) -> bool {
        matches!(
            (self.leases[&token].fate, result),
            (Fate::Live, Ok(()))
                | (Fate::Released, Err(Error::AlreadyReleased { .. }))
                | (Fate::TakenBack, Err(Error::StaleLease { .. }))
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn the_pool_agrees_with_the_model(ops in proptest::collection::vec(op(), 1..25)) {
        let (world, pools) = World::pooled(SLOTS);
        let mut model = Model::default();
        let mut dirty = std::collections::BTreeSet::new();
        for op in ops {
            match op {
                Op::Allocate { durable, feature } => {
                    let mut wanted = request().at(if feature { "feature" } else { "main" });
                    if durable {
                        wanted = wanted.durable(TTL);
                    }
                    let free = |model: &Model| model.live().count() < SLOTS as usize;
                    if !free(&model) {
                        for (_, known) in model.live().filter(|(_, known)| known.ends.is_some_and(|end| end <= model.now)) {
                            dirty.insert(known.slot);
                        }
                        model.reclaim();
                    }
                    match pools.allocate(&wanted) {
                        Ok(lease) => {
                            prop_assert!(free(&model));
                            prop_assert!(model.live().all(|(_, known)| known.slot != lease.slot()), "held twice");
                            prop_assert!(model.leases.keys().all(|token| *token < lease.token()), "tokens grow");
                            prop_assert_eq!(lease.commit(), world.head(if feature { "feature" } else { "main" }));
                            dirty.remove(&lease.slot());
                            let (token, slot) = (lease.token(), lease.slot());
                            let ends = durable.then(|| model.now + TTL);
                            let guard = if durable { let _ = lease.keep(); None } else { Some(lease) };
                            model.leases.insert(token, Known { slot, ends, fate: Fate::Live, guard });
                        }
                        Err(error) => {
                            prop_assert!(matches!(error, Error::NoAvailableSlot { .. }), "{}", error);
                            prop_assert!(!free(&model));
                        }
                    }
                }
                Op::Release(at) | Op::ReleaseAgain(at) => {
                    let Some(token) = model.pick(at) else { continue };
                    let result = pools.release(token);
                    prop_assert!(model.agrees(token, &result), "{:?} {:?}", model.leases[&token], result);
                    let known = model.leases.get_mut(&token).expect("picked");
                    if result.is_ok() {
                        known.fate = Fate::Released;
                    }
                    if let Some(guard) = known.guard.take() {
                        let _ = guard.keep();
                    }
                }
                Op::ReleaseUncleaned(at) => {
                    let Some(token) = model.pick(at) else { continue };
                    let Some(guard) = model.leases.get_mut(&token).and_then(|known| known.guard.take()) else { continue };
                    let result = guard.release_uncleaned();
                    prop_assert!(model.agrees(token, &result));
                    let known = model.leases.get_mut(&token).expect("picked");
                    known.fate = Fate::Released;
                    dirty.insert(known.slot);
                }
                Op::Renew(at) => {
                    let Some(token) = model.pick(at) else { continue };
                    let result = pools.renew(token, TTL);
                    prop_assert!(model.agrees(token, &result));
                    let now = model.now;
                    let known = model.leases.get_mut(&token).expect("picked");
                    if result.is_ok() {
                        known.ends = known.ends.map(|_| now + TTL);
                    }
                }
                Op::Advance(seconds) => {
                    world.clock.advance(Duration::from_secs(seconds));
                    model.now += Duration::from_secs(seconds);
                }
                Op::Reclaim => {
                    for (_, known) in model.live().filter(|(_, known)| known.ends.is_some_and(|end| end <= model.now)) {
                        dirty.insert(known.slot);
                    }
                    prop_assert_eq!(pools.reclaim(POOL).expect("reclaim"), model.reclaim());
                }
                Op::Recover(slot) => {
                    let result = pools.recover(POOL, slot);
                    prop_assert_eq!(result.is_ok(), dirty.remove(&slot), "{:?}", result);
                }
            }
            let status = pools.status(POOL).expect("status");
            for slot in &status.slots {
                let held = model.live().any(|(_, known)| known.slot == slot.number);
                let expected = if held {
                    SlotState::Leased
                } else if dirty.contains(&slot.number) {
                    SlotState::Dirty
                } else {
                    SlotState::Available
                };
                prop_assert_eq!(slot.state, expected, "slot {}", slot.number);
            }
        }
    }
}
