//! Dependency graphs: an immutable plan, its levels, and running it.

mod build;
mod dense;
mod error;
mod keyed;
mod levels;
mod program;
mod rank_set;
mod run;
mod schedule;

pub use dense::DenseDag;
pub use error::{DagError, DagErrors};
pub use keyed::Dag;
pub use levels::Levels;
pub use run::{Node, Outcome};
