//! Bounded parallel maps, fair worker permits and dependency graphs.

#![forbid(unsafe_code)]
