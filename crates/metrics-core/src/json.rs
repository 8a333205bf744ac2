//! Snapshots as JSON: numbers as numbers, nothing lost, everything checked on the way back.

mod document;
mod error;
mod file;
mod number;

use std::path::Path;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::document::Document;
pub use self::error::{JsonError, WriteError};
use crate::snapshot::Snapshot;

impl Snapshot {
    /// The snapshot as a JSON object, indented for people.
    ///
    /// It holds `version` (1), `timestamp` (RFC 3339, clamped to the years 0 to 9999), `counters`,
    /// `gauges`, `histograms` and `summaries`. A histogram shows its count, sum, extremes and
    /// quantiles for people, and for programs its buckets and what it counts in steps of the
    /// unit's resolution. A number that is not finite is the text `"NaN"`, `"+Inf"` or `"-Inf"`.
    ///
    /// ```
    /// use brolly_metrics_core::Snapshot;
    ///
    /// let snapshot = Snapshot::empty(std::time::SystemTime::now());
    /// assert_eq!(Snapshot::from_json(&snapshot.to_json())?, snapshot);
    /// # Ok::<(), brolly_metrics_core::JsonError>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("all keys are text and writing to memory does not fail")
    }

    /// Reads what [`to_json`](Self::to_json) wrote. Families and series may come in any order.
    ///
    /// # Errors
    ///
    /// When it is not JSON of that shape, has a field that nobody knows or another version, has a
    /// name that no registry takes, or when it contradicts itself: a count that is not the sum of its
    /// buckets, a bucket that does not exist, a name or a series that comes twice, two names that are
    /// one on a page.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        Document::parse(text)?.into_snapshot()
    }

    /// Writes [`to_json`](Self::to_json) to a file, all or nothing.
    ///
    /// Folders that are missing are made. The text goes to a new file in the same folder, which
    /// then takes the place of `path`: a reader finds the old content or the new, never a part,
    /// also when the process is killed or the machine goes down meanwhile (such an end may leave a
    /// file `.brolly-*.tmp` behind). A file that was there passes on its permissions; a symbolic
    /// link is replaced.
    ///
    /// # Errors
    ///
    /// When the file system refuses. `path` is untouched then, unless it is the very last step that
    /// fails, which makes the new name survive a crash: the new content is there already.
    pub fn write_json(&self, path: impl AsRef<Path>) -> Result<(), WriteError> {
        let mut text = self.to_json();
        text.push('\n');
        file::replace(path.as_ref(), text.as_bytes())
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Document::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Document::deserialize(deserializer)?;
        document.into_snapshot().map_err(D::Error::custom)
    }
}
