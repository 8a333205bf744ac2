//! What is managed is closed exactly once, listed as long as it is open, and never forgotten.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use brolly_resource_pool::{
    CleanupCause, CleanupError, Close, ManageRefused, Managed, ResourceScope,
};
use brolly_sync::ManualClock;

use crate::scope::Diary;
use crate::support::{Tasks, now, secs};

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) tried: usize,
    pub(crate) closed: usize,
    pub(crate) dropped: usize,
}

/// Something that closes as it is told: after so many failures, after so many looks.
#[derive(Default)]
pub(crate) struct Door {
    pub(crate) failures: usize,
    pub(crate) looks: usize,
    pub(crate) panics: bool,
    pub(crate) log: Arc<Mutex<Log>>,
}

impl Door {
    pub(crate) fn slow(looks: usize) -> Self {
        let mut door = Self::default();
        door.looks = looks;
        door
    }

    fn stuck(failures: usize) -> Self {
        let mut door = Self::default();
        door.failures = failures;
        door
    }
}

#[derive(Debug)]
pub(crate) struct Stuck;

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the door is stuck")
    }
}

impl std::error::Error for Stuck {}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

impl Close for Door {
    type Error = Stuck;

    async fn close(&mut self) -> Result<(), Stuck> {
        self.log.lock().unwrap().tried += 1;
        for _ in 0..self.looks {
            crate::scope_cancel::pause().await;
        }
        assert!(!self.panics, "the hinge breaks");
        if self.failures > 0 {
            self.failures -= 1;
            return Err(Stuck);
        }
        self.log.lock().unwrap().closed += 1;
        Ok(())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.log.lock().unwrap().dropped += 1;
    }
}

fn told(diary: &Diary) -> impl Fn(&CleanupError) + Send + Sync + 'static {
    let diary = diary.clone();
    move |error| diary.note(format!("{}:{}", error.id, error.cause))
}

#[test]
fn it_is_closed_exactly_once() {
    let scope = ResourceScope::new();
    let door = Door::default();
    let log = Arc::clone(&door.log);
    let mut door = scope.manage("door", door).unwrap();
    assert!(!Managed::is_closed(&door));
    for _ in 0..3 {
        now(Managed::close(&mut door)).unwrap();
        assert!(Managed::is_closed(&door));
    }
    drop(door);
    drop(scope);
    let log = log.lock().unwrap();
    assert_eq!((log.tried, log.closed, log.dropped), (1, 1, 1));
}

#[test]
fn a_close_that_fails_leaves_it_open_and_can_be_tried_again() {
    let scope = ResourceScope::new();
    let mut door = scope.manage("door", Door::stuck(2)).unwrap();
    for _ in 0..2 {
        let cause = Managed::close_blocking(&mut door).unwrap_err();
        assert!(matches!(cause, CleanupCause::Failed(_)));
        assert!(!Managed::is_closed(&door));
        assert_eq!(scope.len(), 1);
    }
    Managed::close_blocking(&mut door).unwrap();
    assert!(scope.is_empty());
}

#[test]
fn a_close_that_panics_leaves_it_open() {
    let scope = ResourceScope::new();
    let mut door = scope.manage("door", Door::default()).unwrap();
    door.panics = true;
    let cause = now(Managed::close(&mut door)).unwrap_err();
    assert_eq!(cause.to_string(), "panicked: the hinge breaks");
    door.panics = false;
    now(Managed::close(&mut door)).unwrap();
}

#[test]
fn a_drop_closes_at_once_what_never_waits() {
    let scope = ResourceScope::new();
    let door = Door::default();
    let log = Arc::clone(&door.log);
    drop(scope.manage("door", door).unwrap());
    assert_eq!(log.lock().unwrap().closed, 1);
    assert!(scope.is_empty());
}

#[test]
fn a_drop_during_a_panic_closes_too() {
    let scope = ResourceScope::new();
    let door = Door::default();
    let log = Arc::clone(&door.log);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _door = scope.manage("door", door).unwrap();
        panic!("while it is open");
    }));
    assert!(caught.is_err());
    assert_eq!(log.lock().unwrap().closed, 1);
}

#[test]
fn a_drop_that_has_to_wait_goes_on_in_the_spawner() {
    let tasks = Tasks::default();
    let builder = ResourceScope::builder().spawner(tasks.clone());
    let scope = builder.build().unwrap();
    let door = Door::slow(2);
    let log = Arc::clone(&door.log);
    drop(scope.manage("door", door).unwrap());
    assert_eq!((scope.len(), log.lock().unwrap().closed), (1, 0));
    tasks.finish();
    assert_eq!((scope.len(), log.lock().unwrap().closed), (0, 1));
    assert_eq!(log.lock().unwrap().tried, 1);
}

#[test]
fn a_drop_that_has_to_wait_and_has_no_spawner_warns_and_stays_listed() {
    let diary = Diary::default();
    let scope = ResourceScope::builder()
        .on_leftover(told(&diary))
        .build()
        .unwrap();
    drop(scope.manage("door", Door::slow(1)).unwrap());
    assert_eq!(diary.read(), "door:had to wait and was left");
    assert_eq!(scope.entries()[0].id, "door");
    scope.roll_back_blocking().unwrap();
    assert!(scope.is_empty());
}

#[test]
fn a_spawner_that_shuts_down_leaves_it_listed() {
    let (tasks, diary) = (Tasks::default(), Diary::default());
    let builder = ResourceScope::builder().spawner(tasks.clone());
    let scope = builder.on_leftover(told(&diary)).build().unwrap();
    drop(scope.manage("door", Door::slow(1)).unwrap());
    tasks.shut_down();
    assert_eq!(diary.read(), "door:had to wait and was left");
    assert_eq!(scope.len(), 1);
    scope.roll_back_blocking().unwrap();
}

// The system this one comes from only logged a close that failed, and dropped its record.
#[test]
fn a_drop_that_fails_is_reported_and_stays_listed_until_it_succeeds() {
    let diary = Diary::default();
    let scope = ResourceScope::builder()
        .on_leftover(told(&diary))
        .build()
        .unwrap();
    let door = Door::stuck(3);
    let log = Arc::clone(&door.log);
    drop(scope.manage("door", door).unwrap());
    assert_eq!(diary.read(), "door:failed");
    for left in [1, 0] {
        let errors = now(scope.roll_back()).unwrap_err();
        assert_eq!(
            errors.errors[0].to_string().split(',').next().unwrap(),
            "`door`"
        );
        assert!(
            errors.to_string().ends_with("the door is stuck"),
            "{errors}"
        );
        assert_eq!((scope.len(), log.lock().unwrap().tried), (1, 3 - left));
    }
    now(scope.roll_back()).unwrap();
    assert!(scope.is_empty());
    let log = log.lock().unwrap();
    assert_eq!((log.closed, log.dropped), (1, 1));
}

// There, cleaning up everything took the lock that each removal takes.
#[test]
fn closing_everything_holds_no_lock_while_something_closes() {
    struct Nosy(Arc<ResourceScope>, Diary);
    impl Close for Nosy {
        type Error = Stuck;
        async fn close(&mut self) -> Result<(), Stuck> {
            let scope = &self.0;
            drop(scope.keep("other", ()));
            self.1.note(format!("{}", scope.entries().len()));
            scope.forget(&scope.entries()[1].id);
            if self.1.read().len() < 2 {
                Err(Stuck)
            } else {
                Ok(())
            }
        }
    }
    let (scope, diary) = (Arc::new(ResourceScope::new()), Diary::default());
    let nosy = Nosy(Arc::clone(&scope), diary.clone());
    drop(scope.manage("nosy", nosy).unwrap());
    now(scope.roll_back()).unwrap();
    assert_eq!(diary.read(), "2 2");
    assert!(scope.is_empty());
}

// There, the records were dropped and nothing was closed.
#[test]
fn closing_everything_closes_in_reverse_order_and_names_what_fails() {
    let scope = ResourceScope::new();
    let mut logs = Vec::new();
    // A first failure leaves each with the scope, as a drop that fails does.
    for (number, failures) in [1, 2, 1].into_iter().enumerate() {
        let door = Door::stuck(failures);
        logs.push(Arc::clone(&door.log));
        drop(scope.manage(format!("door {number}"), door).unwrap());
    }
    assert_eq!(scope.len(), 3);
    let errors = now(scope.roll_back()).unwrap_err().errors;
    assert_eq!(errors.len(), 1);
    assert_eq!(&*errors[0].id, "door 1");
    let closed: Vec<_> = logs.iter().map(|it| it.lock().unwrap().closed).collect();
    assert_eq!((closed, scope.len()), (vec![1, 0, 1], 1));
    drop(scope);
    assert_eq!(logs[1].lock().unwrap().closed, 1);
}

#[test]
fn what_somebody_uses_is_closed_by_its_handle() {
    let scope = ResourceScope::new();
    let door = Door::default();
    let log = Arc::clone(&door.log);
    let door = scope.manage("door", door).unwrap();
    let errors = now(scope.roll_back()).unwrap_err().errors;
    assert!(matches!(errors[0].cause, CleanupCause::InUse));
    drop(scope);
    assert_eq!(log.lock().unwrap().closed, 0);
    drop(door);
    assert_eq!(log.lock().unwrap().closed, 1);
}

#[test]
fn once_the_scope_is_gone_what_cannot_be_closed_is_reported_and_dropped() {
    let diary = Diary::default();
    let scope = ResourceScope::builder()
        .on_leftover(told(&diary))
        .build()
        .unwrap();
    let (stuck, slow) = (Door::stuck(9), Door::slow(1));
    let logs = [Arc::clone(&stuck.log), Arc::clone(&slow.log)];
    let stuck = scope.manage("stuck", stuck).unwrap();
    let slow = scope.manage("slow", slow).unwrap();
    drop(scope);
    drop((stuck, slow));
    assert_eq!(diary.read(), "stuck:failed slow:had to wait and was left");
    for log in logs {
        assert_eq!(log.lock().unwrap().dropped, 1);
    }
}

#[test]
fn an_id_is_taken_once_and_free_again_when_it_is_closed() {
    let clock = ManualClock::new();
    let scope = ResourceScope::builder()
        .clock(clock.clone())
        .build()
        .unwrap();
    let line = line!() + 1;
    let mut first = scope.manage("door", Door::default()).unwrap();
    clock.advance(secs(4));
    assert_eq!(Managed::lifetime(&first), secs(4));
    let refused = scope.manage("door", Door::slow(7)).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.starts_with("there is a `door` already, for 4.0s, from "),
        "{text}"
    );
    assert!(text.contains(&format!("managed.rs:{line}:")), "{text}");
    assert_eq!(refused.resource.looks, 7);
    now(Managed::close(&mut first)).unwrap();
    assert_eq!(Managed::lifetime(&first), secs(0));
    drop(scope.manage("door", Door::default()).unwrap());
}

// There, a maximum of zero divided by zero, and the one after the last was simply refused.
#[test]
fn there_are_never_more_than_there_may_be() {
    let scope = ResourceScope::builder().max_managed(2).build().unwrap();
    let first = scope.manage("1", Door::default()).unwrap();
    let _second = scope.manage("2", Door::default()).unwrap();
    let refused = scope.manage("3", Door::default()).unwrap_err();
    assert_eq!(refused.reason, ManageRefused::Full { max: 2 });
    assert_eq!(refused.to_string(), "2 resources are managed already");
    // What is kept has no such limit: it is as much as the code keeps.
    let _kept = scope.keep("more", ());
    drop(first);
    let _third = scope.manage("3", Door::default()).unwrap();
    assert_eq!(scope.len(), 3);
}

#[test]
fn what_is_taken_off_the_list_is_not_closed() {
    let scope = ResourceScope::new();
    let door = scope.manage("door", Door::default()).unwrap();
    let door = Managed::into_inner(door);
    assert!(scope.is_empty());
    assert_eq!(door.log.lock().unwrap().tried, 0);
}

#[test]
fn what_is_forgotten_is_still_closed_by_its_handle() {
    let diary = Diary::default();
    let scope = ResourceScope::builder()
        .on_leftover(told(&diary))
        .build()
        .unwrap();
    let door = Door::default();
    let log = Arc::clone(&door.log);
    let door = scope.manage("door", door).unwrap();
    assert!(scope.forget("door").is_some());
    // The id is free, and the two do not get into each other's way.
    let other = scope.manage("door", Door::default()).unwrap();
    drop(door);
    assert_eq!((log.lock().unwrap().closed, scope.len()), (1, 1));
    drop(other);
    let stuck = scope.manage("stuck", Door::stuck(1)).unwrap();
    scope.forget("stuck");
    drop(stuck);
    assert_eq!((diary.read().as_str(), scope.len()), ("stuck:failed", 0));
}

#[test]
fn a_commit_closes_nothing_that_is_managed() {
    let scope = ResourceScope::new();
    let door = scope.manage("door", Door::default()).unwrap();
    scope.commit();
    assert_eq!(scope.len(), 1);
    assert_eq!(door.log.lock().unwrap().tried, 0);
}

#[test]
fn files_are_opened_with_their_errors_and_written_before_they_are_closed() -> io::Result<()> {
    let folder = crate::file::Folder::new("managed");
    let path = folder.path().join("log");
    let scope = ResourceScope::new();
    assert_eq!(
        File::open(&path).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    let mut log = scope
        .manage("log", BufWriter::new(File::create(&path)?))
        .unwrap();
    log.write_all(b"a line")?;
    assert_eq!(fs::read(&path)?, b"");
    Managed::close_blocking(&mut log).unwrap();
    assert_eq!(fs::read(&path)?, b"a line");
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn what_has_no_disk_to_be_written_to_is_closed_all_the_same() -> io::Result<()> {
    let scope = ResourceScope::new();
    let mut null = scope.manage("null", File::open("/dev/null")?).unwrap();
    Managed::close_blocking(&mut null).unwrap();
    assert!(scope.is_empty());
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_of_the_close_and_not_lost() -> io::Result<()> {
    let scope = ResourceScope::new();
    let full = File::options().write(true).open("/dev/full")?;
    let mut log = scope.manage("log", BufWriter::new(full)).unwrap();
    log.write_all(b"does not fit")?;
    for _ in 0..2 {
        let CleanupCause::Failed(error) = Managed::close_blocking(&mut log).unwrap_err() else {
            panic!("it failed in another way");
        };
        let error: &io::Error = error.downcast_ref().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
    assert_eq!(scope.len(), 1);
    Ok(())
}

#[test]
fn connections_are_shut_down_also_when_the_peer_is_gone() -> io::Result<()> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(server.local_addr()?)?;
    let (mut peer, _) = server.accept()?;
    let scope = ResourceScope::new();
    let mut managed = scope.manage("stream", stream.try_clone()?).unwrap();
    Managed::close_blocking(&mut managed).unwrap();
    assert_eq!(peer.read(&mut [0])?, 0);
    // Shut down already: the peer has done the same.
    drop(peer);
    drop(scope.manage("again", stream).unwrap());
    assert!(scope.is_empty());
    Ok(())
}

#[cfg(all(feature = "tcp", feature = "tokio"))]
#[tokio::test]
async fn connections_of_tokio_are_shut_down() -> io::Result<()> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let stream = tokio::net::TcpStream::connect(server.local_addr()?).await?;
    let (mut peer, _) = server.accept()?;
    let scope = ResourceScope::new();
    drop(scope.manage("stream", stream).unwrap());
    assert_eq!(peer.read(&mut [0])?, 0);
    Ok(())
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn inside_of_a_runtime_a_scope_goes_on_there() {
    let scope = ResourceScope::new();
    let door = Door::slow(3);
    let log = Arc::clone(&door.log);
    drop(scope.manage("door", door).unwrap());
    let (done, is_done) = tokio::sync::oneshot::channel();
    scope.on_rollback("tells", async move || {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let _ = done.send(());
    });
    drop(scope);
    is_done.await.unwrap();
    assert_eq!(log.lock().unwrap().closed, 1);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_scope_of_a_runtime_that_is_dropped_elsewhere_goes_on_in_its_runtime() {
    let scope = ResourceScope::new();
    let (done, is_done) = tokio::sync::oneshot::channel();
    scope.on_rollback("tells", async move || {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let _ = done.send(());
    });
    std::thread::spawn(move || drop(scope)).join().unwrap();
    is_done.await.unwrap();
}
