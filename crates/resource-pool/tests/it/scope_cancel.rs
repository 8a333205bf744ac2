//! Roll-backs and closings that somebody leaves, at every point at which they can.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use brolly_resource_pool::{Kept, Managed, ResourceScope};

use crate::managed::Door;
use crate::scope::Diary;
use crate::support::{Tasks, bench, look, now};

/// Waits once.
pub(crate) async fn pause() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn three_steps(diary: &Diary, scope: &ResourceScope) {
    for name in ["a", "b", "c"] {
        let notes = diary.clone();
        drop(scope.keep(name, ()));
        scope.on_rollback(name, async move || {
            for part in 1..=2 {
                pause().await;
                notes.note(format!("{name}{part}"));
            }
        });
    }
}

#[test]
fn a_roll_back_that_is_left_at_any_look_goes_on_where_it_was() {
    for looks in 0..8 {
        let (scope, diary) = (ResourceScope::new(), Diary::default());
        three_steps(&diary, &scope);
        {
            let mut roll_back = Box::pin(scope.roll_back());
            for _ in 0..looks {
                if look(roll_back.as_mut()).is_ready() {
                    break;
                }
            }
        }
        brolly_sync::block_on(scope.roll_back()).unwrap();
        assert_eq!(
            diary.read(),
            "c1 c2 b1 b2 a1 a2",
            "left after {looks} looks"
        );
        assert!(scope.is_empty());
    }
}

#[test]
fn a_roll_back_that_is_left_at_any_look_is_finished_by_the_drop() {
    for looks in 0..8 {
        let (tasks, diary) = (Tasks::default(), Diary::default());
        let builder = ResourceScope::builder().spawner(tasks.clone());
        let scope = builder.build().unwrap();
        three_steps(&diary, &scope);
        {
            let mut roll_back = Box::pin(scope.roll_back());
            for _ in 0..looks {
                if look(roll_back.as_mut()).is_ready() {
                    break;
                }
            }
        }
        drop(scope);
        tasks.finish();
        assert_eq!(
            diary.read(),
            "c1 c2 b1 b2 a1 a2",
            "left after {looks} looks"
        );
    }
}

#[test]
fn what_failed_in_a_roll_back_that_is_left_is_told_to_the_listener() {
    let diary = Diary::default();
    let notes = diary.clone();
    let builder = ResourceScope::builder();
    let builder = builder.on_leftover(move |error| notes.note(&*error.id));
    let scope = builder.build().unwrap();
    let _held = scope.keep("held", ());
    scope.on_rollback("slow", pause);
    scope.on_rollback("fails", async || Err::<(), _>("no"));
    {
        let mut roll_back = Box::pin(scope.roll_back());
        assert!(look(roll_back.as_mut()).is_pending());
        assert_eq!(diary.read(), "");
    }
    assert_eq!(diary.read(), "fails_2");
    // What is returned is not told twice.
    assert!(scope.roll_back_blocking().is_err());
    assert_eq!(diary.read(), "fails_2");
}

#[test]
fn a_commit_takes_back_nothing_that_a_roll_back_has_begun() {
    let (scope, diary) = (ResourceScope::new(), Diary::default());
    let notes = diary.clone();
    scope.on_rollback("not met", async move || notes.note("committed"));
    let notes = diary.clone();
    scope.on_rollback("slow", async move || {
        notes.note("begun");
        pause().await;
        notes.note("undone");
    });
    let mut held = scope.keep("held", ());
    let notes = diary.clone();
    Kept::on_rollback(&mut held, async move |()| notes.note("held"));
    {
        let mut roll_back = Box::pin(scope.roll_back());
        assert!(look(roll_back.as_mut()).is_pending());
    }
    scope.commit();
    assert_eq!(scope.len(), 2);
    drop(held);
    assert_eq!(diary.read(), "begun held");
    drop(scope);
    assert_eq!(diary.read(), "begun held undone");
}

#[test]
fn steps_that_are_left_at_any_look_are_undone() {
    for looks in 0..6 {
        let bench = bench(|it| it.max_size(2));
        let diary = Diary::default();
        let mut is_over = false;
        {
            let scope = ResourceScope::new();
            let mut run = Box::pin(scope.run(async |scope| {
                for name in ["a", "b"] {
                    let mut thing = scope.acquire(&bench.pool).await.map_err(|_| name)?;
                    diary.note(format!("+{name}"));
                    let notes = diary.clone();
                    Kept::on_rollback(&mut thing, async move |_| notes.note(format!("-{name}")));
                    pause().await;
                }
                Ok::<_, &str>(())
            }));
            for _ in 0..looks {
                is_over |= look(run.as_mut()).is_ready();
                if is_over {
                    break;
                }
                bench.tasks.run();
            }
        }
        let expected = match diary.read().matches('+').count() {
            _ if is_over => "+a +b",
            0 => "",
            1 => "+a -a",
            _ => "+a +b -b -a",
        };
        assert_eq!(diary.read(), expected, "left after {looks} looks");
        assert_eq!(bench.assert_conserved().in_use, 0);
    }
}

#[test]
fn a_closing_that_is_left_at_any_look_leaves_the_resource_open() {
    for looks in 0..4 {
        let scope = ResourceScope::new();
        let door = Door::slow(2);
        let log = Arc::clone(&door.log);
        let mut door = scope.manage("door", door).unwrap();
        let mut is_over = false;
        {
            let mut close = Box::pin(Managed::close(&mut door));
            for _ in 0..looks {
                is_over |= look(close.as_mut()).is_ready();
                if is_over {
                    break;
                }
            }
        }
        assert_eq!(Managed::is_closed(&door), is_over);
        assert_eq!(scope.len(), usize::from(!is_over));
        Managed::close_blocking(&mut door).unwrap();
        assert_eq!(log.lock().unwrap().closed, 1);
        assert!(scope.is_empty());
    }
}

#[test]
fn a_closing_that_a_roll_back_leaves_stays_listed() {
    let scope = ResourceScope::new();
    let door = Door::slow(2);
    let log = Arc::clone(&door.log);
    drop(scope.manage("door", door).unwrap());
    assert_eq!(scope.len(), 1);
    {
        let mut roll_back = Box::pin(scope.roll_back());
        assert!(look(roll_back.as_mut()).is_pending());
        // The one who comes meanwhile leaves it to the first.
        now(scope.roll_back()).unwrap();
    }
    assert_eq!((scope.len(), log.lock().unwrap().closed), (1, 0));
    scope.roll_back_blocking().unwrap();
    assert_eq!((scope.len(), log.lock().unwrap().closed), (0, 1));
}

#[test]
fn a_run_with_a_shared_state_can_be_left() {
    // The steps hold a lock of their own; leaving drops it.
    let lock = Mutex::new(0);
    let scope = ResourceScope::new();
    {
        let mut run = Box::pin(scope.run(async |_| {
            *lock.lock().unwrap() += 1;
            std::future::pending::<Result<(), ()>>().await
        }));
        assert!(look(run.as_mut()).is_pending());
    }
    assert_eq!(*lock.lock().unwrap(), 1);
}
