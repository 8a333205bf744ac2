//! Gates and merges of many branches in dependency order, each in a pooled git working copy.

#![forbid(unsafe_code)]
