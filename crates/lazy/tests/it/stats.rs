//! What is counted, and how it is written down.

use brolly_lazy::Lazy;

use crate::support::{Source, boxed, look, now};

#[test]
fn every_load_ends_in_one_count() {
    let source = Source::<Result<u32, ()>>::new();
    let lazy = Lazy::fallible(source.loader());
    source.finish(Err(()));
    assert!(now(lazy.try_get()).is_err());
    drop({
        let mut caller = boxed(lazy.try_get());
        assert!(look(&mut caller).is_pending());
        caller
    });
    source.finish(Ok(7));
    let mut callers = [boxed(lazy.try_get()), boxed(lazy.try_get())];
    assert!(callers.iter_mut().all(|caller| look(caller).is_ready()));
    let stats = lazy.stats();
    assert_eq!((stats.loads, stats.attempts), (3, 3));
    assert_eq!((stats.loaded, stats.failures, stats.abandoned), (1, 1, 1));
    assert_eq!((stats.panics, stats.timeouts, stats.outdated), (0, 0, 0));
}

#[test]
fn handles_show_their_value_and_not_their_loader() {
    let lazy = Lazy::new_sync(|| 7);
    let shown = format!("{lazy:?}");
    assert!(
        shown.starts_with("Lazy { value: None, is_loading: false"),
        "{shown}"
    );
    let guard = lazy.get_blocking();
    assert_eq!(
        (format!("{guard:?}"), guard.to_string()),
        ("7".into(), "7".into())
    );
    assert!(format!("{lazy:?}").contains("value: Some(7)"));
    assert!(format!("{:?}", lazy.reader()).starts_with("Reader"));
    assert!(format!("{:?}", Lazy::builder()).starts_with("LazyBuilder"));
}

#[cfg(feature = "serde")]
#[test]
fn statistics_are_data() {
    let lazy = Lazy::new_sync(|| 7);
    let _ = lazy.get_blocking();
    let written = serde_json::to_string(&lazy.stats()).unwrap();
    let read: brolly_lazy::Stats = serde_json::from_str(&written).unwrap();
    assert_eq!((read, read.loads), (lazy.stats(), 1));
}
