//! One call from a snapshot to everything that can be said about it.

mod advisor;
mod conventions;
mod findings;
mod usages;

pub use advisor::{Advisor, AdvisorConfig};
pub use conventions::Conventions;
pub use findings::{CacheReport, HealthSummary, PoolReport, Report, ResourceReport};
pub use usages::Usages;
