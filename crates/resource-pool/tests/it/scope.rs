//! What a scope promises: committed together, or undone in reverse order, whatever fails.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brolly_resource_pool::{
    AcquireError, CleanupCause, CleanupError, CleanupErrors, Guard, Kept, ResourceScope,
    ScopeEntry, ScopeError,
};
use brolly_sync::{Clock, ManualClock};

use crate::support::{Tasks, bench, is_pending, lone, now, ready, secs};

/// What was undone, in order.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    pub(crate) fn read(&self) -> String {
        self.0.lock().unwrap().join(" ")
    }

    fn undo(&self, scope: &ResourceScope, name: &'static str) {
        let diary = self.clone();
        scope.on_rollback(name, async move || diary.note(name));
    }
}

/// Reports of a scope, as text.
fn told(diary: &Diary) -> impl Fn(&CleanupError) + Send + Sync + 'static {
    let diary = diary.clone();
    move |error| diary.note(format!("{}:{}", error.id, error.cause))
}

fn panics(text: &str) {
    panic!("{text}");
}

fn one(errors: Result<(), CleanupErrors>) -> CleanupError {
    let mut errors = errors.unwrap_err().errors;
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn a_roll_back_undoes_in_reverse_order() {
    let (scope, diary) = (ResourceScope::new(), Diary::default());
    for name in ["a", "b", "c"] {
        diary.undo(&scope, name);
    }
    assert_eq!(scope.len(), 3);
    now(scope.roll_back()).unwrap();
    assert_eq!(diary.read(), "c b a");
    assert!(scope.is_empty());
    now(scope.roll_back()).unwrap();
    assert_eq!(diary.read(), "c b a");
}

#[test]
fn a_commit_undoes_nothing_and_begins_anew() {
    let (scope, diary) = (ResourceScope::new(), Diary::default());
    diary.undo(&scope, "a");
    scope.commit();
    assert!(scope.is_empty());
    diary.undo(&scope, "b");
    drop(scope);
    assert_eq!(diary.read(), "b");
}

#[test]
fn a_commit_drops_what_the_scope_has_newest_first_and_leaves_handles_alone() {
    struct Loud(&'static str, Diary);
    impl Drop for Loud {
        fn drop(&mut self) {
            self.1.note(self.0);
        }
    }
    let (scope, diary) = (ResourceScope::new(), Diary::default());
    drop(scope.keep("first", Loud("first", diary.clone())));
    let mut held = scope.keep("held", Loud("held", diary.clone()));
    Kept::on_rollback(&mut held, async |_| panics("never undone"));
    drop(scope.keep("last", Loud("last", diary.clone())));
    scope.commit();
    assert_eq!(diary.read(), "last first");
    drop(scope);
    assert_eq!(held.0, "held");
    drop(held);
    assert_eq!(diary.read(), "last first held");
}

#[test]
fn steps_that_succeed_stay_and_what_they_return_lives_on() {
    let (scope, diary) = (ResourceScope::new(), Diary::default());
    let kept = now(scope.run(async |scope| {
        diary.undo(scope, "a");
        Ok::<_, Infallible>(scope.keep("number", 7))
    }));
    let kept = kept.unwrap();
    drop(scope);
    assert_eq!((*kept, diary.read().as_str()), (7, ""));
}

#[test]
fn a_step_that_fails_undoes_those_before_it_and_carries_what_could_not_be_undone() {
    let (scope, diary) = (ResourceScope::new(), Diary::default());
    let failed = now(scope.run(async |scope| {
        diary.undo(scope, "a");
        scope.on_rollback("b", async || Err::<(), _>("b is stuck"));
        diary.undo(scope, "c");
        if scope.len() == 3 {
            return Err("step 4".parse::<u8>().unwrap_err());
        }
        diary.undo(scope, "never reached");
        Ok(())
    }));
    let failed: ScopeError<_> = failed.unwrap_err();
    assert_eq!(diary.read(), "c a");
    let cleanup = failed.cleanup.as_ref().unwrap();
    assert_eq!(&*cleanup.errors[0].id, "b_1");
    let text = failed.to_string();
    assert!(
        text.contains("1 cleanup failed") && text.contains("b is stuck"),
        "{text}"
    );
    assert!(
        failed
            .source()
            .unwrap()
            .to_string()
            .contains("invalid digit")
    );
}

#[test]
fn every_cleanup_runs_and_every_error_is_returned() {
    let (scope, diary) = (ResourceScope::new(), Diary::default());
    diary.undo(&scope, "a");
    scope.on_rollback("fails", async || Err::<(), _>("no"));
    diary.undo(&scope, "b");
    scope.on_rollback("panics", async || panics("not today"));
    scope.on_rollback("panics_at_once", || -> std::future::Ready<()> {
        panic!("at once")
    });
    diary.undo(&scope, "c");
    let errors = now(scope.roll_back()).unwrap_err();
    assert_eq!(diary.read(), "c b a");
    let ids: Vec<_> = errors.errors.iter().map(|it| &*it.id).collect();
    assert_eq!(ids, ["panics_at_once_4", "panics_3", "fails_1"]);
    let text = errors.to_string();
    assert!(
        text.starts_with("3 cleanups failed: `panics_at_once_4`"),
        "{text}"
    );
    assert!(
        text.contains("panicked: not today") && text.contains("failed: no"),
        "{text}"
    );
    assert!(errors.errors[0].site.file.ends_with("scope.rs"));
    // What failed to be undone is gone with what it took.
    assert!(scope.is_empty());
}

#[test]
fn a_destructor_that_panics_harms_no_other() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let (scope, diary) = (ResourceScope::new(), Diary::default());
    diary.undo(&scope, "a");
    drop(scope.keep("bomb", Bomb));
    diary.undo(&scope, "b");
    let error = one(now(scope.roll_back()));
    assert!(
        matches!(&error.cause, CleanupCause::Panicked { message } if &**message == "in a destructor")
    );
    assert_eq!(diary.read(), "b a");
    for _ in 0..2 {
        drop(scope.keep("bomb", Bomb));
    }
    scope.commit();
    assert!(scope.is_empty());
}

#[test]
fn an_undoing_gets_the_resource_and_replaces_the_one_before() {
    let scope = ResourceScope::new();
    let seen = Arc::new(AtomicUsize::new(0));
    let mut kept = scope.keep("number", 1);
    Kept::on_rollback(&mut kept, async |_| panics("replaced"));
    *kept += 41;
    let sees = Arc::clone(&seen);
    Kept::on_rollback(&mut kept, async move |number| sees.store(number, SeqCst));
    drop(kept);
    now(scope.roll_back()).unwrap();
    assert_eq!(seen.load(SeqCst), 42);
}

#[test]
fn what_is_taken_out_is_not_undone() {
    let scope = ResourceScope::new();
    let mut kept = scope.keep("number", 7);
    Kept::on_rollback(&mut kept, async |_| panics("taken out"));
    assert_eq!(Kept::into_inner(kept), 7);
    assert!(scope.is_empty());
    now(scope.roll_back()).unwrap();
}

#[test]
fn what_is_in_use_is_reported_and_undone_when_its_handle_is_dropped() {
    let diary = Diary::default();
    let scope = ResourceScope::builder()
        .on_leftover(told(&diary))
        .build()
        .unwrap();
    diary.undo(&scope, "a");
    let mut kept = scope.keep("used", ());
    let notes = diary.clone();
    Kept::on_rollback(&mut kept, async move |()| {
        notes.note("used");
        Err("too late")
    });
    let error = one(now(scope.roll_back()));
    assert_eq!(&*error.id, "used_1");
    assert!(matches!(error.cause, CleanupCause::InUse));
    assert_eq!((diary.read().as_str(), scope.len()), ("a", 1));
    drop(kept);
    // Nobody waits for that, so its failure is told to the listener.
    assert_eq!(diary.read(), "a used used_1:failed");
    assert!(scope.is_empty());
}

#[test]
fn a_drop_undoes_at_once_what_never_waits() {
    let (scope, diary) = (ResourceScope::new(), Diary::default());
    diary.undo(&scope, "a");
    let kept = scope.keep("held", 7);
    diary.undo(&scope, "b");
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _scope = scope;
        panic!("a step panics");
    }));
    assert!(caught.is_err());
    assert_eq!(diary.read(), "b a");
    drop(kept);
}

#[test]
fn a_handle_that_outlives_its_scope_undoes_when_it_is_dropped() {
    let diary = Diary::default();
    let builder = ResourceScope::builder().on_leftover(told(&diary));
    let scope = builder.build().unwrap();
    diary.undo(&scope, "other");
    let mut kept = scope.keep("held", "held");
    let notes = diary.clone();
    Kept::on_rollback(&mut kept, async move |text| notes.note(text));
    drop(scope);
    // That it is in use is no failure: nobody has to do anything about it.
    assert_eq!(diary.read(), "other");
    drop(kept);
    assert_eq!(diary.read(), "other held");
}

/// A scope of three cleanups of which the middle one waits once.
fn with_one_that_waits(diary: &Diary, tasks: Option<&Tasks>) -> ResourceScope {
    let mut builder = ResourceScope::builder().on_leftover(told(diary));
    if let Some(tasks) = tasks {
        builder = builder.spawner(tasks.clone());
    }
    let scope = builder.build().unwrap();
    diary.undo(&scope, "a");
    let notes = diary.clone();
    scope.on_rollback("waits", async move || {
        crate::scope_cancel::pause().await;
        notes.note("waits");
    });
    diary.undo(&scope, "c");
    scope
}

#[test]
fn after_a_drop_the_spawner_goes_on_in_the_same_order() {
    let (diary, tasks) = (Diary::default(), Tasks::default());
    drop(with_one_that_waits(&diary, Some(&tasks)));
    assert_eq!(diary.read(), "c");
    tasks.run();
    assert_eq!(diary.read(), "c waits a");
    assert_eq!(tasks.len(), 0);
}

#[test]
fn without_a_spawner_what_waits_is_reported_and_the_rest_undone() {
    let diary = Diary::default();
    drop(with_one_that_waits(&diary, None));
    assert_eq!(diary.read(), "c waits_1:had to wait and was left a");
}

#[test]
fn a_spawner_that_drops_its_tasks_leaves_nothing_unsaid() {
    let (diary, tasks) = (Diary::default(), Tasks::default());
    drop(with_one_that_waits(&diary, Some(&tasks)));
    tasks.shut_down();
    let expected = "c waits_1:had to wait and was left a_0:had to wait and was left";
    assert_eq!(diary.read(), expected);
}

#[test]
fn a_listener_or_a_spawner_that_panics_harms_nobody() {
    let diary = Diary::default();
    let builder = ResourceScope::builder().on_leftover(|_| panic!("no"));
    let spawner = |task: brolly_sync::Task| {
        drop(task);
        panic!("no");
    };
    let scope = builder.spawner(spawner).build().unwrap();
    diary.undo(&scope, "a");
    scope.on_rollback("waits", std::future::pending::<()>);
    diary.undo(&scope, "b");
    drop(scope);
    assert_eq!(diary.read(), "b");
}

#[test]
fn a_clock_that_panics_stops_no_cleanup() {
    #[derive(Clone, Debug, Default)]
    struct Broken(Arc<AtomicBool>);
    impl Clock for Broken {
        fn now(&self) -> Duration {
            assert!(!self.0.load(SeqCst), "no time");
            Duration::ZERO
        }
    }
    let (clock, diary) = (Broken::default(), Diary::default());
    let builder = ResourceScope::builder().clock(clock.clone());
    let scope = builder.build().unwrap();
    let door = scope.manage("door", crate::managed::Door::default());
    let mut door = door.unwrap();
    for name in ["a", "b", "c", "d"] {
        diary.undo(&scope, name);
    }
    let kept = scope.keep("kept", 7);
    clock.0.store(true, SeqCst);
    now(brolly_resource_pool::Managed::close(&mut door)).unwrap();
    assert_eq!(Kept::into_inner(kept), 7);
    assert_eq!(scope.len(), 4);
    drop(scope);
    assert_eq!(diary.read(), "d c b a");
}

#[test]
fn guards_are_given_back_in_their_turn() {
    let (left, right) = (
        lone(|it| it.name("left").max_size(1)),
        lone(|it| it.max_size(2)),
    );
    let scope = ResourceScope::new();
    let failed = now(scope.run(async |scope| {
        let mut thing = scope.acquire(&left.pool).await.unwrap();
        let pool = left.pool.clone();
        thing.is_broken = false;
        Kept::on_rollback(&mut thing, async move |thing| {
            assert_eq!((thing.id, pool.stats().in_use), (0, 1));
            drop(thing);
        });
        let many = right.pool.acquire_many(2).await.unwrap();
        let many: Vec<_> = many.into_iter().map(Guard::into_owned).collect();
        let _many = scope.keep("two", many);
        let mut names = scope.entries().into_iter().map(|it| it.id);
        assert_eq!(names.next().unwrap(), "left_0");
        assert_eq!(left.pool.holders()[0].site, scope.entries()[0].site);
        Err::<(), _>("both go back")
    }));
    assert!(failed.unwrap_err().cleanup.is_none());
    assert_eq!(left.assert_conserved().in_use, 0);
    assert_eq!(right.assert_conserved().in_use, 0);
}

#[test]
fn an_acquire_that_fails_leaves_the_scope_as_it_was() {
    let bench = lone(|it| it.max_size(1));
    let scope = ResourceScope::new();
    bench.pool.close();
    assert!(matches!(
        now(scope.acquire(&bench.pool)),
        Err(AcquireError::Closed)
    ));
    assert!(scope.is_empty());
}

#[test]
fn an_acquire_that_is_left_leaves_the_scope_as_it_was() {
    let bench = bench(|it| it.max_size(1));
    let scope = ResourceScope::new();
    let held = bench.take();
    {
        let mut acquire = pin!(scope.acquire(&bench.pool));
        assert!(is_pending(acquire.as_mut()));
    }
    assert_eq!((scope.len(), bench.pool.stats().waiting), (0, 0));
    let mut acquire = pin!(scope.acquire(&bench.pool));
    assert!(is_pending(acquire.as_mut()));
    drop(held);
    let kept = ready(acquire).unwrap();
    assert_eq!(scope.len(), 1);
    drop(Kept::into_inner(kept));
}

#[test]
fn the_list_says_what_there_is_and_for_how_long() {
    let clock = ManualClock::new();
    let scope = ResourceScope::builder()
        .clock(clock.clone())
        .build()
        .unwrap();
    let line = line!() + 1;
    let _held = scope.keep("held", ());
    clock.advance(secs(5));
    drop(scope.keep("left", ()));
    let entries: Vec<ScopeEntry> = scope.entries();
    assert_eq!((entries[0].site.line, entries[0].age), (line, secs(5)));
    assert!(entries[0].is_held && !entries[1].is_held);
    let mut door = scope
        .manage("door", crate::managed::Door::default())
        .unwrap();
    let entry = scope.entries().pop().unwrap();
    assert!(entry.is_managed && !entries[0].is_managed);
    assert_eq!(entries[0].type_name, "()");
    assert!(entry.type_name.ends_with("Door"), "{entry:?}");
    now(brolly_resource_pool::Managed::close(&mut door)).unwrap();
    assert_eq!(
        (entries[0].id.as_str(), entries[1].id.as_str()),
        ("held_0", "left_1")
    );
}

#[test]
fn ids_are_never_given_twice() {
    let scope = ResourceScope::new();
    let _managed = scope
        .manage("file_1", crate::managed::Door::default())
        .unwrap();
    let _kept = scope.keep("file", ());
    let ids: Vec<_> = scope.entries().into_iter().map(|it| it.id).collect();
    assert_eq!(ids, ["file_1", "file_2"]);
}

#[test]
fn forgetting_takes_off_the_list_and_undoes_nothing() {
    let clock = ManualClock::new();
    let scope = ResourceScope::builder()
        .clock(clock.clone())
        .build()
        .unwrap();
    scope.on_rollback("a", async || panics("forgotten"));
    clock.advance(secs(3));
    assert_eq!(scope.forget("a_0"), Some(secs(3)));
    assert_eq!(scope.forget("a_0"), None);
    let mut kept = scope.keep("b", ());
    Kept::on_rollback(&mut kept, async |()| panics("forgotten"));
    assert!(scope.forget("b_1").is_some());
    drop(kept);
    now(scope.roll_back()).unwrap();
}

#[test]
fn cleanups_may_use_their_scope() {
    let scope = Arc::new(ResourceScope::new());
    let diary = Diary::default();
    let (inner, notes) = (Arc::clone(&scope), diary.clone());
    scope.on_rollback("again", async move || {
        notes.note(format!("{} there", inner.len()));
        notes.undo(&inner, "added");
        inner.roll_back().await.unwrap();
    });
    now(scope.roll_back()).unwrap();
    assert_eq!(diary.read(), "1 there added");
    assert!(scope.is_empty());
}

#[test]
fn threads_that_roll_back_together_undo_each_once() {
    for _ in 0..50 {
        let scope = ResourceScope::new();
        let undone = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    for _ in 0..20 {
                        let undone = Arc::clone(&undone);
                        let mut kept = scope.keep("one", ());
                        Kept::on_rollback(&mut kept, async move |()| {
                            undone.fetch_add(1, SeqCst);
                        });
                    }
                });
                threads.spawn(|| {
                    for _ in 0..5 {
                        // What is in use at that moment is undone by its handle.
                        let _ = scope.roll_back_blocking();
                    }
                });
            }
        });
        scope.roll_back_blocking().unwrap();
        assert_eq!((undone.load(SeqCst), scope.len()), (40, 0));
    }
}

#[test]
fn scopes_and_handles_may_go_wherever_their_resources_may() {
    fn is_shared<T: Send + Sync>() {}
    fn is_sent<T: Send>(_: &T) {}
    is_shared::<(ResourceScope, ScopeEntry)>();
    is_shared::<(CleanupErrors, ScopeError<Infallible>)>();
    let scope = ResourceScope::new();
    is_sent(&scope.keep("may be sent and not shared", Cell::new(0)));
    is_sent(&scope.roll_back());
    let bench = lone(|it| it.max_size(1));
    is_sent(&scope.acquire(&bench.pool));
    is_sent(&scope.run(async |scope| {
        let thing = scope.acquire(&bench.pool).await.map_err(|_| "closed")?;
        crate::scope_cancel::pause().await;
        drop(thing);
        Ok::<(), &str>(())
    }));
}

#[test]
fn handles_are_a_few_words() {
    let word = size_of::<usize>();
    assert!(size_of::<Kept<[u8; 100]>>() <= 3 * word);
    assert!(size_of::<brolly_resource_pool::Managed<crate::managed::Door>>() <= 7 * word);
    assert!(size_of::<ResourceScope>() <= word);
    assert!(size_of::<CleanupErrors>() <= 3 * word);
}

#[test]
fn no_managed_resource_at_all_is_refused_as_a_setting() {
    let error = ResourceScope::builder().max_managed(0).build().unwrap_err();
    assert_eq!((error.field, error.value.as_str()), ("max_managed", "0"));
}
