//! Any sequence of joining, looking, leaving and parking against a model of who must be served.

use std::sync::Arc;
use std::task::{Poll, Waker};

use brolly_sync::{Flight, Join};
use proptest::prelude::*;

use crate::support::{Control, Wakes, poll};

#[derive(Clone, Debug)]
enum Op {
    Join,
    /// The executor polls a participant, woken or not.
    Look(usize),
    /// A participant is dropped.
    Leave(usize),
    /// A participant is kept and never polled again.
    Park(usize),
    /// What the load waits for stirs, to no avail.
    Stir,
    Finish,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Join),
        6 => any::<usize>().prop_map(Op::Look),
        3 => any::<usize>().prop_map(Op::Leave),
        2 => any::<usize>().prop_map(Op::Park),
        3 => Just(Op::Stir),
        1 => Just(Op::Finish),
    ]
}

struct Participant {
    join: Join<u32>,
    wakes: Arc<Wakes>,
    waker: Waker,
    /// Wake-ups the executor has seen; a new one means that it polls again.
    seen: usize,
    done: bool,
}

impl Participant {
    fn new(join: Join<u32>) -> Self {
        let (wakes, waker) = Wakes::new();
        Self {
            join,
            wakes,
            waker,
            seen: 0,
            done: false,
        }
    }

    fn look(&mut self) -> Poll<u32> {
        self.seen = self.wakes.count();
        let polled = poll(&mut self.join, &self.waker).map(|outcome| outcome.expect("no panic"));
        self.done = polled.is_ready();
        polled
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_stays_is_served_by_wake_ups_alone(ops in prop::collection::vec(op(), 0..60)) {
        let (control, load) = Control::new();
        let flight = Flight::new(load);
        let mut active: Vec<Participant> = Vec::new();
        let mut parked: Vec<Participant> = Vec::new();
        let (mut finished, mut abandoned) = (false, false);
        for op in ops {
            match op {
                Op::Join => {
                    let joined = flight.join();
                    prop_assert_eq!(joined.is_none(), abandoned);
                    active.extend(joined.map(Participant::new));
                }
                Op::Look(which) if !active.is_empty() => {
                    let which = which % active.len();
                    let polls = control.polls();
                    match active[which].look() {
                        Poll::Ready(value) => {
                            prop_assert!(finished);
                            prop_assert_eq!(value, 7);
                        }
                        // A look that found nothing to do would leave the result to nobody.
                        Poll::Pending => prop_assert!(!finished),
                    }
                    prop_assert!(control.polls() <= polls + 1, "one look polls the load once");
                }
                Op::Leave(which) if !active.is_empty() => {
                    active.swap_remove(which % active.len());
                    let landed = flight.peek().is_some();
                    abandoned |= active.is_empty() && parked.is_empty() && !landed;
                }
                Op::Park(which) if !active.is_empty() => {
                    let which = which % active.len();
                    let participant = active.swap_remove(which);
                    parked.push(participant);
                }
                Op::Stir => control.stir(),
                Op::Finish if !finished => {
                    control.finish(7);
                    finished = true;
                }
                Op::Look(_) | Op::Leave(_) | Op::Park(_) | Op::Finish => {}
            }
            if flight.peek().is_none() {
                prop_assert_eq!(flight.joined(), active.len() + parked.len());
            }
            prop_assert_eq!(control.drops() == 1, abandoned || flight.peek().is_some());
        }
        if !finished {
            control.finish(7);
        }
        // An executor polls a task that is new, and then only when it was woken.
        for participant in &mut active {
            if !participant.done {
                let _ = participant.look();
            }
        }
        while let Some(woken) = active.iter_mut().find(|one| !one.done && one.wakes.count() > one.seen) {
            let _ = woken.look();
        }
        for participant in &active {
            prop_assert!(participant.done, "somebody was left waiting");
        }
        drop((active, parked));
        prop_assert_eq!(control.drops(), usize::from(flight.peek().is_some() || flight.join().is_none()));
    }
}
