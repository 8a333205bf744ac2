//! Functions whose first argument is loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use brolly_lazy::{Lazy, LoadError, with_lazy, with_lazy_blocking};

use crate::support::now;

#[test]
fn the_value_comes_first_and_is_loaded_once_for_all_calls() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let add = with_lazy(
        move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { 40 }
        },
        |base: Arc<i32>, more: i32| async move { *base + more },
    );
    assert_eq!(loads.load(Ordering::SeqCst), 0);
    assert_eq!(now(add(2)).unwrap(), 42);
    assert_eq!(now(add.clone()(3)).unwrap(), 43);
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[test]
fn an_error_of_the_loader_is_the_end_of_the_call() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let lazy: Lazy<i32, &str> = Lazy::fallible(|| async { Err("no such file") });
    let call = with_lazy(&lazy, move |_, (): ()| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {}
    });
    let Err(LoadError::Failed(error)) = now(call(())) else {
        panic!("no error")
    };
    assert_eq!((*error, calls.load(Ordering::SeqCst)), ("no such file", 0));
    lazy.replace(1);
    assert!(now(call(())).is_ok());
}

#[test]
fn several_arguments_are_a_tuple() {
    let call = with_lazy(
        Lazy::new_sync(|| String::from("-")),
        |dash: Arc<String>, (a, b): (&'static str, u8)| async move { format!("{a}{dash}{b}") },
    );
    assert_eq!(now(call(("x", 7))).unwrap(), "x-7");
}

#[test]
fn a_thread_calls_with_a_reference_to_the_value() {
    let lazy = Lazy::new_sync(|| vec![1, 2, 3]);
    let nth = with_lazy_blocking(&lazy, |numbers: &Vec<i32>, at: usize| {
        numbers.get(at).copied()
    });
    assert_eq!((nth(1).unwrap(), nth(9).unwrap()), (Some(2), None));
    lazy.reset();
    assert_eq!((nth(0).unwrap(), lazy.load_count()), (Some(1), 2));
}

#[tokio::test]
async fn calls_can_be_spawned() {
    let call = with_lazy(
        || async { 7 },
        |value: Arc<u32>, (): ()| async move { *value },
    );
    let task = tokio::spawn(call(()));
    assert_eq!(task.await.unwrap().unwrap(), 7);
}
