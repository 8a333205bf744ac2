//! Time that outlives a process: the clock that counts from the machine's start, and which start that was.

use std::time::Duration;

use brolly_sync::Clock;

/// The time since the machine started, suspended time included; the same in every process.
///
/// A lease that outlives its process is measured by this clock: setting the wall clock neither ends
/// such a lease nor makes it eternal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> Duration {
        now()
    }
}

#[cfg(unix)]
fn now() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(target_os = "linux")]
    let id = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let id = ClockId::Monotonic;
    let time = clock_gettime(id);
    Duration::new(
        time.tv_sec.try_into().unwrap_or(0),
        time.tv_nsec.try_into().unwrap_or(0),
    )
}

#[cfg(not(unix))]
fn now() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Names the machine's current run, so that times and process ids of an earlier run are known to be void.
///
/// Linux gives every run a random id. Elsewhere the answer is a constant: what an earlier run left
/// behind is then told apart by its process ids alone.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// Waits until a change to a file would get a later time stamp than any change so far.
///
/// Linux stamps files with a clock that ticks every 1 to 10 ms. Two changes within one tick look the
/// same, so a record of time stamps is proof of anything only if it was taken in a later tick than
/// the last change it covers.
pub(crate) fn wait_for_next_tick() {
    #[cfg(target_os = "linux")]
    {
        use rustix::time::{ClockId, clock_gettime};
        let stamp = || {
            let time = clock_gettime(ClockId::RealtimeCoarse);
            (time.tv_sec, time.tv_nsec)
        };
        let first = stamp();
        // The wall clock may be set back meanwhile, so any change of it ends the wait.
        while stamp() == first {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    #[cfg(not(target_os = "linux"))]
    std::thread::sleep(Duration::from_millis(20));
}
