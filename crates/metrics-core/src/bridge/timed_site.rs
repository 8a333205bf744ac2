//! What the expansion of `#[timed]` names: the metric of a place in the source, and how it was left.
//!
//! Public only for expansions, and hidden: none of it is part of the interface.

pub use std::boxed::Box;
use std::sync::{OnceLock, PoisonError, RwLock};

pub use crate::registry::default_registry;

use crate::instrument::timer::{Outcome, Timer, TimerGuard};
use crate::registry::Registry;

/// Counts, in each registry, the places whose metric it refused.
const REFUSED: &str = "timed_sites_refused_total";

/// How many registries a place remembers besides the first.
const MAX_OTHERS: usize = 8;

/// A place in the source that is timed, with its metric in each registry it was used with.
///
/// The metric of the first registry is found with one load and kept for good; those of the last few
/// others with a read lock. A place that is used with more registries than it remembers registers
/// again and again, which is slower and not wrong.
#[derive(Debug)]
pub struct TimedSite {
    name: Name,
    first: OnceLock<Registered>,
    /// The oldest first.
    others: RwLock<Vec<Registered>>,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    /// As it was given.
    Given(&'static str),
    /// Of a module's path and a function.
    Path(&'static str),
}

#[derive(Clone, Debug)]
struct Registered {
    registry: u64,
    /// None where the registry refused.
    timer: Option<Timer>,
}

impl TimedSite {
    /// A place with a name of its own.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Self::new(Name::Given(name))
    }

    /// A place that is named after its path, `a::b::c`.
    #[must_use]
    pub const fn at(path: &'static str) -> Self {
        Self::new(Name::Path(path))
    }

    const fn new(name: Name) -> Self {
        Self {
            name,
            first: OnceLock::new(),
            others: RwLock::new(Vec::new()),
        }
    }

    /// A call of the function, not yet started. Without a registry nothing is recorded.
    #[inline]
    pub fn call(&'static self, registry: Option<&Registry>) -> TimedCall {
        let Some(registry) = registry else {
            return TimedCall(At::Nowhere);
        };
        let first = self.first.get_or_init(|| self.register(registry));
        if first.registry != registry.id() {
            return self.call_elsewhere(registry);
        }
        TimedCall(first.timer.as_ref().map_or(At::Nowhere, At::First))
    }

    #[cold]
    fn call_elsewhere(&self, registry: &Registry) -> TimedCall {
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        let known = others.iter().find(|it| it.registry == registry.id());
        let known = known.map(|it| it.timer.clone());
        drop(others);
        let timer = known.unwrap_or_else(|| {
            let new = self.register(registry);
            let timer = new.timer.clone();
            self.remember(new);
            timer
        });
        TimedCall(timer.map_or(At::Nowhere, At::Other))
    }

    fn remember(&self, new: Registered) {
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been here in between.
        if others.iter().all(|it| it.registry != new.registry) {
            if others.len() == MAX_OTHERS {
                others.remove(0);
            }
            others.push(new);
        }
    }

    #[cold]
    fn register(&self, registry: &Registry) -> Registered {
        let timer = match self.name {
            Name::Given(name) => registry.timer(name).get_or_register(),
            Name::Path(path) => registry.timer(&dotted(path)).get_or_register(),
        };
        if timer.is_err() {
            let refused = registry.counter(REFUSED);
            let refused = refused.help("Places of #[timed] whose metric was refused");
            // Where even this is refused, there is nobody left to tell.
            if let Ok(refused) = refused.get_or_register() {
                refused.inc();
            }
        }
        Registered {
            registry: registry.id(),
            timer: timer.ok(),
        }
    }
}

/// `a::b::r#fn` as the name of a metric: `a.b.fn`.
fn dotted(path: &str) -> String {
    let names = path.split("::").map(|name| {
        let name = name.strip_prefix("r#").unwrap_or(name);
        // Names in Rust may hold letters that those of metrics may not.
        let is_valid = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        name.replace(|letter| !is_valid(letter), "_")
    });
    names.collect::<Vec<_>>().join(".")
}

/// One call of a timed function.
#[derive(Debug)]
pub struct TimedCall(At);

#[derive(Debug)]
enum At {
    Nowhere,
    /// The timer that the place keeps.
    First(&'static Timer),
    Other(Timer),
}

impl TimedCall {
    /// Starts to measure.
    #[inline]
    pub fn start(&self) -> Started<'_> {
        Started(match &self.0 {
            At::Nowhere => None,
            At::First(timer) => Some(timer.start()),
            At::Other(timer) => Some(timer.start()),
        })
    }
}

/// A call that is under way. Dropped, it records that the call was cancelled or panicked.
#[derive(Debug)]
#[must_use = "dropping it ends the measurement at once"]
pub struct Started<'a>(Option<TimerGuard<'a>>);

impl Started<'_> {
    /// Records how the call ended.
    #[inline]
    pub fn finish(self, outcome: Outcome) {
        if let Some(guard) = self.0 {
            guard.finish(outcome);
        }
    }
}

/// Calls the function once. A closure that is passed to this may give away what it borrowed
/// mutably, since it is known to run only once.
#[inline]
pub fn call<R>(function: impl FnOnce() -> R) -> R {
    function()
}

/// Gives a place in the source a type. Expansions never reach it.
#[cold]
#[must_use]
pub fn never_called<T>() -> T {
    unreachable!("expansions name it after `if false`")
}

/// Tells the outcome of a value by its type: a `Result` by its variant with the method of this type,
/// anything else by [`OutcomeOfAnything`], whose method is only found where this type has none.
#[derive(Debug)]
pub struct OutcomeOf<'a, T: ?Sized>(pub &'a T);

impl<T, E> OutcomeOf<'_, Result<T, E>> {
    /// Success or error.
    #[inline]
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.0 {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Error,
        }
    }
}

/// What cannot fail has succeeded.
pub trait OutcomeOfAnything {
    /// Success.
    #[inline]
    fn outcome(&self) -> Outcome {
        Outcome::Success
    }
}

impl<T: ?Sized> OutcomeOfAnything for OutcomeOf<'_, T> {}

/// What the argument `registry` may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say in which registry to record",
    label = "expected `&Registry` or `Option<&Registry>`"
)]
pub trait RegistrySource<'a> {
    /// The registry, if any.
    fn registry(self) -> Option<&'a Registry>;
}

impl<'a> RegistrySource<'a> for &'a Registry {
    #[inline]
    fn registry(self) -> Option<&'a Registry> {
        Some(self)
    }
}

impl<'a> RegistrySource<'a> for Option<&'a Registry> {
    #[inline]
    fn registry(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SITE: TimedSite = TimedSite::named("work");

    #[test]
    fn a_path_becomes_a_name_with_dots() {
        assert_eq!(dotted("shop::cart::checkout"), "shop.cart.checkout");
        assert_eq!(dotted("shop::r#type::größe"), "shop.type.gr__e");
    }

    #[test]
    fn a_place_remembers_few_registries_and_serves_any_number() {
        let registries: Vec<_> = (0..MAX_OTHERS + 4).map(|_| Registry::new()).collect();
        for _ in 0..2 {
            for registry in &registries {
                SITE.call(Some(registry)).start().finish(Outcome::Success);
            }
        }
        assert_eq!(SITE.others.read().unwrap().len(), MAX_OTHERS);
        for registry in &registries {
            let snapshot = registry.snapshot();
            let work = snapshot.histogram("work").unwrap();
            assert_eq!(work.get(&["success"]).unwrap().count(), 2);
        }
    }
}
