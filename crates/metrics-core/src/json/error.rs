//! What can go wrong when JSON is read or written.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::{BucketsError, RegisterError};

/// Why a JSON text is no snapshot.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It is not JSON, or not of the shape of a snapshot.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1; 0 when the line is empty.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// It was written by a newer brolly.
    #[error("version {found} of the format is not {supported}")]
    Version {
        /// The version it states.
        found: u64,
        /// The version that can be read.
        supported: u64,
    },
    /// A time is not one.
    #[error("`{text}` is not a time of RFC 3339")]
    Time {
        /// The text.
        text: String,
    },
    /// A metric has a name, or labels, that no registry takes beside the others.
    #[error(transparent)]
    Name(#[from] RegisterError),
    /// Two families have the same name.
    #[error("the metric `{metric}` is there twice")]
    DuplicateMetric {
        /// The name.
        metric: String,
    },
    /// Two series of a family have the same labels.
    #[error("the metric `{metric}` has the series {labels:?} twice")]
    DuplicateSeries {
        /// The metric.
        metric: String,
        /// The label values.
        labels: Vec<String>,
    },
    /// A series has other labels than its family, or the family one label twice.
    #[error("a series of the metric `{metric}` has other labels than the metric")]
    Labels {
        /// The metric.
        metric: String,
    },
    /// The bounds of a histogram are not valid.
    #[error("the buckets of the metric `{metric}` are not valid")]
    Buckets {
        /// The metric.
        metric: String,
        /// What is wrong with them.
        source: BucketsError,
    },
    /// Log-linear buckets of a precision that does not exist.
    #[error("the metric `{metric}` has buckets of {bits} bits")]
    Precision {
        /// The metric.
        metric: String,
        /// The precision it states.
        bits: u8,
    },
    /// A histogram counts in a bucket that it does not have.
    #[error("the metric `{metric}` counts in bucket {index} but has {len}")]
    BucketIndex {
        /// The metric.
        metric: String,
        /// The bucket, from 0.
        index: u32,
        /// How many buckets there are.
        len: usize,
    },
    /// The buckets of a histogram are not in order, or an empty one is listed.
    #[error("the metric `{metric}` lists bucket {index} out of order or without samples")]
    BucketOrder {
        /// The metric.
        metric: String,
        /// The bucket, from 0.
        index: u32,
    },
    /// The count of a histogram is not the sum of its buckets.
    #[error("the metric `{metric}` states {stated} samples but its buckets hold {counted}")]
    Count {
        /// The metric.
        metric: String,
        /// The count it states.
        stated: u64,
        /// The sum of its buckets.
        counted: u64,
    },
    /// The smallest sample of a histogram is larger than the largest, or they leave out a bucket that
    /// counts.
    #[error("the smallest and the largest sample of the metric `{metric}` do not fit its buckets")]
    Extremes {
        /// The metric.
        metric: String,
    },
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let place = format!(" at line {line} column {column}");
        Self::Syntax {
            line,
            column,
            message: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
        }
    }
}

/// A file that could not be written.
#[derive(Debug, Error)]
#[error("cannot write {}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}
