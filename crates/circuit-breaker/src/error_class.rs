//! [`Classify`]: what kind of error an error is, by its type and never by its text.

use std::fmt;
use std::io;
use std::time::Duration;

use brolly_sync::Elapsed;

use crate::error::CallError;
use crate::outcome::{Classifier, Outcome};

/// Whether the same call may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ErrorClass {
    /// It may: something was not there, or not in time.
    Transient,
    /// It will not: the call is wrong in itself, or not allowed.
    Permanent,
    /// Nobody knows. Retries treat it as transient, since attempts are limited.
    Unknown,
}

/// How much an error matters to whoever looks at many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Severity {
    /// It passes by itself.
    Low,
    /// It should be looked at if it stays.
    Medium,
    /// Somebody has to do something.
    High,
}

/// What kind of error it is, with a stable name for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
#[non_exhaustive]
pub enum ErrorCode {
    /// The hosting service lets no more requests through for a while.
    GithubRateLimit,
    /// No connection, or one that broke.
    NetworkError,
    /// The credentials are missing, wrong, or not enough.
    AuthError,
    /// The request itself is wrong.
    ValidationError,
    /// It took too long.
    TimeoutError,
    /// The service says that it cannot answer now.
    ServiceUnavailable,
    /// Anything else.
    UnknownError,
}

impl ErrorCode {
    /// The name, such as `NETWORK_ERROR`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GithubRateLimit => "GITHUB_RATE_LIMIT",
            Self::NetworkError => "NETWORK_ERROR",
            Self::AuthError => "AUTH_ERROR",
            Self::ValidationError => "VALIDATION_ERROR",
            Self::TimeoutError => "TIMEOUT_ERROR",
            Self::ServiceUnavailable => "SERVICE_UNAVAILABLE",
            Self::UnknownError => "UNKNOWN_ERROR",
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn class(self) -> ErrorClass {
        match self {
            Self::GithubRateLimit
            | Self::NetworkError
            | Self::TimeoutError
            | Self::ServiceUnavailable => ErrorClass::Transient,
            Self::AuthError | Self::ValidationError => ErrorClass::Permanent,
            Self::UnknownError => ErrorClass::Unknown,
        }
    }

    /// How much it matters.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::GithubRateLimit | Self::TimeoutError => Severity::Low,
            Self::NetworkError | Self::ServiceUnavailable | Self::UnknownError => Severity::Medium,
            Self::AuthError | Self::ValidationError => Severity::High,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::GithubRateLimit => "wait until the limit is reset, or send fewer requests",
            Self::NetworkError => "check that the host can be reached from here",
            Self::AuthError => "check that the credentials are there, valid and sufficient",
            Self::ValidationError => "correct the request; sending it again will not help",
            Self::TimeoutError => "allow more time, or ask for less at once",
            Self::ServiceUnavailable => "wait until the service is back",
            Self::UnknownError => "look at the error itself",
        }
    }

    /// What an HTTP status means; `None` for one that is no error.
    #[must_use]
    pub fn from_http_status(status: u16) -> Option<Self> {
        match status {
            0..400 => None,
            401 | 403 | 407 => Some(Self::AuthError),
            408 | 504 => Some(Self::TimeoutError),
            429 => Some(Self::GithubRateLimit),
            400..500 => Some(Self::ValidationError),
            500 | 502 | 503 => Some(Self::ServiceUnavailable),
            _ => Some(Self::UnknownError),
        }
    }

    /// What a command's exit code means; `None` for zero.
    ///
    /// 124 is what `timeout` ends with, 126 and 127 are what a shell says of a command that it
    /// cannot run, 75 to 78 are those of `sysexits.h`.
    #[must_use]
    pub fn from_exit_code(code: i32) -> Option<Self> {
        match code {
            0 => None,
            124 => Some(Self::TimeoutError),
            64..=66 | 78 | 126 | 127 => Some(Self::ValidationError),
            68 => Some(Self::NetworkError),
            69 | 75 => Some(Self::ServiceUnavailable),
            77 => Some(Self::AuthError),
            _ => Some(Self::UnknownError),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Errors that know what kind of error they are.
///
/// A [`Retry`](crate::Retry) asks this before it tries again, and
/// [`classify_by_error_class`](crate::CircuitBreakerBuilder::classify_by_error_class) lets a breaker
/// ask.
pub trait Classify {
    /// What kind of error this is.
    fn code(&self) -> ErrorCode;

    /// Whether the same call may succeed later.
    fn class(&self) -> ErrorClass {
        self.code().class()
    }

    /// How long to wait before another attempt, where the error says so.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl Classify for io::Error {
    fn code(&self) -> ErrorCode {
        self.kind().code()
    }
}

impl Classify for io::ErrorKind {
    fn code(&self) -> ErrorCode {
        match self {
            Self::ConnectionRefused
            | Self::ConnectionReset
            | Self::ConnectionAborted
            | Self::NotConnected
            | Self::BrokenPipe
            | Self::UnexpectedEof
            | Self::HostUnreachable
            | Self::NetworkUnreachable
            | Self::NetworkDown => ErrorCode::NetworkError,
            Self::TimedOut => ErrorCode::TimeoutError,
            Self::PermissionDenied => ErrorCode::AuthError,
            Self::InvalidInput
            | Self::InvalidData
            | Self::NotFound
            | Self::AlreadyExists
            | Self::AddrNotAvailable
            | Self::Unsupported => ErrorCode::ValidationError,
            Self::WouldBlock | Self::Interrupted | Self::ResourceBusy | Self::OutOfMemory => {
                ErrorCode::ServiceUnavailable
            }
            _ => ErrorCode::UnknownError,
        }
    }
}

impl Classify for Elapsed {
    fn code(&self) -> ErrorCode {
        ErrorCode::TimeoutError
    }
}

/// A rejection is an unavailable service; one that no time ends is permanent.
impl<E: Classify> Classify for CallError<E> {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Rejected(_) => ErrorCode::ServiceUnavailable,
            Self::Inner(error) => error.code(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Rejected(rejection) if rejection.retry_after().is_none() => ErrorClass::Permanent,
            Self::Rejected(_) => ErrorClass::Transient,
            Self::Inner(error) => error.class(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected(rejection) => rejection.retry_after(),
            Self::Inner(error) => error.retry_after(),
        }
    }
}

impl<E: Classify + ?Sized> Classify for Box<E> {
    fn code(&self) -> ErrorCode {
        (**self).code()
    }

    fn class(&self) -> ErrorClass {
        (**self).class()
    }

    fn retry_after(&self) -> Option<Duration> {
        (**self).retry_after()
    }
}

/// Permanent errors are ignored, all others are failures; see
/// [`classify_by_error_class`](crate::CircuitBreakerBuilder::classify_by_error_class).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByErrorClass;

impl<T, E: Classify> Classifier<T, E> for ByErrorClass {
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        match result.as_ref().map_err(Classify::class) {
            Ok(_) => Outcome::Success,
            Err(ErrorClass::Permanent) => Outcome::Ignored,
            Err(ErrorClass::Transient | ErrorClass::Unknown) => Outcome::Failure,
        }
    }
}
