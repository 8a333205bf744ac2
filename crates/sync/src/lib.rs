//! The shared concurrency floor of the brolly crates: an injectable clock and a FIFO wait list.

#![forbid(unsafe_code)]
