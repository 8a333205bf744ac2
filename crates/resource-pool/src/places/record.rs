//! [`Record`]: what others may know about a place: who holds what is there, and since when.
//!
//! One thread writes at a time, the holder of the place; anybody may read. The words are read one by
//! one, so what is read while a place changes hands may belong to two holders. Nothing is decided by
//! them but the end of a lease, which is decided by `since` alone.

use std::panic::Location;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicU32, AtomicU64};

use crossbeam_utils::atomic::AtomicCell;

/// Written off: whoever holds it is late, and its place in the pool was given away.
const ABANDONED: u64 = u64::MAX;

/// Hold times by powers of four, from a millisecond: what a coarse clock can tell.
pub(crate) const HOLD_BUCKETS: usize = 12;

/// Times are nanoseconds of the pool's clock; zero stands for none.
#[derive(Debug, Default)]
pub(crate) struct Record {
    site: AtomicCell<Option<&'static Location<'static>>>,
    /// | value | meaning |
    /// |---|---|
    /// | 0 | not handed out |
    /// | `ABANDONED` | handed out, and written off |
    /// | other | handed out at that time |
    since: AtomicU64,
    idle_since: AtomicU64,
    expires_at: AtomicU64,
    created: AtomicU64,
    uses: AtomicU64,
    /// The sum of the times for which it was held.
    held: AtomicU64,
    /// The checkout that was reported as a leak, by its `since`.
    reported: AtomicU64,
    /// The resource that was asked a successor for, by its end.
    succeeded: AtomicU64,
    hold_times: [AtomicU32; HOLD_BUCKETS],
}

/// How a checkout ended.
pub(crate) enum Return {
    /// In time.
    Timely,
    /// After it was reported as a leak.
    Late {
        /// When it was handed out.
        since: u64,
    },
    /// After it was written off.
    Abandoned,
}

impl Record {
    /// A resource takes the place.
    pub(crate) fn settle(&self, now: u64, expires_at: u64) {
        self.created.store(now, Relaxed);
        self.idle_since.store(now, Relaxed);
        self.expires_at.store(expires_at, Relaxed);
    }

    /// It is handed out.
    #[inline]
    pub(crate) fn begin(&self, now: u64, site: &'static Location<'static>) {
        self.site.store(Some(site));
        bump(&self.uses, 1);
        self.since.store(now, Relaxed);
    }

    /// It comes back. With `leases`, somebody else may write it off at the same time, and one of the
    /// two wins.
    #[inline]
    pub(crate) fn end(&self, now: u64, leases: bool) -> Return {
        let since = self.since.load(Relaxed);
        if leases {
            if !self.clear(since) {
                return Return::Abandoned;
            }
        } else {
            self.since.store(0, Relaxed);
        }
        self.count(now.saturating_sub(since));
        self.idle_since.store(now, Relaxed);
        if self.reported.load(Relaxed) == since {
            return Return::Late { since };
        }
        Return::Timely
    }

    /// It was handed out, and nobody has looked at it. False if it was written off meanwhile.
    pub(crate) fn never_mind(&self, leases: bool) -> bool {
        let since = self.since.load(Relaxed);
        let ended = match leases {
            true => self.clear(since),
            false => {
                self.since.store(0, Relaxed);
                true
            }
        };
        if ended {
            self.uses
                .store(self.uses.load(Relaxed).saturating_sub(1), Relaxed);
        }
        ended
    }

    /// Who was written off has come back: the place is as new.
    pub(crate) fn pardon(&self) {
        self.since.store(0, Relaxed);
    }

    /// A checkout has ended that was held for so long.
    #[inline]
    fn count(&self, held: u64) {
        bump(&self.held, held);
        let bucket = &self.hold_times[bucket(held)];
        bucket.store(bucket.load(Relaxed).saturating_add(1), Relaxed);
    }

    /// Ends a checkout, unless it is written off.
    fn clear(&self, since: u64) -> bool {
        let cleared = || self.since.compare_exchange(since, 0, AcqRel, Relaxed);
        since != ABANDONED && cleared().is_ok()
    }

    /// Writes off who has held it since `since`. False if it came back meanwhile.
    pub(crate) fn abandon(&self, since: u64, now: u64) -> bool {
        let done = self
            .since
            .compare_exchange(since, ABANDONED, AcqRel, Relaxed);
        if done.is_ok() {
            // Whoever wins writes, and the late holder does not touch this any more.
            self.count(now.saturating_sub(since));
        }
        done.is_ok()
    }

    /// Since when it is handed out, if it is and was not written off.
    pub(crate) fn held_since(&self) -> Option<u64> {
        match self.since.load(Relaxed) {
            0 | ABANDONED => None,
            since => Some(since),
        }
    }

    pub(crate) fn site(&self) -> Option<&'static Location<'static>> {
        self.site.load()
    }

    pub(crate) fn created(&self) -> u64 {
        self.created.load(Relaxed)
    }

    pub(crate) fn idle_since(&self) -> u64 {
        self.idle_since.load(Relaxed)
    }

    pub(crate) fn expires_at(&self) -> u64 {
        self.expires_at.load(Relaxed)
    }

    pub(crate) fn uses(&self) -> u64 {
        self.uses.load(Relaxed)
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// How many checkouts have ended, by how long they lasted.
    pub(crate) fn hold_times(&self) -> [u64; HOLD_BUCKETS] {
        let mut times = self.hold_times.each_ref().map(|it| it.load(Relaxed).into());
        // The shortest ones fill their counter within hours on a place that is always hot. What is
        // known of all tells how many they are then; the others need months of use for that.
        if times[0] == u64::from(u32::MAX) {
            let uses = self.uses();
            let ended = uses.saturating_sub(u64::from(self.held_since().is_some()));
            let longer = times[1..].iter().sum::<u64>();
            times[0] = times[0].max(ended.saturating_sub(longer));
        }
        times
    }

    /// Marks a resource as one whose successor was asked for. False if it is already.
    pub(crate) fn ask_successor(&self, expires_at: u64) -> bool {
        self.succeeded.swap(expires_at, Relaxed) != expires_at
    }

    /// Marks a checkout as reported. False if it is already.
    pub(crate) fn report(&self, since: u64) -> bool {
        self.reported.swap(since, Relaxed) != since
    }
}

/// One thread writes at a time, so this need not be one step.
#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).saturating_add(by), Relaxed);
}

/// The bucket of a hold time: below 1 ms, 4 ms, 16 ms, and so on.
#[inline]
fn bucket(held: u64) -> usize {
    const MILLISECOND: u64 = 1_000_000;
    if held < MILLISECOND {
        return 0;
    }
    let millis = held / MILLISECOND;
    ((millis.ilog2() / 2 + 1) as usize).min(HOLD_BUCKETS - 1)
}

/// The upper end of a bucket, in nanoseconds; the last has none.
pub(crate) fn bucket_end(bucket: usize) -> u64 {
    match u32::try_from(bucket) {
        Ok(bucket) if (bucket as usize) < HOLD_BUCKETS - 1 => 1_000_000 << (2 * bucket),
        _ => u64::MAX,
    }
}
