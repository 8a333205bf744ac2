//! [`Limiter`]: one limit shared by all operations of a chain, nested ones included.
