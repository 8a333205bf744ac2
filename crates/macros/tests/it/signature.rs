//! The function stays what it was: its signature, its attributes and what it may do.

use std::error::Error;
use std::fmt::Display;
use std::iter;
use std::pin::Pin;
use std::sync::Arc;

use brolly_metrics_core::{Registry, timed};

use crate::support::{finish, once, outcomes};

#[timed(registry = registry)]
fn generic<'a, T, const N: usize>(registry: &Registry, items: &'a [T; N]) -> Option<&'a T>
where
    T: PartialOrd,
{
    let mut items = items.iter();
    let first = items.next()?;
    Some(items.fold(first, |most, item| if item > most { item } else { most }))
}

#[test]
fn all_instances_of_a_generic_function_share_the_metric() {
    let registry = Registry::new();
    assert_eq!(generic(&registry, &[1, 3, 2]), Some(&3));
    assert_eq!(generic(&registry, &["a"]), Some(&"a"));
    assert_eq!(generic::<u8, 0>(&registry, &[]), None);
    assert_eq!(outcomes(&registry, "it.signature.generic"), [3, 0, 0, 0]);
}

struct Shelf {
    registry: Registry,
    books: Vec<String>,
}

impl Shelf {
    #[timed(registry = &self.registry)]
    fn first_mut(&mut self) -> Option<&mut String> {
        self.books.first_mut()
    }

    #[timed(registry = &self.registry)]
    fn titles(&self) -> impl Iterator<Item = &str> {
        self.books.iter().map(|book| &**book)
    }

    #[timed(registry = &self.registry)]
    fn try_titles(&self) -> Result<impl Iterator<Item = &str>, Box<dyn Error>> {
        let first: Option<&String> = self.books.first();
        first.ok_or("empty")?;
        Ok(self.books.iter().map(|book| &**book))
    }

    #[timed(registry = &self.registry)]
    async fn last_mut(&mut self) -> Result<&mut String, Box<dyn Error + Send + Sync>> {
        once().await;
        let last = self.books.last_mut().ok_or("empty")?;
        Ok(last)
    }

    #[timed(registry = &self.registry)]
    fn into_books(self) -> Box<dyn Iterator<Item = String>> {
        Box::new(self.books.into_iter())
    }
}

#[timed(registry = registry)]
fn countdown(registry: &Registry, from: u8) -> Box<dyn Iterator<Item = impl Display>> {
    Box::new((0..from).rev())
}

#[timed(registry = registry)]
fn someday(registry: &Registry) -> Pin<Box<dyn Future<Output = impl Display>>> {
    Box::pin(async { 7 })
}

#[test]
fn a_type_without_a_name_may_stand_anywhere_in_the_returned_one() {
    let registry = Registry::new();
    assert_eq!(countdown(&registry, 2).count(), 2);
    assert_eq!(finish(someday(&registry)).to_string(), "7");
    assert_eq!(outcomes(&registry, "it.signature.countdown"), [1, 0, 0, 0]);
    assert_eq!(outcomes(&registry, "it.signature.someday"), [1, 0, 0, 0]);
}

#[test]
fn what_is_borrowed_may_be_given_back() {
    let registry = Registry::new();
    let mut shelf = Shelf {
        registry: registry.clone(),
        books: vec!["a".to_owned(), "b".to_owned()],
    };
    shelf.first_mut().unwrap().push('!');
    finish(shelf.last_mut()).unwrap().push('?');
    assert_eq!(shelf.titles().collect::<Vec<_>>(), ["a!", "b?"]);
    assert_eq!(shelf.try_titles().unwrap().count(), 2);
    assert_eq!(shelf.into_books().count(), 2);
    for name in [
        "first_mut",
        "titles",
        "try_titles",
        "last_mut",
        "into_books",
    ] {
        let name = format!("it.signature.{name}");
        assert_eq!(outcomes(&registry, &name), [1, 0, 0, 0], "{name}");
    }
}

trait Greets {
    fn registry(&self) -> &Registry;

    #[timed(registry = self.registry())]
    fn greet(&self, name: impl Display) -> String {
        format!("hello {name}")
    }

    fn later(&self) -> impl Future<Output = usize> + Send;
}

impl Greets for Registry {
    fn registry(&self) -> &Registry {
        self
    }

    #[timed(registry = self)]
    async fn later(&self) -> usize {
        once().await;
        7
    }
}

#[test]
fn methods_of_traits_are_functions_too() {
    let registry = Registry::new();
    assert_eq!(registry.greet("you"), "hello you");
    assert_eq!(finish(registry.later()), 7);
    assert_eq!(outcomes(&registry, "it.signature.greet"), [1, 0, 0, 0]);
    assert_eq!(outcomes(&registry, "it.signature.later"), [1, 0, 0, 0]);
}

/// Not safe.
///
/// # Safety
///
/// It is only called so.
#[must_use]
#[inline(never)]
#[timed(registry = registry)]
#[allow(unsafe_op_in_unsafe_fn, reason = "as functions of older editions do")]
pub(crate) unsafe fn not_safe(registry: &Registry, bytes: &[u8]) -> char {
    std::str::from_utf8_unchecked(bytes)
        .chars()
        .next()
        .unwrap_or('-')
}

#[timed(registry = registry)]
extern "C" fn foreign(registry: &Registry) -> u32 {
    8
}

#[test]
fn an_unsafe_function_and_a_foreign_one_stay_so() {
    let registry = Registry::new();
    // SAFETY: the bytes are UTF-8.
    assert_eq!(unsafe { not_safe(&registry, b"x") }, 'x');
    let foreign: extern "C" fn(&Registry) -> u32 = foreign;
    assert_eq!(foreign(&registry), 8);
}

#[timed(registry = registry)]
fn patterns(registry: &Registry, (mut a, b): (u32, u32), [c, ..]: [u32; 2], _: u32) -> u32 {
    #![allow(clippy::arithmetic_side_effects, reason = "inner attributes are kept")]
    a += b;
    a + c
}

#[timed(registry = registry)]
async fn many<I>(registry: &Registry, mut items: I) -> Vec<I::Item>
where
    I: Iterator + Send,
    I::Item: Send,
{
    once().await;
    items.by_ref().take(2).collect()
}

#[test]
fn parameters_are_patterns() {
    let registry = Registry::new();
    assert_eq!(patterns(&registry, (1, 2), [3, 4], 5), 6);
    assert_eq!(finish(many(&registry, iter::repeat(1))), [1, 1]);
}

struct Owned {
    registry: Arc<Registry>,
    count: u32,
}

impl Owned {
    #[timed(registry = &*self.registry)]
    fn bumped(mut self) -> Self {
        self.count += 1;
        self
    }

    #[timed(registry = &*self.registry)]
    async fn shared(self: Arc<Self>, more: impl FnOnce(u32) -> u32) -> Option<u32> {
        once().await;
        let doubled = self.count.checked_mul(2)?;
        Some(more(doubled))
    }

    #[timed(registry = &*self.registry)]
    fn later(&self) -> impl Future<Output = u32> + Send + use<> {
        let count = self.count;
        async move { count }
    }
}

#[test]
fn any_receiver_will_do() {
    let registry = Arc::new(Registry::new());
    let owned = Owned {
        registry: Arc::clone(&registry),
        count: 1,
    };
    let shared = Arc::new(owned.bumped());
    let later = shared.later();
    assert_eq!(finish(shared.shared(|it| it + 1)), Some(5));
    assert_eq!(finish(later), 2);
    for name in ["bumped", "shared", "later"] {
        let name = format!("it.signature.{name}");
        assert_eq!(outcomes(&registry, &name), [1, 0, 0, 0], "{name}");
    }
}

macro_rules! functions {
    ($($name:ident($metric:literal) -> $output:ty = $body:expr;)+) => {$(
        #[timed(name = $metric, registry = registry)]
        fn $name(registry: &Registry) -> $output {
            $body
        }
    )+};
}

functions! {
    made_result("made.result") -> Result<u8, ()> = Err(());
    made_future("made.future") -> impl Future<Output = Result<u8, ()>> + use<> = async { Err(()) };
}

#[test]
fn functions_may_be_made_by_macros() {
    let registry = Registry::new();
    assert_eq!(made_result(&registry), Err(()));
    assert_eq!(finish(made_future(&registry)), Err(()));
    assert_eq!(outcomes(&registry, "made.result"), [0, 1, 0, 0]);
    assert_eq!(outcomes(&registry, "made.future"), [0, 1, 0, 0]);
}

#[test]
fn a_future_that_could_be_sent_still_can() {
    fn is_send<T: Send>(it: T) -> T {
        it
    }
    let registry = Registry::new();
    let future = is_send(many(&registry, iter::repeat(1)));
    assert_eq!(finish(future), [1, 1]);
}

#[test]
fn names_of_the_body_are_its_own() {
    #[timed(registry = registry)]
    fn body(registry: &Registry, call: u32, result: u32, future: u32) -> u32 {
        const TIMED: u32 = 1;
        let outcome = call + result;
        outcome + future + TIMED
    }
    assert_eq!(body(&Registry::new(), 1, 2, 3), 7);
}
