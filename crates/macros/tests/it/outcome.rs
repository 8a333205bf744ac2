//! Each call is recorded once, with how it ended.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use brolly_metrics_core::{Registry, timed};

use crate::support::{finish, once, outcomes};

#[timed(name = "parse", registry = registry)]
fn parse(registry: &Registry, text: &str) -> Result<u32, std::num::ParseIntError> {
    let value: u32 = text.parse()?;
    if value == 0 {
        return Ok(1);
    }
    Ok(value)
}

#[test]
fn a_result_is_a_success_or_an_error() {
    let registry = Registry::new();
    assert_eq!(parse(&registry, "7"), Ok(7));
    assert_eq!(parse(&registry, "0"), Ok(1));
    assert!(parse(&registry, "seven").is_err());
    assert_eq!(outcomes(&registry, "parse"), [2, 1, 0, 0]);
}

#[timed(name = "alias", registry = registry)]
fn alias(registry: &Registry, fails: bool) -> io::Result<()> {
    if fails {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(())
}

#[test]
fn an_alias_of_result_is_a_result() {
    let registry = Registry::new();
    let _ = alias(&registry, true);
    let _ = alias(&registry, false);
    assert_eq!(outcomes(&registry, "alias"), [1, 1, 0, 0]);
}

#[timed(name = "option", registry = registry)]
fn option(registry: &Registry, it: Option<u8>) -> Option<u8> {
    Some(it? + 1)
}

#[timed(name = "unit", registry = registry)]
fn unit(registry: &Registry, total: &mut u64) {
    *total += 1;
}

#[test]
fn what_cannot_fail_succeeds() {
    let registry = Registry::new();
    assert_eq!(option(&registry, Some(1)), Some(2));
    assert_eq!(option(&registry, None), None);
    let mut total = 0;
    unit(&registry, &mut total);
    assert_eq!(total, 1);
    assert_eq!(outcomes(&registry, "option"), [2, 0, 0, 0]);
    assert_eq!(outcomes(&registry, "unit"), [1, 0, 0, 0]);
}

#[timed(name = "panics", registry = registry)]
fn panics(registry: &Registry) -> Result<(), ()> {
    panic!("on purpose")
}

#[timed(name = "never", registry = registry)]
fn never(registry: &Registry) -> ! {
    panic!("on purpose")
}

#[timed(name = "panics_later", registry = registry)]
async fn panics_later(registry: &Registry) {
    once().await;
    panic!("on purpose")
}

#[test]
fn a_panic_is_recorded_and_goes_on() {
    let registry = Registry::new();
    let call = || panics(&registry);
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    let call = || -> () { never(&registry) };
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    let call = || finish(panics_later(&registry));
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    for name in ["panics", "never", "panics_later"] {
        assert_eq!(outcomes(&registry, name), [0, 0, 1, 0], "{name}");
    }
}

#[test]
fn a_call_made_while_another_panics_is_judged_by_itself() {
    struct CallsOnDrop<'a>(&'a Registry);

    impl Drop for CallsOnDrop<'_> {
        fn drop(&mut self) {
            let _ = parse(self.0, "7");
        }
    }

    let registry = Registry::new();
    let call = || {
        let _last = CallsOnDrop(&registry);
        panic!("on purpose")
    };
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    assert_eq!(outcomes(&registry, "parse"), [1, 0, 0, 0]);
}

#[timed(name = "fetch", registry = registry)]
async fn fetch(registry: &Registry, fails: bool) -> io::Result<u8> {
    once().await;
    if fails {
        Err(io::ErrorKind::TimedOut)?;
    }
    Ok(3)
}

#[timed(name = "opaque", registry = registry)]
fn opaque(registry: &Registry, fails: bool) -> impl Future<Output = io::Result<u8>> + Send + '_ {
    fetch(registry, fails)
}

#[timed(name = "boxed", registry = registry)]
fn boxed<'a>(
    registry: &'a Registry,
    fails: bool,
) -> Pin<Box<dyn Future<Output = io::Result<u8>> + Send + 'a>> {
    Box::pin(fetch(registry, fails))
}

/// What `#[async_trait]` makes of a method.
#[timed(name = "boxed_block", registry = registry)]
fn boxed_block<'life0, 'async_trait>(
    registry: &'life0 Registry,
    fails: bool,
) -> ::core::pin::Pin<
    Box<dyn ::core::future::Future<Output = io::Result<u8>> + ::core::marker::Send + 'async_trait>,
>
where
    'life0: 'async_trait,
{
    Box::pin(async move {
        if let Some(never) = None::<io::Result<u8>> {
            return never;
        }
        let done = fetch(registry, fails).await?;
        Ok(done)
    })
}

#[test]
fn futures_are_recorded_by_what_they_give() {
    let registry = Registry::new();
    for fails in [true, false, false] {
        assert_eq!(finish(fetch(&registry, fails)).is_err(), fails);
        assert_eq!(finish(opaque(&registry, fails)).is_err(), fails);
        assert_eq!(finish(boxed(&registry, fails)).is_err(), fails);
        assert_eq!(finish(boxed_block(&registry, fails)).is_err(), fails);
    }
    assert_eq!(outcomes(&registry, "fetch"), [8, 4, 0, 0]);
    assert_eq!(outcomes(&registry, "boxed_block"), [2, 1, 0, 0]);
    assert_eq!(outcomes(&registry, "opaque"), [2, 1, 0, 0]);
    assert_eq!(outcomes(&registry, "boxed"), [2, 1, 0, 0]);
}

#[timed(name = "factorial", registry = registry)]
fn factorial(registry: &Registry, n: u64) -> u64 {
    if n == 0 {
        return 1;
    }
    n * factorial(registry, n - 1)
}

#[test]
fn every_call_of_a_recursion_counts() {
    let registry = Registry::new();
    assert_eq!(factorial(&registry, 5), 120);
    assert_eq!(outcomes(&registry, "factorial"), [6, 0, 0, 0]);
}
