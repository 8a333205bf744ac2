//! [`TypedFamily`]: a metric told apart by labels whose values are known at compile time.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;
use std::sync::Arc;

use crate::family::core::FamilyCore;
use crate::instrument::metric::Instrument;

/// A label whose values are known at compile time; made with [`static_label!`](crate::static_label).
pub trait StaticLabel: Copy + 'static {
    /// All values, as they are exposed.
    const VALUES: &'static [&'static str];

    /// The position of this one among [`VALUES`](Self::VALUES).
    fn index(self) -> usize;
}

impl StaticLabel for bool {
    const VALUES: &'static [&'static str] = &["false", "true"];

    fn index(self) -> usize {
        usize::from(self)
    }
}

/// One to four labels whose values are known at compile time, as a tuple. The trait is sealed.
pub trait StaticLabels: Copy + 'static + sealed::Sealed {
    /// As many names as there are labels.
    type Names: AsRef<[&'static str]>;

    /// The values of each label.
    const VALUES: &'static [&'static [&'static str]];

    /// The position of this combination among all.
    fn index(self) -> usize;
}

mod sealed {
    /// Keeps `StaticLabels` ours: there are as many names as lists of values.
    pub trait Sealed {}
}

macro_rules! tuples {
    ($(($($label:ident)+) $len:literal),+) => {$(
        impl<$($label: StaticLabel),+> sealed::Sealed for ($($label,)+) {}

        impl<$($label: StaticLabel),+> StaticLabels for ($($label,)+) {
            type Names = [&'static str; $len];

            const VALUES: &'static [&'static [&'static str]] = &[$($label::VALUES),+];

            #[inline]
            #[expect(non_snake_case, reason = "one name for a type and its value")]
            fn index(self) -> usize {
                let ($($label,)+) = self;
                let mut index = 0;
                $(index = index * $label::VALUES.len() + $label.index();)+
                index
            }
        }
    )+};
}

tuples!((A) 1, (A B) 2, (A B C) 3, (A B C D) 4);

/// Makes an enum whose values are those of a label.
///
/// ```
/// brolly_metrics_core::static_label! {
///     /// How a lookup ended.
///     pub enum Lookup {
///         Hit => "hit",
///         Miss => "miss",
///     }
/// }
///
/// let registry = brolly_metrics_core::Registry::new();
/// let lookups = registry
///     .counter("lookups_total")
///     .typed_labels::<(Lookup, bool)>(["result", "cold"])
///     .register()?;
/// lookups[(Lookup::Hit, false)].inc();
/// assert_eq!(lookups[(Lookup::Hit, false)].value(), 1);
/// # Ok::<(), brolly_metrics_core::RegisterError>(())
/// ```
#[macro_export]
macro_rules! static_label {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident => $value:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $visibility enum $name {
            $($(#[$variant_meta])* #[doc = concat!("`", $value, "`")] $variant),+
        }

        impl $crate::StaticLabel for $name {
            const VALUES: &'static [&'static str] = &[$($value),+];

            #[inline]
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// One metric, told apart by labels whose values are known at compile time.
///
/// Every combination is a series from the start, and is found by arithmetic: indexing costs no
/// more than a bounds check.
pub struct TypedFamily<M, L> {
    metrics: Arc<[M]>,
    core: Arc<FamilyCore>,
    labels: PhantomData<fn(L)>,
}

impl<M: Instrument, L: StaticLabels> TypedFamily<M, L> {
    pub(crate) fn new(core: Arc<FamilyCore>) -> Self {
        let metric = |index| {
            let found = core.with(&values_at(L::VALUES, index), |metric| {
                M::of(metric).cloned()
            });
            found.expect("a family holds what its recipe makes")
        };
        Self {
            metrics: (0..combinations(L::VALUES)).map(metric).collect(),
            core,
            labels: PhantomData,
        }
    }
}

impl<M, L: StaticLabels> Index<L> for TypedFamily<M, L> {
    type Output = M;

    #[inline]
    fn index(&self, labels: L) -> &M {
        &self.metrics[labels.index()]
    }
}

impl<M, L> Clone for TypedFamily<M, L> {
    fn clone(&self) -> Self {
        Self {
            metrics: Arc::clone(&self.metrics),
            core: Arc::clone(&self.core),
            labels: PhantomData,
        }
    }
}

impl<M, L> fmt::Debug for TypedFamily<M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedFamily")
            .field("name", &self.core.name)
            .field("series", &self.metrics.len())
            .finish_non_exhaustive()
    }
}

/// How many combinations of these values there are.
pub(crate) fn combinations(values: &[&[&str]]) -> usize {
    let counts = values.iter().map(|values| values.len());
    counts.fold(1, usize::saturating_mul)
}

/// The values of the combination at this position.
fn values_at(values: &[&'static [&'static str]], mut index: usize) -> Vec<&'static str> {
    let mut chosen: Vec<_> = values
        .iter()
        .rev()
        .map(|values| {
            let value = values[index % values.len()];
            index /= values.len();
            value
        })
        .collect();
    chosen.reverse();
    chosen
}
