//! What the operating system says of this process: read on demand, and exported as metrics.

pub(crate) mod profiler;

mod error;
#[cfg(target_os = "linux")]
mod files;
#[cfg(not(target_os = "linux"))]
#[path = "process/no_files.rs"]
mod files;
#[cfg(target_os = "linux")]
mod kept_file;
mod monitor;
#[cfg(target_os = "linux")]
mod parse;
mod reader;
mod reading;

pub use error::ReadError;
pub use monitor::ProcessMonitor;
pub use reader::ProcessReader;
pub use reading::{
    DiskReading, LoadReading, MemoryPressure, MemoryReading, ProcessReading, StallKind,
};
