//! One error for everybody who waited, none for who comes later, unless it is kept.

use std::error::Error;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use brolly_lazy::{Lazy, LoadError};
use brolly_sync::{Backoff, Jitter, ManualClock};

use crate::support::{Source, boxed, look, now, with_time_limit};

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("nobody is there")]
struct Absent;

type Answer = Result<u32, Absent>;

fn failing() -> LoadError<Absent> {
    LoadError::Failed(Arc::new(Absent))
}

#[test]
fn everybody_who_waits_is_told_the_same_error_by_one_run() {
    let source = Source::<Answer>::new();
    let lazy = Lazy::fallible(source.loader());
    let mut callers: Vec<_> = (0..64).map(|_| boxed(lazy.try_get())).collect();
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    source.finish(Err(Absent));
    let mut errors = callers.iter_mut().map(|caller| match look(caller) {
        Poll::Ready(Err(LoadError::Failed(error))) => error,
        other => panic!("{other:?}"),
    });
    let first = errors.next().unwrap();
    assert!(errors.all(|error| Arc::ptr_eq(&error, &first)));
    assert_eq!(source.starts(), 1);
}

#[test]
fn an_error_is_not_kept_and_the_next_call_loads_again() {
    let source = Source::<Answer>::new();
    let lazy = Lazy::fallible(source.loader());
    source.finish(Err(Absent));
    assert_eq!(now(lazy.try_get()).unwrap_err().failure(), Some(&Absent));
    assert!(!lazy.is_loaded() && lazy.peek().is_none());
    source.finish(Ok(7));
    assert_eq!(*now(lazy.try_get()).unwrap(), 7);
    assert_eq!(lazy.load_count(), 2);
}

#[test]
fn the_last_error_is_there_to_be_seen_until_a_load_succeeds() {
    let source = Source::<Answer>::new();
    let lazy = Lazy::fallible(source.loader());
    assert!(lazy.last_error().is_none());
    source.finish(Err(Absent));
    let _ = now(lazy.try_get());
    assert_eq!(lazy.last_error().unwrap().failure(), Some(&Absent));
    source.finish(Ok(7));
    let _ = now(lazy.try_get());
    assert!(lazy.last_error().is_none());
}

#[test]
fn an_error_that_is_kept_is_served_until_its_time_is_over() {
    let (source, clock) = (Source::<Answer>::new(), ManualClock::new());
    let lazy = Lazy::builder()
        .cache_errors_for(Duration::from_secs(5))
        .clock(clock.clone())
        .build_fallible(source.loader())
        .unwrap();
    source.finish(Err(Absent));
    for _ in 0..3 {
        assert_eq!(now(lazy.try_get()).unwrap_err().failure(), Some(&Absent));
    }
    clock.advance(Duration::from_secs(5) - Duration::from_nanos(1));
    assert!(now(lazy.try_get()).is_err());
    assert_eq!((source.starts(), lazy.stats().errors_served), (1, 3));
    clock.advance(Duration::from_nanos(1));
    source.finish(Ok(7));
    assert_eq!(*now(lazy.try_get()).unwrap(), 7);
}

#[test]
fn a_reset_forgets_an_error_that_is_kept() {
    let source = Source::<Answer>::new();
    let lazy = Lazy::builder()
        .cache_errors_for(Duration::MAX)
        .build_fallible(source.loader())
        .unwrap();
    source.finish(Err(Absent));
    assert!(now(lazy.try_get()).is_err());
    assert!(lazy.reset().is_none());
    source.finish(Ok(7));
    assert_eq!(*now(lazy.try_get()).unwrap(), 7);
}

#[test]
fn a_refresh_is_not_kept_from_loading_by_an_error_that_is_kept() {
    let source = Source::<Answer>::new();
    let lazy = Lazy::builder()
        .cache_errors_for(Duration::MAX)
        .build_fallible(source.loader())
        .unwrap();
    source.finish(Err(Absent));
    assert!(now(lazy.try_get()).is_err());
    source.finish(Ok(7));
    assert_eq!(*now(lazy.refresh()).unwrap(), 7);
    assert_eq!(*now(lazy.try_get()).unwrap(), 7);
}

fn every_second() -> Backoff {
    let backoff = Backoff::builder()
        .initial(Duration::from_secs(1))
        .jitter(Jitter::None);
    backoff.build().unwrap()
}

#[test]
fn a_loader_is_tried_again_after_each_pause_of_the_backoff() {
    let (source, clock) = (Source::<Answer>::new(), ManualClock::new());
    let lazy = Lazy::builder()
        .retry(3, every_second())
        .timer(clock.clone())
        .build_fallible(source.loader())
        .unwrap();
    let mut caller = boxed(lazy.try_get());
    source.finish(Err(Absent));
    assert!(look(&mut caller).is_pending());
    clock.advance(Duration::from_millis(999));
    assert!(look(&mut caller).is_pending());
    assert_eq!(source.starts(), 1);
    clock.advance(Duration::from_millis(1));
    source.finish(Err(Absent));
    assert!(look(&mut caller).is_pending());
    assert_eq!(source.starts(), 2);
    clock.advance(Duration::from_secs(2));
    source.finish(Ok(7));
    assert_eq!(look(&mut caller).map(|it| *it.unwrap()), Poll::Ready(7));
    assert_eq!((lazy.load_count(), lazy.stats().attempts), (1, 3));
}

#[test]
fn the_error_of_the_last_attempt_is_the_error_of_the_load() {
    with_time_limit("three attempts", || {
        let (calls, clock) = (std::sync::atomic::AtomicU32::new(0), ManualClock::new());
        let lazy: Lazy<u32, u32> = Lazy::builder()
            .retry(3, every_second())
            .timer(clock.clone())
            .build_fallible_sync(move || {
                Err(calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
            })
            .unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| lazy.try_get_blocking().unwrap_err());
            while !waits.is_finished() {
                if let Some(deadline) = clock.next_deadline() {
                    clock.set(deadline);
                }
                thread::yield_now();
            }
            assert_eq!(waits.join().unwrap().failure(), Some(&2));
        });
        assert_eq!(lazy.stats().failures, 1);
    });
}

#[test]
fn a_load_that_takes_too_long_is_dropped_and_everybody_is_told() {
    let (source, clock) = (Source::<Answer>::new(), ManualClock::new());
    let limit = Duration::from_secs(3);
    let lazy = Lazy::builder()
        .load_timeout(limit)
        .timer(clock.clone())
        .build_fallible(source.loader())
        .unwrap();
    let mut callers = [boxed(lazy.try_get()), boxed(lazy.try_get())];
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    clock.advance(limit);
    for caller in &mut callers {
        let Poll::Ready(Err(LoadError::Timeout { after })) = look(caller) else {
            panic!("not told")
        };
        assert_eq!(after, limit);
    }
    assert_eq!((source.starts(), source.drops()), (1, 1));
    // The next one loads again.
    source.finish(Ok(7));
    assert_eq!(*now(lazy.try_get()).unwrap(), 7);
    assert_eq!(lazy.stats().timeouts, 1);
}

#[test]
fn a_loader_that_never_ends_harms_nobody_who_does_not_wait() {
    let lazy = Lazy::new(std::future::pending::<u8>);
    let mut caller = boxed(lazy.get());
    assert!(look(&mut caller).is_pending());
    assert!(lazy.peek().is_none() && lazy.is_loading());
    lazy.replace(7);
    assert_eq!(*now(lazy.get()), 7);
    assert!(look(&mut caller).is_pending());
    drop(caller);
    assert_eq!(lazy.stats().abandoned, 1);
}

#[test]
fn a_blocking_loader_that_is_too_slow_is_left_to_itself() {
    with_time_limit("a slow thread", || {
        let clock = ManualClock::new();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let lazy = Lazy::builder()
            .load_timeout(Duration::from_secs(1))
            .timer(clock.clone())
            .build_blocking(move || {
                let _ = released.lock().unwrap().recv();
                7
            })
            .unwrap();
        let mut caller = boxed(lazy.try_get());
        assert!(look(&mut caller).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(matches!(
            look(&mut caller),
            Poll::Ready(Err(LoadError::Timeout { .. }))
        ));
        drop(release);
        // What it brings in the end is not published.
        assert!(!lazy.is_loading() && lazy.peek().is_none());
    });
}

#[test]
fn errors_say_what_happened_and_lead_to_their_cause() {
    assert_eq!(failing().to_string(), "the loader failed");
    assert_eq!(failing().source().unwrap().to_string(), "nobody is there");
    let others: [(LoadError<Absent>, &str); 4] = [
        (
            LoadError::Panicked {
                message: Arc::from("oh"),
            },
            "the loader panicked: oh",
        ),
        (
            LoadError::Recursive,
            "the loader asks for the value that it loads",
        ),
        (
            LoadError::Timeout {
                after: Duration::from_secs(2),
            },
            "the load was not ready after 2s",
        ),
        (
            LoadError::Dropped,
            "the loader was dropped before it returned",
        ),
    ];
    for (error, text) in others {
        assert_eq!(error.to_string(), text);
        assert!(error.source().is_none() && error.failure().is_none());
        assert_eq!(error.clone().to_string(), text);
    }
}
