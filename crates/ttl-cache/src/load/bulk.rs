//! Loading many keys by one call.
//!
//! The call is a flight of its own. Each key it loads is a flight too, so that callers of that key
//! alone find it in the table; its load waits for the call and picks its value.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hash};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use brolly_sync::{Flight, FlightError, Join};

use super::begin::{Spared, Wish};
use super::error::LoadError;
use super::handed::contain;
use super::landing::Landing;
use super::listing::Joins;
use super::outcome::{Meaning, Outcome, meaning, own};
use super::run::{Called, Unready, drive};
use crate::cache::Cache;
use crate::inner::{Found, Inner, Look};

/// What a call brought.
type Values<K, V> = Arc<HashMap<K, V>>;

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The values of many keys; those that are missing are loaded by one call.
    ///
    /// `loader` gets the missing keys, each once, without those that somebody else loads already:
    /// for these the call waits. It is not called if nothing is left. Keys that its answer lacks
    /// are absent from the result, and not remembered; keys it was not asked for are dropped.
    ///
    /// While the call runs, callers of a single key wait for it too; one whose key turns out to be
    /// absent runs its own loader then. The call counts as one load: it takes one permit, and one
    /// load timeout holds for all of it. Values past their time to live are loaded anew, and served
    /// only if the call fails and all that it was to load can be served that way.
    ///
    /// ```
    /// # use brolly_ttl_cache::Cache;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let cache = Cache::new(100);
    /// cache.insert(1, "one");
    /// let load = |missing: Vec<u32>| async move {
    ///     assert_eq!(missing, [2, 3]);
    ///     Ok::<_, std::io::Error>(vec![(2, "two")])
    /// };
    /// let values = cache.get_all_with([1, 2, 3, 2], load).await.unwrap();
    /// assert_eq!((values[&1], values[&2], values.len()), ("one", "two", 2));
    /// assert_eq!(cache.get(&2), Some("two"));
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the call failed, or another load that it had to wait for. What is already
    /// loaded stays in the cache.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the call to those who wait for one of its keys.
    pub async fn get_all_with<E, F, Fut, I>(
        &self,
        keys: impl IntoIterator<Item = K>,
        loader: F,
    ) -> Result<HashMap<K, V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce(Vec<K>) -> Fut,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, V)> + 'static,
    {
        let (mut values, missing) = self.inner.find_all(keys);
        if !missing.is_empty() {
            let loaded = self.inner.load_all(&missing, loader).await;
            match self.inner.or_all_instead(&missing, loaded) {
                Ok(loaded) => values.extend(loaded),
                Err(error) => return Err(error),
            }
        }
        Ok(values)
    }
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// What is there, and what is missing, with its hash.
    fn find_all(&self, keys: impl IntoIterator<Item = K>) -> (HashMap<K, V>, Vec<(K, u64)>) {
        let mut values: HashMap<K, Option<V>> = HashMap::new();
        let mut missing = Vec::new();
        for key in keys {
            if let Entry::Vacant(entry) = values.entry(key) {
                let hash = self.hash(entry.key());
                let value = match self.find(hash, entry.key(), Look::Count) {
                    Found::Fresh { value, .. } => Some(value),
                    _ => {
                        missing.push((entry.key().clone(), hash));
                        None
                    }
                };
                entry.insert(value);
            }
        }
        let present = |(key, value): (K, Option<V>)| value.map(|value| (key, value));
        (values.into_iter().filter_map(present).collect(), missing)
    }

    /// Loads missing keys, and waits for those that others load.
    async fn load_all<E, F, Fut, I>(
        self: &Arc<Self>,
        missing: &[(K, u64)],
        loader: F,
    ) -> Result<HashMap<K, V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce(Vec<K>) -> Fut,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, V)> + 'static,
    {
        let (mut values, mut asked) = (HashMap::new(), Vec::new());
        let (mut landings, mut others) = (Vec::new(), Vec::new());
        for (key, hash) in missing {
            let wish = Wish {
                joins: Joins::Alike,
                at_once: false,
                ..Wish::of::<E>(*hash)
            };
            match self.begin(key, wish) {
                Ok(listed) => {
                    asked.push(key.clone());
                    let landing = Landing::new(self, key.clone(), wish, listed);
                    landings.push((key, landing.kept()));
                }
                Err(Spared::Found(value)) => drop(values.insert(key.clone(), value)),
                Err(Spared::Aboard(join)) => {
                    self.loads.counters.joined();
                    others.push((key, join));
                }
                Err(spared) => return self.without_waiting(spared).map(|_: V| values),
            }
        }
        let mut owned = Vec::new();
        let mut join = None;
        if !asked.is_empty() {
            let called = contain(|| loader(asked));
            let call = Flight::new(call(Landing::unlisted(self).kept(), called));
            join = call.join();
            for (key, landing) in landings {
                let part = call.join().expect("this caller takes part in it");
                let place = landing.place();
                let load = pick(landing, key.clone(), part);
                owned.push((key, self.go_on(place, load, None)));
            }
        }
        let mut called = owned.is_empty().then_some(Ok(()));
        let mut endings = Vec::new();
        poll_fn(|cx| {
            if let Some(join) = &mut join
                && called.is_none()
                && let Poll::Ready(outcome) = Pin::new(join).poll(cx)
            {
                called = Some(own(meaning(outcome)).map(|_: Values<K, V>| ()));
            }
            others.retain_mut(|(key, join)| match Pin::new(join).poll(cx) {
                Poll::Ready(outcome) => {
                    endings.push((*key, outcome));
                    false
                }
                Poll::Pending => true,
            });
            if called.is_some() && others.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        // The call has landed, so these are ready, or somebody else is about to make them so.
        for (key, join) in owned {
            endings.push((key, join.await));
        }
        if let Some(Err(error)) = called {
            return Err(error);
        }
        for (key, ending) in endings {
            match meaning(ending) {
                Meaning::Over(Ok(value)) => drop(values.insert(key.clone(), value)),
                Meaning::Over(Err(error)) => return Err(error),
                // A call has no value for it.
                Meaning::Foreign => {}
            }
        }
        Ok(values)
    }

    /// The result, or values that are served in the place of a failure if there are enough.
    fn or_all_instead<E>(
        &self,
        missing: &[(K, u64)],
        result: Result<HashMap<K, V>, LoadError<E>>,
    ) -> Result<HashMap<K, V>, LoadError<E>> {
        match result {
            Ok(_) | Err(LoadError::Reentrant) => result,
            Err(error) => {
                let instead =
                    |(key, hash): &(K, u64)| Some((key.clone(), self.instead(*hash, key)?));
                missing
                    .iter()
                    .map(instead)
                    .collect::<Option<_>>()
                    .ok_or(error)
            }
        }
    }
}

/// The load of all keys. Its landing stores nothing and only counts.
async fn call<K, V, S, E, Fut, I>(
    mut landing: Landing<'static, K, V, S>,
    called: Called<Fut>,
) -> Outcome<Values<K, V>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    E: Send + Sync + 'static,
    Fut: Future<Output = Result<I, E>> + Send + 'static,
    I: IntoIterator<Item = (K, V)> + 'static,
{
    let collect = |loader: Fut| async move {
        let pairs = loader.await?;
        Ok::<HashMap<K, V>, E>(pairs.into_iter().collect())
    };
    match drive(&mut landing, called.map(collect)).await {
        Ok(Ok(values)) => {
            landing.land_with(Outcome::Nothing);
            Outcome::Loaded(Arc::new(values))
        }
        Ok(Err(failure)) => landing.fail(failure).of_another(),
        Err(Unready::Late(after)) => landing.time_out(after).of_another(),
        Err(Unready::Panicked(message)) => landing.panic(message).of_another(),
    }
}

/// The load of one of the keys: its part of the call.
async fn pick<K, V, S>(
    landing: Landing<'static, K, V, S>,
    key: K,
    call: Join<Outcome<Values<K, V>>>,
) -> Outcome<V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    let outcome = match call.await {
        Ok(Outcome::Loaded(values)) => match values.get(&key) {
            Some(value) => return Outcome::Loaded(landing.land(value.clone())),
            None => Outcome::Nothing,
        },
        Ok(outcome) => outcome.of_another(),
        Err(FlightError::Panicked { message }) => Outcome::Panicked(message),
        // Whoever asks from inside of the call loads by itself.
        Err(_) => Outcome::Nothing,
    };
    landing.land_with(outcome)
}
