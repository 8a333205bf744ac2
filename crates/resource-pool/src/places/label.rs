//! [`Labels`]: what holders have said about themselves, by place.
//!
//! A label belongs to one checkout, which the place and its count of checkouts name. So giving back
//! need not take it away: it is not shown any more, and replaced by the next at that place. There are
//! as many as places at most.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::primitive::{Mutex, lock};

/// No label is longer, in bytes.
const LONGEST: usize = 256;

#[derive(Default)]
pub(crate) struct Labels(Mutex<BTreeMap<usize, (u64, Arc<str>)>>);

impl Labels {
    pub(crate) fn set(&self, number: usize, checkout: u64, label: &str) {
        let label = Arc::from(beginning(label));
        lock(&self.0).insert(number, (checkout, label));
    }

    pub(crate) fn of(&self, number: usize, checkout: u64) -> Option<Arc<str>> {
        let labels = lock(&self.0);
        let (of, label) = labels.get(&number)?;
        (*of == checkout).then(|| Arc::clone(label))
    }
}

/// As much of a text as may be kept.
fn beginning(text: &str) -> &str {
    let ends = text.char_indices().map(|(at, char)| at + char.len_utf8());
    let end = ends.take_while(|end| *end <= LONGEST).last();
    &text[..end.unwrap_or(0)]
}
