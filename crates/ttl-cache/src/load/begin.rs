//! How a caller gets into a flight: somebody else's, or one of its own.

use std::any::TypeId;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::Join;

use super::landing::Landing;
use super::outcome::{Failure, Outcome};
use super::table::{Asker, Entered, Joins, Sought, Ticket};
use crate::inner::{Found, Inner, Look};

/// The key of a call. Once a load was begun, it is shared with it.
pub(crate) enum Named<K, V> {
    Own(K),
    Shared(Arc<Ticket<K, V>>),
}

/// What a call wants.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) hash: u64,
    /// The type of error of its loader.
    pub(crate) errors: TypeId,
    pub(crate) joins: Joins,
    pub(crate) reason: Reason,
}

/// Why a call wants to load.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no value in its time to live.
    Missing,
    /// There is one, past its time to live, that is served meanwhile.
    Stale,
    /// There is one, so old that it is loaded ahead of its end.
    Due,
    /// Somebody said so.
    Told,
}

pub(crate) enum Begun<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// In somebody else's flight.
    Aboard(Join<Outcome<V>>),
    /// The caller is the one who loads.
    Lead(Landing<K, V, S>),
    /// There is a value by now.
    Found(V),
    /// The last load failed, not long ago.
    Kept(Failure),
    /// The caller is inside of the loader.
    Inside,
    /// Somebody else sees to it, or it is too early to try again. Only if the caller joins nobody.
    Busy,
}

impl<K, V> Named<K, V> {
    pub(crate) fn key(&self) -> &K {
        match self {
            Self::Own(key) => key,
            Self::Shared(ticket) => &ticket.key,
        }
    }
}

impl<K: Clone, V> Named<K, V> {
    fn into_key(self) -> K {
        match self {
            Self::Own(key) => key,
            Self::Shared(ticket) => ticket.key.clone(),
        }
    }
}

impl Reason {
    pub(crate) fn has_value(self) -> bool {
        self != Self::Missing
    }
}

impl Wish {
    /// To have a value of the key with this hash, by a loader that fails with an `E`.
    pub(crate) fn of<E: 'static>(hash: u64) -> Self {
        Self {
            hash,
            errors: TypeId::of::<E>(),
            joins: Joins::Any,
            reason: Reason::Missing,
        }
    }

    /// To have a new value while an older one is served: nobody waits for it.
    pub(crate) fn behind(self, reason: Reason) -> Self {
        Self {
            joins: Joins::None,
            reason,
            ..self
        }
    }

    fn asker(&self) -> Asker {
        Asker {
            errors: self.errors,
            joins: self.joins,
        }
    }
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Gets into a load of the key, or finds that none is needed. `before` sees the caller's ticket
    /// before it is listed.
    pub(crate) fn begin(
        self: &Arc<Self>,
        named: Named<K, V>,
        wish: Wish,
        before: impl FnOnce(&Arc<Ticket<K, V>>),
    ) -> (Begun<K, V, S>, Named<K, V>) {
        if !self.is_enabled() {
            return (Begun::Lead(Landing::new(self, None, false)), named);
        }
        let table = &self.loads.table;
        let (sought, mut signs) = table.seek(wish.hash, named.key(), wish.asker());
        let (mut beside, mut outdated) = (false, None);
        match sought {
            Sought::Aboard(join) => return (Begun::Aboard(join), named),
            Sought::Inside => return (Begun::Inside, named),
            Sought::Unwanted if wish.joins == Joins::None => return (Begun::Busy, named),
            Sought::Unwanted => beside = true,
            Sought::Kept(failure, until) if !self.clock.is_past(until) => {
                match (wish.joins, wish.reason, failure) {
                    (Joins::None, _, _) => return (Begun::Busy, named),
                    (Joins::Any, Reason::Missing, Some(failure))
                        if (*failure).type_id() == wish.errors =>
                    {
                        return (Begun::Kept(failure), named);
                    }
                    _ => {}
                }
            }
            Sought::Outdated(ticket) => outdated = Some(ticket),
            Sought::Kept(..) | Sought::Nothing => {}
        }
        // From here on the key is watched: what is written after the look below is not replaced
        // by what was loaded before.
        let watch = self.watch(wish.hash);
        let ticket = Ticket::new(named.into_key(), wish.hash, watch, wish.errors);
        let ticket = Arc::new(ticket);
        let named = Named::Shared(Arc::clone(&ticket));
        let mut begun = self.look_again(&ticket, wish).map(Begun::Found);
        if begun.is_none() {
            before(&ticket);
        }
        let begun = loop {
            if beside || begun.is_some() {
                break begun.take();
            }
            match table.enter(&ticket, signs, outdated.as_ref(), wish.asker()) {
                Entered::Listed => break None,
                Entered::Taken(Sought::Aboard(join)) => break Some(Begun::Aboard(join)),
                Entered::Taken(Sought::Inside) => break Some(Begun::Inside),
                Entered::Taken(_) if wish.joins == Joins::None => break Some(Begun::Busy),
                // A flight that cannot tell this caller of its errors: so it loads beside it.
                Entered::Taken(_) => beside = true,
                Entered::Moved(now, seen) => {
                    if let Some(value) = self.look_again(&ticket, wish) {
                        break Some(Begun::Found(value));
                    }
                    (signs, outdated) = (now, seen);
                }
            }
        };
        match begun {
            Some(begun) => {
                self.unwatch(ticket.hash, &ticket.watch);
                ticket.end(None);
                (begun, named)
            }
            None => {
                let landing = Landing::new(self, Some(ticket), wish.reason.has_value());
                (Begun::Lead(landing), named)
            }
        }
    }

    /// A value that came since the first look.
    fn look_again(&self, ticket: &Ticket<K, V>, wish: Wish) -> Option<V> {
        match (wish.reason, self.find(ticket.hash, &ticket.key, Look::Peek)) {
            (Reason::Told, _) => None,
            (Reason::Due, Found::Fresh { age, .. }) if self.loads.is_due(age) => None,
            (_, Found::Fresh { value, .. }) => Some(value),
            _ => None,
        }
    }

    /// A value that can be served although its load failed.
    pub(crate) fn instead(&self, hash: u64, key: &K) -> Option<V> {
        let keep = self.loads.rules.keeps_stale_for()?;
        match self.find(hash, key, Look::Peek) {
            Found::Fresh { value, .. } => Some(value),
            Found::Stale { value, since } if since <= keep => {
                self.loads.counters.served_stale();
                Some(value)
            }
            _ => None,
        }
    }
}

/// Whether a value so long past its time to live is served while it is loaded anew.
pub(crate) fn covers(window: Option<Duration>, since: Duration) -> bool {
    window.is_some_and(|window| since <= window)
}
