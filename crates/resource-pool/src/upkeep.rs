//! The work of the pool itself: creating, checking, closing, and who does it.

pub(crate) mod attempts;
pub(crate) mod check;
pub(crate) mod close;
pub(crate) mod create;
pub(crate) mod crew;
pub(crate) mod janitor;
