//! A walk from the root to a file, one component at a time, that follows links by itself and never
//! leaves the root.
//!
//! Each component is opened in the directory before it without following links, so nobody can swap a
//! link in unseen. `..` goes back by the names walked so far, from the root again, and never through
//! the `..` of a directory, which may have been moved out of the root meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{FileKind, Refusal};
use crate::relative::components;

/// As many as Linux follows.
const MOST_LINKS: usize = 40;

/// On Linux a directory is held without reading it, which needs no permission but to search it.
#[cfg(target_os = "linux")]
const STEP: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const STEP: OFlags = OFlags::RDONLY;

/// How to walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) links: Links,
    pub(crate) last: Last,
    pub(crate) missing: Missing,
}

impl Way {
    /// To what a path names in the end; its directory must be there.
    pub(crate) const TO_FILE: Self = Self {
        links: Links::Follow,
        last: Last::Follow,
        missing: Missing::Fail,
    };
}

/// What to do with links on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    /// The path had none when it was locked.
    Refuse,
}

/// What to do with a link at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// The file is what it points to.
    Follow,
    /// The file is the link.
    Keep,
}

/// What to do where a directory is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Fail,
    /// It is made. If `synced`, so that it survives a power cut.
    Make {
        synced: bool,
    },
    /// The way through it is taken by its letters.
    Guess,
}

/// Where a file is, or would be.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its directory. When a missing one was guessed, the last one that is there.
    pub(crate) dir: OwnedFd,
    /// Its name in the directory.
    pub(crate) name: Vec<u8>,
    /// Its path below the root, without links and `..`.
    pub(crate) path: Vec<u8>,
}

pub(super) fn walk(root: BorrowedFd<'_>, path: &[u8], way: Way) -> Result<Place, Refusal> {
    let mut walk = Walk {
        root,
        here: None,
        names: Vec::new(),
        todo: components(path).rev().map(<[u8]>::to_vec).collect(),
        links: 0,
    };
    walk.run(way)
}

struct Walk<'r> {
    root: BorrowedFd<'r>,
    /// The directory reached; none at the root.
    here: Option<OwnedFd>,
    /// The names that lead to it.
    names: Vec<Vec<u8>>,
    /// What is still to be walked, the next one last.
    todo: Vec<Vec<u8>>,
    links: usize,
}

impl Walk<'_> {
    fn run(&mut self, way: Way) -> Result<Place, Refusal> {
        while let Some(name) = self.todo.pop() {
            if name == b".." {
                self.back()?;
            } else if !self.todo.is_empty() {
                if self.enter(&name, way)? == Entered::Missing
                    && let Some(file) = self.guess(name)
                {
                    return self.arrive(file);
                }
            } else if way.last == Last::Keep || !self.follow(&name, way.links)? {
                return self.arrive(name);
            }
        }
        Err(Refusal::NotAFile(FileKind::Directory))
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.here.as_ref().map_or(self.root, |dir| dir.as_fd())
    }

    /// One directory up: from the root once more, by all names but the last. As many up as follow at
    /// once, so that a long way back costs no more than one.
    fn back(&mut self) -> Result<(), Refusal> {
        self.names.pop().ok_or(Refusal::Outside)?;
        while self.todo.pop_if(|name| name == b"..").is_some() {
            self.names.pop().ok_or(Refusal::Outside)?;
        }
        self.todo.extend(self.names.drain(..).rev());
        self.here = None;
        // With nothing left to walk, this is a directory.
        Ok(())
    }

    fn enter(&mut self, name: &[u8], way: Way) -> Result<Entered, Refusal> {
        let flags = STEP | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            match rustix::fs::openat(self.here(), name, flags, Mode::empty()) {
                Ok(dir) => {
                    self.here = Some(dir);
                    self.names.push(name.to_vec());
                    return Ok(Entered::Directory);
                }
                Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => {
                    if self.follow(name, way.links)? {
                        return Ok(Entered::Link);
                    }
                    return Err(Refusal::System("open", Errno::NOTDIR));
                }
                Err(Errno::NOENT) => match way.missing {
                    Missing::Fail => return Err(Refusal::System("open", Errno::NOENT)),
                    Missing::Guess => return Ok(Entered::Missing),
                    Missing::Make { synced } => self.make(name, synced)?,
                },
                Err(errno) => return Err(Refusal::System("open", errno)),
            }
        }
    }

    fn make(&self, name: &[u8], synced: bool) -> Result<(), Refusal> {
        match rustix::fs::mkdirat(self.here(), name, Mode::from_raw_mode(0o777)) {
            // Whoever has just made it may not have synced it yet.
            Ok(()) | Err(Errno::EXIST) if synced => {
                sync_directory(self.here()).map_err(Refusal::to("sync"))
            }
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(Refusal::System("create", errno)),
        }
    }

    /// Puts what a link points to on the way. `false` if there is no link.
    fn follow(&mut self, name: &[u8], links: Links) -> Result<bool, Refusal> {
        let target = match rustix::fs::readlinkat(self.here(), name, Vec::new()) {
            Ok(target) => target.into_bytes(),
            // Something else, or nothing.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(Refusal::System("read the link", errno)),
        };
        if links == Links::Refuse {
            return Err(Refusal::Moved);
        }
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Refusal::System("open", Errno::LOOP));
        }
        if target.starts_with(b"/") {
            return Err(Refusal::Outside);
        }
        self.todo
            .extend(components(&target).rev().map(<[u8]>::to_vec));
        Ok(true)
    }

    /// Takes the way by its letters for as long as it leads through what is not there, beginning with
    /// `name`. Returns the name of the file if that is to its end; otherwise `..` has led back here.
    fn guess(&mut self, name: Vec<u8>) -> Option<Vec<u8>> {
        let there = self.names.len();
        self.names.push(name);
        while self.names.len() > there {
            match self.todo.pop() {
                Some(name) if name == b".." => drop(self.names.pop()),
                Some(name) => self.names.push(name),
                None => return self.names.pop(),
            }
        }
        None
    }

    fn arrive(&mut self, name: Vec<u8>) -> Result<Place, Refusal> {
        let dir = match self.here.take() {
            Some(dir) => dir,
            None => (self.root.try_clone_to_owned())
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
                .map_err(Refusal::to("open"))?,
        };
        let mut path = std::mem::take(&mut self.names);
        path.push(name.clone());
        Ok(Place {
            dir,
            name,
            path: path.join(&b'/'),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entered {
    Directory,
    Link,
    Missing,
}

/// Makes the names in a directory survive a power cut.
pub(crate) fn sync_directory(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    // A directory that is only held cannot be synced.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(dir, c".", flags, Mode::empty())?;
    rustix::fs::fsync(dir)
}

impl Place {
    /// What is at the place, a link itself included.
    pub(crate) fn stat(&self) -> Result<rustix::fs::Stat, Errno> {
        rustix::fs::statat(&self.dir, &*self.name, AtFlags::SYMLINK_NOFOLLOW)
    }
}
