//! [`Home`]: the list of what a scope has to end, newest last.
//!
//! What must stay true:
//!
//! 1. An entry is on the list from the moment it came until it has ended, was taken out or was
//!    committed. So one whose ending fails or is left is still there.
//! 2. What belongs to an entry is in one place: with its handle (`Held`), on the list (`Here`), or
//!    with the one who ends it (`Ending`), who puts it back or takes the entry off the list.
//! 3. No lock is held while something ends, is dropped, or is reported.

mod roll_back;

use std::any::type_name;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, Spawn};

use crate::panics::{contain, discard};
use crate::primitive::{Mutex, lock};
use crate::reports::holders::Site;
use crate::scope::ending::Ending;
use crate::scope::error::{CleanupCause, CleanupError, ManageRefused};

pub(crate) use roll_back::{Patience, end_all};

type Listener = Box<dyn Fn(&CleanupError) + Send + Sync>;

/// What a scope and its handles share.
pub(crate) struct Home {
    list: Mutex<List>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) spawner: Option<Arc<dyn Spawn>>,
    /// The runtime that the scope was built in, if that is its spawner.
    #[cfg(feature = "tokio")]
    pub(crate) runtime: Option<tokio::runtime::Handle>,
    pub(crate) on_leftover: Option<Listener>,
    pub(crate) max_managed: usize,
}

#[derive(Default)]
struct List {
    entries: BTreeMap<u64, Entry>,
    ids: HashMap<Arc<str>, u64>,
    next: u64,
    managed: usize,
    /// The scope is gone: what comes back is ended at once.
    is_over: bool,
}

struct Entry {
    id: Arc<str>,
    site: &'static Location<'static>,
    since: Duration,
    kind: Kind,
    type_name: &'static str,
    state: State,
    /// A roll-back has met it: it ends as soon as that is possible, and no commit takes that back.
    is_doomed: bool,
}

/// Which entry it is, for those who have no lock.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) seat: u64,
    pub(crate) id: Arc<str>,
    pub(crate) site: &'static Location<'static>,
}

impl Known {
    fn error(&self, cause: CleanupCause) -> CleanupError {
        CleanupError {
            id: Arc::clone(&self.id),
            site: Site::of(self.site),
            cause,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Undone when the scope rolls back.
    Kept,
    /// Closed when its handle is dropped.
    Managed,
}

enum State {
    /// A handle has it.
    Held,
    /// The scope has it.
    Here(Box<dyn Ending>),
    /// Somebody ends it.
    Ending,
}

/// One thing on the list of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ScopeEntry {
    /// What it is called.
    pub id: String,
    /// The type of the resource, as the compiler writes it.
    pub type_name: &'static str,
    /// Whether it is closed when its handle is dropped, and not only undone by a roll-back.
    pub is_managed: bool,
    /// Where it came into the scope.
    pub site: Site,
    /// How long ago.
    pub age: Duration,
    /// Whether a handle has it.
    pub is_held: bool,
}

impl Home {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            list: Mutex::new(List::default()),
            clock,
            spawner: None,
            #[cfg(feature = "tokio")]
            runtime: None,
            on_leftover: None,
            max_managed: usize::MAX,
        }
    }

    /// Runs a step under the lock. No foreign code runs in one.
    fn locked<T>(&self, step: impl FnOnce(&mut List) -> T) -> T {
        step(&mut lock(&self.list))
    }

    /// A new entry with a handle; `name_n` with the first number that is free.
    pub(crate) fn keep<R>(&self, name: &str, site: &'static Location<'static>) -> u64 {
        let since = self.clock.now();
        self.locked(|list| {
            let mut number = list.next;
            let id = loop {
                let id: Arc<str> = format!("{name}_{number}").into();
                if !list.ids.contains_key(&id) {
                    break id;
                }
                number += 1;
            };
            list.push::<R>(id, site, since, Kind::Kept)
        })
    }

    /// A new entry with a handle and an id that nothing else has.
    pub(crate) fn manage<R>(
        &self,
        id: Arc<str>,
        site: &'static Location<'static>,
    ) -> Result<Known, ManageRefused> {
        let now = self.clock.now();
        self.locked(|list| {
            if let Some(other) = list.ids.get(&id).and_then(|seat| list.entries.get(seat)) {
                return Err(ManageRefused::Duplicate {
                    id,
                    site: Site::of(other.site),
                    since: now.saturating_sub(other.since),
                });
            }
            if list.managed >= self.max_managed {
                let max = self.max_managed;
                return Err(ManageRefused::Full { max });
            }
            let seat = list.push::<R>(Arc::clone(&id), site, now, Kind::Managed);
            Ok(Known { seat, id, site })
        })
    }

    /// Takes an entry off the list. Returns since when it was there, and what the scope had of it,
    /// which is dropped by the caller. It asks no clock, so that none can get between an ending and
    /// the list.
    pub(crate) fn remove(&self, seat: u64) -> Option<(Duration, Option<Box<dyn Ending>>)> {
        let entry = self.locked(|list| list.remove(seat))?;
        let rest = match entry.state {
            State::Here(ending) => Some(ending),
            State::Held | State::Ending => None,
        };
        Some((entry.since, rest))
    }

    pub(crate) fn seat(&self, id: &str) -> Option<u64> {
        self.locked(|list| list.ids.get(id).copied())
    }

    pub(crate) fn age(&self, seat: u64) -> Option<Duration> {
        let now = self.clock.now();
        self.locked(|list| Some(now.saturating_sub(list.entries.get(&seat)?.since)))
    }

    pub(crate) fn len(&self) -> usize {
        self.locked(|list| list.entries.len())
    }

    pub(crate) fn entries(&self) -> Vec<ScopeEntry> {
        let now = self.clock.now();
        self.locked(|list| {
            let entries = list.entries.values();
            entries
                .map(|entry| ScopeEntry {
                    id: entry.id.to_string(),
                    type_name: entry.type_name,
                    is_managed: entry.kind == Kind::Managed,
                    site: Site::of(entry.site),
                    age: now.saturating_sub(entry.since),
                    is_held: matches!(entry.state, State::Held),
                })
                .collect()
        })
    }

    /// A handle of what is kept is dropped. What was committed meanwhile is nobody's concern.
    pub(crate) fn give_back(self: &Arc<Self>, seat: u64, ending: Box<dyn Ending>) {
        let mut ending = Some(ending);
        let due = self.locked(|list| {
            let is_over = list.is_over;
            let entry = list.entries.get_mut(&seat)?;
            if entry.is_doomed || is_over {
                return Some(entry.known(seat));
            }
            if let Some(ending) = ending.take() {
                entry.state = State::Here(ending);
            }
            None
        });
        match (due, ending) {
            (Some(what), Some(ending)) => self.end_now(what, ending),
            (_, ending) => discard(ending),
        }
    }

    /// Forgets everything that is kept and that no roll-back has met, newest first.
    pub(crate) fn commit(&self) {
        let mut end = u64::MAX;
        loop {
            let newest = self.locked(|list| {
                let mut older = list.entries.range(..end).rev();
                let (&seat, _) = older.find(|(_, it)| it.is_final())?;
                Some((seat, list.remove(seat)))
            });
            let Some((seat, entry)) = newest else {
                return;
            };
            end = seat;
            discard(entry);
        }
    }

    /// Tells the listener. A handle that is still there is no failure: its drop is the end of it.
    pub(crate) fn report(&self, error: &CleanupError) {
        if let Some(listener) = &self.on_leftover
            && !matches!(error.cause, CleanupCause::InUse)
        {
            let _ = contain(|| listener(error));
        }
    }
}

impl Entry {
    fn known(&self, seat: u64) -> Known {
        Known {
            seat,
            id: Arc::clone(&self.id),
            site: self.site,
        }
    }

    /// Whether a commit takes it off the list.
    fn is_final(&self) -> bool {
        self.kind == Kind::Kept && !self.is_doomed
    }
}

impl List {
    fn push<R>(
        &mut self,
        id: Arc<str>,
        site: &'static Location<'static>,
        since: Duration,
        kind: Kind,
    ) -> u64 {
        let seat = self.next;
        self.next += 1;
        self.managed += usize::from(kind == Kind::Managed);
        self.ids.insert(Arc::clone(&id), seat);
        let entry = Entry {
            id,
            site,
            since,
            kind,
            type_name: type_name::<R>(),
            state: State::Held,
            is_doomed: false,
        };
        self.entries.insert(seat, entry);
        seat
    }

    fn remove(&mut self, seat: u64) -> Option<Entry> {
        let entry = self.entries.remove(&seat)?;
        self.ids.remove(&entry.id);
        self.managed -= usize::from(entry.kind == Kind::Managed);
        Some(entry)
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("entries", &self.entries())
            .field("has_spawner", &self.spawner.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::*;
    use brolly_sync::SystemClock;

    #[test]
    fn what_is_off_the_list_leaves_nothing_behind() {
        let home = Home::new(Arc::new(SystemClock::new()));
        let site = Location::caller();
        let known = home.manage::<()>("managed".into(), site);
        let seats = [
            home.keep::<()>("kept", site),
            known.map(|it| it.seat).unwrap_or(9),
        ];
        assert_eq!(home.locked(|list| (list.ids.len(), list.managed)), (2, 1));
        for seat in seats {
            home.remove(seat);
        }
        let left = home.locked(|list| (list.ids.len(), list.entries.len(), list.managed));
        assert_eq!(left, (0, 0, 0));
    }
}
