#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backoff;
mod block_on;
mod clock;
mod contain;
mod flight;
mod manual_clock;
mod nano_clock;
mod primitive;
mod queue;
mod sleepers;
mod system_clock;
mod thread_timer;
mod timer;
#[cfg(feature = "tokio")]
mod tokio_timer;
mod wait_list;

pub use backoff::{Backoff, BackoffBuilder, BackoffError, Jitter};
pub use block_on::block_on;
pub use clock::Clock;
pub use flight::{Flight, FlightError, Join, Spawn, Task};
pub use manual_clock::ManualClock;
pub use nano_clock::{NEVER, NanoClock, saturating_nanos};
pub use system_clock::SystemClock;
pub use thread_timer::ThreadTimer;
pub use timer::{Elapsed, Sleep, Timer, TimerExt};
#[cfg(feature = "tokio")]
pub use tokio_timer::TokioTimer;
pub use wait_list::{Take, WaitList};
