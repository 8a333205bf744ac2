//! [`PathGuard`]: a path that is held, and what can be done while it is.

use std::fmt;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use brolly_sync::WaitList;
use tokio::sync::oneshot;

use crate::content::Content;
use crate::error::{Error, Refusal, as_path};
use crate::inner::Inner;
use crate::locks::Seat;
use crate::process_lock::ProcessLock;
use crate::root::{Last, Links, Missing, Place, Way};
use crate::stamp::{Moment, Stamp};
use crate::write::{self, Failed};

/// A path that nobody else locks, writes or removes through the store until this is dropped; made by
/// [`FileStore::lock`](crate::FileStore::lock).
///
/// Reads of others go on. Changes of the file made behind the store's back are not kept out.
///
/// What is begun through a guard keeps the path until it has ended, though the guard and the caller
/// are gone.
pub struct PathGuard {
    inner: Arc<Inner>,
    held: Arc<Held>,
}

/// The path, held. The lock among processes goes first.
struct Held {
    process: Option<ProcessLock>,
    seat: Seat,
    /// One change at a time, in the order of the calls: one that goes on without its caller would
    /// otherwise overwrite the next.
    turn: WaitList<()>,
}

/// The right to change the held file; keeps the path held.
struct Turn {
    held: Arc<Held>,
}

impl PathGuard {
    /// The path that is held, below the root, without links.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        as_path(self.held.seat.path())
    }

    /// Reads the file; see [`FileStore::read`](crate::FileStore::read).
    ///
    /// # Errors
    ///
    /// As for that.
    ///
    /// # Cancel safety
    ///
    /// As for that.
    pub async fn read(&self) -> Result<Content, Error> {
        self.inner.read(&self.path()).await
    }

    /// Reads the file on this thread.
    ///
    /// # Errors
    ///
    /// As for [`FileStore::read`](crate::FileStore::read).
    pub fn read_blocking(&self) -> Result<Content, Error> {
        self.inner.read_blocking(&self.path())
    }

    /// Writes the file as a whole; see [`FileStore::write`](crate::FileStore::write).
    ///
    /// # Errors
    ///
    /// As for that, and [`Error::Moved`].
    ///
    /// # Cancel safety
    ///
    /// As for that. Calls made later through this guard wait for a write that goes on.
    pub async fn write(&self, contents: impl AsRef<[u8]> + Send + 'static) -> Result<(), Error> {
        let turn = Turn::take(&self.held).await;
        let work = move |inner: &Inner| inner.write_held(&turn, contents.as_ref());
        (self.inner)
            .away("write", self.held.seat.path(), work)
            .await?
    }

    /// Writes the file as a whole, on this thread.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub fn write_blocking(&self, contents: impl AsRef<[u8]>) -> Result<(), Error> {
        let turn = Turn::take_blocking(&self.held);
        self.inner.write_held(&turn, contents.as_ref())
    }

    /// Removes the file; see [`FileStore::remove`](crate::FileStore::remove).
    ///
    /// # Errors
    ///
    /// As for that, and [`Error::Moved`].
    ///
    /// # Cancel safety
    ///
    /// As for that. Calls made later through this guard wait for a removal that goes on.
    pub async fn remove(&self) -> Result<(), Error> {
        let turn = Turn::take(&self.held).await;
        let work = move |inner: &Inner| inner.remove_held(&turn);
        (self.inner)
            .away("remove", self.held.seat.path(), work)
            .await?
    }

    /// Removes the file, on this thread.
    ///
    /// # Errors
    ///
    /// As for [`remove`](Self::remove).
    pub fn remove_blocking(&self) -> Result<(), Error> {
        let turn = Turn::take_blocking(&self.held);
        self.inner.remove_held(&turn)
    }
}

impl fmt::Debug for PathGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathGuard")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl Turn {
    async fn take(held: &Arc<Held>) -> Self {
        held.turn.take().await;
        Self {
            held: Arc::clone(held),
        }
    }

    fn take_blocking(held: &Arc<Held>) -> Self {
        held.turn.take_blocking();
        Self {
            held: Arc::clone(held),
        }
    }
}

impl Turn {
    /// Whether other processes are kept out of this place. They are not if its directory was moved
    /// away with the lock file, and another one has its name.
    fn check(&self, place: &Place) -> Result<(), Refusal> {
        match &self.held.process {
            Some(lock) if !lock.covers(place).map_err(Refusal::to("look at"))? => {
                Err(Refusal::Moved)
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held.turn.put(());
    }
}

impl Inner {
    pub(crate) async fn lock(
        self: &Arc<Self>,
        path: &[u8],
        last: Last,
    ) -> Result<PathGuard, Error> {
        let given: Arc<[u8]> = Arc::from(path);
        let work = move |inner: &Self| inner.name_without_links(&given, last);
        let name = self.nearby("resolve", path, work).await??;
        let mut seat = self.locks.seat(&name);
        seat.wait().await;
        if !self.settings.process_locks {
            return Ok(self.guard(seat, None));
        }
        // Away, since it may make directories and sync them.
        let work = move |inner: &Self| inner.try_lock_processes(&name);
        let place = match self.away("lock", path, work).await?? {
            Ok(lock) => return Ok(self.guard(seat, Some(lock))),
            Err(place) => place,
        };
        // The system's wait cannot be given up, so a thread waits, and keeps the place in line: there
        // is one for each path at most. If nobody takes the lock any more, it is given back.
        let (sender, receiver) = oneshot::channel();
        std::thread::Builder::new()
            .name("brolly-file-lock".into())
            .spawn(move || {
                let locked = ProcessLock::acquire(place);
                let _ = sender.send((locked, seat));
            })
            .map_err(|source| Error::Io {
                action: "wait for the lock of",
                path: as_path(path),
                source,
            })?;
        let (locked, seat) = receiver.await.map_err(|_| Error::Io {
            action: "wait for the lock of",
            path: as_path(path),
            source: std::io::Error::other("the thread that waited is gone"),
        })?;
        let lock = locked.map_err(|refusal| refusal.at(path))?;
        Ok(self.guard(seat, Some(lock)))
    }

    pub(crate) fn lock_blocking(
        self: &Arc<Self>,
        path: &[u8],
        last: Last,
    ) -> Result<PathGuard, Error> {
        let name = self.name_without_links(path, last)?;
        let mut seat = self.locks.seat(&name);
        seat.wait_blocking();
        if !self.settings.process_locks {
            return Ok(self.guard(seat, None));
        }
        let lock = match self.try_lock_processes(&name)? {
            Ok(lock) => lock,
            Err(place) => ProcessLock::acquire(place).map_err(|refusal| refusal.at(path))?,
        };
        Ok(self.guard(seat, Some(lock)))
    }

    fn guard(self: &Arc<Self>, seat: Seat, process: Option<ProcessLock>) -> PathGuard {
        PathGuard {
            inner: Arc::clone(self),
            held: Arc::new(Held {
                process,
                seat,
                turn: WaitList::new(vec![()]),
            }),
        }
    }

    fn name_without_links(&self, path: &[u8], last: Last) -> Result<Arc<[u8]>, Error> {
        let way = Way {
            links: Links::Follow,
            last,
            missing: Missing::Guess,
        };
        let place = self.root.place(path, way);
        let place = place.map_err(|refusal| refusal.at(path))?;
        Ok(Arc::from(place.path))
    }

    fn try_lock_processes(&self, name: &[u8]) -> Result<Result<ProcessLock, Place>, Error> {
        let place = self.root.place(name, self.way_to_write());
        let place = place.map_err(|refusal| refusal.at(name))?;
        ProcessLock::try_acquire(place).map_err(|refusal| refusal.at(name))
    }

    fn way_to_write(&self) -> Way {
        Way {
            links: Links::Refuse,
            last: Last::Keep,
            missing: Missing::Make {
                synced: self.settings.durable,
            },
        }
    }

    fn write_held(&self, turn: &Turn, contents: &[u8]) -> Result<(), Error> {
        let path = turn.held.seat.path();
        let size = contents.len() as u64;
        if size > self.settings.max_file_size {
            return Err(Error::TooLarge {
                path: as_path(path),
                size,
                limit: self.settings.max_file_size,
            });
        }
        let at = |refusal: Refusal| refusal.at(path);
        let place = self.root.place(path, self.way_to_write()).map_err(at)?;
        turn.check(&place).map_err(at)?;
        self.sweep_once(&place);
        let changed = self.change(path, || {
            write::replace(&place, contents, self.settings.durable)
        });
        if is_made(&changed) {
            self.counters.wrote();
        }
        changed
    }

    fn remove_held(&self, turn: &Turn) -> Result<(), Error> {
        let path = turn.held.seat.path();
        let way = Way {
            missing: Missing::Fail,
            ..self.way_to_write()
        };
        let place = self.root.place(path, way);
        let place = place.map_err(|refusal| refusal.at(path))?;
        turn.check(&place).map_err(|refusal| refusal.at(path))?;
        let changed = self.change(path, || write::remove(&place, self.settings.durable));
        if is_made(&changed) {
            self.counters.removed();
        }
        changed
    }

    /// Changes a file, and takes it out of the cache before and after. Reads would notice the change
    /// without that; it frees the memory, and keeps a read that is under way from being stored.
    fn change(
        &self,
        path: &[u8],
        change: impl FnOnce() -> Result<(), Failed>,
    ) -> Result<(), Error> {
        self.cache.invalidate(path);
        let changed = change();
        self.cache.invalidate(path);
        changed.map_err(|failed| match failed {
            Failed::Refused(refusal) => refusal.at(path),
            Failed::NotDurable(errno) => Error::NotDurable {
                path: as_path(path),
                source: errno.into(),
            },
        })
    }

    /// Removes what crashed processes have left in a directory, the first time it is written to. That
    /// it fails harms nobody.
    fn sweep_once(&self, place: &Place) {
        let Ok(stat) = rustix::fs::fstat(&place.dir) else {
            return;
        };
        let stamp = Stamp::of(&stat);
        let directory = (stamp.device, stamp.inode);
        if self.swept.insert_if_absent(directory, ()).is_some() {
            return;
        }
        if let Ok(removed) = write::remove_leftovers(place.dir.as_fd(), Moment::now()) {
            self.counters.removed_leftovers(removed);
        }
    }
}

/// Whether a change was made, durable or not.
fn is_made(changed: &Result<(), Error>) -> bool {
    matches!(changed, Ok(()) | Err(Error::NotDurable { .. }))
}
