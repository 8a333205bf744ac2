//! What the cache promises, one module per topic.

mod bad_input;
mod model;
mod support;
