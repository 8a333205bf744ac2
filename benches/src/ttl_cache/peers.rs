//! One adapter per library.

pub mod by_hand;
pub mod cached;
pub mod foyer;
pub mod mini_moka;
pub mod moka;
pub mod quick_cache;
pub mod sharded_lru;
pub mod tinyufo;

/// Every library, measured by the same generic function, which makes the closure of an entrant.
macro_rules! peers {
    ($contest:expr, $measure:ident::<$value:ty>($($arg:expr),*)) => {
        peers!(@ $contest, $measure, $value, ($($arg),*), [
            quick_cache::QuickCache, sharded_lru::ShardedLru, cached::Cached,
            foyer::Foyer<foyer::S3Fifo>, foyer::Foyer<foyer::Sieve>, tinyufo::TinyUfo,
            moka::Moka, mini_moka::MiniMoka
        ])
    };
    (few $contest:expr, $measure:ident::<$value:ty>($($arg:expr),*)) => {
        peers!(@ $contest, $measure, $value, ($($arg),*), [
            quick_cache::QuickCache, sharded_lru::ShardedLru, cached::Cached
        ])
    };
    // Those that were made or wrapped so that entries expire.
    (expiring $contest:expr, $measure:ident::<$value:ty>($($arg:expr),*)) => {
        peers!(@ $contest, $measure, $value, ($($arg),*), [
            by_hand::QuickCacheInstant, by_hand::LruInstant, cached::CachedTtl, moka::MokaTtl,
            mini_moka::MiniMokaTtl
        ])
    };
    (@ $contest:expr, $measure:ident, $value:ty, $args:tt,
        [$($module:ident::$library:ident$(<$($of:ident)::+>)?),*]) => {
        $contest$(.peer(
            <$module::$library<$value $(, $($of)::+)?> as faces::Face<$value>>::NAME,
            peers!(@call $measure, $value, $module::$library<$value $(, $($of)::+)?>, $args),
        ))*
    };
    (@call $measure:ident, $value:ty, $cache:ty, ($($arg:expr),*)) => {
        $measure::<$value, $cache>($($arg),*)
    };
}

pub(super) use peers;
