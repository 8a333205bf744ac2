//! Dependency graphs: an immutable plan, its levels, and running it.

mod build;
mod dense;
mod error;
mod estimates;
mod join;
mod keyed;
mod levels;
mod outcome;
mod program;
mod rank_set;
mod run;
mod runner;
mod schedule;

pub use dense::DenseDag;
pub use error::{DagError, DagErrors};
pub use estimates::{DurationEstimates, DurationEstimatesBuilder, EstimatesSnapshot, NodeEstimate};
pub use join::Join;
pub use keyed::Dag;
pub use levels::Levels;
pub use outcome::{Causes, Node, Outcome};
pub use run::OnFailure;
pub use runner::DagRunner;
