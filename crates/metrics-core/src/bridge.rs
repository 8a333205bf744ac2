//! Ways in from elsewhere: the `metrics` facade, `tracing`, `#[timed]`.

#[cfg(feature = "metrics")]
pub(crate) mod metrics_bridge;
#[cfg(feature = "macros")]
pub(crate) mod timed_site;
#[cfg(feature = "tracing")]
pub(crate) mod tracing_layer;
