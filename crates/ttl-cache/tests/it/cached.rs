//! `#[cached]`: what a call of a cached function is answered with, and how often the body runs.

#![cfg(feature = "macros")]

use std::any::type_name_of_val;
use std::convert::Infallible;
use std::num::ParseIntError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier, LazyLock};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, cached};
use tokio::sync::{Notify, Semaphore};

/// How often a body ran.
#[derive(Debug, Default)]
struct Runs(AtomicU64);

impl Runs {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more, and says which it is.
    fn next(&self) -> u64 {
        self.0.fetch_add(1, SeqCst) + 1
    }

    fn count(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

/// Polls so many times at most, then drops what is left.
fn poll<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

fn finish<F: Future>(future: F) -> F::Output {
    poll(future, 1_000).expect("no future here is pending for long")
}

/// Pending once, then ready.
#[derive(Default)]
struct Once(bool);

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match std::mem::replace(&mut self.0, true) {
            true => Poll::Ready(()),
            false => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

fn is_send<T: Send>(it: T) -> T {
    it
}

// ---- one answer for the same arguments

#[test]
fn a_call_with_arguments_that_were_seen_is_answered_from_the_cache() {
    static RUNS: Runs = Runs::new();

    #[cached]
    fn joined(a: u64, b: &str) -> String {
        RUNS.next();
        format!("{a}{b}")
    }

    assert_eq!(joined(1, "x"), "1x");
    assert_eq!(joined(1, "x"), "1x");
    assert_eq!(RUNS.count(), 1);
    assert_eq!(joined(2, "x"), "2x");
    assert_eq!(joined(1, "y"), "1y");
    assert_eq!(RUNS.count(), 3);
    let stats = joined::stats();
    assert_eq!((stats.hits, stats.misses), (1, 3));
}

#[test]
fn so_is_that_of_an_async_function() {
    static RUNS: Runs = Runs::new();

    #[cached]
    async fn joined(a: u64, b: &str) -> String {
        RUNS.next();
        Once::default().await;
        format!("{a}{b}")
    }

    assert_eq!(finish(joined(1, "x")), "1x");
    assert_eq!(poll(joined(1, "x"), 1).as_deref(), Some("1x"));
    assert_eq!(RUNS.count(), 1);
    assert_eq!(finish(joined(1, "y")), "1y");
    assert_eq!(RUNS.count(), 2);
    let stats = joined::stats();
    assert_eq!((stats.hits, stats.misses), (1, 2));
}

#[test]
fn arguments_are_told_apart_by_their_values_and_not_by_their_text() {
    #[cached]
    fn both(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[cached]
    fn option(it: Option<String>) -> bool {
        it.is_some()
    }

    for (a, b) in [
        ("a", "bc"),
        ("ab", "c"),
        ("abc", ""),
        ("", "abc"),
        ("a\", \"b", "c"),
    ] {
        assert_eq!(both(a, b), (a.to_owned(), b.to_owned()));
    }
    assert_eq!(both::cache().len(), 5);
    assert!(!option(None));
    assert!(option(Some("None".to_owned())));
}

#[test]
fn equal_arguments_at_other_addresses_are_the_same_arguments() {
    static RUNS: Runs = Runs::new();

    #[cached]
    fn length(it: Arc<Vec<u8>>, slice: &[u8]) -> usize {
        RUNS.next();
        it.len() + slice.len()
    }

    let (first, second) = (Arc::new(vec![1, 2]), Arc::new(vec![1, 2]));
    assert!(!Arc::ptr_eq(&first, &second));
    assert_eq!(length(first, &[3]), 3);
    assert_eq!(length(second, vec![3].as_slice()), 3);
    assert_eq!(RUNS.count(), 1);
}

#[test]
fn nothing_and_false_and_zero_are_answers_like_others() {
    static RUNS: Runs = Runs::new();

    #[cached]
    fn nothing() {
        RUNS.next();
    }

    #[cached]
    fn none(_id: u8) -> Option<u8> {
        RUNS.next();
        None
    }

    for _ in 0..3 {
        nothing();
        assert_eq!(none(0), None);
    }
    assert_eq!(RUNS.count(), 2);
}

#[test]
fn each_function_has_a_cache_of_its_own() {
    #[cached]
    fn first(id: u8) -> u8 {
        id
    }

    #[cached]
    fn second(id: u8) -> u8 {
        id + 1
    }

    assert_eq!((first(1), second(1)), (1, 2));
    assert_eq!(first::clear(), 1);
    assert_eq!(first::stats().entries, 0);
    assert_eq!(second::stats().entries, 1);
}

// ---- what is kept

#[test]
fn errors_are_given_back_and_not_kept() {
    static RUNS: Runs = Runs::new();

    #[cached]
    fn number(text: &str) -> Result<u32, ParseIntError> {
        RUNS.next();
        text.parse()
    }

    assert!(number("seven").is_err());
    assert!(number("seven").is_err());
    assert_eq!(RUNS.count(), 2);
    assert_eq!(number("7"), Ok(7));
    assert_eq!(number("7"), Ok(7));
    assert_eq!(RUNS.count(), 3);
    // What is kept is the number, not the result.
    let kept: Option<u32> = number::cache().get("7");
    assert_eq!(kept, Some(7));
}

type Answer<T> = Result<T, String>;

#[test]
fn an_alias_of_result_is_a_result() {
    #[cached]
    fn sync(fails: bool) -> Answer<u8> {
        if fails { Err("no".to_owned()) } else { Ok(1) }
    }

    #[cached]
    async fn later(fails: bool) -> Answer<u8> {
        sync(fails)
    }

    assert!(sync(true).is_err() && finish(later(true)).is_err());
    assert_eq!(sync::cache().len() + later::cache().len(), 0);
    assert_eq!(sync(false), Ok(1));
    assert_eq!(finish(later(false)), Ok(1));
    assert_eq!(sync::cache().len() + later::cache().len(), 2);
}

#[test]
fn errors_are_kept_where_that_is_asked_for() {
    static RUNS: Runs = Runs::new();

    #[cached(result = false)]
    fn number(text: &str) -> Result<u32, ParseIntError> {
        RUNS.next();
        text.parse()
    }

    assert!(number("seven").is_err() && number("seven").is_err());
    assert_eq!(RUNS.count(), 1);
    assert!(matches!(number::cache().get("seven"), Some(Err(_))));
}

#[test]
fn none_is_not_kept_where_that_is_asked_for() {
    static RUNS: Runs = Runs::new();

    #[cached(option = true)]
    async fn number(text: &str) -> Option<u32> {
        RUNS.next();
        text.parse().ok()
    }

    #[cached(option = true)]
    fn number_now(text: &str) -> Option<u32> {
        RUNS.next();
        text.parse().ok()
    }

    for _ in 0..2 {
        assert_eq!(finish(number("seven")), None);
        assert_eq!(number_now("seven"), None);
        assert_eq!(finish(number("7")), Some(7));
        assert_eq!(number_now("7"), Some(7));
    }
    assert_eq!(RUNS.count(), 6);
    assert_eq!(number::cache().get("7"), Some(7));
}

// ---- for how long, and how many

static CLOCK: LazyLock<ManualClock> = LazyLock::new(ManualClock::new);

#[cached(ttl = "30s", configure = |builder| builder.clock(CLOCK.clone()))]
fn timed(id: u8) -> Duration {
    let _ = id;
    use brolly_sync::Clock;
    CLOCK.now()
}

#[test]
fn a_result_is_kept_as_long_as_its_time_and_reading_does_not_extend_it() {
    let first = timed(1);
    for _ in 0..29 {
        CLOCK.advance(Duration::from_secs(1));
        assert_eq!(timed(1), first);
    }
    CLOCK.advance(Duration::from_secs(1));
    assert_eq!(timed(1), first + Duration::from_secs(30));
}

#[test]
fn no_more_results_are_kept_than_there_is_room_for() {
    const ROOM: u64 = 10;

    #[cached(max_capacity = ROOM)]
    fn same(id: u64) -> u64 {
        id
    }

    for id in 0..1_000 {
        assert_eq!(same(id), id);
        assert!(same::cache().len() <= ROOM);
    }
    assert_eq!(same::cache().len(), ROOM);
}

#[test]
fn settings_that_are_refused_keep_nothing_and_are_told() {
    static RUNS: Runs = Runs::new();

    #[cached(ttl = Duration::from_secs(5).saturating_sub(Duration::from_secs(5)))]
    fn same(id: u64) -> u64 {
        RUNS.next();
        id
    }

    #[cached]
    fn other(id: u64) -> u64 {
        id
    }

    assert_eq!((same(1), same(1)), (1, 1));
    assert_eq!(RUNS.count(), 2);
    let refused = same::config_error().expect("no time is too short");
    assert_eq!(refused.field, "time_to_live");
    assert_eq!(other(1), 1);
    assert!(other::config_error().is_none());
}

// ---- the key

#[test]
fn the_key_may_be_made_of_some_parameters() {
    static RUNS: Runs = Runs::new();

    #[cached(key = (id, name))]
    fn first(id: u64, noise: f64, name: &str) -> String {
        RUNS.next();
        format!("{id} {noise} {name}")
    }

    assert_eq!(first(1, 0.5, "x"), "1 0.5 x");
    assert_eq!(first(1, 0.7, "x"), "1 0.5 x");
    assert_eq!(RUNS.count(), 1);
    assert!(first::invalidate(1, "x"));
    assert_eq!(first(1, 0.7, "x"), "1 0.7 x");
}

#[test]
fn the_key_may_be_computed() {
    struct User {
        id: u64,
    }

    #[cached(key: (u64, String) = (user.id, format!("{language}")))]
    fn greeting(user: &User, language: &dyn std::fmt::Display) -> String {
        format!("{} in {language}", user.id)
    }

    assert_eq!(greeting(&User { id: 1 }, &"en"), "1 in en");
    assert_eq!(greeting(&User { id: 1 }, &"de"), "1 in de");
    assert_eq!(greeting(&User { id: 1 }, &String::from("de")), "1 in de");
    assert_eq!(greeting::cache().len(), 2);
    assert!(greeting::invalidate(&User { id: 1 }, &"de"));
    assert!(!greeting::invalidate(&User { id: 1 }, &"de"));
}

#[test]
fn a_single_parameter_is_a_key_by_itself() {
    #[cached]
    fn length(text: &str) -> usize {
        text.len()
    }

    assert_eq!(length("four"), 4);
    assert_eq!(length::cache().get("four"), Some(4));
    assert!(type_name_of_val(length::cache()).contains("Cache<alloc::string::String, usize"));
}

#[derive(Debug)]
struct CountsClones<'a>(&'a Runs);

impl Clone for CountsClones<'_> {
    fn clone(&self) -> Self {
        self.0.next();
        Self(self.0)
    }
}

#[test]
fn what_the_body_needs_is_copied_only_when_it_runs() {
    static CLONES: Runs = Runs::new();

    #[cached(key = id)]
    async fn same(database: &CountsClones<'static>, id: u64) -> u64 {
        Once::default().await;
        let _ = database;
        id
    }

    #[cached(key = id)]
    fn same_now(database: &CountsClones<'static>, id: u64) -> u64 {
        let _ = database;
        id
    }

    let database = CountsClones(&CLONES);
    for _ in 0..5 {
        assert_eq!(finish(same(&database, 1)), 1);
    }
    assert_eq!(CLONES.count(), 1);
    for id in 0..5 {
        assert_eq!(same_now(&database, id), id);
    }
    assert_eq!(CLONES.count(), 1);
}

#[test]
fn a_borrowed_key_is_made_owned_only_when_the_body_runs() {
    static CLONES: Runs = Runs::new();

    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Id(u64);

    impl Clone for Id {
        fn clone(&self) -> Self {
            CLONES.next();
            Self(self.0)
        }
    }

    #[cached]
    fn number(id: &Id) -> u64 {
        id.0
    }

    #[cached]
    async fn number_later(id: &Id) -> u64 {
        id.0
    }

    let id = Id(7);
    assert_eq!((number(&id), finish(number_later(&id))), (7, 7));
    let once = CLONES.count();
    for _ in 0..5 {
        assert_eq!((number(&id), finish(number_later(&id))), (7, 7));
    }
    assert_eq!(CLONES.count(), once);
    let stats = number::stats();
    assert_eq!((stats.hits, stats.misses), (5, 1));
}

// ---- one run for everybody

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_ask_together_share_one_run() {
    static RUNS: Runs = Runs::new();
    static OPEN: Semaphore = Semaphore::const_new(0);

    #[cached]
    async fn shared(id: u64) -> Result<u64, String> {
        RUNS.next();
        let _permit = OPEN.acquire().await.map_err(|it| it.to_string())?;
        Ok(id)
    }

    let tasks: Vec<_> = (0..64).map(|_| tokio::spawn(shared(7))).collect();
    while shared::stats().misses < 64 {
        tokio::task::yield_now().await;
    }
    OPEN.add_permits(1);
    for task in tasks {
        assert_eq!(task.await.expect("it does not panic"), Ok(7));
    }
    assert_eq!(RUNS.count(), 1);
}

#[test]
fn threads_that_ask_together_share_one_run() {
    static RUNS: Runs = Runs::new();

    #[cached]
    fn shared(id: u64) -> u64 {
        RUNS.next();
        while shared::stats().misses < 8 {
            thread::yield_now();
        }
        id
    }

    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                assert_eq!(shared(7), 7);
            });
        }
    });
    assert_eq!(RUNS.count(), 1);
}

// On one thread whoever has missed has joined.
#[tokio::test]
async fn an_error_is_shared_by_those_who_waited_for_it() {
    static RUNS: Runs = Runs::new();
    static OPEN: Semaphore = Semaphore::const_new(0);

    #[cached]
    async fn fails(id: u64) -> Result<Infallible, Arc<std::io::Error>> {
        RUNS.next();
        let _permit = OPEN.acquire().await;
        Err(Arc::new(std::io::Error::other(id.to_string())))
    }

    let tasks: Vec<_> = (0..16).map(|_| tokio::spawn(fails(7))).collect();
    while fails::stats().misses < 16 {
        tokio::task::yield_now().await;
    }
    OPEN.add_permits(1);
    let mut errors = Vec::new();
    for task in tasks {
        let Err(error) = task.await.expect("it does not panic");
        errors.push(error);
    }
    assert!(errors.iter().all(|it| Arc::ptr_eq(it, &errors[0])));
    assert_eq!(RUNS.count(), 1);
    assert_eq!(fails::cache().len(), 0);
}

#[test]
fn a_run_whose_caller_leaves_is_continued_by_who_waits() {
    const AWAITS: usize = 4;
    static RUNS: Runs = Runs::new();

    #[cached]
    async fn slow(round: usize, text: &str) -> String {
        RUNS.next();
        for _ in 0..AWAITS {
            Once::default().await;
        }
        format!("{text}{round}")
    }

    for polls in 1..AWAITS {
        let mut context = Context::from_waker(Waker::noop());
        let text = String::from("x");
        let mut first = Box::pin(slow(polls, &text));
        for _ in 0..polls {
            assert!(first.as_mut().poll(&mut context).is_pending());
        }
        let mut second = Box::pin(slow(polls, "x"));
        assert!(second.as_mut().poll(&mut context).is_pending());
        // The text ends with the caller, the run does not.
        drop(first);
        drop(text);
        assert_eq!(finish(second), format!("x{polls}"));
        assert_eq!(RUNS.count(), polls as u64, "{polls} polls");
    }
}

#[test]
fn a_run_that_everybody_left_is_over_and_the_next_call_runs_anew() {
    static RUNS: Runs = Runs::new();

    #[cached]
    async fn slow(held: Arc<()>) -> u64 {
        Once::default().await;
        Once::default().await;
        drop(held);
        RUNS.next()
    }

    let held = Arc::new(());
    for polls in 0..=2 {
        assert_eq!(poll(slow(Arc::clone(&held)), polls), None);
        assert_eq!(Arc::strong_count(&held), 1, "{polls} polls");
    }
    assert_eq!(finish(slow(Arc::clone(&held))), 1);
}

#[test]
fn a_panic_goes_to_every_caller_and_is_not_kept() {
    static RUNS: Runs = Runs::new();

    #[cached]
    fn first_panics(id: u64) -> u64 {
        if RUNS.next() == 1 {
            panic!("on purpose");
        }
        id
    }

    #[cached]
    async fn later(id: u64) -> u64 {
        Once::default().await;
        first_panics(id)
    }

    let call = || finish(later(1));
    let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("the first one does");
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
    assert!(
        message.is_some_and(|it| it.contains("on purpose")),
        "{message:?}"
    );
    assert_eq!(finish(later(1)), 1);
    assert_eq!(RUNS.count(), 2);
}

#[tokio::test]
async fn what_is_invalidated_during_a_run_is_not_kept_by_it() {
    static VALUE: AtomicU64 = AtomicU64::new(1);
    static OPEN: Semaphore = Semaphore::const_new(0);
    static READ: Notify = Notify::const_new();

    #[cached]
    async fn value(id: u64) -> u64 {
        let value = VALUE.load(SeqCst);
        READ.notify_one();
        let _permit = OPEN.acquire().await;
        value + id
    }

    fn invalidate() {
        value::invalidate(0);
    }

    fn clear() {
        value::clear();
    }

    for forget in [invalidate, clear] {
        VALUE.store(1, SeqCst);
        let outdated = tokio::spawn(value(0));
        READ.notified().await;
        VALUE.store(2, SeqCst);
        forget();
        let fresh = tokio::spawn(value(0));
        READ.notified().await;
        OPEN.add_permits(2);
        assert_eq!(outdated.await.expect("it does not panic"), 1);
        assert_eq!(fresh.await.expect("it does not panic"), 2);
        assert_eq!(value(0).await, 2);
        clear();
        OPEN.forget_permits(2);
    }
}

// ---- kinds of functions

#[test]
fn a_function_may_call_itself() {
    #[cached]
    fn fibonacci(n: u64) -> u64 {
        if n < 2 {
            n
        } else {
            fibonacci(n - 1) + fibonacci(n - 2)
        }
    }

    #[cached]
    async fn later(n: u64, text: &str) -> u64 {
        if n < 2 {
            return n;
        }
        Box::pin(later(n - 1, text)).await + Box::pin(later(n - 2, text)).await
    }

    assert_eq!(fibonacci(90), 2_880_067_194_370_816_120);
    assert_eq!(finish(is_send(later(90, "x"))), 2_880_067_194_370_816_120);
    assert_eq!(fibonacci::cache().len(), 91);
}

#[derive(Clone)]
struct Shop {
    prices: Cache<u64, u64>,
    names: Cache<(u64, String), Result<String, String>>,
    factor: u64,
}

impl Shop {
    fn new(factor: u64) -> Self {
        Self {
            prices: Cache::new(100),
            names: Cache::new(100),
            factor,
        }
    }

    #[cached(cache = self.prices)]
    fn price(&self, mut id: u64) -> u64 {
        id *= self.factor;
        id
    }

    #[cached(cache = &self.prices, key: u64 = id + 1_000, result = true)]
    async fn price_later(&self, id: u64) -> Answer<u64> {
        Once::default().await;
        Ok(id * self.factor)
    }

    #[cached(cache = self.names, result = false)]
    async fn name(self: Arc<Self>, id: u64, text: &str) -> Result<String, String> {
        Once::default().await;
        Err(format!("{text}{id}"))
    }
}

#[test]
fn each_instance_may_have_a_cache_of_its_own() {
    let (first, second) = (Shop::new(2), Shop::new(3));
    assert_eq!((first.price(1), second.price(1)), (2, 3));
    assert_eq!((first.price(1), second.price(1)), (2, 3));
    assert_eq!(first.prices.stats().hits, 1);
    let shop = Arc::new(first);
    assert!(finish(is_send(Arc::clone(&shop).name(1, "x"))).is_err());
    assert_eq!(shop.names.len(), 1);
    assert_eq!(second.prices.len(), 1);
}

#[cached(cache = cache, key = id)]
fn generic<T: Clone + Send + Sync + 'static>(
    cache: &Cache<u64, Vec<T>>,
    id: u64,
    make: impl FnOnce() -> T,
) -> Vec<T> {
    vec![make(); id as usize]
}

#[test]
fn a_generic_function_uses_the_cache_that_it_is_given() {
    let cache = Cache::new(10);
    assert_eq!(generic(&cache, 2, || 'x'), ['x', 'x']);
    assert_eq!(generic(&cache, 2, || 'y'), ['x', 'x']);
}

mod facade {
    pub(super) use brolly_ttl_cache as cache;
}

#[test]
fn names_are_the_users_own() {
    #[cached(handle = Squares)]
    fn square(key: u64, body: u64, cache: u64, builder: u64, returned: u64) -> u64 {
        const SITE: u64 = 1;
        let this = key * body * cache * builder * returned;
        this * SITE
    }

    #[cached]
    fn r#match(r#type: u64) -> u64 {
        r#type
    }

    #[cached(crate = self::facade::cache)]
    fn through(id: u64) -> u64 {
        id
    }

    assert_eq!(square(1, 2, 3, 4, 5), 120);
    assert_eq!(Squares::clear(), 1);
    assert_eq!(r#match(1), 1);
    assert!(r#match::invalidate(1));
    let _ = through;
}
