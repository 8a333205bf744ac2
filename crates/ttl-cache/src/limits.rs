//! Bounds in bytes: [`Limits`], and what values of the standard library take.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How much a cache may hold at most, whatever else its builder was told.
///
/// ```
/// use brolly_ttl_cache::{Cache, Limits};
///
/// let cache: Cache<String, String> = Cache::builder()
///     .max_capacity(1_000_000)
///     .limits(Limits::default().paranoid())
///     .build()?;
/// assert_eq!(cache.stats().max_entries, Some(10_000));
/// assert_eq!(cache.stats().max_weight, Some(10 * 1024 * 1024));
/// # Ok::<_, brolly_ttl_cache::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
pub struct Limits {
    /// How many entries there may be.
    pub max_entries: u64,
    /// How many bytes all entries may take together, as the weigher weighs them.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// 100,000 entries in 100 MiB.
    fn default() -> Self {
        Self {
            max_entries: 100_000,
            max_bytes: 100 << 20,
        }
    }
}

impl Limits {
    /// These limits, but 10,000 entries and 10 MiB at most.
    #[must_use]
    pub fn paranoid(self) -> Self {
        Self {
            max_entries: self.max_entries.min(10_000),
            max_bytes: self.max_bytes.min(10 << 20),
        }
    }
}

/// How many bytes a value takes.
///
/// What it holds on the heap is counted by what is in use, not by what is reserved, and shared data
/// in full: the sum over a cache is what its entries are worth, not what the allocator hands out.
pub trait MemSize {
    /// Bytes outside of the value itself.
    fn heap_size(&self) -> u64;

    /// All bytes.
    fn mem_size(&self) -> u64 {
        (size_of_val(self) as u64).saturating_add(self.heap_size())
    }
}

/// Weighs an entry in bytes, for [`weigher`](crate::CacheBuilder::weigher).
///
/// What the cache itself needs for an entry is not counted.
pub fn weigh_bytes<K: MemSize + ?Sized, V: MemSize + ?Sized>(key: &K, value: &V) -> u64 {
    key.mem_size().saturating_add(value.mem_size())
}

macro_rules! inline {
    ($($type:ty),* $(,)?) => {$(
        impl MemSize for $type {
            fn heap_size(&self) -> u64 {
                0
            }
        }
    )*};
}

inline!(
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    bool,
    char,
    (),
    str,
    &'static str,
    Duration,
);

impl MemSize for String {
    fn heap_size(&self) -> u64 {
        self.len() as u64
    }
}

impl MemSize for PathBuf {
    fn heap_size(&self) -> u64 {
        self.as_os_str().len() as u64
    }
}

impl MemSize for crate::StrKey {
    fn heap_size(&self) -> u64 {
        self.as_str().len() as u64 + COUNTS
    }
}

impl<T: MemSize> MemSize for [T] {
    fn heap_size(&self) -> u64 {
        sum(self.iter().map(T::heap_size))
    }
}

impl<T: MemSize, const N: usize> MemSize for [T; N] {
    fn heap_size(&self) -> u64 {
        self.as_slice().heap_size()
    }
}

impl<T: MemSize> MemSize for Vec<T> {
    fn heap_size(&self) -> u64 {
        self.as_slice().mem_size()
    }
}

impl<T: MemSize> MemSize for VecDeque<T> {
    fn heap_size(&self) -> u64 {
        sum(self.iter().map(T::mem_size))
    }
}

impl<K: MemSize, V: MemSize, S> MemSize for HashMap<K, V, S> {
    fn heap_size(&self) -> u64 {
        sum(self.iter().map(|(key, value)| weigh_bytes(key, value)))
    }
}

impl<K: MemSize, V: MemSize> MemSize for BTreeMap<K, V> {
    fn heap_size(&self) -> u64 {
        sum(self.iter().map(|(key, value)| weigh_bytes(key, value)))
    }
}

impl<T: MemSize> MemSize for Option<T> {
    fn heap_size(&self) -> u64 {
        self.as_ref().map_or(0, T::heap_size)
    }
}

impl<T: MemSize, E: MemSize> MemSize for Result<T, E> {
    fn heap_size(&self) -> u64 {
        match self {
            Ok(value) => value.heap_size(),
            Err(error) => error.heap_size(),
        }
    }
}

impl<T: MemSize + ?Sized> MemSize for Box<T> {
    fn heap_size(&self) -> u64 {
        (**self).mem_size()
    }
}

/// The two counts in front of shared data.
const COUNTS: u64 = 2 * size_of::<usize>() as u64;

impl<T: MemSize + ?Sized> MemSize for Arc<T> {
    fn heap_size(&self) -> u64 {
        (**self).mem_size().saturating_add(COUNTS)
    }
}

impl<T: MemSize + ?Sized> MemSize for Rc<T> {
    fn heap_size(&self) -> u64 {
        (**self).mem_size().saturating_add(COUNTS)
    }
}

macro_rules! tuple {
    ($($name:ident)*) => {
        impl<$($name: MemSize),*> MemSize for ($($name,)*) {
            fn heap_size(&self) -> u64 {
                #[allow(non_snake_case, reason = "each is named after its type")]
                let ($($name,)*) = self;
                sum([$($name.heap_size()),*].into_iter())
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);

fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_what_is_on_the_heap() {
        assert_eq!(7_u64.mem_size(), 8);
        assert_eq!("abc".to_owned().mem_size(), 24 + 3);
        assert_eq!(Arc::<str>::from("abc").mem_size(), 16 + 16 + 3);
        assert_eq!(vec![1_u32, 2, 3].mem_size(), 24 + 12);
        assert_eq!(vec!["ab".to_owned(), String::new()].mem_size(), 24 + 48 + 2);
        assert_eq!(Some(Box::new(1_u64)).mem_size(), 8 + 8);
        assert_eq!(None::<Box<u64>>.mem_size(), 8);
        assert_eq!((1_u8, "abc".to_owned()).mem_size(), 32 + 3);
        assert_eq!([String::new(), "a".to_owned()].mem_size(), 48 + 1);
        assert_eq!(weigh_bytes(&1_u64, &"abc".to_owned()), 8 + 27);
    }
}
