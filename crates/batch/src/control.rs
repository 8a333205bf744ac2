//! [`Control`]: what a run obeys besides its own limit.
