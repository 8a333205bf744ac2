//! `#[with_lazy]`: what a function is given, how often it is loaded, and how a call ends without it.

use std::num::ParseIntError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use brolly_lazy::{Lazy, LoadError, with_lazy};
use brolly_sync::ManualClock;

use crate::support::{Source, boxed, look, now};

#[test]
fn a_function_is_given_what_is_loaded_once_for_all_calls() {
    static LOADS: AtomicU32 = AtomicU32::new(0);

    async fn load() -> Vec<u32> {
        LOADS.fetch_add(1, SeqCst);
        vec![10, 20, 30]
    }

    /// The number at a place.
    #[with_lazy(loader = load)]
    async fn nth(numbers: &Vec<u32>, at: usize) -> Option<u32> {
        tokio::task::yield_now().await;
        numbers.get(at).copied()
    }

    let finish = |mut call| loop {
        if let Poll::Ready(it) = look(&mut call) {
            return it;
        }
    };
    assert!(!nth::is_loaded());
    assert_eq!(finish(boxed(nth(1))), Some(20));
    assert_eq!(finish(boxed(nth(9))), None);
    assert_eq!((LOADS.load(SeqCst), nth::lazy().load_count()), (1, 1));
    assert_eq!(nth::reset().map(|it| it.len()), Some(3));
    assert!(!nth::is_loaded());
    assert_eq!(finish(boxed(nth(0))), Some(10));
    assert_eq!(LOADS.load(SeqCst), 2);
    assert!(nth::config_error().is_none());
}

#[derive(Debug, PartialEq)]
enum Mistake {
    NotLoaded(String),
    TooLarge,
}

impl From<LoadError<ParseIntError>> for Mistake {
    fn from(error: LoadError<ParseIntError>) -> Self {
        match error {
            LoadError::Failed(error) => Self::NotLoaded(error.to_string()),
            other => Self::NotLoaded(other.to_string()),
        }
    }
}

#[test]
fn an_error_of_the_loader_ends_the_call_as_the_functions_own() {
    static TEXT: std::sync::Mutex<&str> = std::sync::Mutex::new("ten");
    static BODIES: AtomicU32 = AtomicU32::new(0);

    fn load() -> Result<u8, ParseIntError> {
        TEXT.lock().unwrap().parse()
    }

    #[with_lazy(loader = load, error = ParseIntError)]
    fn add(base: &u8, more: u8) -> Result<u8, Mistake> {
        BODIES.fetch_add(1, SeqCst);
        base.checked_add(more).ok_or(Mistake::TooLarge)
    }

    let error = Mistake::NotLoaded("invalid digit found in string".to_owned());
    assert_eq!(add(1), Err(error));
    assert_eq!(BODIES.load(SeqCst), 0);
    *TEXT.lock().unwrap() = "10";
    assert_eq!((add(1), add(250)), (Ok(11), Err(Mistake::TooLarge)));
    assert_eq!(add::lazy().load_count(), 2);
}

#[test]
fn calls_at_the_same_time_share_one_load_and_may_leave() {
    static SOURCE: std::sync::LazyLock<Arc<Source<u32>>> = std::sync::LazyLock::new(Source::new);

    #[with_lazy(loader = || SOURCE.load())]
    async fn times(factor: &u32, n: u32) -> u32 {
        factor * n
    }

    let mut first = boxed(times(2));
    let mut second = boxed(times(3));
    assert!(look(&mut first).is_pending() && look(&mut second).is_pending());
    drop(first);
    SOURCE.finish(7);
    assert_eq!(look(&mut second), Poll::Ready(21));
    assert_eq!(SOURCE.starts(), 1);
}

#[test]
fn a_method_uses_a_value_of_its_own_instance() {
    struct Shop {
        prices: Lazy<Vec<u32>, &'static str>,
    }

    impl Shop {
        #[with_lazy(lazy = self.prices, error = &'static str)]
        fn price(&self, prices: &Vec<u32>, at: usize) -> Result<u32, LoadError<&'static str>> {
            Ok(prices.get(at).copied().unwrap_or(self.default()))
        }

        fn default(&self) -> u32 {
            0
        }
    }

    let shop = Shop {
        prices: Lazy::fallible_sync(|| Ok(vec![7])),
    };
    let closed = Shop {
        prices: Lazy::fallible_sync(|| Err("closed")),
    };
    assert_eq!((shop.price(0).unwrap(), shop.price(5).unwrap()), (7, 0));
    assert_eq!(closed.price(0).unwrap_err().failure(), Some(&"closed"));
}

#[test]
fn a_value_that_is_taken_as_an_arc_can_be_kept() {
    #[with_lazy(loader = String::new)]
    fn keep(text: Arc<String>) -> Arc<String> {
        text
    }

    assert!(Arc::ptr_eq(&keep(), &keep()));
    let kept = keep();
    let _ = keep::reset();
    assert!(!Arc::ptr_eq(&kept, &keep()));
}

#[test]
fn a_ttl_and_further_settings_hold() {
    static CLOCK: std::sync::LazyLock<ManualClock> = std::sync::LazyLock::new(ManualClock::new);
    static LOADS: AtomicU32 = AtomicU32::new(0);

    #[with_lazy(
        loader = || LOADS.fetch_add(1, SeqCst),
        ttl = "1m30s",
        configure = |it| it.clock(CLOCK.clone()),
    )]
    fn number(number: &u32) -> u32 {
        *number
    }

    assert_eq!((number(), number()), (0, 0));
    CLOCK.advance(Duration::from_secs(89));
    assert_eq!(number(), 0);
    CLOCK.advance(Duration::from_secs(1));
    assert_eq!(number(), 1);
}

#[test]
fn settings_that_are_refused_make_every_call_load() {
    #[with_lazy(loader = || 7, ttl = Duration::from_secs(0))]
    fn seven(seven: &u32) -> u32 {
        *seven
    }

    assert_eq!(seven(), 7);
    assert_eq!(
        seven::config_error().map(|it| it.field),
        Some("time_to_live")
    );
}

#[test]
fn a_loader_that_calls_its_function_is_told() {
    fn load() -> Result<bool, ()> {
        Ok(matches!(again(), Err(LoadError::Recursive)))
    }

    #[with_lazy(loader = load, error = ())]
    fn again(was_told: &bool) -> Result<bool, LoadError<()>> {
        Ok(*was_told)
    }

    assert!(again().unwrap());
}

#[test]
fn a_panic_of_the_loader_is_the_callers() {
    #[with_lazy(loader = || -> u32 { panic!("no number") })]
    fn number(number: &u32) -> u32 {
        *number
    }

    for _ in 0..2 {
        let panic = catch_unwind(AssertUnwindSafe(number)).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"no number"));
    }
}

#[test]
fn patterns_and_generics_are_as_in_any_function() {
    #[with_lazy(loader = || (1, 2))]
    fn sum<T: Into<u32>, const N: usize>(&(a, b): &(u32, u32), more: [T; N]) -> u32 {
        more.into_iter().fold(a + b, |sum, it| sum + it.into())
    }

    assert_eq!(sum([1_u8, 2]), 6);
    assert_eq!(sum::<u16, 0>([]), 3);
}

#[test]
fn a_future_of_such_a_function_can_be_spawned() {
    #[with_lazy(loader = || async { String::from("loaded") })]
    async fn length(text: &String, more: usize) -> usize {
        tokio::task::yield_now().await;
        text.len() + more
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let task = runtime.spawn(length(1));
    assert_eq!(runtime.block_on(task).unwrap(), 7);
    let _ = now(length::lazy().get());
}
