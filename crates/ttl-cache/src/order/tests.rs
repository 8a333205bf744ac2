//! The wheel and the policies' queues against sorted models.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Step, Wheel};
use crate::policy::{AnyPolicy, EvictionPolicy, Marks, STEP, Touch};

const SLOTS: u32 = 48;
const YEAR: u64 = 365 * 24 * 3600 * 1_000_000_000;

/// From one nanosecond to ten years, all orders of magnitude alike, and the end of time.
fn duration() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => (0_u32..59, any::<u64>()).prop_map(|(bits, low)| (1 << bits) | (low & ((1 << bits) - 1))),
        2 => 0..70_u64,
        1 => Just(10 * YEAR),
        1 => Just(u64::MAX),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Insert {
        slot: u32,
        after: u64,
    },
    Remove {
        slot: u32,
    },
    /// The slot is due later, and nobody tells the wheel.
    PutOff {
        slot: u32,
        by: u64,
    },
    Pass {
        time: u64,
    },
    /// Some steps, maybe with a reading of the clock that is a little old.
    Steps {
        steps: usize,
        behind: u64,
    },
    Drain,
}

fn act() -> impl Strategy<Value = Act> {
    let slot = || 0..SLOTS;
    prop_oneof![
        6 => (slot(), duration()).prop_map(|(slot, after)| Act::Insert { slot, after }),
        2 => slot().prop_map(|slot| Act::Remove { slot }),
        1 => (slot(), duration()).prop_map(|(slot, by)| Act::PutOff { slot, by }),
        3 => duration().prop_map(|time| Act::Pass { time: time.min(YEAR) }),
        2 => (1..6_usize, prop_oneof![Just(0), 0..100_u64, duration()])
            .prop_map(|(steps, behind)| Act::Steps { steps, behind }),
        1 => Just(Act::Drain),
    ]
}

/// A wheel beside what must be in it.
struct Scene {
    wheel: Wheel,
    due: HashMap<u32, u64>,
    now: u64,
    inserted: usize,
    steps: usize,
}

impl Scene {
    fn new() -> Self {
        Self {
            wheel: Wheel::new(),
            due: HashMap::new(),
            now: 0,
            inserted: 0,
            steps: 0,
        }
    }

    fn insert(&mut self, slot: u32, due: u64) {
        self.wheel.remove(slot);
        self.wheel.insert(slot, due);
        self.due.insert(slot, due);
        self.inserted += 1;
    }

    fn step(&mut self, now: u64) -> Result<Step, TestCaseError> {
        let due = &self.due;
        let step = self.wheel.step(now, |slot| due[&slot]);
        self.steps += 1;
        if let Step::Due(slot) = step {
            let due = self.due.remove(&slot);
            prop_assert!(due.is_some_and(|due| due <= now), "slot {slot} is not due");
        }
        Ok(step)
    }

    fn drain(&mut self) -> Result<(), TestCaseError> {
        // Each slot moves once for each of eleven levels at most, and each bucket is closed once.
        for _ in 0..30 * (self.due.len() + 1) {
            if self.step(self.now)? == Step::Idle {
                let late = self.due.iter().find(|(_, due)| **due <= self.now);
                prop_assert!(late.is_none(), "{late:?} is due and was not found");
                return Ok(());
            }
        }
        prop_assert!(false, "the wheel does not come to rest");
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.wheel.len(), self.due.len());
        let first = self.due.values().min().copied();
        match (first, self.wheel.next_due()) {
            (Some(first), Some(told)) => prop_assert!(told <= first.max(self.now)),
            (Some(_), None) => prop_assert!(false, "something waits, and the wheel says nothing"),
            (None, _) => {}
        }
        if first.is_some_and(|first| first <= self.now) {
            prop_assert!(self.wheel.may_be_due(self.now));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1500)))]

    #[test]
    fn the_wheel_finds_what_is_due_and_nothing_else(acts in vec(act(), 1..120)) {
        let mut scene = Scene::new();
        for act in acts {
            match act {
                Act::Insert { slot, after } => {
                    scene.insert(slot, scene.now.saturating_add(after));
                }
                Act::Remove { slot } => {
                    scene.wheel.remove(slot);
                    scene.due.remove(&slot);
                }
                Act::PutOff { slot, by } => {
                    if let Some(due) = scene.due.get_mut(&slot) {
                        *due = due.saturating_add(by);
                    }
                }
                Act::Pass { time } => scene.now = scene.now.saturating_add(time).min(u64::MAX - 1),
                Act::Steps { steps, behind } => {
                    let now = scene.now.saturating_sub(behind);
                    for _ in 0..steps {
                        scene.step(now)?;
                    }
                }
                Act::Drain => scene.drain()?,
            }
            scene.check()?;
        }
        scene.now = u64::MAX - 1;
        scene.drain()?;
        prop_assert!(scene.due.values().all(|due| *due == u64::MAX));
        prop_assert!(scene.steps < 40 * (scene.inserted + 10) + 6 * 120);
    }
}

/// More cases for a long run, by the variable that proptest itself reads.
fn cases(default: u32) -> u32 {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    wanted
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(default)
}

#[test]
fn an_older_reading_of_the_clock_ends_with_idle() {
    let mut wheel = Wheel::new();
    for slot in 0..6 {
        wheel.insert(slot, 100);
    }
    let mut found = 0;
    while found < 2 {
        match wheel.step(100, |_| 100) {
            Step::Due(_) => found += 1,
            Step::Moved => {}
            Step::Idle => panic!("four are still due"),
        }
    }
    let mut steps = 0;
    while wheel.step(99, |_| 100) != Step::Idle {
        steps += 1;
        assert!(steps < 100, "the same slots move for ever");
    }
    assert!(wheel.may_be_due(100));
    assert_eq!(wheel.len(), 4);
}

#[test]
fn ten_years_pass_and_every_slot_is_found_on_time() {
    let mut wheel = Wheel::new();
    let mut due = BTreeSet::new();
    let mut due_of = vec![0_u64; 4096];
    let mut random = 0x1234_5678_9ABC_DEF0_u64;
    let mut next_random = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for (slot, place) in due_of.iter_mut().enumerate() {
        *place = next_random() % (10 * YEAR) + 1;
        wheel.insert(slot as u32, *place);
        due.insert((*place, slot as u32));
    }
    let (mut now, mut found, mut steps) = (0_u64, 0_u64, 0_u64);
    while now < 10 * YEAR {
        now += next_random() % (YEAR / 500) + 1;
        loop {
            steps += 1;
            match wheel.step(now, |slot| due_of[slot as usize]) {
                Step::Due(slot) => {
                    assert!(due.remove(&(due_of[slot as usize], slot)));
                    found += 1;
                    // Half of them wait again: short, or for years.
                    if found % 2 == 0 {
                        let again = now + (1 << (next_random() % 58));
                        due_of[slot as usize] = again;
                        wheel.insert(slot, again);
                        due.insert((again, slot));
                    }
                }
                Step::Moved => {}
                Step::Idle => break,
            }
        }
        assert!(
            due.first().is_none_or(|(first, _)| *first > now),
            "one is late"
        );
        assert_eq!(wheel.len(), due.len());
    }
    assert!(found > 4096);
    assert!(steps < found * 30, "{steps} steps for {found} slots");
}

/// Slots and their marks, as a shard keeps them.
#[derive(Default)]
struct Board {
    marks: RefCell<HashMap<u32, u64>>,
    deadlines: HashMap<u32, u64>,
    stamp: u64,
    reads: u64,
}

impl Board {
    /// Leaves the mark of a reader.
    fn touch(&mut self, touch: Touch, slot: u32) {
        match touch {
            Touch::Nothing => {}
            Touch::Stamp | Touch::StampEach => {
                self.reads += 1;
                self.set_mark(slot, self.stamp + self.reads);
            }
            Touch::Count { max } => {
                let uses = self.mark(slot);
                self.set_mark(slot, (uses + 1).min(u64::from(max)));
            }
        }
    }
}

impl Marks for Board {
    fn mark(&self, slot: u32) -> u64 {
        self.marks.borrow().get(&slot).copied().unwrap_or(0)
    }

    fn set_mark(&self, slot: u32, mark: u64) {
        self.marks.borrow_mut().insert(slot, mark);
    }

    fn deadline(&self, slot: u32) -> u64 {
        self.deadlines.get(&slot).copied().unwrap_or(0)
    }

    fn hash(&self, slot: u32) -> u32 {
        slot
    }

    fn stamp(&self) -> u64 {
        self.stamp
    }
}

#[derive(Clone, Debug)]
enum Move {
    Insert {
        slot: u32,
        deadline: u64,
    },
    Update {
        slot: u32,
        deadline: u64,
    },
    Read {
        slot: u32,
    },
    Remove {
        slot: u32,
    },
    Evict,
    /// Two victims are taken, and the first is not wanted after all.
    EvictOther,
    Shrink,
    /// Many writes happen elsewhere.
    Jump {
        steps: u64,
    },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let slot = || 0..SLOTS;
    let deadline = || prop_oneof![1..20_u64, Just(u64::MAX)];
    let one = prop_oneof![
        8 => (slot(), deadline()).prop_map(|(slot, deadline)| Move::Insert { slot, deadline }),
        2 => (slot(), deadline()).prop_map(|(slot, deadline)| Move::Update { slot, deadline }),
        8 => slot().prop_map(|slot| Move::Read { slot }),
        2 => slot().prop_map(|slot| Move::Remove { slot }),
        4 => Just(Move::Evict),
        1 => Just(Move::EvictOther),
        1 => Just(Move::Shrink),
        1 => (0..40_u32).prop_map(|bits| Move::Jump { steps: 1 << bits }),
    ];
    vec(one, 1..250)
}

/// Slots in the order in which they must go: a rank, then the order of the writes.
#[derive(Default)]
struct Ranks {
    of: HashMap<u32, (u64, u64)>,
    all: BTreeMap<(u64, u64), u32>,
    writes: u64,
}

impl Ranks {
    fn set(&mut self, slot: u32, rank: u64) {
        self.writes += 1;
        self.put(slot, (rank, self.writes));
    }

    fn put(&mut self, slot: u32, rank: (u64, u64)) {
        self.remove(slot);
        self.of.insert(slot, rank);
        self.all.insert(rank, slot);
    }

    fn remove(&mut self, slot: u32) {
        if let Some(rank) = self.of.remove(&slot) {
            self.all.remove(&rank);
        }
    }

    fn first(&self) -> Option<u32> {
        self.all.first_key_value().map(|(_, slot)| *slot)
    }
}

fn order_is_kept(kind: EvictionPolicy, moves: &[Move]) -> Result<(), TestCaseError> {
    let mut policy = AnyPolicy::new(kind);
    policy.set_capacity(u64::from(SLOTS), &Board::default());
    let mut board = Board {
        stamp: STEP,
        ..Board::default()
    };
    let mut model = Ranks::default();
    let mut uses: HashMap<u32, (u64, u64)> = HashMap::new();
    let mut age = 0;
    let hash = |slot: u32| slot.wrapping_mul(0x9E37_79B9);
    for step in moves {
        if !matches!(step, Move::Read { .. }) {
            board.stamp += STEP;
            board.reads = 1;
        }
        match *step {
            Move::Insert { slot, deadline } if board.deadline(slot) == 0 => {
                board.deadlines.insert(slot, deadline);
                policy.insert(slot, hash(slot), &board);
                uses.insert(slot, (age, 1));
                let rank = match kind {
                    EvictionPolicy::Lfu => age + 1,
                    EvictionPolicy::SoonestExpiry => deadline,
                    _ => model.writes,
                };
                model.set(slot, rank);
            }
            Move::Update { slot, deadline } if board.deadline(slot) != 0 => {
                board.deadlines.insert(slot, deadline);
                board.touch(AnyPolicy::touch(kind), slot);
                policy.update(slot, &board);
                match kind {
                    EvictionPolicy::Lru => model.set(slot, model.writes),
                    EvictionPolicy::SoonestExpiry => model.set(slot, deadline),
                    EvictionPolicy::Lfu => used(&mut model, &mut uses, slot),
                    _ => {}
                }
            }
            Move::Read { slot } if board.deadline(slot) != 0 => {
                board.touch(AnyPolicy::touch(kind), slot);
                match kind {
                    EvictionPolicy::Lru => model.set(slot, model.writes),
                    EvictionPolicy::Lfu => used(&mut model, &mut uses, slot),
                    _ => {}
                }
            }
            Move::Remove { slot } if board.deadline(slot) != 0 => {
                policy.remove(slot);
                board.deadlines.remove(&slot);
                model.remove(slot);
            }
            Move::Evict => {
                let victim = policy.evict(&board);
                prop_assert_eq!(victim, model.first());
                if let Some(slot) = victim {
                    age = age.max(model.of[&slot].0);
                    board.deadlines.remove(&slot);
                    model.remove(slot);
                }
            }
            Move::EvictOther => {
                if model.of.len() < 2 {
                    continue;
                }
                let pinned = policy.evict(&board);
                prop_assert_eq!(pinned, model.first());
                let pinned = pinned.expect("there are two");
                let rank = model.of[&pinned];
                model.remove(pinned);
                let victim = policy.evict(&board);
                prop_assert_eq!(victim, model.first());
                let victim = victim.expect("there are two");
                age = age.max(model.of[&victim].0);
                policy.put_back(pinned, hash(pinned), &board);
                board.deadlines.remove(&victim);
                model.remove(victim);
                // It was the first, and still is.
                model.put(pinned, rank);
            }
            Move::Shrink => {
                let last = board.deadlines.keys().max().map_or(0, |slot| slot + 1);
                policy.shrink(last, &board);
            }
            Move::Jump { steps } => board.stamp += steps * STEP,
            _ => {}
        }
    }
    // Whoever is in goes once, in order.
    while let Some(slot) = policy.evict(&board) {
        prop_assert_eq!(Some(slot), model.first());
        board.deadlines.remove(&slot);
        model.remove(slot);
    }
    prop_assert!(model.of.is_empty(), "some were never evicted");
    Ok(())
}

/// One use more, as far as uses are counted.
fn used(model: &mut Ranks, uses: &mut HashMap<u32, (u64, u64)>, slot: u32) {
    let (age, count) = uses[&slot];
    let count = (count + 1).min(255);
    uses.insert(slot, (age, count));
    // Among equals the one inserted first.
    let (_, write) = model.of[&slot];
    model.put(slot, (age + count, write));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1500)))]

    #[test]
    fn lru_evicts_what_was_used_longest_ago(moves in moves()) {
        order_is_kept(EvictionPolicy::Lru, &moves)?;
    }

    #[test]
    fn fifo_evicts_what_was_inserted_longest_ago(moves in moves()) {
        order_is_kept(EvictionPolicy::Fifo, &moves)?;
    }

    #[test]
    fn lfu_evicts_what_was_used_least(moves in moves()) {
        order_is_kept(EvictionPolicy::Lfu, &moves)?;
    }

    #[test]
    fn soonest_expiry_evicts_what_ends_first(moves in moves()) {
        order_is_kept(EvictionPolicy::SoonestExpiry, &moves)?;
    }

    /// Whoever is in is evicted once, whatever the order.
    #[test]
    fn adaptive_evicts_each_slot_once(moves in moves()) {
        let mut policy = AnyPolicy::new(EvictionPolicy::Adaptive);
        policy.set_capacity(20, &Board::default());
        let mut board = Board { stamp: STEP, ..Board::default() };
        for step in moves {
            match step {
                Move::Insert { slot, deadline } if board.deadline(slot) == 0 => {
                    board.deadlines.insert(slot, deadline);
                    policy.insert(slot, slot.wrapping_mul(0x9E37_79B9), &board);
                }
                Move::Update { slot, .. } if board.deadline(slot) != 0 => {
                    board.touch(AnyPolicy::touch(EvictionPolicy::Adaptive), slot);
                    policy.update(slot, &board);
                }
                Move::Read { slot } if board.deadline(slot) != 0 => {
                    board.touch(AnyPolicy::touch(EvictionPolicy::Adaptive), slot);
                }
                Move::Remove { slot } if board.deadline(slot) != 0 => {
                    policy.remove(slot);
                    board.deadlines.remove(&slot);
                }
                Move::Evict | Move::EvictOther => match policy.evict(&board) {
                    Some(slot) => {
                        prop_assert!(board.deadline(slot) != 0, "a free slot is no victim");
                        if matches!(step, Move::EvictOther) {
                            let other = policy.evict(&board);
                            prop_assert_ne!(other, Some(slot));
                            policy.put_back(slot, slot.wrapping_mul(0x9E37_79B9), &board);
                            if let Some(other) = other {
                                board.deadlines.remove(&other);
                            } else {
                                prop_assert_eq!(board.deadlines.len(), 1);
                            }
                        } else {
                            board.deadlines.remove(&slot);
                        }
                    }
                    None => prop_assert!(board.deadlines.is_empty()),
                },
                Move::Shrink => {
                    let last = board.deadlines.keys().max().map_or(0, |slot| slot + 1);
                    policy.shrink(last, &board);
                }
                _ => {}
            }
        }
        let mut left = board.deadlines.len();
        while let Some(slot) = policy.evict(&board) {
            prop_assert!(board.deadlines.remove(&slot).is_some());
            left -= 1;
        }
        prop_assert_eq!(left, 0);
    }
}
