//! [`Join`]: how many of its dependencies a node waits for.

/// When a node may start, seen from its dependencies.
///
/// A node without dependencies may start at once, whatever its join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Join {
    /// When all its dependencies have succeeded; it is blocked as soon as one cannot.
    #[default]
    All,
    /// As soon as one of its dependencies has succeeded; it is blocked only when none can. The
    /// other dependencies still run, beside it or after it.
    Any,
}
