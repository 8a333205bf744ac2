//! [`Holder`]: who holds a resource, since when, and where it was acquired.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::places::record::Record;
use crate::time::moment;

/// A place in the source where resources are acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Site {
    /// The file, as the compiler was told it.
    pub file: &'static str,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl Site {
    pub(crate) fn of(location: &Location<'static>) -> Self {
        Self {
            file: location.file(),
            line: location.line(),
            column: location.column(),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Somebody who holds a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Holder {
    /// The resource, as `pool_n`: the name of its pool and the number of its place.
    pub id: String,
    /// The name of the pool.
    pub pool: String,
    /// The type of the resource, as the compiler calls it.
    pub resource: &'static str,
    /// What the holder has said about itself, with `Guard::set_label`.
    pub label: Option<String>,
    /// Where it was acquired.
    pub site: Site,
    /// For how long it is held.
    pub held_for: Duration,
    /// The age of the resource.
    pub age: Duration,
    /// When it was acquired, by the pool's clock.
    pub borrowed_at: Duration,
    /// When the resource was created or added, by the pool's clock.
    pub created_at: Duration,
}

impl Holder {
    /// What a record and its pool's name tell; the pool adds the rest.
    pub(crate) fn since(
        pool: &Arc<str>,
        number: usize,
        record: &Record,
        since: u64,
        now: u64,
    ) -> Option<Self> {
        let site = Site::of(record.site()?);
        Some(Self {
            id: format!("{pool}_{number}"),
            pool: pool.to_string(),
            site,
            held_for: Duration::from_nanos(now.saturating_sub(since)),
            age: Duration::from_nanos(now.saturating_sub(record.created())),
            borrowed_at: moment(since),
            created_at: moment(record.created()),
            resource: "",
            label: None,
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id, site, held_for, ..
        } = self;
        write!(f, "{id} held for {held_for:.1?} by {site}")?;
        match &self.label {
            Some(label) => write!(f, " ({label})"),
            None => Ok(()),
        }
    }
}

/// All who acquired at one place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SiteHolders {
    /// Where they acquired.
    pub site: Site,
    /// How many resources they hold.
    pub count: usize,
    /// For how long the first of them has held.
    pub longest: Duration,
}

impl SiteHolders {
    /// Holders by site, those who held longest first.
    pub(crate) fn group(mut holders: Vec<Holder>) -> Vec<Self> {
        holders.sort_by_key(|it| it.site);
        let mut groups: Vec<Self> = Vec::new();
        for holder in holders {
            match groups.last_mut() {
                Some(group) if group.site == holder.site => {
                    group.count += 1;
                    group.longest = group.longest.max(holder.held_for);
                }
                _ => groups.push(Self {
                    site: holder.site,
                    count: 1,
                    longest: holder.held_for,
                }),
            }
        }
        groups.sort_by_key(|it| std::cmp::Reverse(it.longest));
        groups
    }
}

impl fmt::Display for SiteHolders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            site,
            count,
            longest,
        } = self;
        match count {
            1 => write!(f, "{site} (1, for {longest:.1?})"),
            _ => write!(f, "{site} ({count}, for up to {longest:.1?})"),
        }
    }
}

/// What came of a drain.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DrainReport {
    /// How many that were handed out came back in time.
    pub returned: usize,
    /// Who still holds what, those who held longest first.
    pub left: Vec<Holder>,
    /// How many were still being created, checked or closed.
    pub unfinished: usize,
    /// How long it took.
    pub took: Duration,
}

impl DrainReport {
    /// Whether everything came back and was closed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left.is_empty() && self.unfinished == 0
    }
}
