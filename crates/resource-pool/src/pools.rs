//! [`Pools`]: pools of all kinds by name, looked at, checked and closed together.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use thiserror::Error;

use crate::manager::Manager;
use crate::pool::Pool;
use crate::primitive::{Mutex, lock};
use crate::reports::demand::Demand;
use crate::reports::health::HealthError;
use crate::reports::holders::{DrainReport, Holder};
use crate::reports::stats::Stats;

/// The most pools that one registry takes.
const MOST: usize = 4096;

/// Pools by name, whatever they are pools of. Clones are handles to the same registry.
///
/// A registry holds a handle of each pool: what is in it stays open until it is closed or removed.
///
/// ```
/// # use std::convert::Infallible;
/// # use brolly_resource_pool::{Manager, Pool};
/// use brolly_resource_pool::Pools;
/// # struct Buffers;
/// # impl Manager for Buffers {
/// #     type Resource = Vec<u8>;
/// #     type Error = Infallible;
/// #     async fn create(&self) -> Result<Vec<u8>, Infallible> { Ok(Vec::new()) }
/// # }
///
/// let pools = Pools::new();
/// let pool = Pool::builder(Buffers).max_size(2).build()?;
/// pools.register("buffers", &pool)?;
/// assert!(pools.register("buffers", &pool).is_err());
///
/// drop(pool.acquire_blocking());
/// assert_eq!(pools.get("buffers").unwrap().stats().idle, 1);
/// assert!(pools.get_as::<Buffers>("buffers").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Pools(Arc<Mutex<BTreeMap<String, Arc<dyn AnyPool>>>>);

/// Why a registry does not take a pool.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// There is one of that name.
    #[error("there is a pool called `{name}` already")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// There are as many as there may be.
    #[error("there are {max} pools, which is the most")]
    Full {
        /// How many there may be.
        max: usize,
    },
}

/// A pool of whatever it may be: what can be said and done without knowing that. Every [`Pool`] is
/// one, and nothing else.
pub trait AnyPool: Any + Send + Sync + sealed::Sealed {
    /// The pool's own name; see [`Pool::name`].
    fn name(&self) -> &str;

    /// The figures of this moment; see [`Pool::stats`].
    fn stats(&self) -> Stats;

    /// Who holds what; see [`Pool::holders`].
    fn holders(&self) -> Vec<Holder>;

    /// What it was asked for since these figures were read; see [`Pool::demand_since`].
    fn demand_since(&self, before: &Stats) -> Demand;

    /// Whether a resource can be had that passes its check; see [`Pool::check`].
    fn check(
        &self,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<(), HealthError>> + Send + '_>>;

    /// Closes it and waits; see [`Pool::drain`].
    fn drain(&self, limit: Duration) -> Pin<Box<dyn Future<Output = DrainReport> + Send + '_>>;

    /// Closes it; see [`Pool::close`].
    fn close(&self);
}

mod sealed {
    use crate::manager::Manager;
    use crate::pool::Pool;

    pub trait Sealed {}

    impl<M: Manager> Sealed for Pool<M> {}
}

impl<M: Manager> AnyPool for Pool<M> {
    fn name(&self) -> &str {
        self.name()
    }

    fn stats(&self) -> Stats {
        self.stats()
    }

    fn holders(&self) -> Vec<Holder> {
        self.holders()
    }

    fn demand_since(&self, before: &Stats) -> Demand {
        self.demand_since(before)
    }

    fn check(
        &self,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<(), HealthError>> + Send + '_>> {
        Box::pin(self.check(limit))
    }

    fn drain(&self, limit: Duration) -> Pin<Box<dyn Future<Output = DrainReport> + Send + '_>> {
        Box::pin(self.drain(limit))
    }

    fn close(&self) {
        self.close();
    }
}

impl fmt::Debug for dyn AnyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyPool").field(&self.name()).finish()
    }
}

impl Pools {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a handle of a pool, under a name that none of the others has.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]: the name is taken, or there are 4096 pools.
    pub fn register<M: Manager>(
        &self,
        name: impl Into<String>,
        pool: &Pool<M>,
    ) -> Result<(), RegisterError> {
        let name = name.into();
        let pool = Arc::new(pool.clone());
        let mut pools = lock(&self.0);
        // A handle that is refused is dropped after the lock, since it is declared before it.
        if pools.contains_key(&name) {
            return Err(RegisterError::Duplicate { name });
        }
        if pools.len() >= MOST {
            return Err(RegisterError::Full { max: MOST });
        }
        pools.insert(name, pool);
        Ok(())
    }

    /// The pool of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<dyn AnyPool>> {
        lock(&self.0).get(name).cloned()
    }

    /// The pool of this name, if that is what it is a pool of.
    #[must_use]
    pub fn get_as<M: Manager>(&self, name: &str) -> Option<Pool<M>> {
        let pool = self.get(name)?;
        let pool: &dyn Any = &*pool;
        pool.downcast_ref::<Pool<M>>().cloned()
    }

    /// Gives up the handle of a pool and returns it: the pool is closed with its last handle.
    pub fn remove(&self, name: &str) -> Option<Arc<dyn AnyPool>> {
        lock(&self.0).remove(name)
    }

    /// The names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        lock(&self.0).keys().cloned().collect()
    }

    /// The figures of all, by name.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, Stats> {
        let pools = self.all();
        pools
            .into_iter()
            .map(|(name, pool)| (name, pool.stats()))
            .collect()
    }

    /// Checks all at once, each for so long at most: whether a resource can be had that passes its
    /// check. See [`Pool::check`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the checks; a resource that is being checked is closed.
    #[doc(alias = "health_check_all")]
    pub async fn check_all(&self, limit: Duration) -> BTreeMap<String, Result<(), HealthError>> {
        let pools = self.all();
        let checks = pools.iter().map(|(name, pool)| (name, pool.check(limit)));
        together(checks).await
    }

    /// Closes all, and waits until everything has come back and is closed, for so long at most. What
    /// one pool does holds up no other. They stay in the registry, closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops waiting; pools are closed as soon as it was polled once.
    pub async fn close_all(&self, limit: Duration) -> BTreeMap<String, DrainReport> {
        let pools = self.all();
        let drains = pools.iter().map(|(name, pool)| (name, pool.drain(limit)));
        together(drains).await
    }

    fn all(&self) -> Vec<(String, Arc<dyn AnyPool>)> {
        let pools = lock(&self.0);
        pools
            .iter()
            .map(|(name, pool)| (name.clone(), Arc::clone(pool)))
            .collect()
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pools").field(&self.names()).finish()
    }
}

/// What came of each, when all are done. All are looked at whenever one of them is woken: there are
/// few.
async fn together<'a, F: Future + Unpin>(
    futures: impl Iterator<Item = (&'a String, F)>,
) -> BTreeMap<String, F::Output> {
    let mut running: Vec<_> = futures.collect();
    let mut done = BTreeMap::new();
    poll_fn(|cx| {
        running.retain_mut(|(name, future)| match Pin::new(future).poll(cx) {
            Poll::Ready(output) => {
                done.insert(name.clone(), output);
                false
            }
            Poll::Pending => true,
        });
        match running.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    done
}
