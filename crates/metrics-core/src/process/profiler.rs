//! [`Profiler`]: how long operations took and how much memory the process gained meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brolly_sync::{Clock, SystemClock};

use crate::process::ProcessReader;

/// Tells how long operations took and how much memory the process gained meanwhile.
///
/// Each start gives a handle of its own, so operations of the same name do not get in each other's
/// way. It is meant for what takes milliseconds and more: a start and an end read the operating
/// system's figures. Clones share the list of what is running.
///
/// ```
/// let profiler = brolly_metrics_core::Profiler::new();
/// let import = profiler.start("import");
/// assert_eq!(&*profiler.running()[0].name, "import");
/// let profile = import.end();
/// println!("{:?}, {:?} bytes", profile.duration, profile.memory_delta);
/// ```
#[derive(Clone)]
pub struct Profiler {
    shared: Arc<Shared>,
}

/// What an operation took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// The name that was given at the start.
    pub name: Arc<str>,
    /// From start to end.
    pub duration: Duration,
    /// What the resident memory of the whole process gained, in bytes; negative for less. None
    /// where the system does not tell.
    pub memory_delta: Option<i64>,
}

/// An operation that was started and neither ended nor dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningOperation {
    /// The name that was given at the start.
    pub name: Arc<str>,
    /// Since the start.
    pub elapsed: Duration,
}

struct Shared {
    clock: Box<dyn Clock>,
    memory: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    running: Mutex<Running>,
}

/// As many entries as there are handles.
#[derive(Default)]
struct Running {
    started: u64,
    operations: BTreeMap<u64, (Arc<str>, Duration)>,
}

impl Profiler {
    /// A profiler by the system's clock and the resident memory of this process.
    #[must_use]
    pub fn new() -> Self {
        let reader = ProcessReader::new();
        Self::with(SystemClock::new(), move || {
            reader.resident_memory().ok().flatten()
        })
    }

    /// A profiler by another clock and another measure of memory, in bytes.
    pub fn with(
        clock: impl Clock + 'static,
        memory: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock: Box::new(clock),
                memory: Box::new(memory),
                running: Mutex::default(),
            }),
        }
    }

    /// Starts to measure an operation. A handle that is dropped before its end is forgotten.
    pub fn start(&self, name: &str) -> Profiling {
        let name = Arc::from(name);
        let memory = (self.shared.memory)();
        let start = self.shared.clock.now();
        let mut running = self.shared.running();
        let number = running.started;
        running.started += 1;
        running
            .operations
            .insert(number, (Arc::clone(&name), start));
        drop(running);
        Profiling {
            shared: Arc::clone(&self.shared),
            number,
            name,
            start,
            memory,
        }
    }

    /// What is running, the longest first.
    #[must_use]
    pub fn running(&self) -> Vec<RunningOperation> {
        let now = self.shared.clock.now();
        let running = self.shared.running();
        let operations = running.operations.values();
        let mut operations: Vec<_> = operations
            .map(|(name, start)| RunningOperation {
                name: Arc::clone(name),
                elapsed: now.saturating_sub(*start),
            })
            .collect();
        drop(running);
        operations.sort_by_key(|operation| std::cmp::Reverse(operation.elapsed));
        operations
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, Running> {
        // Nothing panics in between.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Profiler {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler")
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

/// An operation that is being measured: what [`Profiler::start`] gives.
#[must_use = "dropping it forgets the operation"]
pub struct Profiling {
    shared: Arc<Shared>,
    number: u64,
    name: Arc<str>,
    start: Duration,
    memory: Option<u64>,
}

impl Profiling {
    /// Ends the operation.
    #[must_use]
    pub fn end(self) -> Profile {
        let duration = self.shared.clock.now().saturating_sub(self.start);
        let before_and_now = self.memory.zip((self.shared.memory)());
        Profile {
            name: Arc::clone(&self.name),
            duration,
            memory_delta: before_and_now.map(|(before, now)| gained(before, now)),
        }
    }

    /// The name that was given at the start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The difference, as near as the type allows.
fn gained(before: u64, now: u64) -> i64 {
    let difference = i128::from(now) - i128::from(before);
    let clamped = difference.clamp(i64::MIN.into(), i64::MAX.into());
    i64::try_from(clamped).expect("it was clamped")
}

impl Drop for Profiling {
    fn drop(&mut self) {
        self.shared.running().operations.remove(&self.number);
    }
}

impl fmt::Debug for Profiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiling")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
