//! [`Outcome`]: how a load ended, without the type of its error, and what that means to a caller.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::FlightError;

use super::error::LoadError;

/// A loader's error whose type only its callers know.
///
/// One key may be loaded by callers with different types of error. They share each other's values,
/// panics and timeouts; an error only with those who can name its type.
pub(crate) type Failure = Arc<dyn Any + Send + Sync>;

/// How a load ended.
#[derive(Clone)]
pub(crate) enum Outcome<V> {
    Loaded(V),
    Failed(Failure),
    Panicked(Arc<str>),
    TimedOut(Duration),
    /// The load was about other keys too and has nothing to say about this one.
    Nothing,
}

/// What an outcome means to a caller whose loader fails with an `E`.
pub(crate) enum Meaning<V, E> {
    Over(Result<V, LoadError<E>>),
    /// Nothing that this caller can be told: it has to load by itself.
    Foreign,
}

impl<V> Outcome<V> {
    /// The same for a load of something else. A value has no meaning there.
    pub(crate) fn of_another<T>(self) -> Outcome<T> {
        match self {
            Self::Failed(failure) => Outcome::Failed(failure),
            Self::Panicked(message) => Outcome::Panicked(message),
            Self::TimedOut(after) => Outcome::TimedOut(after),
            Self::Loaded(_) | Self::Nothing => Outcome::Nothing,
        }
    }
}

pub(crate) fn meaning<V, E>(ending: Result<Outcome<V>, FlightError>) -> Meaning<V, E>
where
    E: Send + Sync + 'static,
{
    Meaning::Over(match ending {
        Ok(Outcome::Loaded(value)) => Ok(value),
        Ok(Outcome::Failed(failure)) => match failure.downcast::<E>() {
            Ok(failure) => Err(LoadError::Failed(failure)),
            Err(_) => return Meaning::Foreign,
        },
        Ok(Outcome::TimedOut(after)) => Err(LoadError::Timeout { after }),
        Ok(Outcome::Nothing) => return Meaning::Foreign,
        Ok(Outcome::Panicked(message)) | Err(FlightError::Panicked { message }) => {
            Err(LoadError::Panicked { message })
        }
        // The only other way for a flight to have no result for a participant.
        Err(_) => Err(LoadError::Reentrant),
    })
}

/// What a caller is told of a load with its own loader, or one that fails alike.
pub(crate) fn own<V, E>(meaning: Meaning<V, E>) -> Result<V, LoadError<E>> {
    match meaning {
        Meaning::Over(result) => result,
        // Its errors are of the caller's own type, so this does not happen.
        Meaning::Foreign => Err(LoadError::Panicked {
            message: Arc::from("its result was lost"),
        }),
    }
}
