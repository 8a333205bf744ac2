//! What every pool can do, and ours.

use std::convert::Infallible;
use std::future::Future;
use std::ops::DerefMut;
use std::time::Duration;

use brolly_resource_pool::{Guard, Manager, OwnedGuard, Pool};

/// Long enough that nobody ever runs out of it.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A pool of numbers. Made and used inside of a tokio runtime.
pub trait AsyncPool: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    type Guard<'a>: DerefMut<Target = u64> + Send
    where
        Self: 'a;

    /// With time limits for everything that it has limits for, or without any.
    fn new(max: usize, has_limits: bool) -> Self;

    fn get(&self) -> impl Future<Output = Self::Guard<'_>> + Send;
}

/// Makes zeros, and finds nothing wrong with them.
pub struct Zeros;

impl Manager for Zeros {
    type Resource = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(0)
    }
}

pub fn ours(max: usize, has_limits: bool) -> Pool<Zeros> {
    let builder = Pool::builder(Zeros).max_size(max).min_size(0);
    let builder = builder.acquire_timeout(has_limits.then_some(LIMIT));
    builder.build().expect("the settings are allowed")
}

/// Ours, with guards that borrow the pool.
#[derive(Clone)]
pub struct Ours(pub Pool<Zeros>);

impl AsyncPool for Ours {
    const NAME: &'static str = "ours";

    type Guard<'a> = Guard<'a, Zeros>;

    fn new(max: usize, has_limits: bool) -> Self {
        Self(ours(max, has_limits))
    }

    #[inline]
    async fn get(&self) -> Guard<'_, Zeros> {
        self.0.acquire().await.expect("creating cannot fail")
    }
}

/// Ours, with guards that borrow nothing.
#[derive(Clone)]
pub struct OursOwned(Pool<Zeros>);

impl AsyncPool for OursOwned {
    const NAME: &'static str = "ours";

    type Guard<'a> = OwnedGuard<Zeros>;

    fn new(max: usize, has_limits: bool) -> Self {
        Self(ours(max, has_limits))
    }

    #[inline]
    async fn get(&self) -> OwnedGuard<Zeros> {
        self.0.acquire_owned().await.expect("creating cannot fail")
    }
}
