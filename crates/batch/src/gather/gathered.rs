//! [`Gathered`]: the answer of every source, in order of id.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::{slice, vec};

use crate::gather::error::SourceError;

/// What became of each id that was given to [`gather`](crate::gather), in order of id.
///
/// It holds all of them: what has no value has the reason instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered<K, V, E> {
    /// Sorted by id, no id twice.
    answers: Vec<(K, Result<V, SourceError<E>>)>,
}

impl<K, V, E> Gathered<K, V, E> {
    pub(super) fn from_sorted(answers: Vec<(K, Result<V, SourceError<E>>)>) -> Self {
        Self { answers }
    }

    /// How an id ended; `None` if it was not among the inputs. A binary search.
    pub fn get<Q>(&self, id: &Q) -> Option<&Result<V, SourceError<E>>>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let found = self
            .answers
            .binary_search_by(|(other, _)| other.borrow().cmp(id));
        found.ok().map(|rank| &self.answers[rank].1)
    }

    /// All ids and how they ended.
    pub fn iter(&self) -> slice::Iter<'_, (K, Result<V, SourceError<E>>)> {
        self.answers.iter()
    }

    /// The ids that have a value, with it.
    pub fn ok(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.iter()
            .filter_map(|(id, result)| Some((id, result.as_ref().ok()?)))
    }

    /// The ids that have none, with the reason.
    pub fn failed(&self) -> impl DoubleEndedIterator<Item = (&K, &SourceError<E>)> {
        self.iter()
            .filter_map(|(id, result)| Some((id, result.as_ref().err()?)))
    }

    /// Whether every id has a value.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.answers.iter().all(|(_, result)| result.is_ok())
    }

    /// How many ids there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether nothing was asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The values and the failures, apart, each in order of id.
    #[expect(clippy::type_complexity, reason = "two plain lists of pairs")]
    pub fn into_parts(self) -> (Vec<(K, V)>, Vec<(K, SourceError<E>)>) {
        let (mut ok, mut failed) = (Vec::new(), Vec::new());
        for (id, result) in self.answers {
            match result {
                Ok(value) => ok.push((id, value)),
                Err(error) => failed.push((id, error)),
            }
        }
        (ok, failed)
    }

    /// The same as a map.
    pub fn into_map(self) -> BTreeMap<K, Result<V, SourceError<E>>>
    where
        K: Ord,
    {
        self.answers.into_iter().collect()
    }
}

impl<K, V, E> IntoIterator for Gathered<K, V, E> {
    type Item = (K, Result<V, SourceError<E>>);
    type IntoIter = vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.answers.into_iter()
    }
}

impl<'a, K, V, E> IntoIterator for &'a Gathered<K, V, E> {
    type Item = &'a (K, Result<V, SourceError<E>>);
    type IntoIter = slice::Iter<'a, (K, Result<V, SourceError<E>>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
