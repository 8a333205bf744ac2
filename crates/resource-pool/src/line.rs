//! Those who wait: in which order, how each waits, until when.

pub(crate) mod acquire;
pub(crate) mod admit;
pub(crate) mod limit;
pub(crate) mod queue;
pub(crate) mod wait;
