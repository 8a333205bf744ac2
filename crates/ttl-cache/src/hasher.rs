//! [`RandomState`]: the default hasher, fast and seeded anew for each cache.

use std::hash::{BuildHasher, Hasher};

/// Builds the hasher that caches use unless they are given another: `foldhash`, with a seed drawn
/// for each cache, so that which keys collide cannot be known from outside.
#[derive(Clone, Debug, Default)]
pub struct RandomState(foldhash::fast::RandomState);

/// See [`RandomState`].
#[derive(Clone)]
pub struct DefaultHasher<'a>(foldhash::fast::FoldHasher<'a>);

impl BuildHasher for RandomState {
    type Hasher = DefaultHasher<'static>;

    #[inline(always)]
    fn build_hasher(&self) -> Self::Hasher {
        DefaultHasher(self.0.build_hasher())
    }
}

macro_rules! forward {
    ($($write:ident: $type:ty),* $(,)?) => {
        impl Hasher for DefaultHasher<'_> {
            #[inline(always)]
            fn finish(&self) -> u64 {
                self.0.finish()
            }

            #[inline(always)]
            fn write(&mut self, bytes: &[u8]) {
                self.0.write(bytes);
            }

            $(
                #[inline(always)]
                fn $write(&mut self, value: $type) {
                    self.0.$write(value);
                }
            )*
        }
    };
}

forward!(
    write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128,
    write_usize: usize, write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64,
    write_i128: i128, write_isize: isize,
);

impl std::fmt::Debug for DefaultHasher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DefaultHasher").finish_non_exhaustive()
    }
}
