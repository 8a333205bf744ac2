//! [`WeightError`]: a number of permits that can never be had together.

/// More permits were asked for than there are, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// No wait could end: the weight is outside of what the pool allows.
    #[error("weight is {weight}, allowed are 1 to {max}")]
    OutOfRange {
        /// How many permits were asked for.
        weight: usize,
        /// How many the pool had when the request was refused, by its last resize.
        max: usize,
    },
}
