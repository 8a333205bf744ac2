//! What a user of the macros sees, one module per topic.

mod cancel;
mod compile;
mod outcome;
mod registry;
mod signature;
mod support;
