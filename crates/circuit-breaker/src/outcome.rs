//! [`Outcome`], and [`Classifier`]: what the result of a call means to the breaker.

/// What a call means to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The service works.
    Success,
    /// The service does not work.
    Failure,
    /// Neither, such as a request that was wrong in itself. It counts nowhere but in the totals; a
    /// probe with this outcome gives its place to the next one.
    Ignored,
}

/// Decides what the result of a call means.
///
/// Functions and closures `Fn(&Result<T, E>) -> Outcome` are classifiers. A classifier that panics
/// panics in the call that it was asked about, which counts as a call that panicked.
pub trait Classifier<T, E> {
    /// What this result means.
    fn classify(&self, result: &Result<T, E>) -> Outcome;
}

impl<T, E, F: Fn(&Result<T, E>) -> Outcome> Classifier<T, E> for F {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        self(result)
    }
}

/// Every error is a failure, everything else a success: the classifier of a breaker that was given
/// no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnyError;

impl<T, E> Classifier<T, E> for AnyError {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Failure,
        }
    }
}

/// Errors by a function, everything else is a success; see
/// [`classify_errors`](crate::CircuitBreakerBuilder::classify_errors).
#[derive(Clone, Copy, Debug)]
#[doc(alias = "FailurePredicate")]
pub struct ErrorsBy<F>(pub(crate) F);

impl<T, E, F: Fn(&E) -> Outcome> Classifier<T, E> for ErrorsBy<F> {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) => (self.0)(error),
        }
    }
}
