//! What a pool says about itself.

pub(crate) mod demand;
pub(crate) mod health;
pub(crate) mod holders;
pub(crate) mod report;
pub(crate) mod stats;
