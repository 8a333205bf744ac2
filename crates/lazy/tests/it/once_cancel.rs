//! Whoever of those who wait for a cell leaves, the others get what was begun.

use std::task::Poll;

use brolly_lazy::Once;

use crate::support::{Boxed, Source, boxed, look, now};

const STEPS: usize = 4;

#[test]
fn callers_may_leave_at_every_poll_in_every_order() {
    for first_to_leave in 0..3 {
        for at in 0..STEPS {
            for second_to_leave in 0..3 {
                let (once, source) = (Once::new(), Source::new());
                let mut callers: Vec<Option<Boxed<'_, &u32>>> = (0..3)
                    .map(|_| Some(boxed(once.get_or_init(|| source.load()))))
                    .collect();
                for step in 0..STEPS {
                    for caller in callers.iter_mut().flatten() {
                        assert!(look(caller).is_pending());
                    }
                    if step == at {
                        callers[first_to_leave] = None;
                    }
                    source.stir();
                }
                callers[second_to_leave] = None;
                source.finish(7);
                for caller in callers.iter_mut().flatten() {
                    assert_eq!(look(caller), Poll::Ready(&7));
                }
                drop(callers);
                assert_eq!((source.starts(), source.drops()), (1, 1));
                assert_eq!(once.get(), Some(&7));
            }
        }
    }
}

#[test]
fn the_last_one_to_leave_drops_the_initialiser() {
    let (once, source) = (Once::new(), Source::new());
    for round in 1..4 {
        let mut callers = [
            boxed(once.get_or_init(|| source.load())),
            boxed(once.get_or_init(|| source.load())),
        ];
        assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
        drop(callers);
        assert_eq!((source.starts(), source.drops()), (round, round));
    }
    source.finish(7);
    assert_eq!(now(once.get_or_init(|| source.load())), &7);
}

#[test]
fn a_caller_that_was_never_polled_has_begun_nothing() {
    let (once, source) = (Once::<u32>::new(), Source::new());
    drop(once.get_or_init(|| source.load()));
    assert_eq!(source.starts(), 0);
}

#[test]
fn a_value_that_was_brought_while_its_caller_slept_is_there_for_the_next() {
    let (once, source) = (Once::new(), Source::new());
    let mut sleeps = boxed(once.get_or_init(|| source.load()));
    let mut leaves = boxed(once.get_or_init(|| source.load()));
    assert!(look(&mut sleeps).is_pending() && look(&mut leaves).is_pending());
    source.finish(7);
    assert!(look(&mut leaves).is_ready());
    drop(sleeps);
    assert_eq!(once.get(), Some(&7));
}
