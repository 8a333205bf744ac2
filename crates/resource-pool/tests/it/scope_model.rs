//! A scope against a plain list that does the same in the simplest way.

use std::sync::{Arc, Mutex};

use brolly_resource_pool::{CleanupCause, Close, Kept, Managed, ResourceScope};
use proptest::prelude::*;

use crate::managed::Stuck;
use crate::support::now;

#[derive(Clone, Debug)]
enum Op {
    /// Keeps something whose undoing succeeds or not.
    Keep {
        fails: bool,
    },
    /// Manages something whose closing fails so often.
    Manage {
        failures: u8,
    },
    /// Drops a handle, takes a resource out, closes by hand.
    Drop(usize),
    TakeOut(usize),
    Close(usize),
    Forget(usize),
    Commit,
    RollBack,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => any::<bool>().prop_map(|fails| Op::Keep { fails }),
        4 => (0..3_u8).prop_map(|failures| Op::Manage { failures }),
        6 => (0..8_usize).prop_map(Op::Drop),
        1 => (0..8_usize).prop_map(Op::TakeOut),
        2 => (0..8_usize).prop_map(Op::Close),
        1 => (0..8_usize).prop_map(Op::Forget),
        1 => Just(Op::Commit),
        3 => Just(Op::RollBack),
    ];
    prop::collection::vec(op, 0..60)
}

/// What happened: `+` ended, `-` failed.
type Story = Arc<Mutex<Vec<(char, usize)>>>;

struct Thing {
    number: usize,
    failures: u8,
    story: Story,
}

impl Close for Thing {
    type Error = Stuck;

    async fn close(&mut self) -> Result<(), Stuck> {
        let ends = self.failures == 0;
        let sign = if ends { '+' } else { '-' };
        self.story.lock().unwrap().push((sign, self.number));
        self.failures = self.failures.saturating_sub(1);
        if ends { Ok(()) } else { Err(Stuck) }
    }
}

enum Handle {
    Kept(Kept<()>),
    Managed(Managed<Thing>),
}

/// The same, in the plain way: one line for everything that was ever made.
#[derive(Clone)]
struct Row {
    number: usize,
    is_kept: bool,
    failures: u8,
    is_listed: bool,
    is_held: bool,
    is_doomed: bool,
    is_closed: bool,
}

#[derive(Default)]
struct Oracle {
    rows: Vec<Row>,
    story: Vec<(char, usize)>,
}

impl Oracle {
    /// Tries to end a row; says whether that succeeded.
    fn end(&mut self, position: usize) -> bool {
        let row = &mut self.rows[position];
        let ends = row.failures == 0;
        let sign = if ends { '+' } else { '-' };
        self.story.push((sign, row.number));
        row.failures = row.failures.saturating_sub(1);
        if ends || row.is_kept {
            row.is_listed = false;
        }
        row.is_closed = ends;
        ends
    }

    fn drop_handle(&mut self, position: usize) {
        let row = &mut self.rows[position];
        row.is_held = false;
        let ends_now = match row.is_kept {
            true => row.is_listed && row.is_doomed,
            false => !row.is_closed,
        };
        if ends_now {
            self.end(position);
        }
    }

    fn roll_back(&mut self) -> Vec<(usize, bool)> {
        let mut errors = Vec::new();
        for position in (0..self.rows.len()).rev() {
            let row = &mut self.rows[position];
            if !row.is_listed {
                continue;
            }
            let number = row.number;
            if row.is_held {
                row.is_doomed = true;
                errors.push((number, true));
            } else if !self.end(position) {
                errors.push((number, false));
            }
        }
        errors
    }
}

fn number_of(id: &str) -> usize {
    id.rsplit('_').next().unwrap().parse().unwrap()
}

fn play(ops: Vec<Op>) {
    let scope = ResourceScope::new();
    let story = Story::default();
    let mut oracle = Oracle::default();
    let mut handles: Vec<(usize, Handle)> = Vec::new();
    for op in ops {
        let number = oracle.rows.len();
        let row = Row {
            number,
            is_kept: true,
            failures: 0,
            is_listed: true,
            is_held: true,
            is_doomed: false,
            is_closed: false,
        };
        match op {
            Op::Keep { fails } => {
                let mut kept = scope.keep("thing", ());
                let story = Arc::clone(&story);
                Kept::on_rollback(&mut kept, async move |()| {
                    let sign = if fails { '-' } else { '+' };
                    story.lock().unwrap().push((sign, number));
                    if fails { Err("fails") } else { Ok(()) }
                });
                let failures = u8::from(fails);
                oracle.rows.push(Row { failures, ..row });
                handles.push((number, Handle::Kept(kept)));
            }
            Op::Manage { failures } => {
                let story = Arc::clone(&story);
                let thing = Thing {
                    number,
                    failures,
                    story,
                };
                let managed = scope.manage(format!("thing_{number}"), thing).unwrap();
                oracle.rows.push(Row {
                    is_kept: false,
                    failures,
                    ..row
                });
                handles.push((number, Handle::Managed(managed)));
            }
            Op::Drop(which) if !handles.is_empty() => {
                let (number, handle) = handles.remove(which % handles.len());
                oracle.drop_handle(number);
                drop(handle);
            }
            Op::TakeOut(which) if !handles.is_empty() => {
                let (number, handle) = handles.remove(which % handles.len());
                oracle.rows[number].is_held = false;
                oracle.rows[number].is_listed = false;
                match handle {
                    Handle::Kept(kept) => Kept::into_inner(kept),
                    Handle::Managed(managed) => drop(Managed::into_inner(managed)),
                }
            }
            Op::Close(which) if !handles.is_empty() => {
                let which = which % handles.len();
                let (number, handle) = &mut handles[which];
                let Handle::Managed(managed) = handle else {
                    continue;
                };
                let expected = oracle.rows[*number].is_closed || oracle.end(*number);
                assert_eq!(now(Managed::close(managed)).is_ok(), expected);
            }
            Op::Forget(which) => {
                let listed: Vec<_> = scope.entries().into_iter().map(|it| it.id).collect();
                if listed.is_empty() {
                    continue;
                }
                let id = &listed[which % listed.len()];
                assert!(scope.forget(id).is_some());
                oracle.rows[number_of(id)].is_listed = false;
            }
            Op::Commit => {
                scope.commit();
                for row in &mut oracle.rows {
                    row.is_listed &= !row.is_kept || row.is_doomed;
                }
            }
            Op::RollBack => {
                let expected = oracle.roll_back();
                let errors = now(scope.roll_back())
                    .err()
                    .map_or(Vec::new(), |it| it.errors);
                let errors: Vec<_> = errors
                    .iter()
                    .map(|it| (number_of(&it.id), matches!(it.cause, CleanupCause::InUse)))
                    .collect();
                assert_eq!(errors, expected);
            }
            Op::Drop(_) | Op::TakeOut(_) | Op::Close(_) => {}
        }
        let listed: Vec<_> = scope.entries().iter().map(|it| number_of(&it.id)).collect();
        let expected = oracle.rows.iter().filter(|it| it.is_listed);
        assert_eq!(listed, expected.map(|it| it.number).collect::<Vec<_>>());
        assert_eq!(*story.lock().unwrap(), oracle.story);
    }
    drop(scope);
    oracle.roll_back();
    for (number, handle) in handles {
        drop(handle);
        // Nobody is there to try again.
        oracle.drop_handle(number);
    }
    assert_eq!(*story.lock().unwrap(), oracle.story);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_scope_does_what_a_plain_list_does(ops in ops()) {
        play(ops);
    }
}
