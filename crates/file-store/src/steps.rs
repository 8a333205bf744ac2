//! The steps of reading and of replacing a file, where a test can do something in between, end the
//! process, or let the step fail.

use rustix::io::Errno;

/// What has just been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    // Reading.
    Opened,
    BytesRead,
    Checked,
    // Replacing.
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
pub(crate) fn step(_done: Step) -> Result<(), Errno> {
    Ok(())
}

#[cfg(test)]
pub(crate) use in_tests::{step, with_hook};

#[cfg(test)]
mod in_tests {
    use super::{Errno, Step};
    use std::cell::Cell;

    type Hook = Box<dyn FnMut(Step) -> Result<(), Errno>>;

    thread_local! {
        static HOOK: Cell<Option<Hook>> = const { Cell::new(None) };
    }

    pub(crate) fn step(done: Step) -> Result<(), Errno> {
        HOOK.with(|hook| {
            let mut run = hook.take();
            let result = run.as_mut().map_or(Ok(()), |run| run(done));
            hook.set(run);
            result
        })
    }

    /// Calls `hook` after each step of this thread while `run` runs.
    pub(crate) fn with_hook<T>(
        hook: impl FnMut(Step) -> Result<(), Errno> + 'static,
        run: impl FnOnce() -> T,
    ) -> T {
        HOOK.set(Some(Box::new(hook)));
        let result = run();
        HOOK.set(None);
        result
    }
}
