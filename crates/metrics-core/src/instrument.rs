//! What records: one file for each instrument.

pub(crate) mod counter;
pub(crate) mod gauge;
pub(crate) mod histogram;
pub(crate) mod metric;
pub(crate) mod summary;
pub(crate) mod ticks;
pub(crate) mod timer;
