//! Reading through the cache.
//!
//! What must stay true, where "now" is any moment between the call and its return:
//! 1. Bytes from the cache are those of the file now: the file has the stamp they were read with, and
//!    they were kept only because no later change can give it that stamp again.
//! 2. Bytes read for somebody else are those of the file now: reading them began after this caller
//!    had come, or they are checked like bytes from the cache.
//! 3. What is kept was read whole between two equal stamps. A torn read is never kept.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use brolly_ttl_cache::{Compute, LoadError};
use rustix::buffer::spare_capacity;
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::content::Content;
use crate::error::{Error, Refusal, as_path};
use crate::inner::Inner;
use crate::stamp::{Moment, Stamp};
use crate::steps::{Step, step};

/// How often a file is read that changes while it is read, before it is taken as it comes.
const ATTEMPTS: usize = 3;

/// Bytes by which the room for a file grows at least that is longer than it says.
const LEAST_GROWTH: u64 = 4096;

/// How often others' reads may get lost with their runtimes, before there seems to be none.
const LOSSES: usize = 3;

/// Why a file read leaves nothing in the cache.
#[derive(Debug)]
enum Unkept {
    /// The file has changed a moment ago, or while it was read.
    Unsettled(Content),
    /// It could not be read.
    Failed { began: u64, error: Error },
    /// The runtime that was to read it is gone.
    Lost,
}

/// What a file read means for one of those who waited for it.
enum Answer {
    Done(Result<Content, Error>),
    /// It began before this caller came.
    Early,
    Lost,
}

impl Inner {
    /// The content of a file, without waiting where the cached one is valid.
    pub(crate) async fn read(self: &Arc<Self>, path: &Path) -> Result<Content, Error> {
        let path = self.relative(path)?;
        if self.settings.check_inline
            && let Some(content) = self.cached(&path)
        {
            return Ok(content);
        }
        let path: Arc<[u8]> = Arc::from(path);
        let arrival = self.turn();
        let mut losses = 0;
        let mut is_checked = self.settings.check_inline;
        loop {
            if !is_checked && self.cache.contains_key(&*path) {
                let looked_up = Arc::clone(&path);
                let cached = self
                    .nearby("look at", &path, move |inner| inner.cached(&looked_up))
                    .await?;
                if let Some(content) = cached {
                    return Ok(content);
                }
            }
            is_checked = false;
            let mut leads = false;
            let loaded = self
                .cache
                .try_get_with(Arc::clone(&path), || {
                    leads = true;
                    Arc::clone(self).fill_away(Arc::clone(&path))
                })
                .await;
            match self.answer(loaded, arrival, leads, &path) {
                Answer::Done(result) => return result,
                Answer::Early => {}
                Answer::Lost if losses < LOSSES => losses += 1,
                Answer::Lost => {
                    return Err(Error::NoRuntime {
                        action: "read",
                        path: as_path(&path),
                    });
                }
            }
        }
    }

    /// As [`read`](Self::read), on this thread.
    pub(crate) fn read_blocking(&self, path: &Path) -> Result<Content, Error> {
        let path = self.relative(path)?;
        if let Some(content) = self.cached(&path) {
            return Ok(content);
        }
        let path: Arc<[u8]> = Arc::from(path);
        let arrival = self.turn();
        loop {
            let mut leads = false;
            let loaded = self.cache.try_get_blocking(Arc::clone(&path), || {
                leads = true;
                self.fill(&path)
            });
            // Losses end with the runtime that has them, and this thread needs none.
            if let Answer::Done(result) = self.answer(loaded, arrival, leads, &path) {
                return result;
            }
            if let Some(content) = self.cached(&path) {
                return Ok(content);
            }
        }
    }

    /// What is cached, if the file still is in that state: one lookup and one system call.
    ///
    /// The file is looked at by its path, which may lead out of the root by now; but whatever has
    /// this stamp is the file that was found below the root, unchanged since.
    fn cached(&self, path: &[u8]) -> Option<Content> {
        let content = self.cache.get(path)?;
        let stat = self.root.glance(path);
        if stat.is_ok_and(|stat| Stamp::of(&stat) == *content.stamp()) {
            self.counters.hit();
            return Some(content);
        }
        self.counters.found_outdated();
        self.cache.compute(Arc::from(path), |cached| match cached {
            Some(cached) if cached.is_same(&content) => Compute::Remove,
            _ => Compute::Keep,
        });
        None
    }

    fn answer(
        &self,
        loaded: Result<Content, LoadError<Unkept>>,
        arrival: u64,
        leads: bool,
        path: &[u8],
    ) -> Answer {
        let answer = match loaded {
            Ok(content) if content.began() > arrival => Answer::Done(Ok(content)),
            Ok(_) => Answer::Early,
            Err(LoadError::Failed(unkept)) => match &*unkept {
                Unkept::Unsettled(content) if content.began() > arrival => {
                    Answer::Done(Ok(content.clone()))
                }
                Unkept::Failed { began, error } if *began > arrival => {
                    Answer::Done(Err(error.again()))
                }
                Unkept::Unsettled(_) | Unkept::Failed { .. } => Answer::Early,
                Unkept::Lost => Answer::Lost,
            },
            Err(error) => Answer::Done(Err(Error::Io {
                action: "read",
                path: as_path(path),
                source: std::io::Error::other(error.to_string()),
            })),
        };
        if matches!(answer, Answer::Done(Ok(_))) && !leads {
            self.counters.shared_read();
        }
        answer
    }

    async fn fill_away(self: Arc<Self>, path: Arc<[u8]>) -> Result<Content, Unkept> {
        let what = Arc::clone(&path);
        let filled = self.away("read", &path, move |inner| inner.fill(&what));
        filled.await.unwrap_or(Err(Unkept::Lost))
    }

    /// Reads a file, and says whether what was read may be kept.
    fn fill(&self, path: &[u8]) -> Result<Content, Unkept> {
        let began = self.turn();
        self.counters.file_read();
        for attempt in 1.. {
            let read = self.read_once(path, began);
            match read {
                Ok((content, Steadiness::Settled)) => return Ok(content),
                Ok((_, Steadiness::Changing)) if attempt < ATTEMPTS => {}
                Ok((content, _)) => {
                    self.counters.unsettled_read();
                    return Err(Unkept::Unsettled(content));
                }
                Err(error) => return Err(Unkept::Failed { began, error }),
            }
        }
        unreachable!("the last attempt returns")
    }

    fn read_once(&self, path: &[u8], began: u64) -> Result<(Content, Steadiness), Error> {
        // Before the first look at the file: a later time would be one that the file may have had
        // changes before.
        let now = Moment::now();
        let (file, stat) = self
            .root
            .open_file(path)
            .map_err(|refusal| refusal.at(path))?;
        step(Step::Opened)
            .map_err(Refusal::to("read"))
            .map_err(|refusal| refusal.at(path))?;
        let before = Stamp::of(&stat);
        let (bytes, after) = self.read_all(file, &before, path)?;
        let after = Stamp::of(&after);
        let steadiness = if before != after {
            Steadiness::Changing
        } else if bytes.len() as u64 != before.len {
            // What has another length than it says is on no disk: /proc has such files.
            Steadiness::Young
        } else if before.is_settled(now, self.settings.settle) {
            Steadiness::Settled
        } else {
            Steadiness::Young
        };
        Ok((Content::new(bytes, before, began), steadiness))
    }

    fn read_all(
        &self,
        file: OwnedFd,
        before: &Stamp,
        path: &[u8],
    ) -> Result<(Vec<u8>, Stat), Error> {
        let limit = self.settings.max_file_size;
        let too_large = |size| Error::TooLarge {
            path: as_path(path),
            size,
            limit,
        };
        let at = |refusal: Refusal| refusal.at(path);
        if before.len > limit {
            return Err(too_large(before.len));
        }
        let mut bytes = Vec::new();
        // One more than there are, so that the end is seen without growing.
        let mut room = before.len.saturating_add(1);
        loop {
            if bytes.len() == bytes.capacity() {
                // Never for more than is allowed and one more, which would be too much.
                let allowed = limit.saturating_add(1).saturating_sub(bytes.len() as u64);
                let more = usize::try_from(room.min(allowed)).unwrap_or(usize::MAX);
                bytes
                    .try_reserve_exact(more)
                    .map_err(|_| Refusal::System("read", Errno::NOMEM))
                    .map_err(at)?;
                // Should it have more than it says, by as much again each time.
                room = room.max(LEAST_GROWTH).saturating_mul(2);
            }
            match rustix::io::read(&file, spare_capacity(&mut bytes)) {
                Ok(0) => break,
                Ok(_) if bytes.len() as u64 > limit => return Err(too_large(bytes.len() as u64)),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(at(Refusal::System("read", errno))),
            }
        }
        step(Step::BytesRead)
            .map_err(Refusal::to("read"))
            .map_err(at)?;
        let after = rustix::fs::fstat(&file)
            .map_err(Refusal::to("look at"))
            .map_err(at)?;
        step(Step::Checked)
            .map_err(Refusal::to("read"))
            .map_err(at)?;
        Ok((bytes, after))
    }
}

/// How a file held still while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Steadiness {
    /// It did, and every later change will be seen.
    Settled,
    /// It did, but a change may come that looks like none.
    Young,
    /// It changed.
    Changing,
}

#[cfg(test)]
mod tests;
