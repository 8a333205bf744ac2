//! [`LazyMap`]: lazy values by key, a bounded number of them.

mod builder;
mod table;

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::config::Rules;
use crate::error::{ConfigError, LoadError};
use crate::get::{Get, wait_blocking};
use crate::lazy::{Lazy, never};
use crate::loader::Loader;
use crate::panics::{catch, discard};
use crate::primitive::{RwLock, read, write};
use crate::published::Guard;
use crate::recursion::Identity;
use crate::shared::{Shared, Wish};
pub use builder::LazyMapBuilder;
use table::{Entry, Table};

/// Lazy values by key: the value of a key is loaded when it is first asked for, once for all who ask
/// at the same time. A bounded number of them.
///
/// This is a handle: clones share the map. Each key has a [`Lazy`] of its own, with everything that
/// one can do: [`lazy`](Self::lazy) hands it out.
///
/// When a key comes that there is no room for, the key that has been in the map for the longest time
/// goes, be it loaded or not. A load that is under way for it goes on for those who wait. A map that
/// is to keep what is asked for most, or that holds many thousands of small values, wants to be a
/// cache: `brolly-ttl-cache`.
///
/// ```
/// use brolly_lazy::LazyMap;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), brolly_lazy::ConfigError> {
/// let pages = LazyMap::new(100, |url: String| async move { format!("what is at {url}") })?;
/// assert_eq!(*pages.get("a.example").await, "what is at a.example");
/// assert_eq!(pages.load_count("a.example"), 1);
/// assert!(pages.remove("a.example").is_some());
/// assert!(pages.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// What is said of errors, panics and recursion at [`Lazy`] holds for each key. A key whose load has
/// failed leaves the map, unless its error is kept.
pub struct LazyMap<K, V, E = Infallible, S = RandomState> {
    inner: Arc<Inner<K, V, E, S>>,
}

struct Inner<K, V, E, S> {
    identity: Identity,
    table: RwLock<Table<K, Lazy<V, E>, S>>,
    loader: KeyLoader<K, V, E>,
    rules: Arc<Rules>,
}

/// Makes the loader of a key.
type KeyLoader<K, V, E> = Box<dyn Fn(Arc<KeyOf<K>>) -> Loader<V, E> + Send + Sync>;

/// A key and the map that it is a key of.
struct KeyOf<K> {
    map: Identity,
    key: K,
}

impl LazyMap<(), ()> {
    /// Settings to begin with: room for 1,000 keys, whose values are loaded once and never expire.
    pub fn builder() -> LazyMapBuilder {
        LazyMapBuilder::new()
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, V: 'static> LazyMap<K, V> {
    /// A map of `max_len` keys at most whose values an async loader makes.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: `max_len` is zero.
    pub fn new<Fut>(
        max_len: usize,
        loader: impl Fn(K) -> Fut + Send + Sync + 'static,
    ) -> Result<Self, ConfigError>
    where
        Fut: Future<Output = V> + Send + 'static,
    {
        LazyMap::builder().max_len(max_len).build(loader)
    }

    /// A map of `max_len` keys at most whose values a function makes.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: `max_len` is zero.
    pub fn new_sync(
        max_len: usize,
        loader: impl Fn(K) -> V + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        LazyMap::builder().max_len(max_len).build_sync(loader)
    }
}

/// Looking, and taking out. None of these waits, or runs the loader.
impl<K: Hash + Eq, V, E, S: BuildHasher> LazyMap<K, V, E, S> {
    fn of(max_len: NonZeroUsize, hasher: S, loader: KeyLoader<K, V, E>, rules: Arc<Rules>) -> Self {
        Self {
            inner: Arc::new(Inner {
                identity: Identity::new(),
                table: RwLock::new(Table::new(max_len, hasher)),
                loader,
                rules,
            }),
        }
    }

    /// The value of a key, if there is one whose time is not over.
    #[must_use]
    pub fn peek<Q>(&self, key: &Q) -> Option<Guard<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.find(key)?.shared().peek()
    }

    /// Whether a key has a value whose time is not over.
    #[must_use]
    pub fn is_loaded<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.peek(key).is_some()
    }

    /// How many loads of a key were begun since it came into the map; zero if it is not in it.
    #[must_use]
    pub fn load_count<Q>(&self, key: &Q) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let visit = self.find(key);
        visit.map_or(0, |it| it.shared().counters.loads.read())
    }

    /// Takes a key out, and returns its value if it has one, past its time or not.
    ///
    /// Who asks for the key after this has returned gets a value whose load began after it was
    /// called.
    #[doc(alias = "invalidate")]
    #[doc(alias = "reset")]
    pub fn remove<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut gone = write(&self.inner.table).remove(key);
        let value = gone.lazy.take().and_then(|lazy| lazy.reset());
        discard(gone);
        value
    }

    /// Takes all keys out, as [`remove`](Self::remove) does.
    pub fn clear(&self) {
        let all = write(&self.inner.table).take_all();
        for gone in all {
            if let Some(lazy) = &gone.lazy {
                discard(lazy.reset());
            }
            discard(gone);
        }
    }

    /// How many keys there are, those that are being loaded included.
    #[must_use]
    pub fn len(&self) -> usize {
        read(&self.inner.table).len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys there are room for.
    #[must_use]
    pub fn max_len(&self) -> usize {
        read(&self.inner.table).max_len()
    }

    /// The keys, the one that came first at the front. They are cloned under the map's lock.
    #[must_use]
    pub fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        read(&self.inner.table).keys().cloned().collect()
    }

    /// Who only looks holds a handle meanwhile as well, and may be the last one to leave.
    fn find<Q>(&self, key: &Q) -> Option<Visit<K, V, E, S>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let table = read(&self.inner.table);
        let entry = table.get(key)?.clone();
        Some(Visit {
            map: Arc::clone(&self.inner),
            entry: Some(entry),
        })
    }
}

/// Getting a value, loaded if need be.
impl<K, V, E, S> LazyMap<K, V, E, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The value of a key, loaded if need be. A key that is not in the map is made owned, and cloned
    /// twice.
    ///
    /// The key is looked for when this is called, since the future does not borrow it: a value that is
    /// fresh then is what the future returns, whenever it is polled.
    ///
    /// # Errors
    ///
    /// As for [`Lazy::try_get`].
    ///
    /// # Panics
    ///
    /// As for [`Lazy::try_get`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Lazy::try_get`].
    pub fn try_get<Q>(
        &self,
        key: &Q,
    ) -> impl Future<Output = Result<Guard<V>, LoadError<E>>> + Send + use<K, V, E, S, Q>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let entry = self.visit(key);
        async move {
            let visit = match entry {
                Ok(value) => return Ok(value),
                Err(visit) => visit,
            };
            Get::new(visit.shared(), Wish::Any).await
        }
    }

    /// The value of a key, loaded if need be, while this thread waits; see
    /// [`Lazy::try_get_blocking`].
    ///
    /// # Errors
    ///
    /// As for [`Lazy::try_get`].
    ///
    /// # Panics
    ///
    /// As for [`Lazy::try_get`].
    pub fn try_get_blocking<Q>(&self, key: &Q) -> Result<Guard<V>, LoadError<E>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.visit(key) {
            Ok(value) => Ok(value),
            Err(visit) => wait_blocking(visit.shared(), Wish::Any).map(Guard::of),
        }
    }

    /// The lazy value of a key, with everything that one can do. It works on when the key has left
    /// the map; then the map knows nothing of it.
    #[must_use]
    pub fn lazy<Q>(&self, key: &Q) -> Lazy<V, E>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.entry(key).lazy
    }
}

/// Getting a value that cannot fail to load.
impl<K, V, S> LazyMap<K, V, Infallible, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The value of a key, loaded if need be.
    ///
    /// # Panics
    ///
    /// As for [`Lazy::get`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Lazy::try_get`].
    pub fn get<Q>(&self, key: &Q) -> impl Future<Output = Guard<V>> + Send + use<K, V, S, Q>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let get = self.try_get(key);
        async { get.await.unwrap_or_else(|error| never(&error)) }
    }

    /// The value of a key, loaded if need be, while this thread waits.
    ///
    /// # Panics
    ///
    /// As for [`Lazy::get`].
    pub fn get_blocking<Q>(&self, key: &Q) -> Guard<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        (self.try_get_blocking(key)).unwrap_or_else(|error| never(&error))
    }
}

impl<K, V, E, S> LazyMap<K, V, E, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The value of a key, if nothing has to be done about it; else its entry, to wait there.
    fn visit<Q>(&self, key: &Q) -> Result<Guard<V>, Visit<K, V, E, S>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        {
            let table = read(&self.inner.table);
            let ready = (table.get(key)).and_then(|entry| entry.lazy.shared().ready());
            if let Some(value) = ready {
                return Ok(value);
            }
        }
        Err(Visit {
            map: Arc::clone(&self.inner),
            entry: Some(self.entry(key)),
        })
    }

    /// The entry of a key, a new one if it has none.
    fn entry<Q>(&self, key: &Q) -> Entry<Lazy<V, E>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(entry) = read(&self.inner.table).get(key) {
            return entry.clone();
        }
        // Made before the lock is taken: what is foreign here is not run under it.
        // One whose loader runs on this thread may have been pushed out by those it asked for.
        let map = &self.inner.identity;
        let running = Identity::running(|it: &KeyOf<K>| it.map == *map && it.key.borrow() == key);
        let key = key.to_owned();
        let own = Arc::new(KeyOf {
            map: map.clone(),
            key: key.clone(),
        });
        let identity = running.unwrap_or_else(|| Identity::of_key(Arc::clone(&own) as _));
        let loader = (self.inner.loader)(own);
        let shared = Shared::new(loader, Arc::clone(&self.inner.rules), identity);
        let lazy = Lazy::of(shared);
        let keys = [key.clone(), key];
        let (entry, gone) = write(&self.inner.table).get_or_insert(keys, lazy);
        discard(gone);
        entry
    }
}

/// A caller at an entry. The last one to leave an entry in which nothing has come to be takes it out
/// of the map.
struct Visit<K: Hash + Eq, V, E, S: BuildHasher> {
    map: Arc<Inner<K, V, E, S>>,
    /// Taken out to be dropped.
    entry: Option<Entry<Lazy<V, E>>>,
}

impl<K: Hash + Eq, V, E, S: BuildHasher> Visit<K, V, E, S> {
    fn shared(&self) -> &Arc<Shared<V, E>> {
        let entry = self.entry.as_ref();
        entry.expect("only dropped without it").lazy.shared()
    }
}

impl<K: Hash + Eq, V, E, S: BuildHasher> Visit<K, V, E, S> {
    fn leave(&mut self) {
        /// The table's handle, and this one's.
        const NOBODY_ELSE: usize = 2;
        let now = self.shared().now();
        if !self.shared().is_idle(now) {
            return;
        }
        // Handles are had from the table only. So while it is locked, and nobody else has one, nobody
        // can begin a load in this entry that the map would know nothing of.
        let mut table = write(&self.map.table);
        let is_last = Arc::strong_count(self.shared()) <= NOBODY_ELSE && self.shared().is_idle(now);
        let Some(entry) = self.entry.take() else {
            return;
        };
        let gone = match table.contains_stamp(entry.stamp) {
            true if is_last => (Some(table.remove_stamp(entry.stamp)), Some(entry)),
            // Dropped under the lock, so that of two who leave together one is the last. It is not
            // the last handle: the table has one.
            true => {
                drop(entry);
                (None, None)
            }
            false => (None, Some(entry)),
        };
        drop(table);
        discard(gone);
    }
}

impl<K: Hash + Eq, V, E, S: BuildHasher> Drop for Visit<K, V, E, S> {
    /// The clock and the hashing of keys may panic, and perhaps one of them has: a second panic while
    /// the first one unwinds would end the process. An entry that is left behind for that is found by
    /// the next one who asks.
    fn drop(&mut self) {
        if let Err(payload) = catch(|| self.leave()) {
            discard(payload);
        }
    }
}

impl<K, V, E, S> Clone for LazyMap<K, V, E, S> {
    /// Another handle to the same map.
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K, V, E, S> fmt::Debug for LazyMap<K, V, E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, max_len) = {
            let table = read(&self.inner.table);
            (table.len(), table.max_len())
        };
        f.debug_struct("LazyMap")
            .field("len", &len)
            .field("max_len", &max_len)
            .field("rules", &self.inner.rules)
            .finish_non_exhaustive()
    }
}
