//! [`AdaptiveBatchSize`]: a batch size that follows how long batches take.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{BATCH_SIZE, checked_duration, checked_size};
use crate::error::ConfigError;
use crate::primitive::{Mutex, lock};

/// A batch size that grows while batches are quick and shrinks while they are slow.
///
/// For [`MapBatches::adaptive`](crate::MapBatches::adaptive). After every ten batches of the present
/// size their mean duration is looked at: below 0.1 s the size grows by 2, above 1 s it shrinks by one.
/// It never leaves a quarter of the initial size (at least 1) to four times that size. All of
/// these are settings. A batch of any other size, such as the last one of a run or one that was cut
/// before the last change, says nothing about the present size and does not count; nor does one that
/// failed.
///
/// Additive in both directions, so it settles around a size rather than to swing: from 20 to 80 it
/// takes 30 steps. Clones are handles to the same size, which may serve any number of runs, at the
/// same time as well: what one run has learned, the next one starts with.
///
/// ```
/// use std::time::Duration;
/// use brolly_batch::AdaptiveBatchSize;
///
/// let size = AdaptiveBatchSize::new(20)?;
/// for _ in 0..10 {
///     size.record(20, Duration::from_millis(3));
/// }
/// assert_eq!((size.current(), size.min(), size.max()), (22, 5, 80));
/// # Ok::<(), brolly_batch::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct AdaptiveBatchSize {
    rules: Rules,
    window: Arc<Mutex<Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    min: usize,
    max: usize,
    grow_below: Duration,
    shrink_above: Duration,
    grow_by: usize,
    shrink_by: usize,
    samples: usize,
}

/// The samples of the present size.
struct Window {
    size: usize,
    samples: usize,
    sum: Duration,
}

impl AdaptiveBatchSize {
    /// Starts at `initial`, with the defaults for everything else.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for a size that no batch can have.
    pub fn new(initial: usize) -> Result<Self, ConfigError> {
        Self::builder(initial).build()
    }

    /// Starts from the defaults around an initial size.
    pub fn builder(initial: usize) -> AdaptiveBatchSizeBuilder {
        AdaptiveBatchSizeBuilder {
            initial,
            min: (initial / 4).max(1),
            max: initial.saturating_mul(4).min(*BATCH_SIZE.end()),
            grow_below: Duration::from_millis(100),
            shrink_above: Duration::from_secs(1),
            grow_by: 2,
            shrink_by: 1,
            samples: 10,
        }
    }

    /// The size of the next batch.
    #[must_use]
    pub fn current(&self) -> usize {
        lock(&self.window).size
    }

    /// The least it may become.
    #[must_use]
    pub fn min(&self) -> usize {
        self.rules.min
    }

    /// The most it may become.
    #[must_use]
    pub fn max(&self) -> usize {
        self.rules.max
    }

    /// Counts a batch of `size` items that took `elapsed` and succeeded. Runs that are given this
    /// handle do it themselves.
    pub fn record(&self, size: usize, elapsed: Duration) {
        let rules = &self.rules;
        let mut window = lock(&self.window);
        if size != window.size {
            return;
        }
        window.samples += 1;
        window.sum = window.sum.saturating_add(elapsed);
        if window.samples < rules.samples {
            return;
        }
        let mean = window.sum / u32::try_from(rules.samples).unwrap_or(u32::MAX);
        let next = if mean < rules.grow_below {
            size.saturating_add(rules.grow_by).min(rules.max)
        } else if mean > rules.shrink_above {
            size.saturating_sub(rules.shrink_by).max(rules.min)
        } else {
            size
        };
        *window = Window::new(next);
    }
}

impl fmt::Debug for AdaptiveBatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveBatchSize")
            .field("current", &self.current())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Window {
    fn new(size: usize) -> Self {
        Self {
            size,
            samples: 0,
            sum: Duration::ZERO,
        }
    }
}

/// Collects the settings of an [`AdaptiveBatchSize`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct AdaptiveBatchSizeBuilder {
    initial: usize,
    min: usize,
    max: usize,
    grow_below: Duration,
    shrink_above: Duration,
    grow_by: usize,
    shrink_by: usize,
    samples: usize,
}

impl AdaptiveBatchSizeBuilder {
    /// The least it may become: 1 to the initial size; a quarter of that unless set.
    pub fn min(mut self, size: usize) -> Self {
        self.min = size;
        self
    }

    /// The most it may become: from the initial size; four times that unless set.
    pub fn max(mut self, size: usize) -> Self {
        self.max = size;
        self
    }

    /// The size grows while the mean duration is below this; 0.1 s unless set. Zero: it never does.
    pub fn grow_below(mut self, mean: Duration) -> Self {
        self.grow_below = mean;
        self
    }

    /// The size shrinks while the mean duration is above this, which may not be below
    /// [`grow_below`](Self::grow_below); 1 s unless set. `Duration::MAX`: it never does.
    pub fn shrink_above(mut self, mean: Duration) -> Self {
        self.shrink_above = mean;
        self
    }

    /// The step up: at least 1; 2 unless set.
    pub fn grow_by(mut self, items: usize) -> Self {
        self.grow_by = items;
        self
    }

    /// The step down: at least 1; 1 unless set.
    pub fn shrink_by(mut self, items: usize) -> Self {
        self.shrink_by = items;
        self
    }

    /// How many batches are looked at together: 1 to 1,048,576; 10 unless set.
    pub fn samples(mut self, batches: usize) -> Self {
        self.samples = batches;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting, its value and what is allowed.
    pub fn build(self) -> Result<AdaptiveBatchSize, ConfigError> {
        let initial = checked_size("initial", self.initial, BATCH_SIZE)?;
        let rules = Rules {
            min: checked_size("min", self.min, 1..=initial)?,
            max: checked_size("max", self.max, initial..=*BATCH_SIZE.end())?,
            grow_below: self.grow_below,
            shrink_above: checked_duration(
                "shrink_above",
                self.shrink_above,
                self.grow_below..=Duration::MAX,
            )?,
            grow_by: checked_size("grow_by", self.grow_by, BATCH_SIZE)?,
            shrink_by: checked_size("shrink_by", self.shrink_by, BATCH_SIZE)?,
            samples: checked_size("samples", self.samples, 1..=1 << 20)?,
        };
        Ok(AdaptiveBatchSize {
            rules,
            window: Arc::new(Mutex::new(Window::new(initial))),
        })
    }
}
