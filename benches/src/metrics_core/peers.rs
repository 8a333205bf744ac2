//! One adapter per library.

pub mod bare;
pub mod client_rust;
pub mod fast_telemetry;
pub mod fastmetrics;
pub mod measured;
pub mod metrics_facade;
pub mod opentelemetry;
pub mod rust_prometheus;

/// Ours and every library that writes the text format, measured by the same generic function.
macro_rules! with_text {
    ($contest:expr, $measure:ident::<$face:ident>($($arg:expr),*)) => {
        with_text!(@ $contest.ours(|| $measure::<ours::$face>($($arg),*)),
            $measure, $face, ($($arg),*), [
                metrics_facade, rust_prometheus, client_rust, measured, fast_telemetry, fastmetrics
            ])
    };
    (@ $contest:expr, $measure:ident, $face:ident, $args:tt, [$($library:ident),*]) => {
        $contest$(.peer(
            <$library::$face as faces::$face>::NAME,
            || with_text!(@call $measure, $library::$face, $args),
        ))*
    };
    (@call $measure:ident, $library:ident::$face:ident, ($($arg:expr),*)) => {
        $measure::<$library::$face>($($arg),*)
    };
}

/// Ours and every library with a registry, measured by the same generic function.
macro_rules! everyone {
    ($contest:expr, $measure:ident::<$face:ident>($($arg:expr),*)) => {
        with_text!($contest, $measure::<$face>($($arg),*)).peer(
            <opentelemetry::$face as faces::$face>::NAME,
            || $measure::<opentelemetry::$face>($($arg),*),
        )
    };
}

pub(super) use {everyone, with_text};
