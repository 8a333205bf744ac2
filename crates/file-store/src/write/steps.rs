//! The steps of a replacement, where a test can end the process or let the step fail.

use rustix::io::Errno;

/// What has just been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Created,
    HalfWritten,
    Written,
    Permitted,
    Synced,
    Renamed,
    DirectorySynced,
}

/// Nothing, outside of tests of this crate itself.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn step(_done: Step) -> Result<(), Errno> {
    Ok(())
}

#[cfg(test)]
pub(super) use in_tests::step;

#[cfg(test)]
pub(super) mod in_tests {
    use super::{Errno, Step};
    use std::cell::Cell;

    type Hook = Box<dyn FnMut(Step) -> Result<(), Errno>>;

    thread_local! {
        static HOOK: Cell<Option<Hook>> = const { Cell::new(None) };
    }

    pub(in crate::write) fn step(done: Step) -> Result<(), Errno> {
        HOOK.with(|hook| {
            let mut run = hook.take();
            let result = run.as_mut().map_or(Ok(()), |run| run(done));
            hook.set(run);
            result
        })
    }

    /// Calls `hook` after each step of this thread while `run` runs.
    pub(in crate::write) fn with_hook<T>(
        hook: impl FnMut(Step) -> Result<(), Errno> + 'static,
        run: impl FnOnce() -> T,
    ) -> T {
        HOOK.set(Some(Box::new(hook)));
        let result = run();
        HOOK.set(None);
        result
    }
}
