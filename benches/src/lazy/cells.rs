//! Cells that an async initialiser writes: one adapter per peer.

use std::future::Future;
use std::sync::Arc;

use brolly_lazy::{LoadError, Once};

/// The error of an initialiser that is meant to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejected;

pub(super) type Answer = Result<u64, Rejected>;

pub(super) trait Cell: Send + Sync + 'static {
    const NAME: &'static str;

    fn new() -> Self;

    fn get_or_init<Fut>(
        &self,
        init: impl FnOnce() -> Fut + Send,
    ) -> impl Future<Output = u64> + Send
    where
        Fut: Future<Output = u64> + Send + 'static;

    fn get_or_try_init<Fut>(
        &self,
        init: impl FnOnce() -> Fut + Send,
    ) -> impl Future<Output = Answer> + Send
    where
        Fut: Future<Output = Answer> + Send + 'static;
}

impl Cell for Once<u64> {
    const NAME: &'static str = "ours";

    fn new() -> Self {
        Once::new()
    }

    #[inline]
    async fn get_or_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> u64
    where
        Fut: Future<Output = u64> + Send + 'static,
    {
        *Once::get_or_init(self, init).await
    }

    #[inline]
    async fn get_or_try_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> Answer
    where
        Fut: Future<Output = Answer> + Send + 'static,
    {
        match Once::get_or_try_init(self, init).await {
            Ok(value) => Ok(*value),
            Err(LoadError::Failed(error)) => Err(*error),
            Err(error) => panic!("{error}"),
        }
    }
}

pub(super) type Tokio = tokio::sync::OnceCell<u64>;

impl Cell for Tokio {
    const NAME: &'static str = "tokio OnceCell";

    fn new() -> Self {
        tokio::sync::OnceCell::new()
    }

    #[inline]
    async fn get_or_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> u64
    where
        Fut: Future<Output = u64> + Send + 'static,
    {
        *tokio::sync::OnceCell::get_or_init(self, init).await
    }

    #[inline]
    async fn get_or_try_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> Answer
    where
        Fut: Future<Output = Answer> + Send + 'static,
    {
        tokio::sync::OnceCell::get_or_try_init(self, init)
            .await
            .copied()
    }
}

pub(super) type AsyncOnceCell = async_once_cell::OnceCell<u64>;

impl Cell for AsyncOnceCell {
    const NAME: &'static str = "async-once-cell";

    fn new() -> Self {
        async_once_cell::OnceCell::new()
    }

    #[inline]
    async fn get_or_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> u64
    where
        Fut: Future<Output = u64> + Send + 'static,
    {
        *async_once_cell::OnceCell::get_or_init(self, async { init().await }).await
    }

    #[inline]
    async fn get_or_try_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> Answer
    where
        Fut: Future<Output = Answer> + Send + 'static,
    {
        async_once_cell::OnceCell::get_or_try_init(self, async { init().await })
            .await
            .copied()
    }
}

pub(super) type AsyncLock = async_lock::OnceCell<u64>;

impl Cell for AsyncLock {
    const NAME: &'static str = "async-lock";

    fn new() -> Self {
        async_lock::OnceCell::new()
    }

    #[inline]
    async fn get_or_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> u64
    where
        Fut: Future<Output = u64> + Send + 'static,
    {
        *async_lock::OnceCell::get_or_init(self, init).await
    }

    #[inline]
    async fn get_or_try_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> Answer
    where
        Fut: Future<Output = Answer> + Send + 'static,
    {
        async_lock::OnceCell::get_or_try_init(self, init)
            .await
            .copied()
    }
}

/// A cache of one key.
pub(super) type Moka = moka::future::Cache<(), u64>;

impl Cell for Moka {
    const NAME: &'static str = "moka";

    fn new() -> Self {
        moka::future::Cache::new(1)
    }

    async fn get_or_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> u64
    where
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.get_with((), async { init().await }).await
    }

    async fn get_or_try_init<Fut>(&self, init: impl FnOnce() -> Fut + Send) -> Answer
    where
        Fut: Future<Output = Answer> + Send + 'static,
    {
        let answer = self.try_get_with((), async { init().await }).await;
        answer.map_err(|error: Arc<Rejected>| *error)
    }
}
