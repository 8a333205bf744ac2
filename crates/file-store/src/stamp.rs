//! [`Stamp`]: what identifies a state of a file, and when it is old enough to be relied on.
//!
//! A stamp is what the system notes about a file: which file it is, how long, when its content and
//! when anything about it changed. Equal stamps mean equal bytes only if no change can happen that
//! leaves the stamp as it is. The time of the last change (ctime) cannot be set by programs: every
//! change sets it to the filesystem's clock. So a later change gives another stamp as soon as that
//! clock has moved on. git calls younger entries "racily clean" (`Documentation/technical/racy-git`).

use std::time::Duration;

use rustix::fs::Stat;

/// The shortest time that a file is left alone before it counts as settled: no clock that writes
/// fractions of a millisecond into files ticks more slowly.
const FINE_TICK: Duration = Duration::from_millis(20);

/// The same for filesystems that write whole milliseconds or seconds: FAT counts in two seconds.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// A state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) len: u64,
    pub(crate) modified: Moment,
    pub(crate) changed: Moment,
}

/// Nanoseconds since 1970. Wide enough for any seconds and nanoseconds that a filesystem may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i128);

impl Moment {
    pub(crate) fn new(seconds: i64, nanos: i64) -> Self {
        Self(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
    }

    /// The time of the clock that filesystems write into files.
    ///
    /// On Linux that is the coarse clock, which may be behind the precise one by a tick, and by more
    /// where a virtual processor is held up. Comparing with the precise one would call files settled
    /// whose next change still gets the same time.
    pub(crate) fn now() -> Self {
        #[cfg(not(target_os = "linux"))]
        use rustix::time::ClockId::Realtime as FILES;
        #[cfg(target_os = "linux")]
        use rustix::time::ClockId::RealtimeCoarse as FILES;
        let now = rustix::time::clock_gettime(FILES);
        Self::new(now.tv_sec, as_i64(now.tv_nsec))
    }

    /// How long before `later` this was; `None` if it was not before it.
    pub(crate) fn until(self, later: Self) -> Option<Duration> {
        let nanos = u128::try_from(later.0.checked_sub(self.0)?).ok()?;
        let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        Some(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
    }
}

impl Stamp {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the fields have other types on other systems"
    )]
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            len: u64::try_from(stat.st_size).unwrap_or(0),
            modified: Moment::new(stat.st_mtime as i64, as_i64(stat.st_mtime_nsec)),
            changed: Moment::new(stat.st_ctime as i64, as_i64(stat.st_ctime_nsec)),
        }
    }

    /// Whether every change after `now` gives another stamp, where `now` was read from the
    /// filesystem's clock before this stamp was taken, and the file was left alone for `settle`.
    ///
    /// A change in the future (of a clock that was set back) is never settled.
    pub(crate) fn is_settled(&self, now: Moment, settle: Duration) -> bool {
        let needed = settle.max(self.tick());
        (self.changed.until(now)).is_some_and(|untouched| untouched >= needed)
    }

    /// A bound on how far apart two changes may be that get the same time.
    fn tick(&self) -> Duration {
        if self.changed.0.rem_euclid(1_000_000) == 0 {
            COARSE_TICK
        } else {
            FINE_TICK
        }
    }
}

/// Nanoseconds of a second, whose type differs between systems.
fn as_i64(nanos: impl TryInto<i64>) -> i64 {
    nanos.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests;
