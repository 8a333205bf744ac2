//! [`ErrorGroups`]: like errors together, counted, in bounded memory.

mod normalise;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use normalise::{normalise, truncate};

/// Most bytes of a message or a context that are looked at.
const MAX_TEXT: usize = 4 * 1024;

/// Most bytes of the name of a type.
const MAX_KIND: usize = 256;

/// Like errors, counted.
///
/// Errors are alike when they are of the same type and their messages are the same but for numbers,
/// quoted strings, paths, UUIDs and hexadecimal numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ErrorGroup {
    /// The type of the errors.
    pub kind: String,
    /// What their messages have in common.
    pub pattern: String,
    /// The first message.
    pub example: String,
    /// How many there were.
    pub count: u64,
    /// When the first one came, as the caller gave it.
    pub first: Duration,
    /// When the last one came.
    pub last: Duration,
    /// Where the last ones came from, newest last.
    pub contexts: VecDeque<String>,
}

/// Errors in groups.
///
/// Memory is bounded by the number of groups: a group takes at most ten contexts of 4 KiB, and its
/// texts. What is not in a group of its own when there are enough of them is counted in
/// [`overflow`](Self::overflow), so that [`total`](Self::total) is always right.
///
/// ```
/// use std::time::Duration;
/// use brolly_advisor::ErrorGroups;
///
/// let mut errors = ErrorGroups::default();
/// errors.record(Duration::from_secs(1), "Timeout", "no answer from 10.0.0.1 after 30 s", "GET /a");
/// errors.record(Duration::from_secs(9), "Timeout", "no answer from 10.0.0.7 after 31 s", "GET /b");
/// let top = errors.top(5);
/// assert_eq!((top[0].pattern.as_str(), top[0].count), ("no answer from <n> after <n> s", 2));
/// ```
#[derive(Clone, Debug)]
pub struct ErrorGroups {
    max_groups: usize,
    groups: Vec<ErrorGroup>,
    places: HashMap<(String, String), usize>,
    overflow: u64,
}

impl ErrorGroups {
    /// Most contexts that a group keeps.
    pub const MAX_CONTEXTS: usize = 10;

    /// Room for this many groups, at least one.
    #[must_use]
    pub fn new(max_groups: usize) -> Self {
        Self {
            max_groups: max_groups.max(1),
            groups: Vec::new(),
            places: HashMap::new(),
            overflow: 0,
        }
    }

    /// Counts an error that came at `at`, since any fixed moment of the caller's choice. An empty
    /// context is not kept. Takes time in proportion to the first 4 KiB of the message.
    pub fn record(&mut self, at: Duration, kind: &str, message: &str, context: &str) {
        let message = truncate(message, MAX_TEXT);
        let key = (truncate(kind, MAX_KIND).to_owned(), normalise(message));
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if self.groups.len() >= self.max_groups => {
                self.overflow = self.overflow.saturating_add(1);
                return;
            }
            None => {
                let (kind, pattern) = key.clone();
                self.groups.push(ErrorGroup {
                    kind,
                    pattern,
                    example: message.to_owned(),
                    count: 0,
                    first: at,
                    last: at,
                    contexts: VecDeque::new(),
                });
                let place = self.groups.len() - 1;
                self.places.insert(key, place);
                place
            }
        };
        let group = &mut self.groups[place];
        group.count = group.count.saturating_add(1);
        group.first = group.first.min(at);
        group.last = group.last.max(at);
        if context.is_empty() {
            return;
        }
        if group.contexts.len() == Self::MAX_CONTEXTS {
            group.contexts.pop_front();
        }
        group
            .contexts
            .push_back(truncate(context, MAX_TEXT).to_owned());
    }

    /// All groups, in the order in which they first came.
    #[must_use]
    pub fn groups(&self) -> &[ErrorGroup] {
        &self.groups
    }

    /// The groups with the most errors, the largest first; of equal ones the one that came first.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<&ErrorGroup> {
        let mut groups: Vec<&ErrorGroup> = self.groups.iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups.truncate(count);
        groups
    }

    /// Errors that found no room in a group of their own.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// All errors ever recorded.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = self.groups.iter().map(|group| group.count);
        counts.fold(self.overflow, u64::saturating_add)
    }
}

impl Default for ErrorGroups {
    /// Room for 1,000 groups.
    fn default() -> Self {
        Self::new(1_000)
    }
}
