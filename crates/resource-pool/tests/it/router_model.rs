//! Any sequence of operations against a router that scans all it knows.

use brolly_resource_pool::{Fallback, Lease, Query, Router, Strategy, Target};
use proptest::prelude::{Just, TestCaseError, any, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

#[derive(Clone, Debug)]
enum Op {
    Pick,
    PickTagged,
    PickAmong(Vec<u8>),
    PickExcept(u8),
    End(usize),
    SetLoad(u8, u64),
    Add(u8),
    Remove(u8),
    Suspend(u8),
    Resume(u8),
}

fn op() -> impl proptest::strategy::Strategy<Value = Op> {
    let id = || 0_u8..6;
    prop_oneof![
        6 => Just(Op::Pick),
        1 => Just(Op::PickTagged),
        1 => proptest::collection::vec(id(), 0..4).prop_map(Op::PickAmong),
        1 => id().prop_map(Op::PickExcept),
        5 => any::<usize>().prop_map(Op::End),
        2 => (id(), 0_u64..4).prop_map(|(id, load)| Op::SetLoad(id, load)),
        1 => (id(), 60_u64..500).prop_map(|(id, load)| Op::SetLoad(id, load)),
        2 => id().prop_map(Op::Add),
        1 => id().prop_map(Op::Remove),
        1 => id().prop_map(Op::Suspend),
        1 => id().prop_map(Op::Resume),
    ]
}

struct Naive {
    id: u8,
    /// Tells it from an earlier one of the same id.
    birth: u64,
    weight: u64,
    load: u64,
    leased: u64,
    turns: u64,
    stamp: u64,
    is_suspended: bool,
}

struct Oracle {
    strategy: Strategy,
    targets: Vec<Naive>,
    time: u64,
    /// Turns and weight of who could be picked last.
    round: (u64, u64),
}

impl Oracle {
    fn count(&self, it: &Naive) -> u64 {
        match self.strategy {
            Strategy::RoundRobin => it.turns,
            _ => it.load + it.leased,
        }
    }

    fn first(&self, will_do: impl Fn(&Naive) -> bool) -> Option<usize> {
        let all = self.targets.iter().enumerate();
        let listed = all.filter(|(_, it)| !it.is_suspended && will_do(it));
        let order = |a: &Naive, b: &Naive| {
            let (mine, others) = (self.count(a) * b.weight, self.count(b) * a.weight);
            mine.cmp(&others).then(a.stamp.cmp(&b.stamp))
        };
        listed
            .min_by(|(_, a), (_, b)| order(a, b))
            .map(|(at, _)| at)
    }

    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    fn catch_up(&mut self, at: usize) {
        if self.strategy == Strategy::RoundRobin {
            let birth = self.targets[at].birth;
            let first = self.first(|it| it.birth != birth);
            let (turns, weight) = first.map_or(self.round, |it| {
                (self.targets[it].turns, self.targets[it].weight)
            });
            let fair = turns * self.targets[at].weight / weight;
            let turns = &mut self.targets[at].turns;
            *turns = fair.max(*turns);
        }
    }

    /// Somebody is about to be picked no more.
    fn leave(&mut self, at: usize) {
        let it = &self.targets[at];
        let mut others = self.targets.iter().filter(|other| other.birth != it.birth);
        if !it.is_suspended && others.all(|it| it.is_suspended) {
            self.round = (it.turns, it.weight);
        }
    }
}

fn run(strategy: Strategy, is_weighted: bool, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let router = Router::builder().strategy(strategy).build().unwrap();
    let mut oracle = Oracle {
        strategy,
        targets: Vec::new(),
        time: 0,
        round: (0, 1),
    };
    let mut leases: Vec<(Lease<'_, u8, u64>, u64)> = Vec::new();
    let weight = |id: u8| {
        if is_weighted {
            u32::from(id) % 3 + 1
        } else {
            1
        }
    };
    for op in ops {
        let at = |oracle: &Oracle, id| oracle.targets.iter().position(|it| it.id == id);
        let query = Query::new();
        let (query, expected) = match &op {
            Op::Pick => (query, oracle.first(|_| true)),
            Op::PickTagged => (
                query.tags(&["odd"], Fallback::Nobody),
                oracle.first(|it| it.id % 2 == 1),
            ),
            Op::PickAmong(ids) => (query.among(ids), oracle.first(|it| ids.contains(&it.id))),
            Op::PickExcept(id) => {
                let ids = std::slice::from_ref(id);
                (query.except(ids), oracle.first(|it| it.id != *id))
            }
            Op::End(which) => {
                if !leases.is_empty() {
                    let (lease, birth) = leases.swap_remove(which % leases.len());
                    drop(lease);
                    let now = oracle.tick();
                    if let Some(it) = oracle.targets.iter_mut().find(|it| it.birth == birth) {
                        it.leased -= 1;
                        if strategy != Strategy::RoundRobin {
                            it.stamp = now;
                        }
                    }
                }
                continue;
            }
            Op::SetLoad(id, load) => {
                let known = at(&oracle, *id);
                prop_assert_eq!(router.set_load(id, *load).is_ok(), known.is_some());
                let now = oracle.tick();
                if let Some(at) = known {
                    let it = &mut oracle.targets[at];
                    if it.load != *load && strategy != Strategy::RoundRobin {
                        it.stamp = now;
                    }
                    it.load = *load;
                }
                continue;
            }
            Op::Add(id) => {
                let birth = oracle.tick();
                let tags = (id % 2 == 1).then_some("odd");
                let target = Target::new(*id, birth).weight(weight(*id)).tags(tags);
                let known = at(&oracle, *id);
                prop_assert_eq!(router.add(target).is_err(), known.is_some());
                if known.is_none() {
                    oracle.targets.push(Naive {
                        id: *id,
                        birth,
                        weight: u64::from(weight(*id)),
                        load: 0,
                        leased: 0,
                        turns: 0,
                        stamp: birth,
                        is_suspended: false,
                    });
                    oracle.catch_up(oracle.targets.len() - 1);
                }
                continue;
            }
            Op::Remove(id) => {
                let known = at(&oracle, *id);
                prop_assert_eq!(router.remove(id).is_ok(), known.is_some());
                if let Some(at) = known {
                    oracle.leave(at);
                    oracle.targets.remove(at);
                }
                continue;
            }
            Op::Suspend(id) => {
                let known = at(&oracle, *id);
                prop_assert_eq!(router.suspend(id).is_ok(), known.is_some());
                if let Some(at) = known {
                    oracle.leave(at);
                    oracle.targets[at].is_suspended = true;
                }
                continue;
            }
            Op::Resume(id) => {
                let known = at(&oracle, *id);
                prop_assert_eq!(router.resume(id).is_ok(), known.is_some());
                let now = oracle.tick();
                if let Some(at) = known
                    && oracle.targets[at].is_suspended
                {
                    oracle.catch_up(at);
                    oracle.targets[at].is_suspended = false;
                    oracle.targets[at].stamp = now;
                }
                continue;
            }
        };
        let picked = match op {
            Op::Pick => router.pick(),
            _ => router.pick_for(&query),
        };
        prop_assert_eq!(picked.is_ok(), expected.is_some());
        if let (Ok(lease), Some(at)) = (picked, expected) {
            let now = oracle.tick();
            let it = &mut oracle.targets[at];
            prop_assert_eq!((*lease.id(), *lease), (it.id, it.birth));
            it.leased += 1;
            it.turns += 1;
            it.stamp = now;
            leases.push((lease, it.birth));
        }
        for read in router.targets() {
            let it = &oracle.targets[at(&oracle, read.id).unwrap()];
            prop_assert_eq!((read.load, read.leases), (it.load + it.leased, it.leased));
        }
        prop_assert_eq!(router.len(), oracle.targets.len());
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_router_does_what_a_scan_would_do(
        ops in proptest::collection::vec(op(), 1..150),
        is_weighted: bool,
        is_round_robin: bool,
    ) {
        let strategy = if is_round_robin { Strategy::RoundRobin } else { Strategy::LeastLoaded };
        run(strategy, is_weighted, ops)?;
    }
}
