//! The part of a bucket line that is the same for every series: `le="0.5"} `.

use crate::encode::ladder;
use crate::encode::number::push_float;
use crate::snapshot::buckets::{Bounds, Buckets};
use crate::unit::Unit;

/// The `le` fragments of one list of bounds, rendered when the list is first asked for and kept
/// until another one is.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    of: Option<Shown>,
    text: Vec<u8>,
    /// Where each fragment ends.
    ends: Vec<usize>,
}

/// Which bounds are shown.
#[derive(Debug)]
enum Shown {
    Ladder(Unit),
    Explicit(Bounds),
}

impl Fragments {
    /// Renders the bounds of these buckets, unless they are the ones already here.
    pub(super) fn prepare(&mut self, unit: Unit, buckets: &Buckets) {
        let is_ready = match (&self.of, buckets) {
            (Some(Shown::Ladder(ours)), Buckets::LogLinear(_)) => *ours == unit,
            (Some(Shown::Explicit(ours)), Buckets::Explicit(theirs)) => {
                ours.values() == theirs.values()
            }
            _ => false,
        };
        if is_ready {
            return;
        }
        self.text.clear();
        self.ends.clear();
        match buckets {
            Buckets::LogLinear(_) => {
                for &bound in ladder::bounds(unit) {
                    self.push(unit.in_units(bound));
                }
                self.of = Some(Shown::Ladder(unit));
            }
            Buckets::Explicit(bounds) => {
                for &bound in bounds.values() {
                    self.push(bound);
                }
                self.of = Some(Shown::Explicit(bounds.clone()));
            }
        }
    }

    /// The fragments, one for each bound.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(&self.ends);
        ranges.map(|(start, &end)| &self.text[start..end])
    }

    /// Bytes held.
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    fn push(&mut self, bound: f64) {
        self.text.extend_from_slice(b"le=\"");
        push_float(&mut self.text, bound);
        self.text.extend_from_slice(b"\"} ");
        self.ends.push(self.text.len());
    }
}
