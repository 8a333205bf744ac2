//! What `brolly-advisor` promises.

mod score;
mod size;
