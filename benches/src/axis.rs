//! One axis of comparison: a name, and how it is run.

use crate::driver::Effort;
use crate::record::Record;

type Run = Box<dyn Fn(Effort) -> Result<Record, String>>;

/// What the command line can ask for by name.
pub struct Axis {
    pub name: String,
    run: Run,
}

impl Axis {
    pub fn new(
        name: impl Into<String>,
        run: impl Fn(Effort) -> Result<Record, String> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }

    /// # Errors
    ///
    /// When ours gives a wrong answer or fails, or when nothing is left to compare it with.
    pub fn run(&self, effort: Effort) -> Result<Record, String> {
        (self.run)(effort)
    }
}

/// Makes the axes of a crate; what they need is made when one is run.
pub type Axes = fn() -> Vec<Axis>;
