#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod block_on;
mod clock;
mod primitive;
mod queue;
mod wait_list;

pub use clock::{Clock, ManualClock, SystemClock};
pub use wait_list::{Take, WaitList};
