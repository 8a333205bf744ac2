//! [`Readers`]: what each thread counts by itself, and whether it is reading just now.
//!
//! A thread counts its lookups in a line of its own, so a lookup costs two plain stores and no
//! other thread's time. The same counts tell when memory may be freed that readers without a lock
//! may still look at: a lookup is counted when it begins, and as a hit or a miss when it ends, so a
//! thread is inside exactly while the counts differ.
//!
//! Whoever frees must not miss a reader that has begun, and the reader must not have to pay a fence
//! for that. On Linux the one who frees makes all threads of the process pass a barrier
//! (`membarrier(2)`, private expedited); where that is not to be had, readers pay a fence.
//!
//! # Invariant
//!
//! What a thread remembers under the id of some [`Readers`] is its own [`Reader`] there. Ids are
//! never used again, and a thread forgets all when it gives its number back.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU64, compiler_fence, fence};
use std::sync::{Mutex, OnceLock, PoisonError};

/// One thread's counts for one cache. Written by that thread alone, except for the shared one.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Reader {
    begun: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Reader {
    #[inline(always)]
    fn begin(&self) {
        self.begun.store(self.begun.load(Relaxed) + 1, Relaxed);
    }
}

/// Which [`Readers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadersId(u64);

impl ReadersId {
    /// No readers have this id, and no thread remembers it.
    pub(crate) const NONE: Self = Self(u64::MAX);

    pub(crate) fn number(self) -> u64 {
        self.0
    }

    pub(crate) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// Slots of the first bucket; each further one is twice as large.
const FIRST: usize = 4;
const BUCKETS: usize = 20;

/// The counts of all threads for one cache.
#[derive(Debug)]
pub(crate) struct Readers {
    /// No other has it, in this process.
    id: u64,
    buckets: [OnceLock<Box<[Reader]>>; BUCKETS],
    /// For threads that are being torn down: counted by atomic additions.
    shared: Reader,
    fenced: bool,
}

/// A lookup that has begun. It counts once [`Lookup::hit`] or [`Lookup::miss`] tells how it ended;
/// dropped, it does not count.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    reader: &'a Reader,
}

impl Readers {
    pub(crate) fn new() -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Self {
            id: IDS.fetch_add(1, Relaxed),
            buckets: [const { OnceLock::new() }; BUCKETS],
            shared: Reader::default(),
            fenced: !barrier_is_available(),
        }
    }

    /// What no others have in this process.
    pub(crate) fn id(&self) -> ReadersId {
        ReadersId(self.id)
    }

    /// Begins a lookup of a thread whose last lookup was counted here too. The short way of
    /// [`Readers::begin`], which finds the others.
    ///
    /// # Safety
    ///
    /// The readers with this id live while the lookup goes on.
    #[inline(always)]
    pub(crate) unsafe fn begin_again<'a>(id: ReadersId) -> Option<Lookup<'a>> {
        let near = NEAR.get();
        if near.id != id.0 {
            return None;
        }
        // SAFETY: a reader of those readers, which live by contract.
        let reader = unsafe { near.reader.as_ref() };
        reader.begin();
        compiler_fence(SeqCst);
        Some(Lookup { reader })
    }

    /// Begins a lookup that may look at shared memory without a lock. `None` in a thread that is
    /// being torn down, which has to take the lock and [`Readers::count_shared`].
    #[inline]
    pub(crate) fn begin(&self) -> Option<Lookup<'_>> {
        // SAFETY: `self` lives.
        unsafe { Self::begin_again(self.id()) }.or_else(|| self.begin_afar())
    }

    /// As `begin`, in a thread that was elsewhere meanwhile.
    #[inline(never)]
    fn begin_afar(&self) -> Option<Lookup<'_>> {
        let before = BEFORE.with(|all| all[self.id as usize % LEN].get());
        let near = if before.id == self.id {
            before
        } else {
            Near {
                id: self.id,
                reader: NonNull::from(self.own()?),
            }
        };
        // SAFETY: just found, or remembered under this id.
        let reader = unsafe { near.reader.as_ref() };
        reader.begin();
        if self.fenced {
            // And nothing is remembered, since the short way has no fence.
            fence(SeqCst);
        } else {
            compiler_fence(SeqCst);
            NEAR.set(near);
            BEFORE.with(|all| all[self.id as usize % LEN].set(near));
        }
        Some(Lookup { reader })
    }

    /// Counts a lookup of a thread that has no counts of its own any more.
    #[cold]
    pub(crate) fn count_shared(&self, hit: bool) {
        let count = if hit {
            &self.shared.hits
        } else {
            &self.shared.misses
        };
        self.shared.begun.fetch_add(1, Relaxed);
        count.fetch_add(1, Relaxed);
    }

    /// The counts of this thread.
    fn own(&self) -> Option<&Reader> {
        let place = place_of_this_thread()?;
        let bucket = self.buckets.get(place.bucket as usize)?;
        let len = FIRST << place.bucket;
        let readers = bucket.get_or_init(|| (0..len).map(|_| Reader::default()).collect());
        readers.get(place.index as usize)
    }

    fn all(&self) -> impl Iterator<Item = &Reader> {
        let readers = self.buckets.iter().filter_map(OnceLock::get).flatten();
        readers.chain([&self.shared])
    }

    /// Hits and misses of all threads so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let count = |sum: (u64, u64), reader: &Reader| {
            let (hits, misses) = (reader.hits.load(Relaxed), reader.misses.load(Relaxed));
            (sum.0 + hits, sum.1 + misses)
        };
        self.all().fold((0, 0), count)
    }

    /// Whether all lookups have ended that had begun when this was called. What was unlinked before
    /// the call may then be freed.
    ///
    /// Waits a little for those that have not, and gives up on one that was interrupted by the
    /// scheduler in the middle of a lookup.
    pub(crate) fn have_left(&self) -> bool {
        barrier(self.fenced);
        let patience = 64;
        self.buckets
            .iter()
            .filter_map(OnceLock::get)
            .flatten()
            .all(|reader| {
                let begun = reader.begun.load(Acquire);
                (0..patience).any(|_| {
                    let ended = reader.hits.load(Acquire) + reader.misses.load(Acquire);
                    // The second: a lookup that does not count has taken its beginning back.
                    let left = ended >= begun || ended >= reader.begun.load(Acquire);
                    if !left {
                        std::thread::yield_now();
                    }
                    left
                })
            })
    }
}

impl<'a> Lookup<'a> {
    /// Ends the lookup: it found something.
    #[inline(always)]
    pub(crate) fn hit(self) {
        Self::count(&self.reader.hits);
        std::mem::forget(self);
    }

    /// Ends the lookup: it found nothing.
    #[inline(always)]
    pub(crate) fn miss(self) {
        Self::count(&self.reader.misses);
        std::mem::forget(self);
    }

    #[inline(always)]
    fn count(count: &'a AtomicU64) {
        // What was read comes before this store for whoever acquires it.
        count.store(count.load(Relaxed) + 1, Release);
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        compiler_fence(SeqCst);
        let begun = self.reader.begun.load(Relaxed);
        self.reader.begun.store(begun - 1, Release);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    bucket: u32,
    index: u32,
}

impl Place {
    /// The place with this number, counted through all buckets.
    fn numbered(number: usize) -> Option<Self> {
        let bucket = ((number / FIRST) + 1).ilog2();
        let before = FIRST * ((1 << bucket) - 1);
        (bucket < BUCKETS as u32).then_some(Self {
            bucket,
            index: (number - before) as u32,
        })
    }
}

std::thread_local! {
    /// Where this thread was last.
    static NEAR: Cell<Near> = const { Cell::new(Near::NOTHING) };
    /// Where it was before, one for each remainder of the ids.
    static BEFORE: [Cell<Near>; LEN] = const { [const { Cell::new(Near::NOTHING) }; LEN] };
    static HELD: Held = const { Held(Cell::new(None)) };
}

const LEN: usize = 8;

/// Where this thread's counts for the readers with this id are.
#[derive(Clone, Copy)]
struct Near {
    id: u64,
    reader: NonNull<Reader>,
}

impl Near {
    /// No readers have this id.
    const NOTHING: Self = Self {
        id: 0,
        reader: NonNull::dangling(),
    };
}

/// The number of this thread, given back when it ends.
struct Held(Cell<Option<usize>>);

impl Drop for Held {
    fn drop(&mut self) {
        // A cache used by a later destructor of this thread must not use counts that by then
        // belong to another thread.
        NEAR.set(Near::NOTHING);
        BEFORE.with(|all| all.iter().for_each(|near| near.set(Near::NOTHING)));
        if let Some(number) = self.0.take() {
            numbers().free.push(Reverse(number));
        }
    }
}

struct Numbers {
    free: BinaryHeap<Reverse<usize>>,
    next: usize,
}

fn numbers() -> std::sync::MutexGuard<'static, Numbers> {
    static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers {
        free: BinaryHeap::new(),
        next: 0,
    });
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place_of_this_thread() -> Option<Place> {
    HELD.try_with(|held| {
        let number = held.0.get().unwrap_or_else(|| {
            let mut numbers = numbers();
            numbers.free.pop().map_or_else(
                || {
                    numbers.next += 1;
                    numbers.next - 1
                },
                |Reverse(number)| number,
            )
        });
        held.0.set(Some(number));
        Place::numbered(number)
    })
    .ok()
    .flatten()
}

#[cfg(target_os = "linux")]
fn barrier_is_available() -> bool {
    use rustix::thread::{MembarrierCommand, membarrier};
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
            && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    })
}

#[cfg(not(target_os = "linux"))]
fn barrier_is_available() -> bool {
    false
}

/// Makes every store of every thread that came before visible, and orders what comes after.
fn barrier(fenced: bool) {
    fence(SeqCst);
    #[cfg(target_os = "linux")]
    if !fenced {
        use rustix::thread::{MembarrierCommand, membarrier};
        membarrier(MembarrierCommand::PrivateExpedited)
            .expect("the process is registered, and the kernel said that it knows the command");
        fence(SeqCst);
    }
    #[cfg(not(target_os = "linux"))]
    debug_assert!(fenced, "readers pay the fence where there is no barrier");
}
