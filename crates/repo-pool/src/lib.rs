//! Leased, clean, warm git working copies over one mirror.

#![forbid(unsafe_code)]
