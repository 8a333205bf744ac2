//! The peers, each at its own best.

use std::convert::Infallible;

use super::faces::{AsyncPool, LIMIT};

/// Makes zeros, and finds nothing wrong with them: for every peer's trait.
#[derive(Debug)]
pub struct Zeros;

impl deadpool::managed::Manager for Zeros {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn recycle(
        &self,
        _: &mut u64,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Infallible> {
        Ok(())
    }
}

#[derive(Clone)]
pub struct Deadpool(deadpool::managed::Pool<Zeros>);

impl AsyncPool for Deadpool {
    const NAME: &'static str = "deadpool";

    type Guard<'a> = deadpool::managed::Object<Zeros>;

    fn new(max: usize, has_limits: bool) -> Self {
        let builder = deadpool::managed::Pool::builder(Zeros).max_size(max);
        let builder = match has_limits {
            true => builder
                .wait_timeout(Some(LIMIT))
                .create_timeout(Some(LIMIT))
                .recycle_timeout(Some(LIMIT))
                .runtime(deadpool::Runtime::Tokio1),
            false => builder,
        };
        Self(builder.build().expect("the settings are allowed"))
    }

    #[inline]
    async fn get(&self) -> Self::Guard<'_> {
        self.0.get().await.expect("creating cannot fail")
    }
}

impl bb8::ManageConnection for Zeros {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

/// Its time limit cannot be switched off.
#[derive(Clone)]
pub struct Bb8(bb8::Pool<Zeros>);

impl AsyncPool for Bb8 {
    const NAME: &'static str = "bb8";

    type Guard<'a> = bb8::PooledConnection<'a, Zeros>;

    fn new(max: usize, _: bool) -> Self {
        let max = u32::try_from(max).expect("pools are small");
        let builder = bb8::Pool::builder().max_size(max).connection_timeout(LIMIT);
        Self(builder.build_unchecked(Zeros))
    }

    #[inline]
    async fn get(&self) -> Self::Guard<'_> {
        self.0.get().await.expect("creating cannot fail")
    }
}

/// The same with guards that borrow nothing.
#[derive(Clone)]
pub struct Bb8Owned(Bb8);

impl AsyncPool for Bb8Owned {
    const NAME: &'static str = "bb8";

    type Guard<'a> = bb8::PooledConnection<'static, Zeros>;

    fn new(max: usize, has_limits: bool) -> Self {
        Self(Bb8::new(max, has_limits))
    }

    #[inline]
    async fn get(&self) -> Self::Guard<'_> {
        self.0.0.get_owned().await.expect("creating cannot fail")
    }
}

#[mobc::async_trait]
impl mobc::Manager for Zeros {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn check(&self, connection: u64) -> Result<u64, Infallible> {
        Ok(connection)
    }
}

#[derive(Clone)]
pub struct Mobc(mobc::Pool<Zeros>);

impl AsyncPool for Mobc {
    const NAME: &'static str = "mobc";

    type Guard<'a> = mobc::Connection<Zeros>;

    fn new(max: usize, has_limits: bool) -> Self {
        let max = u64::try_from(max).expect("pools are small");
        let builder = mobc::Pool::builder().max_open(max).max_idle(max);
        Self(
            builder
                .get_timeout(has_limits.then_some(LIMIT))
                .build(Zeros),
        )
    }

    #[inline]
    async fn get(&self) -> Self::Guard<'_> {
        let Ok(guard) = self.0.get().await else {
            unreachable!("creating cannot fail")
        };
        guard
    }
}

impl fast_pool::Manager for Zeros {
    type Connection = u64;
    type Error = String;

    async fn connect(&self) -> Result<u64, String> {
        Ok(0)
    }

    async fn check(&self, _: &mut u64) -> Result<(), String> {
        Ok(())
    }
}

/// Its time limits cannot be switched off.
#[derive(Clone)]
pub struct FastPool(fast_pool::Pool<Zeros>);

impl AsyncPool for FastPool {
    const NAME: &'static str = "fast_pool";

    type Guard<'a> = fast_pool::ConnectionGuard<Zeros>;

    fn new(max: usize, _: bool) -> Self {
        let pool = fast_pool::Pool::new(Zeros);
        pool.set_max_open(u64::try_from(max).expect("pools are small"));
        Self(pool)
    }

    #[inline]
    async fn get(&self) -> Self::Guard<'_> {
        self.0.get().await.expect("creating cannot fail")
    }
}

impl r2d2::ManageConnection for Zeros {
    type Connection = u64;
    type Error = Infallible;

    fn connect(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

pub fn r2d2(max: usize) -> r2d2::Pool<Zeros> {
    let max = u32::try_from(max).expect("pools are small");
    let builder = r2d2::Pool::builder()
        .max_size(max)
        .connection_timeout(LIMIT);
    builder.build(Zeros).expect("creating cannot fail")
}
