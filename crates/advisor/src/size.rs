//! How large a pool should be: from how much of it is used, or from the demand it meets.

mod erlang;
mod formula;
mod smoother;

pub use erlang::{Demand, MAX_SERVERS, probability_of_wait};
pub use formula::{SizeFormula, SizeRange};
pub use smoother::SizeSmoother;
