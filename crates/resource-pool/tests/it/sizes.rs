//! How large the public types are: what is passed around stays small.

use std::mem::{size_of, size_of_val};

use brolly_resource_pool::{AcquireError, Guard, OwnedGuard, Pool, TryAcquireError};

use crate::support::{Broken, Factory, lone};

#[test]
fn guards_handles_and_errors_are_a_few_words() {
    let word = size_of::<usize>();
    assert!(size_of::<Guard<'_, Factory>>() <= 4 * word);
    assert!(size_of::<OwnedGuard<Factory>>() <= 4 * word);
    assert!(size_of::<Pool<Factory>>() <= 2 * word);
    assert!(size_of::<AcquireError<Broken>>() <= 4 * word);
    assert!(size_of::<TryAcquireError>() <= 3 * word);
}

#[test]
fn an_acquire_is_a_small_future() {
    let bench = lone(|it| it.max_size(1));
    assert!(size_of_val(&bench.pool.acquire()) <= 400);
    assert!(size_of_val(&bench.pool.acquire_owned()) <= 400);
}
