//! [`gather`]: futures under their ids, where one failure hides no other.
