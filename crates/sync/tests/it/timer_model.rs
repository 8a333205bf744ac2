//! Any sequence of sleeping, looking, cancelling and advancing against a plain list of deadlines.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::Duration;

use brolly_sync::{Clock, ManualClock, Sleep, Timer};
use proptest::prelude::*;

use crate::support::poll;

#[derive(Clone, Debug)]
enum Op {
    Sleep(u64),
    /// Looks at a sleep, with a waker of its own or with another one.
    Look(usize, bool),
    Cancel(usize),
    Advance(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..20_u64).prop_map(Op::Sleep),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, own)| Op::Look(which, own)),
        2 => any::<usize>().prop_map(Op::Cancel),
        2 => (0..8_u64).prop_map(Op::Advance),
    ]
}

struct Named(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// What the model knows of a sleep that is listed.
struct Listed {
    name: usize,
    deadline: u64,
    /// Its place in the order of falling asleep.
    arrival: usize,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_sleepers_wake_as_a_sorted_list_says(ops in prop::collection::vec(op(), 0..80)) {
        let clock = ManualClock::new();
        let woken = Arc::default();
        let mut sleeps: Vec<(usize, Sleep)> = Vec::new();
        let mut listed: Vec<Listed> = Vec::new();
        let (mut now, mut arrivals) = (0, 0);
        for (name, op) in ops.into_iter().enumerate() {
            match op {
                Op::Sleep(after) => {
                    let sleep = clock.sleep(Duration::from_nanos(after));
                    prop_assert_eq!(sleep.deadline(), Duration::from_nanos(now + after));
                    sleeps.push((name, sleep));
                }
                Op::Look(which, own) if !sleeps.is_empty() => {
                    let which = which % sleeps.len();
                    let (name, sleep) = &mut sleeps[which];
                    let deadline = u64::try_from(sleep.deadline().as_nanos()).unwrap();
                    // A second waker of the same name: a task that moved.
                    let waker = Waker::from(Arc::new(Named(*name, Arc::clone(&woken))));
                    let over = poll(sleep, &waker).is_ready();
                    if own && !over {
                        prop_assert!(poll(sleep, &waker).is_pending());
                    }
                    prop_assert_eq!(over, deadline <= now);
                    let known = listed.iter().any(|listed| listed.name == *name);
                    if !over && !known {
                        listed.push(Listed { name: *name, deadline, arrival: arrivals });
                        arrivals += 1;
                    }
                }
                Op::Cancel(which) if !sleeps.is_empty() => {
                    let (name, sleep) = sleeps.swap_remove(which % sleeps.len());
                    drop(sleep);
                    listed.retain(|listed| listed.name != name);
                }
                Op::Advance(by) => {
                    now += by;
                    clock.advance(Duration::from_nanos(by));
                    let mut due: Vec<_> = listed.extract_if(.., |listed| listed.deadline <= now).collect();
                    due.sort_by_key(|listed| (listed.deadline, listed.arrival));
                    let due: Vec<_> = due.into_iter().map(|listed| listed.name).collect();
                    prop_assert_eq!(std::mem::take(&mut *woken.lock().unwrap()), due);
                }
                Op::Look(..) | Op::Cancel(_) => {}
            }
            prop_assert_eq!(clock.now(), Duration::from_nanos(now));
            prop_assert_eq!(clock.sleeping(), listed.len());
            let next = listed.iter().map(|listed| Duration::from_nanos(listed.deadline)).min();
            prop_assert_eq!(clock.next_deadline(), next);
            prop_assert!(woken.lock().unwrap().is_empty(), "only advancing wakes");
        }
    }
}
