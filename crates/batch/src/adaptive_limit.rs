//! [`AdaptiveLimit`]: a limit that follows what the work behind it can bear.
