//! [`Surroundings`]: the items around a piece of work, for another thread that does it.

use super::current::{self, Known, Shadow};

/// What is known on a thread of the items around it, to be known on other threads that do a part
/// of their work. While they do, the items may end: then their permits are nested under no more.
pub(crate) struct Surroundings(Vec<Shadow>);

impl Surroundings {
    /// Those of this thread. Allocates only within an item of a limiter.
    pub(crate) fn here() -> Self {
        Self(current::shadows())
    }

    /// Runs code of a piece of work.
    pub(crate) fn enter<R>(&self, code: impl FnOnce() -> R) -> R {
        /// So many are known here until the code ends, however it does.
        struct Entered(usize);

        impl Drop for Entered {
            fn drop(&mut self) {
                for _ in 0..self.0 {
                    drop(current::pop());
                }
            }
        }

        let mut entered = Entered(0);
        for shadow in &self.0 {
            if current::push(Known::Elsewhere(shadow.clone())).is_ok() {
                entered.0 += 1;
            }
        }
        code()
    }
}
